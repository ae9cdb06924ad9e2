#!/usr/bin/env python3
"""Verifies a Twinpact proof without any code of Twinpact: a second opinion, from docs/format.md alone.

    python3 tools/verify.py FILE [--trust TRUST] [--require LEVEL]

Python 3.11, nothing to install. Exit codes: 0 it holds, 2 wrong command line, 11 a file is not fit to be
read, 22 a link is broken, 23 the level is below the required one (`signed` when none is).
"""
import argparse, base64, functools, hashlib, json, pathlib, re, sys, tomllib  # noqa: E401

LEVELS = ["unanchored", "signed", "countersigned", "witnessed"]
NEVER = 1 << 63  # the end of a key that has none; more than any number
# Forms of texts (pattern; at most MOST bytes, or 2,048), of base64 (least and most bytes), of numbers (from,
# below), of objects (members) and of `@` lists (parts). A member is `name:form`, or `name` alone of the form
# in MEMBERS or of its own name. `form?` may be null, `form!` absent, `form[9]` is a list of 9 at most; a
# form that stands nowhere is that very text.
TIME, GAP = "(?:0|-?[1-9][0-9]*)", r"\s\x00-\x1f\x7f-\x9f"
TEXTS = {"hash": "[0-9a-f]{64}", "id": "[0-9a-f]{32}", "code": "([0-9a-f]{64})?", "text": ".+", "name": ".+", "reason": ".+",
         "string": ".*", "word": "[a-z-]{1,64}", "trustDomain": "[a-z0-9._-]{1,255}", "kind": "fact|delivery",
         "organisation-type": "twinpact-organisation/[12]",
         "did": "did:[a-z0-9]+:[A-Za-z0-9._:%-]+", "dsp": f"https://[^{GAP}]*", "clock": "system|driven",
         "origin": f"(?!/twinpact/)[^{GAP}+]+/twinpact/[^{GAP}+]+", "subject": ".*", "note": ".+"}
MOST = {"name": 200, "reason": 200, "note": 65536, "string": NEVER}
BYTES = {"key": (32, 32), "sig": (64, 64), "rootCertificate": (1, 8192), "opening": (1, 2 << 20),
         "payload": (1, NEVER)}
NUMBERS = {"uint": (0, NEVER), "time": (-NEVER, NEVER), "u24": (0, 1 << 24), "u32": (0, 1 << 32)}
MEMBERS = {name: form for form, names in {
    "hash": "leaf root pc heads agreement decision record", "id": "tree blind", "did": "issuer audience",
    "uint": "index size slot slots tick count bytes", "time": "at issued concluded from",
    "hash[63]": "path", "text": "view target atId", "string": "twin actor source model class cause",
    "any": "values keyid payloadType terms core"}.items() for name in names.split()}
OBJECTS = {name.strip(): dict((one.split(":") + [MEMBERS.get(one, one)])[:2] for one in members.split())
           for name, members in (form.split("=") for form in """
bundle = type:twinpact-bundle/1 exactness:any claim:any commitment:any entry:any tree:any head:any anchor:any
    checkpoint:any agreement:any decision:any receipt:any items:any records:any; exactness = transformed:hash;
claim = kind subject values; commitment = disclosed:opening[32] withheld:hash[32] pc; entry = tree index leaf;
tree = size path root; head = tick slot slots size blind leaf path heads; items = count shown:item[4096];
anchor = tick time:uint leaf path size root; item = index bytes:opening path; place = slot tree index;
@who = kind:string twin number:uint actor;
@why = source model class cause code; @delivery = agreement decision view:string count bytes;
envelope = payload payloadType signatures:signature[16]; signature = keyid sig; ledger = slot tree;
organisation = type:organisation-type audience:* did name trustDomain endpoints rootCertificate
    keys:dated[64] log issued; endpoints = dsp; dated = id:any key from until:time?;
log = origin slots:slot[16] predecessors:past[64]!; past = origin size root reason; slot = name:word slot:u24 tree;
decision = type:twinpact-decision/1 issuer audience agreement tree core;
agreement = type:twinpact-agreement/1 issuer audience agreement atId target terms concluded ledger;
receipt = type:twinpact-receipt/1 issuer audience agreement ledger:place leaf pc decision view count bytes at
    clock deleteBy:time? anchor:stand; stand = origin:text tick;
trust = quorum:u32 organisations:pin[10000] anchors:seen[10000] witnesses:witness[10000];
pin = did name:string record issued keys:until[] logs:pinned-log[]; until = key from until:time!;
pinned-log = origin:string slots:pinned-slot[]; pinned-slot = name:string slot tree;
seen = origin:string size root; witness = name:string key party:string!""".split(";"))}

