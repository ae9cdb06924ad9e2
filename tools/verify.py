#!/usr/bin/env python3
"""Verifies a Twinpact proof without any code of Twinpact: a second opinion.

    python3 tools/verify.py FILE [--trust TRUST] [--require LEVEL]

Written from docs/format.md ("Verification" there numbers the steps) in Python 3.11 without packages.
Exit: 0 it holds, 2 usage, 11 a file cannot be read, 22 broken, 23 below the level. With --batch it
answers each line "FILE TRUST LEVEL" ("-" for none) of its input with "CODE LINK-OR-LEVEL".
"""
import argparse, base64, contextlib, datetime, functools, hashlib, json, re, sys, tomllib

GROUPS = ("@who", "@when", "@why")
LEVELS = ["unanchored", "signed", "countersigned", "witnessed"]
MAX_INT, MAX_DEPTH, MAX_BUNDLE = 2**53 - 1, 32, 16 << 20
# What members an object has: "name:form". A form is a row of this table or a case of `read`, "a|b"
# one of these words, "form*n" an array of up to n, "form?" also null, "?name" may be absent (TOML).
FORMS = {
    "bundle": "type:any exactness:any claim:any commitment:any entry:any tree:any head:any anchor:any"
              " checkpoint:any agreement:any decision:any receipt:any items:any records:any*2",
    "claim": "kind:fact|delivery subject:text values:any",
    "commitment": "disclosed:data/2097152*32 withheld:hex/32*32 pc:hex/32",
    "entry": "tree:hex/16 index:uint leaf:hex/32",
    "tree": "size:uint path:hex/32*63 root:hex/32",
    "head": "tick:uint slot:uint slots:uint size:uint blind:hex/16 leaf:hex/32 path:hex/32*63"
            " heads:hex/32",
    "anchor": "tick:uint time:time leaf:hex/32 path:hex/32*63 size:uint root:hex/32",
    "items": "count:uint shown:item*4096",
    "item": "index:uint bytes:data/2097152 path:hex/32*63",
    "transformed": "transformed:hex/32",
    "envelope": "payload:data payloadType:text signatures:signature*16",
    "signature": "keyid:text sig:data",
    "organisation": "type:text audience:* did:text name:text/200 trustDomain:text endpoints:dsp"
                    " rootCertificate:data/8192 keys:key*64 log:log issued:time",
    "dsp": "dsp:text",
    "key": "id:text key:data from:time until:time?",
    "log": "origin:text slots:slot*16",
    "slot": "name:text slot:uint tree:hex/16",
    "agreement": "type:text issuer:text audience:text agreement:hex/32 atId:text target:text"
                 " terms:any concluded:time ledger:ledger",
    "ledger": "slot:uint tree:hex/16",
    "decision": "type:text issuer:text audience:text agreement:hex/32 tree:hex/16 core:any",
    "receipt": "type:text issuer:text audience:text agreement:hex/32 ledger:place leaf:hex/32"
               " pc:hex/32 decision:hex/32 view:text count:uint bytes:uint at:time"
               " clock:system|driven deleteBy:time? anchor:tick",
    "place": "slot:uint tree:hex/16 index:uint",
    "tick": "origin:text tick:uint",
    "trust": "?quorum:uint? ?organisations:pin*10000? ?anchors:seen*10000? ?witnesses:witness*10000?",
    "pin": "did:text name:text record:hex/32 issued:time keys:pinned*10000 logs:log*10000",
    "pinned": "key:data from:time ?until:time?",
    "seen": "origin:text size:uint root:hex/32",
    "witness": "name:text key:data ?party:text?",
}
# The arrays inside attributes, item by item.
ROWS = {"@who": "text text uint text", "@when": "time time? time? time? time?",
        "@why": "text text text text text", "delivery": "hex/32 hex/32 text uint uint"}


class Broken(Exception):
    """A link of the chain does not hold: its name, and why."""


@contextlib.contextmanager
def link(name):
    try:
        yield
    except ValueError as error:
        raise Broken(name, str(error)) from error


def need(holds, why):
    if not holds:
        raise ValueError(why)


