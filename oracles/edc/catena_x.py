"""The sample policies of the Catena-X ODRL profile 2025/9, where they lie beside the checkout."""

import json
import os
import pathlib

NS = "https://w3id.org/catenax/2025/9/policy/"
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED = pathlib.Path(os.environ.get("TWINPACT_SHARED", ROOT.parent / "shared"))
SAMPLES = SHARED / "suites" / "catenax-odrl" / "schema" / "samples"


def policies():
    """Every sample with its name; a single condition stands in the policy that it belongs into."""
    for file in sorted(SAMPLES.glob("*.json")):
        sample = json.loads(file.read_text("utf-8"))
        rules = {key: sample[key] for key in ["permission", "prohibition", "obligation"]
                 if key in sample}
        yield file.stem, {"profile": NS, **(rules or around(sample))}


def around(condition):
    left = condition["leftOperand"]
    bound = [{"and": [condition]}]
    use, anybody = [{"action": "use", "constraint": bound}], [{"action": "use"}]
    if left.startswith("DataProvisioning"):
        return {"permission": anybody, "obligation": use}
    if left == "UsageRestriction":
        return {"permission": anybody, "prohibition": use}
    if left.startswith("BusinessPartner"):
        return {"permission": [{"action": "access", "constraint": bound}]}
    return {"permission": use}


def in_full(value):
    """The same with names in full: the context of an EDC's management has none of them."""
    if isinstance(value, list):
        return [in_full(item) for item in value]
    if not isinstance(value, dict):
        return value
    full = {key: in_full(item) for key, item in value.items()}
    if "leftOperand" in full:
        full["leftOperand"] = NS + full["leftOperand"]
    if full.get("action") == "access":
        full["action"] = NS + "access"
    return full