def need(*holds):
    """The one way to say no; of which link, `run` knows by the step that began last."""
    if not all(holds):
        raise ValueError("it is not of its form, or breaks a rule")

def read(form, value):
    """The value, with its hex and base64 decoded, if it is of the form; a time that is null never comes."""
    if value is None and form[-1] == "?":
        return NEVER if form == "time?" else None
    form, many, most = form.rstrip("]?!").partition("[")
    if many:
        need(type(value) is list, len(value) <= int(most or NEVER))
        return [read(form, item) for item in value]
    if forms := OBJECTS.get(form):
        need(type(value) is (list if form[0] == "@" else dict))
        value = dict(zip(forms, value, strict=True)) if form[0] == "@" else value
        need(value.keys() == {name for name in forms if name in value or forms[name][-1] != "!"})
        absent = {name: NEVER if form[:4] == "time" else None for name, form in forms.items()}
        return absent | {name: read(forms[name], value[name]) for name in forms if name in value}
    if form in NUMBERS:
        need(type(value) is int, NUMBERS[form][0] <= value < NUMBERS[form][1])
    elif form in BYTES:
        value, text = base64.b64decode(value), value
        need(base64.b64encode(value).decode() == text, BYTES[form][0] <= len(value) <= BYTES[form][1])
    elif form != "any":
        need(len(value.encode()) <= MOST.get(form, 2048))
        need(re.fullmatch(TEXTS.get(form, re.escape(form)), value, re.DOTALL))
        value = bytes.fromhex(value) if form in ("hash", "id", "code") else value
    return value

def parse(data):
    """Canonical JSON: written again it is the same bytes, so it is spelled in one way and nothing twice."""
    def check(value, levels):
        names, items = (list(value), list(value.values())) if type(value) is dict else ([], value)
        need(names == sorted(names, key=lambda name: name.encode("utf-16-be")), type(value) is not float)
        need(type(value) is not int or abs(value) < 1 << 53, levels > 0 or type(items) is not list)
        return [check(item, levels - 1) for item in items] if type(items) is list else None
    value = json.loads(data.decode())
    need(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() == data)
    check(value, 32)
    return value

def cbor(value):
    """Deterministic CBOR of unsigned integers, byte strings, texts and arrays."""
    kind = (int, bytes, str, list).index(type(value))
    body = (lambda: b"", lambda: value, lambda: value.encode(), lambda: b"".join(map(cbor, value)))[kind]()
    number = value if kind == 0 else len(value if kind == 3 else body)
    wide = next(wide for wide in (0, 1, 2, 4, 8) if number < (1 << 8 * wide if wide else 24))
    first = (0, 2, 3, 4)[kind] << 5 | (23 + wide.bit_length() if wide else number)
    return bytes([first]) + number.to_bytes(8)[8 - wide:] + body

def opened(tag, data):
    """The three texts of CBOR [tag, salt of 16 bytes, text, text, text]."""
    salt, rest, texts = data[len(tag) + 3:len(tag) + 19], data[len(tag) + 19:], []
    for _ in range(3):
        wide = {24: 1, 25: 2, 26: 4, 27: 8}.get(rest[0] & 31, 0)
        end = 1 + wide + (int.from_bytes(rest[1:1 + wide]) if wide else rest[0] & 31)
        texts, rest = texts + [rest[1 + wide:end].decode()], rest[end:]
    need(cbor([tag, salt, *texts]) == data)  # so all else is right too
    return texts

def sha(*parts):
    """SHA-256 of all parts, one after another; a list stands for the leaf (RFC 6962) that its CBOR makes."""
    parts = [b"\0" + cbor(part) if type(part) is list else part for part in parts]
    return hashlib.sha256(b"".join(parts)).digest()

def climb(leaf, index, size, path):
    """The root to which the path leads from leaf `index` of `size` (RFC 6962 §2.1.1)."""
    need(index < size, bool(path) == (size > 1))
    half = 1 << (size - 1).bit_length() - 1 if path else size
    if index < half:
        return sha(b"\1", climb(leaf, index, half, path[:-1]), path[-1]) if path else leaf
    return sha(b"\1", path[-1], climb(leaf, index - half, size - half, path[:-1]))

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519 (RFC 8032 §5.1)
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)

