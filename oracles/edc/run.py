"""Our connector and an Eclipse EDC connector on loopback, both ways.

    python3 oracles/edc/run.py BINARY [--result FILE] [--keep DIRECTORY]

Six flows, each from the catalogue over negotiation and transfer to the data: either side provides,
once without and once with constraints in its policy, and once it sends what the other would fetch
(HttpData-PUSH). Then every sample policy of the Catena-X profile, where they lie beside the
checkout, is negotiated in both directions, and the identity of each agreement compared on the
sample, on what the EDC keeps and on our side; data do not follow, since nobody here can decide
what the profile asks. Needs Java 17 or newer and Maven, which fetches
the EDC; EDC_VERSION names another version. Exit code 0: all came to their data; 3: what is
needed is not there.
"""

import argparse
import contextlib
import datetime
import http.server
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import catena_x  # noqa: E402
from jars import Jars, versions_of  # noqa: E402

VERSIONS = ["0.18.0", "0.17.0", "0.16.0", "0.15.1"]
OURS = "did:web:operator.example"
# No term of its context: it would be read as that.
THEIRS = "did:web:maker.example"
PROTOCOL = "dataspace-protocol-http:2025-1"
CONTEXT = ["https://w3id.org/edc/connector/management/v0.0.1"]
NS = "https://w3id.org/edc/v0.0.1/ns/"
RULES = ["permission", "prohibition", "obligation"]
# What of it polls.
MACHINES = ["negotiation.consumer", "negotiation.provider", "transfer", "dataplane",
            "data.plane.selector", "policy.monitor"]
PURPOSE = "https://w3id.org/twinpact/purpose/PredictiveMaintenance"
DATA = b'{"part": "P-1"}'
# How long anything may take, in seconds, and how often we look where an EDC only polls.
PATIENCE, LOOK = 30, 0.02

PLAIN = [{"action": "use"}]
BOUND = [{
    "action": "use",
    "constraint": [
        {"leftOperand": "http://www.w3.org/ns/odrl/2/purpose", "operator": "isAnyOf",
         "rightOperand": [PURPOSE, "https://w3id.org/twinpact/purpose/DefectContainment"]},
        {"leftOperand": "http://www.w3.org/ns/odrl/2/spatial", "operator": "isPartOf",
         "rightOperand": "https://w3id.org/twinpact/region/EU"},
    ],
}]


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def call(method, url, body=None, headers=None):
    """Status and body of an answer, whatever the status."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def until(what, look):
    """What `look` finds, once it finds something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = look()
        if found is not None:
            return found
        time.sleep(LOOK)
    raise TimeoutError(what)