def read(form, value):
    """The value with its hex and base64 decoded, if it is of the form."""
    if form[-1] == "?":
        return None if value is None else read(form[:-1], value)
    if len(form.split("*")) == 2 and form != "*":
        inner, most = form.split("*")
        need(isinstance(value, list) and len(value) <= int(most), f"no array of {form}")
        return [read(inner, item) for item in value]
    if form in ROWS:
        forms = ROWS[form].split()
        need(isinstance(value, list) and len(value) == len(forms), f"not the array of {form}")
        return [read(*pair) for pair in zip(forms, value)]
    if form in FORMS:
        need(isinstance(value, dict), f"no {form}")
        forms = [member.split(":", 1) for member in FORMS[form].split()]
        value = {name[1:]: None for name, _ in forms if name[0] == "?"} | value
        forms = {name.lstrip("?"): inner for name, inner in forms}
        need(forms.keys() == value.keys(), f"{form}: {sorted(forms.keys() ^ value.keys())}")
        return {name: read(inner, value[name]) for name, inner in forms.items()}
    kind, _, size = form.partition("/")
    if kind in ("uint", "time"):
        least = 0 if kind == "uint" else -MAX_INT
        need(type(value) is int and least <= value <= MAX_INT, f"{value!r} is no {kind}")
    elif kind != "any":
        need(isinstance(value, str), f"{value!r} is no text")
    if kind == "text":
        need(len(value.encode()) <= int(size or 2048), "a text is too long")
    elif kind == "hex":
        need(re.fullmatch(f"[0-9a-f]{{{2 * int(size)}}}", value), f"{value!r} is no {form}")
        return bytes.fromhex(value)
    elif kind == "data":
        data = base64.b64decode(value, validate=True)
        need(base64.b64encode(data).decode() == value, "base64 in a second form")
        need(len(data) <= int(size or MAX_BUNDLE), "base64 of too many bytes")
        return data
    elif kind not in ("any", "uint", "time"):
        need(value in form.split("|"), f"{value!r} is none of {form}")
    return value


# Canonical JSON (RFC 8785), deterministic CBOR (RFC 8949), trees (RFC 6962).
def canonical(value, depth=0):
    need(depth <= MAX_DEPTH, "nested too deep")
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(name)}:{canonical(item, depth + 1)}"
                              for name, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth + 1) for item in value) + "]"
    need(type(value) is not int or abs(value) <= MAX_INT, "an integer beyond 2^53")
    return json.dumps(value, ensure_ascii=False)


def parse(data):
    def refuse(what):
        raise ValueError(f"{what} is no integer")
    try:
        value = json.loads(data.decode(), parse_float=refuse, parse_constant=refuse)
    except RecursionError:
        refuse("too deep, what")
    # Written again it is the same bytes: one check for form and order, and that no key came twice.
    need(canonical(value).encode() == data, "not canonical JSON")
    return value


def cbor(value):
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    if isinstance(value, int):
        return head(0, value)
    data = value if isinstance(value, bytes) else value.encode()
    return head(2 if isinstance(value, bytes) else 3, len(data)) + data


def head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    log = next(log for log in range(4) if number < 1 << (8 << log))
    return bytes([major << 5 | 24 + log]) + number.to_bytes(1 << log)


def opened(data, tag):
    """The three texts of CBOR [tag, salt of 16 bytes, text, text, text]."""
    start = cbor([tag, bytes(16), "", "", ""])[:-19]
    need(data.startswith(start), f"no {tag}")
    salt, rest, texts = data[len(start):len(start) + 16], data[len(start) + 16:], []
    while rest and len(texts) < 3:
        wide = 1 << (rest[0] & 7) if rest[0] & 31 >= 24 else 0
        size = int.from_bytes(rest[1:1 + wide]) if wide else rest[0] & 31
        texts.append(rest[1 + wide:1 + wide + size].decode())
        rest = rest[1 + wide + size:]
    # Written again it is the same bytes: types, lengths and shortest forms are right.
    need(len(texts) == 3 and cbor([tag, salt, *texts]) == data, "no deterministic CBOR")
    return texts


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def climb(leaf, index, size, path):
    """The root a path leads to: RFC 9162 §2.1.3.2, which spells out RFC 6962."""
    need(index < size, "beyond the end of the tree")
    value, last = leaf, size - 1
    for sibling in path:
        need(last > 0, "the path is too long")
        if index & 1 or index == last:
            value = sha(b"\1", sibling, value)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            value = sha(b"\1", value, sibling)
        index, last = index >> 1, last >> 1
    need(last == 0, "the path is too short")
    return value