def add(one, two):
    """The sum of two points (X, Y, Z, T) with x = X/Z, y = Y/Z and x·y = T/Z."""
    a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * D * one[3] * two[3], 2 * one[2] * two[2]
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P

def times(number, point):
    """So many times the point."""
    half = times(number >> 1, add(point, point)) if number else (0, 1, 1, 0)
    return add(half, point) if number & 1 else half

def decoded(data):
    """The point of these 32 bytes, or None; its y is taken modulo P."""
    y, sign = int.from_bytes(data, "little") % 2**255 % P, data[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    roots = (root, -root % P, root * ROOT % P, -root * ROOT % P)
    return next(((x, y, 1, x * y % P) for x in roots if x * x % P == square and x & 1 == sign), None)

@functools.lru_cache(1024)
def holds(key, message, signature):
    """Whether the signature is by the key, strictly: s and R in one encoding, R and key of no small order."""
    point, s = decoded(key), int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    minus = (-point[0] % P, point[1], 1, -point[3] % P)
    r = add(times(s, decoded(b"\x58" + b"\x66" * 31)), times(k, minus))
    x, y = (coordinate * pow(r[2], -1, P) % P for coordinate in r[:2])
    same = (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]
    return same and times(8, r)[0] != 0 and times(8, point)[0] != 0

def for_key(data, name, kind, key):
    """Whether a line of a note is for this key under this name: kind 1 is a log's, 4 a witness's."""
    return data[:4] == sha(f"{name}\n".encode(), bytes([kind]), key)[:4]

def signed(kind, value, keys=None):
    """The document in an envelope, its fingerprint and who signed: of these keys or, a record, of its own."""
    payload, media, signatures = read("envelope", value).values()
    found, id_of = read(kind, parse(payload)), lambda key: "ed25519:" + sha(key)[:8].hex()
    if kind == "organisation":
        keys = {key["key"] for key in found["keys"] if key["from"] <= found["issued"] < key["until"]}
        need(all(key["id"] == id_of(key["key"]) and key["from"] < key["until"] for key in found["keys"]))
    message = f"DSSEv1 {len(media)} {media} {len(payload)} ".encode() + payload
    by = [{key for key in keys if id_of(key) == one["keyid"] and holds(key, message, one["sig"])}
          for one in signatures]
    need(by, all(by), media == f"application/vnd.twinpact.{kind}+json")
    return found | {"fingerprint": sha(payload), "by": set().union(*by)}

def organisation(value):
    """An organisation record that keeps its rules; with it its origin, its trees by name, its keys' ends."""
    record = signed("organisation", value)
    keys, (origin, slots, past), did = record["keys"], record["log"].values(), record["did"].split(":")
    need(record["type"][-1] == ("1" if past is None else "2"), past != [], all(log["size"] for log in past or []))
    origins = [log["origin"] for log in past or []] + [origin]
    need(len(set(origins)) == len(origins))
    for rows, name in (keys, "key"), (slots, "name"), (slots, "slot"), (slots, "tree"):
        need(len({row[name] for row in rows}) == len(rows))
    trees = {slot["name"]: (slot["slot"], slot["tree"]) for slot in slots}
    need(trees["events"][0] == 0, trees["decisions"][0] == 1)
    hosts = {one.split("/twinpact/")[0] for one in origins}
    need(did[1] != "web" or hosts == {re.sub("(?i)%3A", ":", did[2])})
    ends = {key["key"]: key["until"] for key in keys}
    return record | {"origin": origin, "past": past, "trees": trees, "ends": ends}

def pinned(path):
    """What a trust file pins, if it keeps its rules; nothing without one."""
    trust = {"quorum": 0, "organisations": [], "anchors": [], "witnesses": []}
    trust = read("trust", trust | tomllib.loads(pathlib.Path(path).read_bytes().decode())) if path else trust
    pins, keys = trust["organisations"], [witness["key"] for witness in trust["witnesses"]]
    for once in [pin["did"] for pin in pins], [log["origin"] for pin in pins for log in pin["logs"]], keys:
        need(len(set(once)) == len(once))
    return trust

def verify(data, trust, at):
    """The steps of docs/format.md in its order; `at` is told each before. Level and what is proven."""
    rest = data.partition(b"\n")[2]
    need(at("container"), len(data) <= 16 << 20)
    need(data == b"twinpact-proof/1 sha256:%s\n%s" % (sha(rest).hex().encode(), rest))
    bundle = at("document") and read("bundle", parse(rest))

    def section(name, form=None):
        """Begins the step of that name, which is about this section."""
        return at(name) and read(form or name, bundle[name])

    kind, subject, claimed = section("claim").values()
    fact, envelopes = kind == "fact", at("record") and read("any[2]", bundle["records"])
    records = [organisation(envelope) for envelope in envelopes]
    (issuer, audience), everybody = (records + [None])[:2], {key for one in records for key in one["ends"]}
    need(len({record["did"] for record in records}) == len(records) <= 2 - fact)

    disclosed, withheld, pc = section("commitment").values()
    digests = sorted([sha(opening) for opening in disclosed] + withheld)
    need(withheld == sorted(withheld), len(set(digests)) == len(digests) in (8, 16, 32))
    attributes = {path: rest for path, *rest in (opened("twinpact-d/1", opening) for opening in disclosed)}
    need(hashlib.sha256(cbor(["twinpact-c/1", digests])).digest() == pc, len(attributes) == len(disclosed))
    need(all((path in ("@who", "@when", "@why")) == (path[:1] == "@") == (datatype == "group")
             for path, (datatype, _) in attributes.items()))

    need(at("claim"), claimed == {path: lexical for path, (_, lexical) in attributes.items()})
    said = {path: read(path, parse(claimed[path].encode())) for path in ("@who", "@why") if path in claimed}
    when = re.fullmatch(rf"\[{TIME}(,({TIME}|null)){{4}}\]", claimed.get("@when", "[0,0,0,0,0]"))
    need(all(-NEVER <= int(one) < NEVER for one in re.findall(TIME, when[0])))
    need(fact or attributes["delivery"][0] == "json")
    delivery = {} if fact else read("@delivery", parse(claimed["delivery"].encode()))
    need(subject == (said.get("@who", {"twin": ""})["twin"] if fact else delivery["agreement"].hex()))
    code, exact = said.get("@why", {}).get("code"), bundle["exactness"] == "exact"
    need(not code if exact else code == read("exactness", bundle["exactness"])["transformed"])

    tree, index, leaf = section("entry").values()
    need(sha(["twinpact-e/1", tree, index, pc]) == leaf)
    size, path, root = section("tree").values()
    need(climb(leaf, index, size, path) == root)
    tick, slot, slots, head_size, blind, head, path, heads = section("head").values()
    need(64 <= slots <= 1 << 24, slots.bit_count() == 1, climb(head, slot, slots, path) == heads)
    need(sha(["twinpact-h/1", tick, slot, tree, head_size, root, blind]) == head)
    need(at("tree"), size == head_size)

    agreement = None

    def paper(kind):
        """A document of a delivery, if it is there: between these parties and under its agreement."""
        found = at(kind) and bundle[kind] and signed(kind, bundle[kind], everybody)
        need(found is None or found["by"] & issuer["ends"].keys() and found["issuer"] == issuer["did"]
             and found["agreement"] == delivery.get("agreement")
             and found["audience"] == (audience["did"] if audience else (agreement or found)["audience"]))
        return found

    agreement = paper("agreement")
    need(fact or agreement["target"] == delivery["view"])
    places = issuer["trees"].values() if fact else [tuple(agreement["ledger"].values())]
    need(at("slot"), (slot, tree) in places)
    anchor_tick, time, anchor, path, anchor_size, anchor_root = section("anchor").values()
    need(sha(["twinpact-a/1", anchor_tick, time, slots, heads]) == anchor, anchor_tick == tick)
    need(tick or not issuer["past"])
    need(climb(anchor, tick, anchor_size, path) == anchor_root)

    line, origin, by = r"— (?:[^\s+]|[\x1c-\x1f])+ \S+\n", issuer["origin"], set()
    form = rf"((.+)\n(0|[1-9][0-9]*)\n(.+)\n)\n((?:{line}){{1,64}})"
    note = re.fullmatch(form, section("checkpoint", "note"))
    body, signed_root = note[1].encode(), read("key", note[4])
    lines = [one[2:-1].split(" ") for one in re.findall(line, note[5])]
    lines = [(name, read("payload", blob)) for name, blob in lines]
    need(note[2] == origin, len(set(lines)) == len(lines), all(len(data) > 3 for _, data in lines))
    seen = [(one, [(name, data) for name, data in lines if for_key(data, one["name"], 4, one["key"])
                   or name == one["name"] and len(data) == 76]) for one in trust["witnesses"]]
    for name, data in lines:
        mine = [key for key in issuer["ends"] if for_key(data, origin, 1, key)]
        if mine or name == origin:
            signers = {key for key in mine if time < issuer["ends"][key] and holds(key, body, data[4:])}
            need(signers, name == origin)
            by |= signers
        elif not any((name, data) in theirs for _, theirs in seen):
            need(not any(for_key(data, name, kind, key) for kind in (1, 4) for key in everybody))
    need(by, int(note[3]) < 1 << 64)
    need(at("anchor"), (int(note[3]), signed_root) == (anchor_size, anchor_root))

    if decision := paper("decision"):
        need(decision["fingerprint"] == delivery["decision"])
        need(decision["tree"] == issuer["trees"]["decisions"][1])
    if receipt := paper("receipt"):
        place = {"slot": slot, "tree": tree, "index": index}
        need(receipt | delivery | {"ledger": place, "leaf": leaf, "pc": pc} == receipt)
        need(receipt["anchor"]["origin"] == origin, receipt["anchor"]["tick"] <= tick)
    items = section("items", "items?") or {"count": None, "shown": []}
    if bundle["items"] or attributes.get("items", [""])[0] == "points":
        points = re.fullmatch("(0|[1-9][0-9]*):([0-9a-f]{64})", claimed["items"])
        count, indices = int(points[1]), [item["index"] for item in items["shown"]]
        need(attributes["items"][0] == "points", count < 1 << 64, delivery.get("count", count) == count)
        need(items["count"] in (None, count), indices == sorted(set(indices)))
    for item in items["shown"]:
        need(opened("twinpact-p/1", item["bytes"]))
        need(climb(sha(b"\0", item["bytes"]), item["index"], count, item["path"]).hex() == points[2])

    papers, pins = [found for found in (agreement, decision, receipt) if found], at("trust") and []
    for record in records:
        pin = next((pin for pin in trust["organisations"] if pin["did"] == record["did"]), None)
        ends = {key["key"]: key["until"] for key in pin["keys"][::-1]} if pin else record["ends"]
        need(record["by"] & ends.keys())
        need(all(found["by"] & record["ends"].keys() <= ends.keys() for found in papers))
        if pin and record is issuer:
            log = {name: issuer["log"][name] for name in ("origin", "slots")}
            need(log in pin["logs"], all(time < ends.get(key, time) for key in by))
            need(all(one["root"] == anchor_root for one in trust["anchors"]
                     if (one["origin"], one["size"]) == (origin, anchor_size)))
        pins.append(pin and ends)
    for witness, theirs in at("witness") and seen:
        for name, data in theirs:
            message = f"cosignature/v1\ntime {int.from_bytes(data[4:12])}\n".encode() + body
            need(name == witness["name"], for_key(data, name, 4, witness["key"]))
            need(holds(witness["key"], message, data[12:]))

    def counts(found, made):
        """Whether the audience has countersigned with a key that had not ended then."""
        ends = audience["ends"]
        return any(made < min(ends[key], pins[1][key]) for key in found["by"] & ends.keys())

    both = audience and pins[1] and receipt and counts(agreement, agreement["concluded"]) and counts(
        receipt, time if receipt["anchor"]["tick"] == tick else agreement["concluded"])
    parties = [witness["party"] for witness, theirs in seen if theirs]
    outside = set(parties) - {(agreement or {"audience": None})["audience"] or issuer["did"], issuer["did"]}
    witnessed = outside and len(parties) >= trust["quorum"] and (fact or both)
    level = LEVELS[0 if not pins[0] else 3 if witnessed else 2 if both else 1]
    return level, f"{kind} of {subject!r} by {issuer['did']} in {origin} at {time} µs since 1970: {claimed!r}"

def run(file, trust=None, require="signed"):
    """Exit code, level or broken link, and what is proven or went wrong. Whatever cannot be done is a no."""
    links = []
    try:
        data, trust = pathlib.Path(file).read_bytes(), pinned(trust)
        level, proven = verify(data, trust, lambda link: links.append(link) or True)
    except Exception as error:  # whatever it is, nothing was proven
        return (22, links[-1], repr(error)) if links else (11, "unreadable", repr(error))
    return 0 if LEVELS.index(level) >= LEVELS.index(require) else 23, level, proven

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks a Twinpact proof, offline.")
    parser.add_argument("file")
    parser.add_argument("--trust")
    parser.add_argument("--require", default="signed", choices=LEVELS)
    code, name, text = run(**vars(parser.parse_args()))
    print(text, f"{'broken link' if code == 22 else 'level'}: {name}", sep="\n")
    sys.exit(code)
