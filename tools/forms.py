"""The bytes of docs/format.md: forms of objects and values, canonical JSON, CBOR, Merkle trees.

`need` is the one way to say no: a ValueError, of which verify.py says in which link it was.
"""
import base64
import hashlib
import json
import re

GAP = r"\s\x00-\x1f\x7f-\x9f"
# A text: its most bytes and its pattern. What has no name here is a constant.
TEXTS = {
    "hash": (64, "[0-9a-f]{64}"), "id": (32, "[0-9a-f]{32}"), "text": (2048, ".+"),
    "subject": (2048, ".*"), "name": (200, ".+"), "word": (64, "[a-z-]+"),
    "domain": (255, "[a-z0-9._-]+"), "url": (2048, f"https://[^{GAP}]*"),
    "did": (2048, "did:[a-z0-9]+:[A-Za-z0-9._:%-]+"), "note": (65536, ".+"),
    "origin": (2048, f"[^{GAP}+]+/twinpact/[^{GAP}+]+"), "kind": (8, "fact|delivery"),
    "clock": (6, "system|driven"), "string": (16 << 20, ".*"),
}
# Base64: its least and most bytes.
BYTES = {"key": (32, 32), "sig": (64, 64), "cert": (1, 8192), "opening": (1, 2 << 20),
         "blob": (1, 16 << 20)}
# An object: its members as name:form. `form?` may be null, `form[9]` is an array of up to 9, and a
# member `?name` may be absent (in TOML, which has no null).
OBJECTS = {
    "bundle": "type:twinpact-bundle/1 exactness:any claim:any commitment:any entry:any tree:any"
              " head:any anchor:any checkpoint:any agreement:any decision:any receipt:any items:any"
              " records:any",
    "claim": "kind:kind subject:subject values:any",
    "commitment": "disclosed:opening[32] withheld:hash[32] pc:hash",
    "entry": "tree:id index:uint leaf:hash",
    "tree": "size:uint path:hash[63] root:hash",
    "head": "tick:uint slot:uint slots:uint size:uint blind:id leaf:hash path:hash[63] heads:hash",
    "anchor": "tick:uint time:uint leaf:hash path:hash[63] size:uint root:hash",
    "items": "count:uint shown:item[4096]",
    "item": "index:uint bytes:opening path:hash[63]",
    "transformed": "transformed:hash",
    "envelope": "payload:blob payloadType:any signatures:signature[16]",
    "signature": "keyid:any sig:sig",
    "organisation": "type:twinpact-organisation/1 audience:* did:did name:name trustDomain:domain"
                    " endpoints:dsp rootCertificate:cert keys:dated[64] log:log issued:time",
    "dsp": "dsp:url",
    "dated": "id:any key:key from:time until:time?",
    "log": "origin:origin slots:slot[16]",
    "slot": "name:word slot:uint tree:id",
    "agreement": "type:twinpact-agreement/1 issuer:did audience:did agreement:hash atId:text"
                 " target:text terms:any concluded:time ledger:ledger",
    "ledger": "slot:uint tree:id",
    "decision": "type:twinpact-decision/1 issuer:did audience:did agreement:hash tree:id core:any",
    "receipt": "type:twinpact-receipt/1 issuer:did audience:did agreement:hash ledger:place"
               " leaf:hash pc:hash decision:hash view:text count:uint bytes:uint at:time"
               " clock:clock deleteBy:time? anchor:tick",
    "place": "slot:uint tree:id index:uint",
    "tick": "origin:text tick:uint",
    "delivery": "agreement:hash decision:hash view:string count:uint bytes:uint",
    "trust": "?quorum:uint? ?organisations:pin[]? ?anchors:seen[]? ?witnesses:witness[]?",
    "pin": "did:string name:string record:hash issued:time keys:pinned-key[] logs:pinned-log[]",
    "pinned-key": "key:key from:time ?until:time?",
    "pinned-log": "origin:string slots:pinned-slot[]",
    "pinned-slot": "name:string slot:uint tree:id",
    "seen": "origin:string size:uint root:hash",
    "witness": "name:string key:key ?party:string?",
}


