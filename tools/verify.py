#!/usr/bin/env python3
"""Verifies a Twinpact proof without any code of Twinpact: a second opinion.

    python3 tools/verify.py FILE [--trust TRUST] [--require LEVEL]

Written from docs/format.md ("Verification"): what is broken is named by its link, and the step of
that name says what had to hold. Python 3.11, nothing to install. Exit: 0 it holds, 2 usage, 11 a
file is unreadable, 22 broken, 23 below the level (`signed` where none is required). With --batch,
each line FILE tab TRUST tab LEVEL of the input ("-" for none) is answered by a code and a word.
"""
import argparse
import contextlib
import datetime
import re
import sys

from documents import NO_TRUST, document, ended, organisation, pin_of, pinned, seen_by
from documents import signature_lines
from forms import cbor, climb, leaf, need, opened, parse, read, sha

LEVELS = ["unanchored", "signed", "countersigned", "witnessed"]
SECTIONS = ["claim", "commitment", "entry", "tree", "head", "anchor"]


class Broken(Exception):
    """A link of the chain does not hold."""


@contextlib.contextmanager
def link(name):
    try:
        yield
    except ValueError as error:
        raise Broken(name) from error


def disclosed(commitment):
    """Step 4: datatype and lexical form by path."""
    withheld, openings, found = commitment["withheld"], commitment["disclosed"], {}
    digests = sorted(withheld + [sha(data) for data in openings])
    need(withheld == sorted(withheld))
    need(len(set(digests)) == len(digests) and len(digests) in (8, 16, 32))
    need(sha(cbor(["twinpact-c/1", digests])) == commitment["pc"])
    for data in openings:
        path, datatype, lexical = opened(data, "twinpact-d/1")
        need(path not in found)
        group = path in ("@who", "@when", "@why")
        need((datatype == "group") == group and (path[:1] == "@") == group)
        found[path] = (datatype, lexical)
    return found


def claimed(claim, exactness, attributes):
    """Step 5: what the attribute `delivery` says, by name; None for a fact."""
    def array(path, length):
        items = parse(attributes[path][1].encode())
        need(isinstance(items, list) and len(items) == length)
        return items
    need(claim["values"] == {path: lexical for path, (_, lexical) in attributes.items()})
    subject, delivery = "", None
    if claim["kind"] == "delivery":
        need(attributes.get("delivery", [""])[0] == "json")
        names = ("agreement", "decision", "view", "count", "bytes")
        delivery = read("delivery", dict(zip(names, array("delivery", 5))))
        subject = delivery["agreement"].hex()
    elif "@who" in attributes:
        subject = read("string", array("@who", 4)[1])
    need(claim["subject"] == subject)
    code = array("@why", 5)[4] if "@why" in attributes else None
    if exactness == "exact":
        need(code in (None, ""))
    else:
        need(code == read("transformed", exactness)["transformed"].hex())
    return delivery


def shown(items, attributes, delivery):
    """Step 15: the items that are shown, as lines."""
    datatype, lexical = attributes.get("items", ("", ""))
    if datatype != "points":
        need(not items)
        return []
    match = re.fullmatch("(0|[1-9][0-9]*):([0-9a-f]{64})", lexical)
    need(match)
    count, root, least, lines = int(match[1]), bytes.fromhex(match[2]), 0, []
    need(count < 2**64 and (not delivery or delivery["count"] == count))
    need(not items or items["count"] == count)
    for item in items["shown"] if items else []:
        time, _, lexical = opened(item["bytes"], "twinpact-p/1")
        leaf_hash, index = sha(b"\0", item["bytes"]), item["index"]
        need(index >= least and climb(leaf_hash, index, count, item["path"]) == root)
        lines.append(f"item {index}: {time!r} {lexical!r}")
        least = index + 1
    return lines