class Source(http.server.BaseHTTPRequestHandler):
    """Where the data of the EDC come from, and where it has ours sent to."""

    came = []

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(DATA)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.came.append((self.headers.get("authorization"), body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Edc:
    """One EDC connector, which provides and consumes; its polling is the usual one without `millis`."""

    def __init__(self, jars, place, millis, name=THEIRS, options=("-Xmx192m",)):
        classpath, classes = jars.compile("Relay.java")
        services = classes / "META-INF" / "services"
        services.mkdir(parents=True, exist_ok=True)
        (services / "org.eclipse.edc.spi.system.ServiceExtension").write_text("Relay\n")
        api, management, protocol, control, version, relay = free_ports(6)
        self.management = f"http://127.0.0.1:{management}/management"
        self.dsp = f"http://127.0.0.1:{protocol}/dsp/2025-1"
        self.data = f"http://127.0.0.1:{relay}/data"
        settings = {
            "edc.participant.id": name,
            "edc.participant.context.id": name,
            "edc.hostname": "127.0.0.1",
            "edc.dsp.callback.address": f"http://127.0.0.1:{protocol}/dsp",
            "edc.management.context.enabled": "true",
            # With it no operand is taken but those that a program of its own decides.
            "edc.policy.validation.enabled": "false",
            "web.http.port": api, "web.http.path": "/api",
            "web.http.management.port": management, "web.http.management.path": "/management",
            "web.http.management.auth.type": "tokenbased",
            "web.http.management.auth.key": "password",
            "web.http.protocol.port": protocol, "web.http.protocol.path": "/dsp",
            "web.http.control.port": control, "web.http.control.path": "/control",
            "edc.control.endpoint": f"http://127.0.0.1:{control}/control",
            "web.http.version.port": version, "web.http.version.path": "/version",
            "relay.port": relay,
            "edc.transfer.proxy.token.signer.privatekey.alias": "private",
            "edc.transfer.proxy.token.verifier.publickey.alias": "public",
        }
        for machine in MACHINES if millis else []:
            settings[f"edc.{machine}.state-machine.iteration-wait-millis"] = millis
        file = place / "edc.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        main = "org.eclipse.edc.boot.system.runtime.BaseRuntime"
        with open(place / "edc.log", "w") as log:
            self.process = subprocess.Popen(
                ["java", *options, f"-Dedc.fs.config={file}", "-cp", classpath, main, "--no-color"],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        # It says that it is ready before its management API is there.
        until("the EDC to start", self.started)

    def started(self):
        try:
            status, _ = self.ask("POST", "/v3/assets/request", {"@type": "QuerySpec"})
        except OSError:
            return None
        return True if status == 200 else None

    def ask(self, method, path, body=None):
        body = None if body is None else {"@context": CONTEXT, **body}
        return call(method, self.management + path, body, {"x-api-key": "password"})

    def must(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        if status not in (200, 204):
            raise RuntimeError(f"EDC {method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer or b"null")

    def offer(self, asset, source, rules):
        """Publishes an asset under a policy of these rules."""
        self.must("POST", "/v3/assets", {
            "@type": "Asset", "@id": asset, "properties": {"name": asset},
            "dataAddress": {"@type": "DataAddress", "type": "HttpData", "baseUrl": source}})
        policy = {"@type": "Set", **rules}
        self.must("POST", "/v3/policydefinitions",
                  {"@type": "PolicyDefinition", "@id": f"of-{asset}", "policy": policy})
        chosen = {"operandLeft": NS + "id", "operator": "=", "operandRight": asset}
        self.must("POST", "/v3/contractdefinitions", {
            "@type": "ContractDefinition", "@id": f"for-{asset}", "assetsSelector": [chosen],
            "accessPolicyId": f"of-{asset}", "contractPolicyId": f"of-{asset}"})

    def has_sent(self, dsp, view, sink):
        """The same, and has the view sent there."""
        times = Times()
        offer = self.offer_of(self.provider(dsp), view)
        times.took("catalogue")
        agreement = self.negotiate(dsp, view, offer)
        times.took("negotiation")
        begun = self.must("POST", "/v3/transferprocesses", {
            "@type": "TransferRequest", "counterPartyAddress": dsp, "protocol": PROTOCOL,
            "contractId": agreement, "transferType": "HttpData-PUSH",
            "dataDestination": {"@type": "DataAddress", "type": "HttpData", "baseUrl": sink,
                                "authKey": "Authorization", "authCode": "the-key"}})
        until("the data", lambda: Source.came or None)
        times.took("transfer and data")
        shown, data = Source.came[0]
        if "the-key" not in (shown or "") or not json.loads(data).get("rows"):
            raise RuntimeError(f"our data: {shown!r} {data[:300]!r}")
        over = lambda: self.must("GET", f"/v3/transferprocesses/{begun['@id']}")["state"]
        until("its end", lambda: True if over() == "COMPLETED" else None)
        times.took("end")
        return times.all

    def consume(self, dsp, view):
        """Catalogue, negotiation, transfer and data of a view of ours; the times of each."""
        provider = self.provider(dsp)
        times = Times()
        offer = self.offer_of(provider, view)
        times.took("catalogue")
        agreement = self.negotiate(dsp, view, offer)
        times.took("negotiation")
        begun = self.must("POST", "/v3/transferprocesses", {
            "@type": "TransferRequest", "counterPartyAddress": dsp, "protocol": PROTOCOL,
            "contractId": agreement, "transferType": "HttpData-PULL"})
        address = until("the transfer", lambda: self.address(begun["@id"]))
        times.took("transfer")
        token = {"authorization": address["authorization"]}
        status, data = call("GET", address["endpoint"], None, token)
        rows = json.loads(data).get("rows") if status == 200 else None
        if not rows:
            raise RuntimeError(f"our data: {status} {data[:300]!r}")
        times.took("data")
        return times.all

    @staticmethod
    def provider(dsp):
        return {"counterPartyAddress": dsp, "counterPartyId": OURS, "protocol": PROTOCOL}

    def offer_of(self, provider, view):
        found = self.must("POST", "/v3/catalog/dataset/request",
                          {"@type": "DatasetRequest", "@id": view, **provider})
        offer = found["hasPolicy"]
        return offer[0] if isinstance(offer, list) else offer

    def negotiate(self, dsp, view, offer):
        """The EDC's id of the agreement that it comes to."""
        begun = self.must("POST", "/v3/contractnegotiations", {
            "@type": "ContractRequest", "counterPartyAddress": dsp, "protocol": PROTOCOL,
            "policy": {**offer, "assigner": OURS, "target": view}})
        return until("the negotiation", lambda: self.agreed(begun["@id"]))

    def agreed(self, negotiation):
        state = self.must("GET", f"/v3/contractnegotiations/{negotiation}")
        if state["state"] == "TERMINATED":
            raise RuntimeError(f"EDC: terminated: {state.get('errorDetail')}")
        return state["contractAgreementId"] if state["state"] == "FINALIZED" else None

    def kept(self, asset, at_id):
        """The agreement of that id about it as the EDC keeps it, in the names of its management API;
        there may be two, where it has forgotten one."""
        about = {"operandLeft": "assetId", "operator": "=", "operandRight": asset}
        query = {"@type": "QuerySpec", "filterExpression": [about]}
        kept = self.must("POST", "/v3/contractagreements/request", query)
        return next(one for one in kept if one["agreementId"] == at_id)

    def address(self, transfer):
        status, answer = self.ask("GET", f"/v3/edrs/{transfer}/dataaddress")
        if status != 200:
            return None
        # The names are full IRIs.
        return {name.rsplit("/", 1)[-1]: value for name, value in json.loads(answer).items()}


class Times:
    """How long each step took, in milliseconds."""

    def __init__(self):
        self.all, self.last = {}, time.perf_counter()

    def took(self, step):
        now = time.perf_counter()
        self.all[step], self.last = (now - self.last) * 1_000, now


class Ours:
    """A node with two views of one turbine: one for any use, one under constraints."""

    def __init__(self, binary, place, edc, sink):
        self.binary, self.dir = binary, place / "node"
        (door,) = free_ports(1)
        self.dsp = f"http://127.0.0.1:{door}/dsp"
        self.run("init", "--org", OURS)
        with open(self.dir / "twinpact.toml", "a") as config:
            config.write(f'\n[connectors]\nlisten = "127.0.0.1:{door}"\n\n[[connectors.peers]]\n'
                         f'id = "{THEIRS}"\nendpoint = "{edc.dsp}"\ndata = ["{edc.data}", "{sink}"]\n'
                         f'purpose = "{PURPOSE}"\nplace = "FR"\n')
        command = [str(binary), "serve", "--dir", str(self.dir), "--json"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.rstrip() == "}":
                break
        self.run("model", "apply", str(ROOT / "examples/wind/wind-turbine.toml"))
        self.ingest()
        self.place = place
        self.views = [self.publish(name, {"permission": policy})
                      for name, policy in [("open", PLAIN), ("bound", BOUND)]]

    def ingest(self):
        admin = json.loads((self.dir / "admin.json").read_text())
        row = {"id": "1", "twin": "urn:turbine:a", "time": "2015-07-21T05:00:01Z",
               "values": {"power": "514.24"}}
        batch = {"source": "urn:source:test", "model": "wind-turbine@1", "observations": [row]}
        token = {"authorization": f"Bearer {admin['token']}"}
        status, answer = call("POST", f"{admin['url']}/ingest", batch, token)
        if status != 200:
            raise RuntimeError(f"ingest: {status} {answer!r}")

    def publish(self, name, rules):
        """Publishes the example under this name with this offer alone; the id of its view."""
        contract = (ROOT / "examples/wind/turbine-maintenance.odcs.yaml").read_text("utf-8")
        front, _ = contract.split("  - property: odrlOffer")
        front = front.replace("name: turbine-maintenance", f"name: {name}", 1)
        offer = json.dumps({"@type": "Offer", **rules})
        file = self.place / f"{name}.odcs.yaml"
        file.write_text(f"{front}  - property: odrlOffer\n    vendor: twinpact\n    value: {offer}\n")
        return self.run("contract", "publish", str(file))["view"]

    def run(self, *words):
        command = [str(self.binary), *words, "--dir", str(self.dir), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"twinpact {' '.join(words)}: {done.stderr}")
        return json.loads(done.stdout or "null")

    def identity(self, file):
        """The identity of the agreement in that file, and what it means."""
        command = [str(self.binary), "agreement", "identity", str(file), "--json"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"{file.read_text()}: {done.stderr}")
        return json.loads(done.stdout)

    def consume(self, asset, *how):
        """Catalogue, negotiation, transfer and data of an asset of the EDC; the times of each."""
        times = Times()
        found = self.run("catalog", THEIRS)
        if asset not in [dataset["id"] for dataset in found]:
            raise RuntimeError(f"the catalogue has no {asset}: {found}")
        times.took("catalogue")
        agreement = self.run("negotiate", THEIRS, "--dataset", asset)
        times.took("negotiation")
        fetched = self.run("fetch", agreement["id"], *how)
        times.took("transfer and data")
        if fetched["text"] != DATA.decode():
            raise RuntimeError(f"the data: {fetched}")
        return times.all


def flows(edc, ours, source):
    """Every flow with what it came to: its times, or why not."""
    for asset, policy in [("asset-open", PLAIN), ("asset-bound", BOUND), ("asset-sent", PLAIN)]:
        edc.offer(asset, source, {"permission": policy})
    opened, bound = ours.views
    for name, run in [
        ("the EDC provides, any use", lambda: ours.consume("asset-open")),
        ("the EDC provides, with constraints", lambda: ours.consume("asset-bound")),
        ("the EDC provides, and sends", lambda: ours.consume("asset-sent", "--push")),
        ("we provide, any use", lambda: edc.consume(ours.dsp, opened)),
        ("we provide, with constraints", lambda: edc.consume(ours.dsp, bound)),
        ("we provide, and send", lambda: edc.has_sent(ours.dsp, opened, f"{source}in")),
    ]:
        try:
            steps = ", ".join(f"{step} {took:.0f} ms" for step, took in run().items())
            yield name, "data came", steps
        except (RuntimeError, TimeoutError, OSError) as why:
            yield name, "failed", str(why).replace("\n", " ")


def identity_of(ours, agreement, policy):
    """What an agreement about this policy is and means, to our own binary; no node is asked."""
    file = ours.place / "agreement.json"
    file.write_text(json.dumps({**policy, **agreement, "@type": "Agreement"}), "utf-8")
    return ours.identity(file)


def compared(ours, rules, kept, line):
    """The identity of an agreement in three places: on these rules as they were before anybody had
    them, as the EDC keeps it, and on our side. `line` is what we show of it."""
    signed = datetime.datetime.fromtimestamp(kept["contractSigningDate"], datetime.timezone.utc)
    # What it keeps beside the rules is in names of its own.
    frame = {"@id": kept["agreementId"], "target": kept["assetId"],
             "timestamp": signed.strftime("%Y-%m-%dT%H:%M:%SZ"),
             "assigner": kept["providerId"], "assignee": kept["consumerId"]}
    kept_rules = {name: kept["policy"][name] for name in RULES}
    before, after = identity_of(ours, frame, rules), identity_of(ours, frame, kept_rules)
    return Compared(before["id"], after["id"], line["id"], line["terms"])


class Compared:
    """One agreement as it was before, as the EDC has it after, and as we have it."""

    def __init__(self, before, after, ours, terms):
        self.before, self.after, self.ours, self.terms = before, after, ours, terms

    def one(self):
        return self.before == self.after == self.ours

    def __str__(self):
        return f"{self.terms}: before {self.before}, after {self.after}, ours {self.ours}"


def catena_x_samples(edc, ours, source):
    """Of each sample, the agreement with the EDC as provider and with us as provider, or why not."""
    for name, rules in catena_x.policies():
        try:
            edc.offer(name, source, catena_x.in_full(rules))
            line = ours.run("negotiate", THEIRS, "--dataset", name)
            taken = compared(ours, rules, edc.kept(name, line["at_id"]), line)
            view = ours.publish(name, rules)
            edc.negotiate(ours.dsp, view, edc.offer_of(edc.provider(ours.dsp), view))
            line = next(a for a in ours.run("agreement", "list") if a["target"] == view)
            yield name, taken, compared(ours, rules, edc.kept(view, line["at_id"]), line)
        except (RuntimeError, TimeoutError, OSError, KeyError, StopIteration) as why:
            yield name, repr(why).replace("\n", " "), None


def is_one(sample):
    """Whether each of the two agreements has one identity, and both have the same terms."""
    _, taken, given = sample
    return given is not None and taken.one() and given.one() and taken.terms == given.terms


def report_of_samples(samples):
    if not samples:
        return ["The sample policies of Catena-X were not at hand."]
    good = [sample for sample in samples if is_one(sample)]
    lines = [
        f"Of {len(samples)} sample policies of the Catena-X profile 2025/9 {len(good)} were negotiated with either side as provider.",
        "Each of these agreements has one identity (docs/format.md) in three places: on the sample as it is given, on what the EDC",
        "keeps of it, in its own spelling, and on our side; our terms, in words, are the same in both directions.",
    ]
    lines += [f"- {name}: {taken}; {given}" for name, taken, given in samples
              if not is_one((name, taken, given))]
    return lines


def report(binary, version, millis, results, samples):
    good = sum(result == "data came" for _, result, _ in results)
    return "\n".join([
        "# Our connector and an Eclipse EDC connector, both ways",
        "",
        f"{good} of {len(results)} flows came to their data: catalogue, negotiation, transfer, data. "
        "Made by `make interop-edc`.",
        "",
        "| what | version |",
        "|---|---|",
        f"| date | {datetime.date.today()} |",
        f"| EDC | org.eclipse.edc {version}, in memory, polling every {millis} ms |",
        *versions_of(binary),
        "",
        "| flow | result | steps |",
        "|---|---|---|",
        *(f"| {name} | {result} | {steps} |" for name, result, steps in results),
        "",
        "The constraints are `purpose isAnyOf` of two and `spatial isPartOf`; the EDC carries them and does not decide them, we",
        "do. Most of the time is the polling of the EDC.",
        "",
        *report_of_samples(samples),
    ]) + "\n"


def place_for(keep):
    """A directory for the run, which is gone after it unless it is to be kept."""
    if keep is None:
        return tempfile.TemporaryDirectory()
    keep.mkdir(parents=True)
    return contextlib.nullcontext(keep.resolve())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("binary", type=pathlib.Path)
    arguments.add_argument("--result", type=pathlib.Path)
    arguments.add_argument("--millis", type=int, default=50, help="how often the EDC polls")
    arguments.add_argument("--keep", type=pathlib.Path, help="where the node and the EDC's log are left")
    arguments = arguments.parse_args()
    wanted = os.environ.get("EDC_VERSION")
    jars = Jars(HERE, [wanted] if wanted else VERSIONS)
    source = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Source)
    threading.Thread(target=source.serve_forever, daemon=True).start()
    results, samples = [], []
    with place_for(arguments.keep) as place:
        place, processes = pathlib.Path(place), []
        try:
            edc = Edc(jars, place, arguments.millis)
            processes.append(edc.process)
            sink = f"http://127.0.0.1:{source.server_port}/in"
            ours = Ours(arguments.binary.resolve(), place, edc, sink)
            processes.append(ours.process)
            for name, result, steps in flows(edc, ours, f"http://127.0.0.1:{source.server_port}/"):
                print(f"{name}: {result}: {steps}")
                results.append((name, result, steps))
            samples = list(catena_x_samples(edc, ours, "http://127.0.0.1:1/"))
            print("\n".join(report_of_samples(samples)))
        finally:
            for process in processes:
                process.terminate()
                process.wait()
    if arguments.result and results:
        text = report(arguments.binary, jars.version, arguments.millis, results, samples)
        arguments.result.write_text(text, "utf-8")
    good = results and all(result == "data came" for _, result, _ in results)
    sys.exit(0 if good and all(is_one(sample) for sample in samples) else 1)


if __name__ == "__main__":
    main()