def need(holds):
    if not holds:
        raise ValueError


def read(form, value):
    """The value, its hex and base64 decoded, if it is of the form."""
    if form[-1] == "?":
        return None if value is None else read(form[:-1], value)
    if form[-1] == "]":
        form, most = form[:-1].split("[")
        need(isinstance(value, list) and len(value) <= int(most or 1 << 24))
        return [read(form, item) for item in value]
    if form in OBJECTS:
        need(isinstance(value, dict))
        forms = dict(member.split(":", 1) for member in OBJECTS[form].split())
        value = {name[1:]: None for name in forms if name[0] == "?"} | value
        forms = {name.lstrip("?"): inner for name, inner in forms.items()}
        need(forms.keys() == value.keys())
        return {name: read(inner, value[name]) for name, inner in forms.items()}
    if form in ("uint", "time"):
        need(type(value) is int and (form == "time" or value >= 0))
    if form in ("uint", "time", "any"):
        return value
    need(isinstance(value, str))
    if form in BYTES:
        data, (least, most) = base64.b64decode(value, validate=True), BYTES[form]
        need(base64.b64encode(data).decode() == value and least <= len(data) <= most)
        return data
    most, pattern = TEXTS.get(form, (2048, re.escape(form)))
    need(len(value.encode()) <= most and re.fullmatch(pattern, value, re.DOTALL))
    return bytes.fromhex(value) if form in ("hash", "id") else value


def canonical(value, level=1):
    """As RFC 8785 writes it; members go by the UTF-16 of their names."""
    if isinstance(value, (dict, list)):
        need(level <= 32)
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        members = (f"{canonical(name)}:{canonical(value[name], level + 1)}" for name in names)
        return "{" + ",".join(members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, level + 1) for item in value) + "]"
    need(type(value) is not int or abs(value) < 2**53)
    return json.dumps(value, ensure_ascii=False)


def parse(data):
    def refuse(_):
        raise ValueError
    try:
        value = json.loads(data.decode(), parse_float=refuse, parse_constant=refuse)
    except RecursionError:
        refuse(data)
    # Written again it is the same bytes: so order, spelling and each key once are right.
    need(canonical(value).encode() == data)
    return value


def cbor(value):
    if isinstance(value, int):
        major, number, rest = 0, value, b""
    elif isinstance(value, list):
        major, number, rest = 4, len(value), b"".join(map(cbor, value))
    else:
        rest = value if isinstance(value, bytes) else value.encode()
        major, number = 2 if rest is value else 3, len(rest)
    if number < 24:
        return bytes([major << 5 | number]) + rest
    log = next(log for log in range(4) if number < 1 << (8 << log))
    return bytes([major << 5 | 24 + log]) + number.to_bytes(1 << log) + rest


def opened(data, tag):
    """The three texts of CBOR [tag, salt of 16 bytes, text, text, text]."""
    start = len(tag) + 3
    salt, rest, texts = data[start:start + 16], data[start + 16:], []
    while rest and len(texts) < 3:
        wide = 1 << (rest[0] & 3) if rest[0] & 31 > 23 else 0
        size = int.from_bytes(rest[1:1 + wide]) if wide else rest[0] & 31
        texts.append(rest[1 + wide:1 + wide + size].decode())
        rest = rest[1 + wide + size:]
    # Written again it is the same bytes: so types, lengths and shortest forms are right.
    need(len(salt) == 16 and len(texts) == 3 and cbor([tag, salt, *texts]) == data)
    return texts


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def leaf(*items):
    return sha(b"\0", cbor(list(items)))


def climb(value, index, size, path):
    """The root that the path leads to from a leaf (RFC 9162 §2.1.3.2 spells RFC 6962 out)."""
    need(index < size)
    last = size - 1
    for sibling in path:
        need(last > 0)
        if index & 1 or index == last:
            value = sha(b"\1", sibling, value)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            value = sha(b"\1", value, sibling)
        index, last = index >> 1, last >> 1
    need(last == 0)
    return value