def verify(data, trust=NO_TRUST):
    """The steps of docs/format.md, one after another: level and statement of a bundle, or Broken."""
    with link("container"):
        need(len(data) <= 16 << 20)
        first, _, rest = data.partition(b"\n")
        need(first == b"twinpact-proof/1 sha256:" + sha(rest).hex().encode())
    with link("document"):
        bundle = read("bundle", parse(rest))
    for name in SECTIONS:
        with link(name):
            bundle[name] = read(name, bundle[name])
    claim, commitment, entry, tree, head, anchor = (bundle[name] for name in SECTIONS)
    fact, time, slot = claim["kind"] == "fact", anchor["time"], head["slot"]
    with link("record"):
        records = [organisation(value) for value in read("any[2]", bundle["records"])]
        need(len(records) == 1 or not fact and len({record["did"] for record in records}) == 2)
        issuer, audience, origin = records[0], (records + [None])[1], records[0]["log"]["origin"]
    with link("commitment"):
        attributes = disclosed(commitment)
    with link("claim"):
        delivery = claimed(claim, bundle["exactness"], attributes)
    with link("entry"):
        pc = commitment["pc"]
        need(leaf("twinpact-e/1", entry["tree"], entry["index"], pc) == entry["leaf"])
    with link("tree"):
        need(climb(entry["leaf"], entry["index"], tree["size"], tree["path"]) == tree["root"])
    with link("head"):
        need(64 <= head["slots"] <= 1 << 24 and head["slots"].bit_count() == 1)
        need(climb(head["leaf"], slot, head["slots"], head["path"]) == head["heads"])
        need(leaf("twinpact-h/1", head["tick"], slot, entry["tree"], head["size"], tree["root"],
                  head["blind"]) == head["leaf"])
    with link("tree"):
        need(tree["size"] == head["size"])

    def signed(kind):
        """A document of a delivery, from its issuer to its audience."""
        if fact or bundle[kind] is None:
            return need(bundle[kind] is None)
        everybody = set().union(*(record["all"] for record in records))
        found = document(bundle[kind], kind, lambda _: everybody)
        need(found["by"] & issuer["all"] and found["issuer"] == issuer["did"])
        need(not audience or found["audience"] == audience["did"])
        need(found["agreement"] == delivery["agreement"])
        return found
    with link("agreement"):
        agreement = signed("agreement")
        need(fact or agreement and agreement["target"] == delivery["view"])
    with link("slot"):
        places = issuer["trees"].values() if fact else [tuple(agreement["ledger"].values())]
        need((slot, entry["tree"]) in places)
    with link("anchor"):
        need(leaf("twinpact-a/1", anchor["tick"], time, head["slots"], head["heads"])
             == anchor["leaf"])
        need(anchor["tick"] == head["tick"])
        root = climb(anchor["leaf"], anchor["tick"], anchor["size"], anchor["path"])
        need(root == anchor["root"])
    with link("checkpoint"):
        stated, log_keys, lines, body = signature_lines(
            read("note", bundle["checkpoint"]), records, time, trust["witnesses"])
    with link("anchor"):
        need(stated == (anchor["size"], anchor["root"]))
    with link("decision"):
        if decision := signed("decision"):
            need(decision["audience"] == agreement["audience"])
            need(decision["fingerprint"] == delivery["decision"])
            need(decision["tree"] == issuer["trees"]["decisions"][1])
    with link("receipt"):
        if receipt := signed("receipt"):
            need(receipt["audience"] == agreement["audience"])
            place = {"slot": slot, "tree": entry["tree"], "index": entry["index"]}
            proven = delivery | {"ledger": place, "leaf": entry["leaf"], "pc": pc}
            need(receipt | proven == receipt and receipt["anchor"]["origin"] == origin)
            need(receipt["anchor"]["tick"] <= anchor["tick"])
    with link("items"):
        items = shown(read("items?", bundle["items"]), attributes, delivery)
    with link("trust"):
        documents = [found for found in (agreement, decision, receipt) if found]
        pin, pin_of_audience = (pin_of(record, documents, trust) for record in (issuer, audience))
        if pin:
            keys = {key["key"]: key for key in pin["keys"]}
            need(all(key in keys and not ended(keys[key], time) for key in log_keys))
            need(issuer["log"] in pin["logs"])
            need(all(seen["root"] == anchor["root"] for seen in trust["anchors"]
                     if (seen["origin"], seen["size"]) == (origin, anchor["size"])))
    with link("witness"):
        counted = [witness for witness in trust["witnesses"] if seen_by(witness, lines, body)]

    def countersigned(found, made):
        keys = audience["keys"] + pin_of_audience["keys"]
        dead = {key["key"] for key in keys if ended(key, made)}
        return found["by"] & audience["all"] - dead
    both = False
    if pin_of_audience and receipt:
        concluded, own_tick = agreement["concluded"], receipt["anchor"]["tick"] == anchor["tick"]
        both = (countersigned(agreement, concluded)
                and countersigned(receipt, time if own_tick else concluded))
    parties = {issuer["did"]} if fact else {issuer["did"], agreement["audience"]}
    quorum = len(counted) >= trust["quorum"] and any(
        witness["party"] not in parties for witness in counted)
    level = 0 if not pin else 3 if quorum and (fact or both) else 2 if both else 1
    what = f"recorded of {claim['subject'] or 'a withheld twin'!r}" if fact else (
        f"delivered to {agreement['audience']} under the agreement {claim['subject']}")
    lines = [f"{issuer['did']} {what}"]
    lines += [f"{path!r} = {lexical!r}" for path, (_, lexical) in attributes.items()] + items
    lines += [f"in the log {origin} since tick {anchor['tick']}, {utc(time)}"]
    if receipt:
        driven = "" if receipt["clock"] == "system" else ", driven clock: not evidence"
        lines += [f"receipt: delivered {utc(receipt['at'])}{driven}"]
    return LEVELS[level], lines


def utc(micros):
    try:
        return str(datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=micros)) + "Z"
    except OverflowError:
        return f"{micros} µs after 1970"


def run(path, trust, require):
    """Exit code, link or level, and what to print."""
    try:
        with open(path, "rb") as file:
            data = file.read()
        trust = NO_TRUST if trust == "-" else pinned(trust)
    except (OSError, ValueError, RecursionError) as error:
        return 11, "unreadable", [f"the file or the trust file is not fit to be read: {error}"]
    try:
        level, lines = verify(data, trust)
    except Broken as broken:
        return 22, str(broken), [f"broken (link: {broken})"]
    enough = LEVELS.index(level) >= LEVELS.index("signed" if require == "-" else require)
    return 0 if enough else 23, level, [*lines, f"level: {level}"]


def main():
    if sys.argv[1:] == ["--batch"]:
        for line in sys.stdin:
            print(*run(*line.rstrip("\n").split("\t"))[:2], flush=True)
        return 0
    parser = argparse.ArgumentParser(description="Checks a Twinpact proof, offline.")
    parser.add_argument("file")
    parser.add_argument("--trust", default="-")
    parser.add_argument("--require", default="-", choices=LEVELS)
    arguments = parser.parse_args()
    code, _, lines = run(arguments.file, arguments.trust, arguments.require)
    print(*lines, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
