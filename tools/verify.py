#!/usr/bin/env python3
"""Verifies a Twinpact proof without any code of Twinpact: a second opinion, from docs/format.md alone. Python 3.11.
Usage: python3 tools/verify.py FILE [--trust TRUST] [--require LEVEL]
Exit codes: 0 it holds, 2 wrong command line, 11 a file is unfit to be read, 22 a broken link, 23 too low a level."""
import argparse, base64, hashlib, json, pathlib, re, sys, tomllib  # noqa: E401
LEVELS, NEVER = ["unanchored", "signed", "countersigned", "witnessed"], 1 << 63  # NEVER is more than any number or time
Row = type("Row", (dict,), {"__getattr__": dict.__getitem__})  # members are attributes, where no method has the name
# Forms: of texts (pattern; at most MOST bytes, or 2,048), of base64 (least and most bytes), of numbers (from, below), of
# objects (members) and of `@` lists (parts). A member is `name:form`, or `name` alone of the form in MEMBERS or of its own
# name. `form?` may be null, `form!` absent, `form[9]` is a list of 9 at most; what is not named here is that very text.
GAP, MOST = r"\s\x00-\x1f\x7f-\x9f", {"text": 2048, "name": 200, "reason": 200, "note": 65536, "string": NEVER}
TEXTS = {"hash": "[0-9a-f]{64}", "id": "[0-9a-f]{32}", "code": "([0-9a-f]{64})?", "string": ".*", "subject": ".*",
         "word": "[a-z-]{1,64}", "trustDomain": "[a-z0-9._-]{1,255}", "dsp": f"https://[^{GAP}]*", "clock": "system|driven",
         "kind": "fact|delivery", "record/": "twinpact-organisation/[12]", "did": "did:[a-z0-9]+:[A-Za-z0-9._:%-]+",
         "origin": f"(?!/twinpact/)[^{GAP}+]+/twinpact/[^{GAP}+]+"} | {form: ".+" for form in ("text", "name", "reason", "note")}
BYTES = {"key": (32, 32), "sig": (64, 64), "rootCertificate": (1, 8192), "opening": (1, 2 << 20), "payload": (4, NEVER)}
NUMBERS = {"uint": (0, NEVER), "time": (-NEVER, NEVER), "u24": (0, 1 << 24), "u32": (0, 1 << 32)}
MEMBERS = {name: form for form, *names in map(str.split, (
    "hash leaf root pc heads agreement decision record", "hash[63] path", "id tree blind", "did issuer audience",
    "uint index size slot slots tick count bytes", "time at issued concluded from", "text view target atId",
    "string twin actor source model class cause", "any exactness values keyid payloadType terms core")) for name in names}
OBJECTS = {name.strip(): dict((one.split(":") + [MEMBERS.get(one, one)])[:2] for one in members.split())
           for name, members in (form.split("=") for form in """
bundle = type:twinpact-bundle/1 records:envelope[2] commitment claim exactness entry tree:tree head anchor checkpoint:note
    agreement:envelope? decision:envelope? receipt:envelope? items:items?;
commitment = disclosed:opening[32] withheld:hash[32] pc; claim = kind subject values; entry = tree index leaf;
tree = size path root; head = tick slot slots size blind leaf path heads; anchor = tick time:uint leaf path size root;
items = count shown:item[4096]; item = index bytes:opening path; @who = kind:string twin number:uint actor;
@why = source model class cause code; @delivery = agreement decision view count bytes; ledger = slot tree; endpoints = dsp;
place = slot tree index; envelope = payload payloadType signatures:signature[16]; signature = keyid sig; stand = origin:text tick;
organisation = type:record/ audience:* did name trustDomain endpoints rootCertificate keys:dated[64] log issued;
dated = id:any key from until:time?; log = origin slots:slot[16] predecessors:past[64]!; slot = name:word slot:u24 tree;
past = origin size root reason; decision = type:twinpact-decision/1 issuer audience agreement tree core;
agreement = type:twinpact-agreement/1 issuer audience agreement atId target terms concluded ledger;
receipt = type:twinpact-receipt/1 issuer audience agreement ledger:place leaf pc decision view count bytes at
    clock deleteBy:time? anchor:stand; seen = origin:string size root; witness = name:string key party:string!;
trust = quorum:u32 organisations:pin[10000] anchors:seen[10000] witnesses:witness[10000]; until = key from until:time!;
pin = did name:string record issued keys:until[] logs:pinned-log[]; pinned-log = origin:string slots:pinned-slot[];
pinned-slot = name:string slot tree""".split(";"))}

