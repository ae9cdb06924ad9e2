#!/usr/bin/env python3
"""Tells the story of many Twinpact proofs, from docs/format.md alone; it stands beside verify.py, which checks each of them.
Usage: python3 tools/verify_story.py FOLDER|FILE... [--trust TRUST] [--require LEVEL] [--json]
Exit codes: 0 every proof holds, 2 wrong command line, 11 nothing to read, 22 one is broken, 23 one is by nobody in TRUST or of
too low a level."""
import argparse, hashlib, json, os, sys, unicodedata  # noqa: E401
import verify
from verify import LEVELS, need, parse, pinned, read, signed
MOST_BUNDLES, MOST_BYTES, WHAT = 20000, 16 << 20, ["agreed", "decided", "delivered", "asked", "answered", "deleted"]
KINDS = ["agreement", "decision", "containment", "containment-answer", "deletion"]  # of documents that stand in a fact
def once(holds, known={}):  # the same documents come again and again; of each is kept what came out, and not the document
    def held(key, message, signature):
        name = hashlib.sha256(key + hashlib.sha256(signature).digest() + message).digest()
        known[name] = known[name] if name in known else holds(key, message, signature)
        return known[name]
    return held
verify.holds = once(verify.holds)
verify.MOST |= {"measure": 200, "because": 1000, "said": 1000}
verify.TEXTS |= {"measure": ".+", "because": ".+", "said": ".*", "answer": "confirmed|refused|released",
                 "how": "keys and bytes destroyed"}
verify.OBJECTS |= {name.strip(): dict((one.split(":") + [verify.MEMBERS.get(one, one)])[:2] for one in members.split())
                   for name, members in (form.split("=") for form in """
containment = type:twinpact-containment/1 issuer audience incident:text agreement evidence:evidence[256] twins:text[1000]
    measure reason:because seen:where? opened:time clock; evidence = index leaf; where = twin:text first:time found:time;
containment-answer = type:twinpact-containment-answer/1 issuer audience containment:hash answer by:measure automatic:any note:said
    began:time? at:time clock;
deletion = type:twinpact-deletion/1 issuer audience agreement receipts:hash[1000] deleted:time clock duty:hash? how
""".split(";"))}

class No(Exception):  # code and link: why a bundle tells nothing
    pass
def rises(items):  # in order, and nothing twice
    return all(one < other for one, other in zip(items, items[1:]))
def formed(kind, one):  # the rules of a document that no form of its members says; one is as it stands in the payload
    if kind == "containment":
        need(one["twins"], rises([twin.encode() for twin in one["twins"]]), rises([it["index"] for it in one["evidence"]]))
        need(one["seen"] is None or one["seen"]["first"] <= one["seen"]["found"])
    if kind == "containment-answer":
        need(type(one["automatic"]) is bool)
    if kind == "deletion":
        need(rises(one["receipts"]), one["receipts"] or one["duty"])
def told(kind, envelope):  # what a document tells: what, id, what makes it one with another, when, by which clock, the document
    payload, name = parse(envelope.payload), hashlib.sha256(envelope.payload).hexdigest()
    read(kind, payload), formed(kind, payload)
    if kind == "decision":
        record, clock = payload["core"]["record"], payload["core"]["clock"]
        need(clock in ("system", "driven"), type(record["policy_ms"]) is int)
        need(type(record["code"]) is type(record["sentence"]) is str)
        return "decided", name, name, record["policy_ms"] * 1000, clock, payload
    if kind == "receipt":  # its provider makes it again under a later tick; all else stays as it was
        same = json.dumps(payload | {"anchor": None}, sort_keys=True)
        return "delivered", payload["leaf"], same, payload["at"], payload["clock"], payload
    what, at = {"agreement": ("agreed", "concluded"), "containment": ("asked", "opened"), "deletion": ("deleted", "deleted"),
                "containment-answer": ("answered", "at")}[kind]
    number = payload["agreement"] if kind == "agreement" else name
    return what, number, name, payload[at], payload.get("clock", "system"), payload

def claims(data, trust, required):  # what a bundle shows of its log, and says: told, level, by whom; or (None, kind, agreement)
    links = []
    try:
        level, _ = verify.verify(data, trust, lambda link: links.append(link) or True)
    except Exception as error:  # whatever it is, nothing was proven
        raise No("proof.broken", links[-1]) from error
    if LEVELS.index(level) < max(1, LEVELS.index(required)):
        raise No("proof.unanchored" if level == "unanchored" else "proof.level", None)
    raw = parse(data.partition(b"\n")[2])
    return facts(raw), said(raw, level, trust)
