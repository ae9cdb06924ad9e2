"""What a foreign connector's JSON-LD processor makes of our messages.

Reads one JSON message a line on standard input, expands it by the contexts that it names or writes
out, compacts it again, and prints one result a line:

    {"expanded": ..., "compact": ..., "full": ...}    or    {"error": "..."}    or    {"crash": "..."}

`expanded` is the expansion itself, `compact` is compacted with the context of the Dataspace Protocol
2025-1, `full` with none (so that every name is a full IRI); both are absent where that cannot be done.

The contexts are read from $TWINPACT_SHARED/suites/dsp/context; any other document is refused, so
that nothing is ever fetched. Exit code 3: no processor or no contexts (the caller skips).
"""

import copy
import json
import os
import pathlib
import sys

DSPACE = "https://w3id.org/dspace/2025/1/context.jsonld"
PROFILE = "https://w3id.org/dspace/2025/1/odrl-profile.jsonld"


def fail(reason):
    print(reason, file=sys.stderr)
    sys.exit(3)


def merged(node, profile):
    """The context with each `@import` written out (JSON-LD 1.1 API, 4.1.2 step 5.6).

    PyLD 3.3 keeps what the first `@import` of a profile was merged with and uses it for all later
    ones, which silently drops the terms of the others; merging here goes round it.
    """
    if not isinstance(node, dict):
        return node
    node = {key: merged(value, profile) for key, value in node.items()}
    if node.get("@import") == PROFILE:
        del node["@import"]
        return {**copy.deepcopy(profile), **node}
    return node


def context():
    shared = os.environ.get("TWINPACT_SHARED")
    if not shared:
        fail("TWINPACT_SHARED is not set")
    folder = pathlib.Path(shared) / "suites" / "dsp" / "context"
    try:
        dspace = json.loads((folder / "dspace.jsonld").read_text("utf-8"))
        profile = json.loads((folder / "odrl.jsonld").read_text("utf-8"))
    except OSError as error:
        fail(f"no contexts: {error}")
    return merged(dspace, profile["@context"])


def main():
    try:
        from pyld import jsonld
    except ImportError as error:
        fail(f"no JSON-LD processor: {error}")
    document = context()

    def load(url, _options):
        if url != DSPACE:
            raise jsonld.JsonLdError(f"not a local context: {url}", "loading document failed")
        return {
            "contextUrl": None,
            "contentType": "application/ld+json",
            "documentUrl": url,
            "document": copy.deepcopy(document),
        }

    # No base: relative references stay as they are, as in the connectors that we know.
    options = {"documentLoader": load, "base": None}
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            message = json.loads(line)
            expanded = jsonld.expand(message, options)
        except jsonld.JsonLdError as error:
            print(json.dumps({"error": str(error)[:400]}), flush=True)
            continue
        except TypeError as error:
            # PyLD 3.3 breaks down over a prefix that a context says means nothing.
            print(json.dumps({"crash": str(error)[:400]}), flush=True)
            continue
        result = {"expanded": expanded}
        try:
            compact = jsonld.compact(expanded, [DSPACE], options)
            compact["@context"] = [DSPACE]
            full = jsonld.compact(expanded, {}, options)
            result.update(compact=compact, full=full)
        except jsonld.JsonLdError:
            pass
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