# Ed25519 (RFC 8032 §5.1), strict in the sense of ed25519-dalek's verify_strict: s is below the order,
# neither key nor R is of small order, and the equation holds without the cofactor. Like there y is
# taken modulo p: a point in a second encoding is no second form of a signature, since R and the key
# are hashed as they came.
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)


def point(data):
    number = int.from_bytes(data, "little")
    y, sign = number % 2**255 % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if x * x % P == square else x * ROOT % P
    need(x * x % P == square, "no point of the curve")
    x = x if x & 1 == sign else -x % P
    return x, y, 1, x * y % P


def add(one, two):
    a, b = (one[1] - one[0]) * (two[1] - two[0]), (one[1] + one[0]) * (two[1] + two[0])
    c, d = 2 * D * one[3] * two[3], 2 * one[2] * two[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def equal(one, two):
    return all((one[i] * two[2] - two[i] * one[2]) % P == 0 for i in (0, 1))


@functools.lru_cache(1024)
def holds(key, message, signature):
    try:
        a, r = point(key), point(signature[:32])
    except ValueError:
        return False
    s = int.from_bytes(signature[32:], "little")
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % ORDER
    base, minus, total = point((4 * pow(5, -1, P) % P).to_bytes(32, "little")), None, (0, 1, 1, 0)
    minus = (-a[0], a[1], 1, -a[3])
    sums = [None, base, minus, add(base, minus)]
    for bit in reversed(range(253)):
        total = add(total, total)
        if pick := s >> bit & 1 | (k >> bit & 1) << 1:
            total = add(total, sums[pick])
    small = any(equal(functools.reduce(lambda p, _: add(p, p), range(3), p), (0, 1, 1, 0))
                for p in (a, r))
    return len(key) == 32 and len(signature) == 64 and s < ORDER and not small and equal(total, r)


def key_id(key):
    return "ed25519:" + sha(key)[:8].hex()


def ended(key, time):
    return key["until"] is not None and key["until"] <= time


def envelope(value, kind, records=None):
    """The document in an envelope with its fingerprint and the keys that signed it ("by")."""
    outer, media = read("envelope", value), f"application/vnd.twinpact.{kind}+json"
    payload = outer["payload"]
    need(outer["payloadType"] == media, f"{outer['payloadType']} is not {media}")
    document, by = read(kind, parse(payload)), set()
    need(document["type"] == f"twinpact-{kind}/1", f"not of the type {kind}")
    # A record is signed by keys of its own that are valid when it is issued.
    keys = [key["key"] for record in records for key in record["keys"]] if records else [
        key["key"] for key in document["keys"]
        if key["from"] <= document["issued"] and not ended(key, document["issued"])]
    message = b"DSSEv1 %d %s %d %s" % (len(media), media.encode(), len(payload), payload)
    for signature in outer["signatures"]:
        found = [key for key in keys if key_id(key) == signature["keyid"]
                 and holds(key, message, signature["sig"])]
        need(found, f"{signature['keyid']} is no party's key, or its signature does not hold")
        by.update(found)
    need(by, "not signed")
    return document | {"fingerprint": sha(payload), "by": by}


def organisation(value):
    record = envelope(value, "organisation")
    keys, slots = record["keys"], record["log"]["slots"]
    need(all(key["id"] == key_id(key["key"]) for key in keys), "a key has the name of another")
    for column in [[key["key"] for key in keys]] + [[slot[name] for slot in slots] for name in ("name", "slot", "tree")]:
        need(len(set(column)) == len(column), "a key, a slot or a tree stands twice")
    named = {slot["name"]: slot["slot"] for slot in slots}
    need((named.get("events"), named.get("decisions")) == (0, 1), "events or decisions misplaced")
    host = record["log"]["origin"].split("/")[0]
    need(not record["did"].startswith("did:web:") or record["did"].split(":")[2] == host, "host")
    return record


def opened_values(commitment):
    """Step 4: the lexical forms by path, and the same with arrays where a path has one."""
    withheld, opened_ = commitment["withheld"], commitment["disclosed"]
    digests = sorted(withheld + [sha(data) for data in opened_])
    need(withheld == sorted(set(withheld)), "the withheld digests do not ascend")
    need(len(digests) == len(set(digests)) and len(digests) in (8, 16, 32), "wrong number of digests")
    need(sha(cbor(["twinpact-c/1", digests])) == commitment["pc"], "they do not make pc")
    values, arrays = {}, {}
    for data in opened_:
        path, datatype, lexical = opened(data, "twinpact-d/1")
        need(path not in values, f"{path} is disclosed twice")
        need((path in GROUPS) == (path[:1] == "@") == (datatype == "group"), f"{path} is {datatype}")
        values[path] = lexical
        if path in GROUPS:
            arrays[path] = read(path, parse(lexical.encode()))
    return values, arrays


def note_key(name, kind, key):
    return sha(name.encode(), b"\n", bytes([kind]), key)[:4]


def note(checkpoint, issuer, records, time, witnesses):
    """Step 12: size and root, the keys that signed for the log, and all lines as (name, data)."""
    origin, by, lines = issuer["log"]["origin"], set(), []
    body, _, tail = checkpoint.partition("\n\n")
    fields = re.fullmatch(r"(.+)\n(0|[1-9][0-9]*)\n(.+)", body)
    need(len(checkpoint.encode()) <= 1 << 16 and fields, "not a checkpoint")
    need(fields[1] == origin, f"of the log {fields[1]}")
    need(tail.endswith("\n") and len(set(tail.split("\n"))) == len(tail.split("\n")) <= 65, "lines")
    for line in tail[:-1].split("\n"):
        match = re.fullmatch(r"— ([^\s+]+) (\S+)", line)
        need(match, "not a signature line")
        name, data = match[1], read("data", match[2])
        lines.append((name, data))
        keys = [key for key in issuer["keys"] if note_key(origin, 1, key["key"]) == data[:4]]
        if name == origin or keys:
            keys = [key["key"] for key in keys if name == origin and not ended(key, time)
                    and holds(key["key"], f"{body}\n".encode(), data[4:])]
            need(keys, "a line in the name of the log is not by a key of its own")
            by.update(keys)
        elif not any(note_key(w["name"], 4, w["key"]) == data[:4] for w in witnesses):
            need(not any(note_key(name, kind, key["key"]) == data[:4] for kind in (1, 4)
                         for record in records for key in record["keys"]), "a party cosigns")
    need(by, "not signed by the log")
    return (int(fields[2]), read("data", fields[3])), by, lines, f"{body}\n"


def pins(trust):
    """The pinned organisations by DID, if the trust file keeps its rules."""
    found = {pin["did"]: pin for pin in trust["organisations"]}
    need(len(found) == len(trust["organisations"]), "an organisation is pinned twice")
    origins = [log["origin"] for pin in found.values() for log in pin["logs"]]
    need(len(origins) == len(set(origins)), "a log is pinned twice")
    return found


def verify(data, trust):
    """The level and what is proven, as lines; or Broken."""
    with link("container"):
        need(len(data) <= MAX_BUNDLE, "larger than 16 MiB")
        first, _, rest = data.partition(b"\n")
        need(first.decode() == f"twinpact-proof/1 sha256:{sha(rest).hex()}", "not as it was made")
    with link("document"):
        bundle = read("bundle", parse(rest))
        need(bundle["type"] == "twinpact-bundle/1", "not a bundle of this version")
    for name in ("claim", "commitment", "entry", "tree", "head", "anchor"):
        with link(name):
            bundle[name] = read(name, bundle[name])
    claim, commitment, entry, tree, head, anchor = (
        bundle[name] for name in ("claim", "commitment", "entry", "tree", "head", "anchor"))
    fact = claim["kind"] == "fact"
    with link("record"):
        records = [organisation(value) for value in bundle["records"]]
        need(0 < len(records) < (2 if fact else 3), "wrong number of records")
        need(records[0]["did"] != records[-1]["did"] or len(records) == 1, "twice the same")
        issuer, issuer_keys = records[0], {key["key"] for key in records[0]["keys"]}
    with link("commitment"):
        values, arrays = opened_values(commitment)
    with link("claim"):
        need(claim["values"] == values, "the values are not those disclosed")
        if fact:
            subject = arrays["@who"][1] if "@who" in arrays else ""
        else:
            need("delivery" in values, "the delivery is not disclosed")
            delivery = read("delivery", parse(values["delivery"].encode()))
            subject = delivery[0].hex()
        need(claim["subject"] == subject, f"the subject is {subject}")
        code = arrays["@why"][4] if "@why" in arrays else None
        if bundle["exactness"] == "exact":
            need(not code, "values that code has made are not exact")
        else:
            transformed = read("transformed", bundle["exactness"])["transformed"]
            need(code == transformed.hex(), "made by other code")
    with link("entry"):
        leaf = sha(b"\0", cbor(["twinpact-e/1", entry["tree"], entry["index"], commitment["pc"]]))
        need(entry["leaf"] == leaf, "another leaf")
    with link("tree"):
        need(climb(leaf, entry["index"], tree["size"], tree["path"]) == tree["root"], "another root")
    with link("head"):
        n = head["slots"]
        need(64 <= n <= 1 << 24 and n & n - 1 == 0, "slots")
        need(climb(head["leaf"], head["slot"], n, head["path"]) == head["heads"], "another root")
        need(head["leaf"] == sha(b"\0", cbor(["twinpact-h/1", head["tick"], head["slot"], entry["tree"],
             head["size"], tree["root"], head["blind"]])), "another leaf")
    with link("tree"):
        need(tree["size"] == head["size"], "not the size of the head")

    def document(kind):
        if fact:
            return need(bundle[kind] is None, f"a fact has no {kind}")
        found = envelope(bundle[kind], kind, records)
        need(found["by"] & issuer_keys, "not signed by the issuer")
        need(found["issuer"] == issuer["did"], "of another issuer")
        need(len(records) == 1 or found["audience"] == records[1]["did"], "for another audience")
        need(found["agreement"] == delivery[0], "of another agreement")
        return found
    with link("agreement"):
        agreement = document("agreement")
        need(fact or agreement["target"] == delivery[2], "of another view")
    with link("slot"):
        slots = issuer["log"]["slots"] if fact else [agreement["ledger"]]
        need(any((slot["slot"], slot["tree"]) == (head["slot"], entry["tree"]) for slot in slots),
             "the tree has no business in this slot")
    with link("anchor"):
        leaf = sha(b"\0", cbor(["twinpact-a/1", anchor["tick"], anchor["time"], n, head["heads"]]))
        need((anchor["leaf"], anchor["tick"]) == (leaf, head["tick"]), "another leaf")
        need(climb(leaf, anchor["tick"], anchor["size"], anchor["path"]) == anchor["root"], "root")
    witnesses = trust["witnesses"]
    with link("checkpoint"):
        stated, log_by, lines, body = note(
            read("text/65536", bundle["checkpoint"]), issuer, records, anchor["time"], witnesses)
    with link("anchor"):
        need(stated == (anchor["size"], anchor["root"]), "the checkpoint states another")
    with link("decision"):
        decision = document("decision")
        need(fact or decision["fingerprint"] == delivery[1], "another decision")
        need(fact or decision["tree"] in [slot["tree"] for slot in issuer["log"]["slots"]
                                          if slot["name"] == "decisions"], "of another tree")
    with link("receipt"):
        if receipt := document("receipt"):
            need([receipt[name] for name in ("decision", "view", "count", "bytes")] == delivery[1:]
                 and [receipt[name] for name in ("leaf", "pc")] == [entry["leaf"], commitment["pc"]]
                 and receipt["ledger"] == {"slot": head["slot"], "tree": entry["tree"],
                                           "index": entry["index"]}
                 and receipt["anchor"]["origin"] == issuer["log"]["origin"]
                 and receipt["anchor"]["tick"] <= anchor["tick"], "it is about something else")
    with link("items"):
        items = read("items?", bundle["items"])
        need(not (fact and items), "a fact has no items")
        if not fact and "items" in values:
            match = re.fullmatch("(0|[1-9][0-9]{0,15}):([0-9a-f]{64})", values["items"])
            need(match and int(match[1]) == delivery[3], "another number of items")
            count, root = match.groups()
        if items:
            need("items" in values and items["count"] == int(count), "another number of items")
            at = -1
            for item in items["shown"]:
                opened(item["bytes"], "twinpact-p/1")
                need(item["index"] > at, "not rising")
                at = item["index"]
                need(climb(sha(b"\0", item["bytes"]), at, int(count), item["path"]).hex() == root, "root")
    with link("trust"):
        pinned = pins(trust)
        pin = pinned.get(issuer["did"])
        documents = [] if fact else [agreement, decision, receipt]
        if pin:
            keys = {key["key"]: key for key in pin["keys"]}
            need(issuer["by"] & keys.keys(), "the record is not signed by a pinned key")
            for signers in [log_by] + [document["by"] & issuer_keys for document in documents]:
                need(signers <= keys.keys(), "signed by a key that is not pinned")
            need(not any(ended(keys[key], anchor["time"]) for key in log_by), "a key that had ended")
            need(issuer["log"] in pin["logs"], "not the log that is pinned")
        need(all(seen["root"] == anchor["root"] for seen in trust["anchors"] if
                 (seen["origin"], seen["size"]) == (issuer["log"]["origin"], anchor["size"])), "fork")
        other = pinned.get(agreement["audience"]) if documents else None
        if other and len(records) == 2:
            keys, theirs = {key["key"] for key in other["keys"]}, {k["key"] for k in records[1]["keys"]}
            need(records[1]["by"] & keys, "the audience's record is not signed by a pinned key")
            for document in documents:
                need(document["by"] & theirs <= keys, "signed by a key that is not pinned")
    with link("witness"):
        counted = set()
        for name, data in lines:
            for witness in witnesses:
                hashed = note_key(witness["name"], 4, witness["key"])
                if data[:4] == hashed or (name == witness["name"] and len(data) == 76):
                    need(name == witness["name"] and data[:4] == hashed and len(data) == 76, "line")
                    time = int.from_bytes(data[4:12])
                    need(holds(witness["key"], f"cosignature/v1\ntime {time}\n{body}".encode(),
                               data[12:]), "a cosignature does not hold")
                    counted.add((name, witness["party"]))
    level = 0
    if pin:
        level = 1
        if other and len(records) == 2 and agreement["by"] & theirs and receipt["by"] & theirs:
            level = 2
        parties = {issuer["did"], agreement["audience"]} if documents else {issuer["did"]}
        if (level == 2 or fact) and len(counted) >= trust["quorum"] and any(
                party not in parties for _, party in counted):
            level = 3
    return LEVELS[level], []


def load(path):
    trust = {}
    if path and path != "-":
        with open(path, "rb") as file:
            trust = tomllib.load(file)
    trust = read("trust", trust)
    return {name: trust[name] or (0 if name == "quorum" else []) for name in trust}


def run(path, trust, require):
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BUNDLE + 1)
        trust = load(trust)
    except (OSError, ValueError) as error:
        return 11, str(error), []
    try:
        level, lines = verify(data, trust)
    except Broken as broken:
        return 22, broken.args[0], [f"broken at {broken.args[0]}: {broken.args[1]}"]
    wanted = require if require != "-" else "signed"
    return (0 if LEVELS.index(level) >= LEVELS.index(wanted) else 23), level, lines


def main():
    if sys.argv[1:] == ["--batch"]:
        for line in sys.stdin:
            print(*run(*line.split())[:2])
        return 0
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--trust", default="-")
    parser.add_argument("--require", choices=LEVELS, default="-")
    args = parser.parse_args()
    code, _, lines = run(args.file, args.trust, args.require)
    print(*lines, sep="\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