def said(raw, level, trust):  # what a bundle that holds says
    by = parse(read("envelope", raw["records"][0]).payload)["did"]
    if raw["claim"]["kind"] == "delivery":
        both = LEVELS[min(LEVELS.index(level), 2)]  # witnesses have seen the delivery; what the two signed is countersigned
        agreed, receipt = (raw[name] and told(name, read("envelope", raw[name])) for name in ("agreement", "receipt"))
        all_of = [(agreed, both, by), (receipt, level, by) if receipt else (None, "Delivery", None)]
        try:  # a decision is signed by one alone
            decision = told("decision", read("envelope", raw["decision"]))
            return all_of + [(decision, "witnessed" if level == "witnessed" else "signed", by)]
        except Exception:  # of one that is not of this form only the digest counts
            return all_of
    values = raw["claim"]["values"]
    kind = shown(json.loads(values["@who"])[0]) if "@who" in values else ""
    for name in ("document", "record"):
        try:
            envelope = read("envelope", json.loads(values[name]))
            break
        except Exception:  # it is something of its owner's that is called so
            envelope = None
    document = next((one for one in KINDS if envelope and envelope.payloadType == f"application/vnd.twinpact.{one}+json"), None)
    if document is None:
        noted = kind == "AgreementConcluded" and verify.re.fullmatch("[0-9a-f]{64}", values.get("agreement", ""))
        return [(None, kind, values["agreement"] if noted else None, by)]
    try:
        what = told(document, envelope)
    except Exception as error:
        raise No("proof.broken", "document") from error
    parties = what[5]["issuer"], what[5]["audience"]
    keys = [{key.key for pin in trust.organisations if pin.did == did for key in pin["keys"]} for did in parties]
    if not keys[0]:
        raise No("proof.unanchored", None)
    try:
        need(signed(document, envelope, keys[0] | keys[1]).by & keys[0])
    except Exception as error:
        raise No("proof.broken", "trust") from error
    return [(what, level, by)]

def event(what, number, at, clock, payload, levels, by, files):  # what is said of one thing that happened
    one = {"what": what, "id": number, "at": at, "clock": clock, "by": payload["issuer"], "to": payload["audience"],
           "level": LEVELS[max(map(LEVELS.index, levels))], "recorded_by": sorted(by), "files": sorted(files, key=os.fsencode)}
    if what == "agreed":
        return one | {"view": payload["target"], "terms": payload["terms"]}
    if what == "decided":
        record = payload["core"]["record"]
        one |= {name: record[name] for name in ("code", "sentence")} | {"agreement": payload["agreement"]}
        return one | {"what": "permitted" if one["code"] == "policy.permit" else "refused"}
    if what == "delivered":
        one |= {"rows": payload["count"], "delete_by": payload["deleteBy"], "index": payload["ledger"]["index"]}
        return one | {name: payload[name] for name in ("agreement", "decision", "view", "bytes")}
    if what == "asked":
        names = ("incident", "agreement", "twins", "measure", "reason", "seen", "evidence")
        return one | {name: payload[name] for name in names}
    if what == "answered":
        names = ("containment", "answer", "automatic", "note", "began")
        return one | {name: payload[name] for name in names} | {"person": payload["by"]}
    return one | {"agreement": payload["agreement"], "deliveries": payload["receipts"], "duty": payload["duty"]}