def need(*holds):  # the one way to say no; of which link, `run` knows by the step that began last; gives nothing
    if not all(holds):
        raise ValueError("it is not of its form, or breaks a rule")
def read(form, value):  # the value, hex and base64 decoded, if it is of the form; a time that is null never comes
    if value is None and form[-1] in "?!":
        return NEVER if form[:4] == "time" else None
    form, many, most = form.rstrip("]?!").partition("[")
    if many:
        return need(type(value) is list, len(value) <= int(most or NEVER)) or [read(form, item) for item in value]
    if forms := OBJECTS.get(form):
        need(type(value) is (list if form[0] == "@" else dict))
        value = dict(zip(forms, value, strict=True)) if form[0] == "@" else value
        need(value.keys() == {name for name in forms if forms[name][-1] != "!" or value.get(name) is not None})
        return Row((name, read(forms[name], value.get(name))) for name in forms)
    if form in NUMBERS:
        need(type(value) is int, NUMBERS[form][0] <= value < NUMBERS[form][1])
    elif form in BYTES:
        value, text = base64.b64decode(value), value
        need(base64.b64encode(value).decode() == text, BYTES[form][0] <= len(value) <= BYTES[form][1])
    elif form != "any":
        need(len(value.encode()) <= MOST.get(form, 2048), re.fullmatch(TEXTS.get(form, re.escape(form)), value, re.DOTALL))
    return bytes.fromhex(value) if form in ("hash", "id", "code") else value
def parse(data):  # canonical JSON: written again it is the same bytes, so it is spelled in one way and nothing twice
    def check(value, levels):
        names, items = (list(value), value.values()) if type(value) is dict else ([], value if type(value) is list else [])
        need(names == sorted(names, key=lambda name: name.encode("utf-16-be")), levels or type(value) not in (list, dict))
        need(type(value) is not float, type(value) is not int or abs(value) < 1 << 53)
        return all([check(item, levels - 1) for item in items])
    value = json.loads(data.decode())
    return need(check(value, 32), json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() == data) or value

def cbor(value):  # deterministic CBOR of unsigned integers, byte strings, texts and arrays
    kind = (int, None, bytes, str, list).index(type(value))
    body = b"".join(map(cbor, value)) if kind == 4 else value.encode() if kind == 3 else value if kind else b""
    number = value if kind == 0 else len(value if kind == 4 else body)
    wide = next(wide for wide in (0, 1, 2, 4, 8) if number < (1 << 8 * wide if wide else 24))
    return bytes([kind << 5 | (23 + wide.bit_length() if wide else number)]) + number.to_bytes(8)[8 - wide:] + body
def opened(tag, data):  # the three texts of CBOR [tag, salt of 16 bytes, text, text, text]
    salt, rest, texts = data[len(tag) + 3:len(tag) + 19], data[len(tag) + 19:], []
    for _ in range(3):
        wide = {24: 1, 25: 2, 26: 4}.get(rest[0] & 31, 0)
        end = 1 + wide + (int.from_bytes(rest[1:1 + wide]) if wide else rest[0] & 31)
        texts, rest = texts + [rest[1 + wide:end].decode()], rest[end:]
    return need(cbor([tag, salt, *texts]) == data) or texts  # written again it is the same, so all else is right too
def sha(*parts):  # SHA-256 of all parts, one after another; a list stands for the leaf (RFC 6962) that its CBOR makes
    return hashlib.sha256(b"".join(b"\0" + cbor(part) if type(part) is list else part for part in parts)).digest()
def climb(leaf, index, size, path):  # the root to which the path leads from leaf `index` of `size` (RFC 6962 §2.1.1)
    need(index < size, bool(path) == (size > 1))
    half = 1 << (size - 1).bit_length() - 1 if path else size
    if index < half:
        return sha(b"\1", climb(leaf, index, half, path[:-1]), path[-1]) if path else leaf
    return sha(b"\1", path[-1], climb(leaf, index - half, size - half, path[:-1]))

