"""Runs the Eclipse Dataspace TCK for the Dataspace Protocol against `twinpact serve --conformance`.

    python3 oracles/tck/run.py BINARY [--result FILE]

Needs Java 17 or newer and Maven, which fetches the kit. Of the versions that are laid out alike the
newest that is served is taken; TCK_VERSION names another. Exit code 0: every test has passed; 3:
what is needed is not there. The result file is written only when all tests have run.
"""

import argparse
import datetime
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from jars import Jars, versions_of  # noqa: E402

SCRIPT = HERE.parent.parent / "examples" / "conformance" / "dsp-tck.toml"
VERSIONS = ["1.1.0", "1.0.2", "1.0.1", "1.0.0", "1.0.0-RC7", "1.0.0-RC6"]
# Tests of the kit, by area.
EXPECTED = {"MET": 1, "CAT": 3, "CN": 15, "CN_C": 16, "TP": 15, "TP_C": 15}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def settings(script, doors):
    """What the kit has to know of the connector under test."""
    port = free_port()
    of = "dataspacetck.dsp.connector."
    lines = {
        "dataspacetck.launcher": "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher",
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": port,
        "dataspacetck.callback.address": f"http://127.0.0.1:{port}",
        "dataspacetck.dsp.local.connector": "false",
        "dataspacetck.dsp.default.wait": 15,
        of + "agent.id": script["organisation"],
        of + "http.url": doors["dsp"],
        of + "http.base.url": doors["root"],
        of + "http.headers.authorization": "any",
        of + "negotiation.initiate.url": doors["negotiations"],
        of + "transfer.initiate.url": doors["transfers"],
    }
    # CAT0103 is the one that must not be there.
    for n in ["01", "02", "03"]:
        lines[f"CAT_01_{n}_DATASETID"] = f"CAT01{n}"
    for dataset in script["dataset"]:
        area, number = dataset["id"][1:-4], dataset["id"][-4:]
        if dataset["id"].startswith("ACN"):
            test = f"{area}_{number[:2]}_{number[2:]}"
            lines[f"{test}_DATASETID"] = dataset["id"]
            lines[f"{test}_OFFERID"] = dataset["offer"]
    for wanted in script["wanted"]:
        number = wanted["id"][-4:]
        lines[f"CN_C_{number[:2]}_{number[2:]}_DATASETID"] = wanted["id"]
    for agreement in script["agreement"]:
        area = "TP_C" if agreement["id"].startswith("ATPC") else "TP"
        test = f"{area}_{agreement['id'][-4:-2]}_{agreement['id'][-2:]}"
        lines[f"{test}_AGREEMENTID"] = agreement["id"]
        lines[f"{test}_FORMAT"] = "HttpData-PULL"
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def serve(binary, place):
    """A fresh connector under test at a free port, and its doors."""
    text = SCRIPT.read_text("utf-8")
    listen = tomllib.loads(text)["listen"]
    script = place / "script.toml"
    script.write_text(text.replace(f'"{listen}"', '"127.0.0.1:0"'), "utf-8")
    command = [str(binary), "--json", "serve", "--conformance", str(script)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = ""
    for line in process.stdout:
        said += line
        if line.rstrip() == "}":
            break
    return process, json.loads(said)["conformance"]


def run(binary, classpath, place):
    process, doors = serve(binary, place)
    try:
        file = place / "tck.properties"
        file.write_text(settings(tomllib.loads(SCRIPT.read_text("utf-8")), doors), "utf-8")
        java = subprocess.Popen(["java", "-cp", classpath, "Run", str(file)],
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        tests = []
        for line in java.stdout:
            if line.startswith('{"test"'):
                tests.append(json.loads(line))
                print("{result:9}{test} {why}".format(**tests[-1]), file=sys.stderr)
        java.wait()
        return tests
    finally:
        process.terminate()
        process.wait()


def counted(tests):
    """How many tests of each area have passed."""
    found = dict.fromkeys(EXPECTED, 0)
    for test in tests:
        area = test["test"].split(":")[0]
        if test["result"] == "passed" and area in found:
            found[area] += 1
    return found


def report(binary, version, tests):
    found = counted(tests)
    rows = sorted(tests, key=lambda test: test["test"])
    areas = ", ".join(f"{area} {found[area]} of {EXPECTED[area]}" for area in EXPECTED)
    lines = [
        "# The Eclipse Dataspace TCK for the Dataspace Protocol 2025-1",
        "",
        f"{sum(found.values())} of {sum(EXPECTED.values())} passed: {areas}. Made by `make tck`.",
        "",
        "| what | version |",
        "|---|---|",
        f"| date | {datetime.date.today()} |",
        f"| kit | org.eclipse.dataspacetck.dsp {version} |",
        *versions_of(binary),
        "",
        "| test | result |",
        "|---|---|",
    ]
    lines += ["| {test} | {result} |".format(**test) for test in rows]
    lines += ["", "The kit disables TP:02-04 and TP_C:02-04 itself."]
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary", type=pathlib.Path)
    arguments.add_argument("--result", type=pathlib.Path)
    arguments = arguments.parse_args()
    wanted = os.environ.get("TCK_VERSION")
    jars = Jars(HERE, [wanted] if wanted else VERSIONS)
    classpath, _ = jars.compile("Run.java")
    with tempfile.TemporaryDirectory() as place:
        tests = run(arguments.binary.resolve(), classpath, pathlib.Path(place))
    found = counted(tests)
    print(f"{sum(found.values())} of {sum(EXPECTED.values())} passed, kit {jars.version}")
    if arguments.result and len(tests) >= sum(EXPECTED.values()):
        arguments.result.write_text(report(arguments.binary, jars.version, tests), "utf-8")
    sys.exit(0 if found == EXPECTED else 1)


if __name__ == "__main__":
    main()