def linked(story):  # what the events of a story say of each other
    between = lambda one: (one["by"], one["to"], one["agreement"])  # noqa: E731
    turned = lambda one: (one["to"], one["by"], one["agreement"])  # noqa: E731
    given = {one["id"]: one for one in story if one["what"] == "delivered"}
    asked = {one["id"]: one for one in story if one["what"] == "asked"}
    for one in story:
        if one["what"] == "deleted":
            known = [leaf for leaf in one["deliveries"] if leaf in given and turned(given[leaf]) == between(one)]
            late = [leaf for leaf in known if given[leaf]["delete_by"] is not None and given[leaf]["delete_by"] < one["at"]]
            one |= {"known": known, "late": late}
        if one["what"] == "asked":
            there = [it["leaf"] for it in one["evidence"] if it["leaf"] in given and turned(given[it["leaf"]]) == between(one)
                     and given[it["leaf"]]["index"] == it["index"]]
            one["evidence"] = [it["leaf"] for it in one["evidence"]]
            one["missing"] = [leaf for leaf in one["evidence"] if leaf not in there]
        if one["what"] == "answered":
            of = asked.get(one["containment"], {"by": None, "to": None})
            one["incident"] = of["incident"] if (of["by"], of["to"]) == (one["to"], one["by"]) else None
    gone = [one for one in story if one["what"] == "deleted"]
    for one in [one for one in story if one["what"] == "delivered"]:
        one["deleted"] = min((it["at"] for it in gone if it["duty"] is None and between(it) == turned(one)
                              and one["id"] in it["deliveries"]), default=None)
        del one["index"]
    for one in gone:
        one["deliveries"] = len(one["deliveries"])
    return story

def facts(raw):  # what a bundle shows of its log, where another may show something else; nothing else of it is kept
    anchor, tree, slot = raw["anchor"], (raw["entry"]["tree"], raw["tree"]["size"]), raw["head"]["slot"]
    return raw["checkpoint"].partition("\n")[0], [
        ("root", anchor["size"], anchor["root"]), ("leaf", anchor["tick"], anchor["leaf"]), ("slot", slot, tree[0]),
        ("tree", tree[0], slot), ("tree root", tree, raw["tree"]["root"]), ("size", (tree[0], anchor["tick"]), tree[1])]
def forks(held):  # the logs of which two bundles contradict each other, each with the first two files that show it
    shown_first, sizes, forked = {}, {}, {}
    for file, (origin, seen), _ in held:
        before = [(shown_first.setdefault((origin, *fact[:2]), (fact[2], file)), fact[2]) for fact in seen]
        if other := next((one[1] for one, value in before if one[0] != value), None):
            forked.setdefault(origin, [other, file])
        _, at, size = seen[-1]
        sizes.setdefault((origin, *at), (size, file))
    steps = sorted(sizes.items())
    for ((origin, tree, _), one), ((later, same, _), two) in zip(steps, steps[1:]):
        if (origin, tree) == (later, same) and two[0] < one[0]:
            forked.setdefault(origin, [one[1], two[1]])
    return forked
def gather(files, trust, required):  # the story of these files
    events, noted, seen, held, rest = {}, [], {}, [], {"unused": [], "others": [], "repeated": []}
    for file, data in files:
        # Of one that is too large it is not known what else stands in it.
        if len(data) <= MOST_BYTES and (same := seen.setdefault(hashlib.sha256(data).digest(), file)) != file:
            rest["repeated"].append({"file": file, "same": same})
            continue
        try:
            held.append((file, *claims(data, trust, required)))
        except No as no:
            rest["unused"].append({"file": file, "code": no.args[0], "link": no.args[1]})
    forked = forks(held)
    for file, (origin, _), all_of in held:
        if origin in forked:
            rest["unused"].append({"file": file, "code": "log.forked", "link": None})
            continue
        for one in all_of:
            if one[0] is None:
                noted.append((file, *one[1:])) if one[2] else rest["others"].append({"file": file, "kind": one[1]})
                continue
            (what, number, key, at, clock, payload), level, by = one
            known = events.setdefault((what, key), (what, number, at, clock, payload, [], set(), []))
            known[5].append(level), known[6].add(by), known[7].append(file)
    for file, kind, agreement, by in noted:
        known = [one for one in events.values() if one[0] == "agreed" and one[1] == agreement]
        known = [one for one in known if by in (one[4]["issuer"], one[4]["audience"])]
        for one in known:
            one[6].add(by), one[7].append(file)
        if not known:
            rest["others"].append({"file": file, "kind": kind})
    rest["forked"] = [{"origin": origin, "files": two} for origin, two in sorted(forked.items())]
    rest["unused"].sort(key=lambda one: os.fsencode(one["file"]))
    rest["others"].sort(key=lambda one: (os.fsencode(one["file"]), one["kind"]))
    order = sorted(events.values(), key=lambda one: (one[0] != "agreed", one[2], WHAT.index(one[0]), one[1]))
    return {"holds": not rest["unused"], "story": linked([event(*one) for one in order])} | rest