P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # Ed25519 (RFC 8032 §5.1)
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)
def add(one, two):  # the sum of two points (X, Y, Z, T) with x = X/Z, y = Y/Z and x·y = T/Z
    a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * D * one[3] * two[3], 2 * one[2] * two[2]
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P
def times(number, point):  # so many times the point
    half = times(number >> 1, add(point, point)) if number else (0, 1, 1, 0)
    return add(half, point) if number & 1 else half
def decoded(data):  # the point of these 32 bytes, if there is one; its y is taken modulo P
    y = int.from_bytes(data, "little") % 2**255 % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    roots = [pow(square, (P + 3) // 8, P) * unit % P for unit in (1, -1, ROOT, -ROOT)]
    return next(((x, y, 1, x * y % P) for x in roots if x * x % P == square and x & 1 == data[31] >> 7), None)
def holds(key, message, signature):  # it is by the key, strictly: s and R in one encoding, R and key of no small order
    point, s = decoded(key), int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    r = add(times(s, decoded(b"\x58" + b"\x66" * 31)), times(k, (-point[0], point[1], 1, -point[3])))
    x, y = (one * pow(r[2], -1, P) % P for one in r[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32] and times(8, r)[0] != 0 != times(8, point)[0]

def hashed(name, kind, key):  # how a line of a note by this key under this name begins: kind 1 is a log's, 4 a witness's
    return sha(f"{name}\n".encode(), bytes([kind]), key)[:4]
def signed(kind, envelope, keys=()):  # the document in an envelope and by whom: of these keys or, a record, of its own
    (payload, media, signatures), id_of = envelope.values(), lambda key: "ed25519:" + sha(key)[:8].hex()
    found = read(kind, parse(payload))
    if kind == "organisation":
        keys = {key.key for key in found["keys"] if key["from"] <= found.issued < key.until}
        need(all(key.id == id_of(key.key) and key["from"] < key.until for key in found["keys"]))
    message = f"DSSEv1 {len(media)} {media} {len(payload)} ".encode() + payload
    by = [{key for key in keys if id_of(key) == one.keyid and holds(key, message, one.sig)} for one in signatures]
    need(by, all(by), media == f"application/vnd.twinpact.{kind}+json")
    return Row(found, fingerprint=sha(payload), by=set().union(*by))
def organisation(envelope):  # a record that keeps its rules; with it the ends of its keys and its trees by name
    record = signed("organisation", envelope)
    log, past, keys, did = record.log, record.log.predecessors, record["keys"], record.did.split(":")
    origins, trees = [one.origin for one in [*(past or []), log]], {one.name: (one.slot, one.tree) for one in log.slots}
    need(record.type[-1] == "12"[past is not None], past != [], all(one.size for one in past or []))
    need(trees["events"][0] == 0, trees["decisions"][0] == 1, len(set(origins)) == len(origins))
    for rows, name in (keys, "key"), (log.slots, "name"), (log.slots, "slot"), (log.slots, "tree"):
        need(len({row[name] for row in rows}) == len(rows))
    need(did[1] != "web" or {one.split("/twinpact/")[0] for one in origins} == {re.sub("(?i)%3A", ":", did[2])})
    return Row(record, ends={key.key: key.until for key in keys}, trees=trees)
def pinned(path):  # what a trust file pins, if it keeps its rules; nothing without one
    trust = {"quorum": 0, "organisations": [], "anchors": [], "witnesses": []}
    trust = read("trust", trust | tomllib.loads(pathlib.Path(path).read_bytes().decode() if path else ""))
    origins = [log.origin for pin in trust.organisations for log in pin.logs]
    for once in [pin.did for pin in trust.organisations], origins, [witness.key for witness in trust.witnesses]:
        need(len(set(once)) == len(once))
    return trust

def verify(data, trust, at):  # the steps of docs/format.md in its order; `at` is told each before; level and what is proven
    (first, _, rest), link = data.partition(b"\n"), {"type": "document", "records": "record", "exactness": "claim"}
    need(at("container"), len(data) <= 16 << 20, first == b"twinpact-proof/1 sha256:" + sha(rest).hex().encode(), first < data)
    need(at("document"), (raw := parse(rest)).keys() == OBJECTS["bundle"].keys())
    b = Row((name, at(link.get(name, name)) and read(form, raw[name])) for name, form in OBJECTS["bundle"].items())
    records = [organisation(envelope) for envelope in at("record") and b.records]
    (issuer, audience), everybody = (records + [None])[:2], {key for one in records for key in one.ends}
    fact, entry, tree, head, anchor, origin = b.claim.kind == "fact", b.entry, b.tree, b.head, b.anchor, issuer.log.origin
    need(len({record.did for record in records}) == len(records) <= 2 - fact)

    disclosed, withheld, pc = at("commitment") and b.commitment.values()
    digests = sorted([sha(opening) for opening in disclosed] + withheld)
    attributes = {path: rest for path, *rest in (opened("twinpact-d/1", opening) for opening in disclosed)}
    need(withheld == sorted(withheld), len(set(digests)) == len(digests) in (8, 16, 32), len(attributes) == len(disclosed))
    need(hashlib.sha256(cbor(["twinpact-c/1", digests])).digest() == pc)
    need(all((one in ("@who", "@when", "@why")) == (one[:1] == "@") == (of[0] == "group") for one, of in attributes.items()))
    said = at("claim") and {path: lexical for path, (_, lexical) in attributes.items()}
    who, why = (read(path, parse(said[path].encode())) if path in said else Row(twin="", code=b"") for path in ("@who", "@why"))
    when = re.fullmatch(r"\[(0|-?[1-9]\d*)(,(0|-?[1-9]\d*|null)){4}\]", said.get("@when", "[0,0,0,0,0]"), re.ASCII)
    need(b.claim["values"] == said, all(-NEVER <= int(one) < NEVER for one in re.findall(r"-?\d+", when[0])))
    delivery = None if fact else read("@delivery", parse(said["delivery"].encode()))
    need(b.claim.subject == (who.twin if fact else delivery.agreement.hex()), fact or attributes["delivery"][0] == "json")
    need(b.exactness == ({"transformed": why.code.hex()} if why.code else "exact"))

    need(at("entry"), sha(["twinpact-e/1", entry.tree, entry.index, pc]) == entry.leaf)
    need(at("tree"), climb(entry.leaf, entry.index, tree.size, tree.path) == tree.root)
    need(at("head"), sha(["twinpact-h/1", head.tick, head.slot, entry.tree, head.size, tree.root, head.blind]) == head.leaf)
    need(head.slots in [1 << bits for bits in range(6, 25)], climb(head.leaf, head.slot, head.slots, head.path) == head.heads)
    need(at("tree"), tree.size == head.size)
    def document(kind, to):  # one of a delivery, if it is there: between these parties and under its agreement
        found = at(kind) and b[kind] and signed(kind, b[kind], everybody)
        return need(not found or found.by & issuer.ends.keys() and to in (None, found.audience)
                    and (found.issuer, found.agreement) == (issuer.did, delivery.agreement)) or found
    agreement = document("agreement", audience and audience.did)
    need(fact or agreement.target == delivery.view)
    reader = agreement.audience if agreement else issuer.did
    need(at("slot"), (head.slot, entry.tree) in (issuer.trees.values() if fact else [tuple(agreement.ledger.values())]))
    made = sha(["twinpact-a/1", anchor.tick, anchor.time, head.slots, head.heads])
    need(at("anchor"), made == anchor.leaf, anchor.tick == head.tick, anchor.tick or not issuer.log.predecessors)
    need(climb(anchor.leaf, anchor.tick, anchor.size, anchor.path) == anchor.root)

    line, by = r"— (?:[^\s+]|[\x1c-\x1f])+ \S+\n", set()
    note = at("checkpoint") and re.fullmatch(rf"((.+)\n(0|[1-9][0-9]*)\n(.+)\n)\n((?:{line}){{1,64}})", b.checkpoint)
    body, signed_root = note[1].encode(), read("key", note[4])
    lines = [(one[1], read("payload", one[2])) for one in (one[:-1].split(" ") for one in re.findall(line, note[5]))]
    need(note[2] == origin, int(note[3]) < 1 << 64, len(set(lines)) == len(lines), origin in dict(lines))
    seen = [(one, name, blob) for one in trust.witnesses for name, blob in lines
            if blob[:4] == hashed(one.name, 4, one.key) or name == one.name and len(blob) == 76]
    for name, blob in lines:
        if (mine := [key for key in issuer.ends if blob[:4] == hashed(origin, 1, key)]) or name == origin:
            signers = {key for key in mine if anchor.time < issuer.ends[key] and holds(key, body, blob[4:])}
            need(signers, name == origin, not by.update(signers))
        elif [name, blob] not in [line for _, *line in seen]:
            need(not any(blob[:4] == hashed(name, kind, key) for kind in (1, 4) for key in everybody))
    need(at("anchor"), (int(note[3]), signed_root) == (anchor.size, anchor.root))

    if decision := document("decision", reader):
        need((decision.fingerprint, decision.tree) == (delivery.decision, issuer.trees["decisions"][1]))
    if receipt := document("receipt", reader):
        proven = delivery | {"ledger": dict(slot=head.slot, tree=entry.tree, index=entry.index), "leaf": entry.leaf, "pc": pc}
        need(receipt | proven == receipt, receipt.anchor.origin == origin, receipt.anchor.tick <= anchor.tick)
    items = at("items") and b["items"] or Row(count=None, shown=[])
    if b["items"] or attributes.get("items", [""])[0] == "points":
        points, shown = re.fullmatch("(0|[1-9][0-9]*):([0-9a-f]{64})", said["items"]), [item.index for item in items.shown]
        need(attributes["items"][0] == "points", (count := int(points[1])) < 1 << 64, fact or delivery["count"] == count)
        need(items["count"] in (None, count), shown == sorted(set(shown)))
    for item in items.shown:
        need(opened("twinpact-p/1", item.bytes), climb(sha(b"\0", item.bytes), item.index, count, item.path).hex() == points[2])

    pins = at("trust") and [next((pin for pin in trust.organisations if pin.did == one.did), None) for one in records]
    ends = [pin and {key.key: key.until for key in pin["keys"][::-1]} for pin in pins]
    for record, known in zip(records, ends):
        papers = [found.by & record.ends.keys() for found in (agreement, decision, receipt) if found]
        need(known is None or record.by & known.keys() and all(theirs <= known.keys() for theirs in papers))
    if pins[0]:
        need({"origin": origin, "slots": issuer.log.slots} in pins[0].logs, all(anchor.time < ends[0].get(key, 0) for key in by))
        need(all(one.root == anchor.root for one in trust.anchors if (one.origin, one.size) == (origin, anchor.size)))
    for witness, name, blob in at("witness") and seen:
        message = f"cosignature/v1\ntime {int.from_bytes(blob[4:12])}\n".encode() + body
        need(name == witness.name, blob[:4] == hashed(name, 4, witness.key), holds(witness.key, message, blob[12:]))
    made = receipt and (anchor.time if receipt.anchor.tick == anchor.tick else agreement.concluded)
    both = receipt and audience and pins[1] and all(  # by a key of the audience that had not ended
        any(then < min(audience.ends[key], ends[1][key]) for key in found.by & audience.ends.keys())
        for found, then in ((agreement, agreement.concluded), (receipt, made)))
    outside, count = {one.party for one, *_ in seen} - {issuer.did, reader}, len({one.key for one, *_ in seen})
    level = LEVELS[0 if not pins[0] else 3 if outside and count >= trust.quorum and (fact or both) else 2 if both else 1]
    return level, f"{b.claim.kind} of {b.claim.subject!r} by {issuer.did} in {origin} at {anchor.time} µs since 1970: {said!r}"

def run(file, trust=None, require="signed"):  # exit code, level or broken link, what is proven; what cannot be done is a no
    links = []
    try:
        data, trust = open(file, "rb").read((16 << 20) + 1), pinned(trust)  # one more than there may be
        level, proven = verify(data, trust, lambda link: links.append(link) or True)
    except Exception as error:  # whatever it is, nothing was proven
        return (22, links[-1], repr(error)) if links else (11, "unreadable", repr(error))
    return 0 if LEVELS.index(level) >= LEVELS.index(require) else 23, level, proven

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks a Twinpact proof, offline.")
    for name, more in {"file": {}, "--trust": {}, "--require": {"default": "signed", "choices": LEVELS}}.items():
        parser.add_argument(name, **more)
    code, name, text = run(**vars(parser.parse_args()))
    print(text, f"{'broken link' if code == 22 else 'level'}: {name}", sep="\n")
    sys.exit(code)
