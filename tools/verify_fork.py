#!/usr/bin/env python3
"""Verifies evidence that a log has signed two histories, from docs/format.md alone; it stands beside verify.py.
Usage: python3 tools/verify_fork.py FILE [--trust TRUST]
Exit codes: as of verify.py; 0 means that the evidence convicts a log of an organisation that TRUST pins."""
import argparse, re, sys  # noqa: E401
from verify import hashed, holds, need, parse, pinned, read
LINE = r"— (?:[^\s+]|[\x1c-\x1f])+ \S+\n"

def note(text):  # body, origin, size, root, and the lines as name and bytes
    need(len(text.encode()) <= 65536)
    found = re.fullmatch(rf"((.+)\n(0|[1-9][0-9]*)\n(.+)\n)\n((?:{LINE}){{1,64}})", text)
    lines = [(one[1], read("payload", one[2])) for one in (one[:-1].split(" ") for one in re.findall(LINE, found[5]))]
    need(int(found[3]) < 1 << 64, re.fullmatch(r"(?:[^\s+]|[\x1c-\x1f])+", found[2]))
    return found[1].encode(), found[2], int(found[3]), read("key", found[4]), lines

def verify(data, trust, at):  # level and what is proven
    at("document")
    need(len(data) <= 4 * 65536, (raw := parse(data)).keys() == {"notes", "type"}, raw["type"] == "twinpact-fork/1")
    need(len(raw["notes"]) == 2, all(type(text) is str for text in raw["notes"]), at("checkpoint"))
    one, two = map(note, raw["notes"])
    need(one[1:3] == two[1:3], one[3] != two[3], raw["notes"][0].encode() < raw["notes"][1].encode())
    pin = next((pin for pin in trust.organisations if any(log.origin == one[1] for log in pin.logs)), None)
    for body, origin, _, _, lines in (one, two) if pin else ():
        for name, blob in lines:
            need(name == origin, any(blob[:4] == hashed(name, 1, key.key) and holds(key.key, body, blob[4:]) for key in pin["keys"]))
    who = f"{pin.did} ({one[1]})" if pin else f"the log {one[1]}"
    return "signed" if pin else "unanchored", f"{who} has signed two checkpoints of size {one[2]}: it keeps two histories"

def run(file, trust=None):  # exit code, level or broken link, what is proven; what cannot be done is a no
    links = []
    try:
        data, trust = open(file, "rb").read(4 * 65536 + 1), pinned(trust)  # one more than there may be
        level, proven = verify(data, trust, lambda link: links.append(link) or True)
    except Exception as error:  # whatever it is, nothing was proven
        return (22, links[-1], repr(error)) if links else (11, "unreadable", repr(error))
    return 0 if level == "signed" else 23, level, proven

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks evidence of a forked Twinpact log, offline.")
    parser.add_argument("file")
    parser.add_argument("--trust")
    code, name, text = run(**vars(parser.parse_args()))
    print(text, f"{'broken link' if code == 22 else 'level'}: {name}", sep="\n")
    sys.exit(code)
