"""What is signed and by whom: documents, records, checkpoints; and what a trust file pins."""
import re
import tomllib

from ed25519 import holds
from forms import need, parse, read, sha

NO_TRUST = {"quorum": 0, "organisations": [], "anchors": [], "witnesses": []}


def key_id(key):
    return "ed25519:" + sha(key)[:8].hex()


def key_hash(name, kind, key):
    return sha(name.encode(), b"\n", bytes([kind]), key)[:4]


def ended(key, time):
    return key["until"] is not None and key["until"] <= time


def document(value, kind, keys_of):
    """The document in an envelope, with its fingerprint and the keys that signed it."""
    envelope, media, by = read("envelope", value), f"application/vnd.twinpact.{kind}+json", set()
    payload = envelope["payload"]
    found = read(kind, parse(payload))
    message = f"DSSEv1 {len(media)} {media} {len(payload)} ".encode() + payload
    for signature in envelope["signatures"]:
        signers = {key for key in keys_of(found) if key_id(key) == signature["keyid"]
                   and holds(key, message, signature["sig"])}
        need(signers)
        by |= signers
    need(by and envelope["payloadType"] == media)
    return found | {"fingerprint": sha(payload), "by": by}


def organisation(value):
    """A record, signed only by keys of its own that are valid when it is issued."""
    record = document(value, "organisation", lambda record: {
        key["key"] for key in record["keys"]
        if key["from"] <= record["issued"] and not ended(key, record["issued"])})
    keys, slots, log = record["keys"], record["log"]["slots"], record["log"]
    need(all(key["id"] == key_id(key["key"]) and not ended(key, key["from"]) for key in keys))
    for rows, name in ((keys, "key"), (slots, "name"), (slots, "slot"), (slots, "tree")):
        need(len({row[name] for row in rows}) == len(rows))
    trees = {slot["name"]: (slot["slot"], slot["tree"]) for slot in slots}
    need("events" in trees and trees["events"][0] == 0)
    need("decisions" in trees and trees["decisions"][0] == 1)
    need(all(slot["slot"] < 1 << 24 for slot in slots))
    # Nobody takes the log of another host for its own.
    host = re.sub("%3a", ":", record["did"].split(":")[2], flags=re.IGNORECASE)
    need(record["did"][:8] != "did:web:" or log["origin"].split("/twinpact/")[0] == host)
    return record | {"trees": trees, "all": {key["key"] for key in keys}}


def is_of(witness, name, data):
    """Whether a line claims to be this witness's: by its key hash, or by name and length."""
    return data[:4] == key_hash(witness["name"], 4, witness["key"]) or (
        name == witness["name"] and len(data) == 76)


def signature_lines(note, records, time, witnesses):
    """Step 12: size and root, the keys of the log that signed, the lines, and what they sign."""
    issuer, by, lines = records[0], set(), []
    body, _, tail = note.partition("\n\n")
    body, origin = body + "\n", issuer["log"]["origin"]
    fields, raw = body.split("\n"), tail.split("\n")
    need(len(fields) == 4 and fields[0] == origin and re.fullmatch("0|[1-9][0-9]*", fields[1]))
    need(raw.pop() == "" and len(set(raw)) == len(raw) <= 64)
    for line in raw:
        # White space as Unicode has it, which does not count the four separators.
        match = re.fullmatch(r"— ((?:[^\s+]|[\x1c-\x1f])+) (\S+)", line)
        need(match)
        name, data = match[1], read("blob", match[2])
        need(len(data) >= 4)
        lines.append((name, data))
        mine = [key for key in issuer["keys"] if key_hash(origin, 1, key["key"]) == data[:4]]
        if mine or name == origin:
            signers = {key["key"] for key in mine if name == origin and not ended(key, time)
                       and holds(key["key"], body.encode(), data[4:])}
            need(signers)
            by |= signers
        elif not any(is_of(witness, name, data) for witness in witnesses):
            need(not any(key_hash(name, kind, key) == data[:4]
                         for kind in (1, 4) for record in records for key in record["all"]))
    need(by)
    return (int(fields[1]), read("key", fields[2])), by, lines, body


def seen_by(witness, lines, body):
    """Whether a witness has cosigned; each line that claims to be its own must then hold."""
    mine = [(name, data) for name, data in lines if is_of(witness, name, data)]
    for name, data in mine:
        message = f"cosignature/v1\ntime {int.from_bytes(data[4:12])}\n{body}".encode()
        need(name == witness["name"] and data[:4] == key_hash(name, 4, witness["key"]))
        need(holds(witness["key"], message, data[12:]))
    return bool(mine)


def pinned(path):
    """What a trust file pins, if it keeps its rules."""
    with open(path, "rb") as file:
        trust = read("trust", tomllib.load(file))
    trust = {name: value or NO_TRUST[name] for name, value in trust.items()}
    organisations, witnesses = trust["organisations"], trust["witnesses"]
    for once in ([read("did", pin["did"]) for pin in organisations],
                 [log["origin"] for pin in organisations for log in pin["logs"]],
                 [witness["key"] for witness in witnesses]):
        need(len(set(once)) == len(once))
    need(max(len(organisations), len(witnesses), len(trust["anchors"])) <= 10_000)
    return trust


def pin_of(record, documents, trust):
    """The pin of an organisation, if there is one: then all that it signed is by pinned keys."""
    pins = [pin for pin in trust["organisations"] if record and pin["did"] == record["did"]]
    for pin in pins:
        keys = {key["key"] for key in pin["keys"]}
        need(record["by"] & keys)
        need(all(found["by"] & record["all"] <= keys for found in documents))
    return pins[0] if pins else None