def shown(text):  # fit for a terminal
    turns = {0x200e, 0x200f, 0x2028, 0x2029, *range(0x202a, 0x202f), *range(0x2066, 0x206a)}
    odd = lambda c: unicodedata.category(c) == "Cc" or ord(c) in turns  # noqa: E731
    return "".join(f"\\u{{{ord(c):x}}}" if odd(c) else c for c in text[:200]) + ("…" if len(text) > 200 else "")
def utc(micros):  # a time in eras of 400 years that begin in March
    days, second = divmod(micros // 1000000, 86400)
    era, day = divmod(days + 719468, 146097)
    year = (day - day // 1460 + day // 36524 - day // 146096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    date, month = day - (153 * month + 2) // 5 + 1, month + 3 if month < 10 else month - 9
    year = f"{era * 400 + year + (month <= 2):04}"
    return f"{year}-{month:02}-{date:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"
def line(one):  # the sentence of an event
    by, to, what = one["by"], one["to"], one["what"]
    if what == "agreed":
        text = f"{by} agreed to show {shown(one['view'])} to {to}: agreement {one['id'][:12]}"
    elif what in ("permitted", "refused"):
        text = f"{by}, asked by {to}: {shown(one['sentence'])}"
    elif what == "delivered":
        until = f", deleted {utc(one['deleted'])}" if one["deleted"] is not None else ""
        until = f", to be deleted by {utc(one['delete_by'])}" if not until and one["delete_by"] is not None else until
        rows, view = f"{one['rows']} rows ({one['bytes']} bytes)", shown(one["view"])
        text = f"{to} read {rows} of {view} of {by}, agreement {one['agreement'][:12]}{until}"
    elif what == "asked":
        missing = f", {len(one['missing'])} of them not proven here" if one["missing"] else ""
        text = (f"{by} asked {to} because of {shown(one['incident'])}: {shown(one['measure'])}, {len(one['twins'])} twins, "
                f"because {shown(one['reason'])}; on {len(one['evidence'])} deliveries{missing}")
    elif what == "answered":
        person = ("a program for " if one["automatic"] else "") + shown(one["person"])
        began = f", it began {utc(one['began'])}" if one["began"] is not None else ""
        note, known = f": {shown(one['note'])}" if one["note"] else "", ", of which it is not proven here that it was asked"
        known = "" if one["incident"] is not None else known
        text = f"{by} answered {to}: {one['answer']}, by {person}, containment {one['containment'][:12]}{began}{note}{known}"
    else:
        known, late = len(one["known"]), len(one["late"])
        how = f"{known} are proven here, " + (f"{late} too late" if late else "all in time")
        how = how if known else "none of them is proven here"
        text = f"{by} deleted its copies of {one['deliveries']} deliveries of {to}; {how}"
    return f"{utc(one['at'])} {text} [{one['level']}{', driven clock' if one['clock'] == 'driven' else ''}]"

def run(paths, trust=None, require="signed"):  # exit code and the story, or why there is none
    try:
        trust, files = pinned(trust), set()
        for path in paths:
            inside = [os.path.join(path, it) for it in os.listdir(path)] if os.path.isdir(path) else []
            files |= {it for it in inside if os.path.splitext(it)[1] == ".twinproof"} if os.path.isdir(path) else {path}
        need(files, len(files) <= MOST_BUNDLES)
        bytes_of = lambda file: open(file, "rb").read(MOST_BYTES + 1)  # noqa: E731
        story = gather(((file, bytes_of(file)) for file in sorted(files, key=os.fsencode)), trust, require)
    except Exception as error:  # whatever it is, nothing was proven
        return 11, repr(error)
    codes = {one["code"] for one in story["unused"]}
    return 22 if {"proof.broken", "log.forked"} & codes else 23 if codes else 0, story

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tells the story of many Twinpact proofs, offline.")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--trust")
    parser.add_argument("--require", default="signed", choices=LEVELS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    code, story = run(asked.paths, asked.trust, asked.require)
    if code == 11 or asked.json:
        print(json.dumps(story, ensure_ascii=False) if code != 11 else story)
    else:
        print(*map(line, story["story"]), sep="\n")
        for one in story["unused"]:
            print(f"not used: {one['file']}: {one['code']} {one['link'] or ''}", file=sys.stderr)
    sys.exit(code)
