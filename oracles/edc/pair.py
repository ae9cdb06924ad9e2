"""Two EDC connectors, and what drives exchanges between them for measure.py.

The driver keeps its connections open and is called back, so that it adds little of its own.
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import queue
import threading
import time
import typing
import urllib.parse

import run
from jars import Jars

PROVIDER, CONSUMER = "did:web:provider.example", "did:web:consumer.example"
# A small heap, lest a lazy collector be taken for need; who runs out of it ends, and is seen to.
HEAP = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
ASSET = "asset-1"
EVENTS = ["contract.negotiation.finalized", "contract.negotiation.terminated",
          "transfer.process.started", "transfer.process.terminated"]
STEPS = ["catalogue", "negotiation", "transfer", "data"]
# Seconds that one request or one step of an exchange may take.
PATIENCE = 60


class Failed(Exception):
    """What was asked did not come, and why."""


# What may befall whoever asks an EDC.
TROUBLE = (Failed, OSError, RuntimeError, KeyError, ValueError, http.client.HTTPException)


class Client(threading.local):
    """Requests over connections that stay open, of each thread its own."""

    def __init__(self) -> None:
        self.open: dict[str, http.client.HTTPConnection] = {}

    def begin(self, method: str, url: str, body: object = None,
              headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        """An answer of which the head is there."""
        to = urllib.parse.urlsplit(url)
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", **(headers or {})}
        if (kept := self.open.pop(to.netloc, None)) is not None:
            # The other side may have closed it since, and has then not seen what was asked.
            with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
                return self.over(kept, to, method, data, headers)
            kept.close()
        fresh = http.client.HTTPConnection(to.hostname or "", to.port, timeout=PATIENCE)
        return self.over(fresh, to, method, data, headers)

    def over(self, line: http.client.HTTPConnection, to: urllib.parse.SplitResult, method: str,
             data: bytes | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        """The same over this connection, which is kept unless that fails."""
        line.request(method, to.path, data, headers)
        answer = line.getresponse()
        self.open[to.netloc] = line
        return answer

    def ask(self, method: str, url: str, body: object = None,
            headers: dict[str, str] | None = None) -> bytes:
        """The body of a good answer."""
        answer = self.begin(method, url, body, headers)
        found = answer.read()
        if answer.status not in (200, 204):
            path = urllib.parse.urlsplit(url).path
            raise Failed(f"{method} {path}: {answer.status} {found[:200]!r}")
        return found


CLIENT = Client()


class Mail:
    """What EDC calls back with; each waiter has a box of its own, which is there before it asks."""

    def __init__(self) -> None:
        self.boxes: dict[str, queue.SimpleQueue[dict]] = {}
        self.lock, self.count = threading.Lock(), 0

    def box(self) -> tuple[str, "queue.SimpleQueue[dict]"]:
        with self.lock:
            self.count += 1
            name = f"/{self.count}"
            box = self.boxes[name] = queue.SimpleQueue()
        return name, box

    def close(self, name: str) -> None:
        self.boxes.pop(name, None)

    def put(self, name: str, event: dict) -> None:
        # One that comes for nobody is late: its waiter has given up.
        if (box := self.boxes.get(name)) is not None:
            box.put(event)


MAIL = Mail()


class Source(http.server.BaseHTTPRequestHandler):
    """Where the data come from, and where EDC calls back."""

    protocol_version = "HTTP/1.1"
    # An answer in two writes would wait for the peer's delayed acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(run.DATA)))
        self.end_headers()
        self.wfile.write(run.DATA)

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        MAIL.put(self.path, event)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    """The server of it, which takes as many at once as there are exchanges."""

    request_queue_size = 256


class Connector(run.Edc):
    """One EDC of the pair, asked over connections that stay open."""

    def __init__(self, jars: Jars, place: pathlib.Path, millis: int | None, name: str) -> None:
        place.mkdir()
        try:
            super().__init__(jars, place, millis, name, HEAP)
        except TimeoutError:
            self.stop()
            raise

    def must(self, method: str, path: str, body: dict | None = None) -> typing.Any:
        body = None if body is None else {"@context": run.CONTEXT, **body}
        key = {"x-api-key": "password"}
        return json.loads(CLIENT.ask(method, self.management + path, body, key) or b"null")

    def cpu(self) -> "Cpu":
        """What it has taken so far."""
        here = pathlib.Path(f"/proc/{self.process.pid}")
        _, whole = cpu_of(here / "stat")
        threads = [cpu_of(thread / "stat") for thread in (here / "task").iterdir()]
        return Cpu(whole, sum(cpu for name, cpu in threads if "Compiler" in name))

    def peak(self) -> float:
        """The most memory that it has had resident, in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def lives(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        # It would take five seconds to go by itself, and has nothing to lose.
        self.process.kill()
        self.process.wait()


class Cpu(typing.NamedTuple):
    """Seconds of processor time, user and system; those of Java's compilers are in the whole."""

    whole: float
    compilers: float

    def plus(self, other: "Cpu") -> "Cpu":
        return Cpu(self.whole + other.whole, self.compilers + other.compilers)

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(self.whole - before.whole, self.compilers - before.compilers)


def cpu_of(stat: pathlib.Path) -> tuple[str, float]:
    """Name and seconds of a process or thread; of one that has just ended none."""
    try:
        # The name, in parentheses, may hold spaces.
        head, tail = stat.read_text().rsplit(")", 1)
    except OSError:
        return "", 0
    fields = tail.split()
    ticks = int(fields[11]) + int(fields[12])
    return head.split("(", 1)[1], ticks / os.sysconf("SC_CLK_TCK")


def driver_cpu() -> Cpu:
    """What this process has taken so far."""
    times = os.times()
    return Cpu(times.user + times.system, 0)


class Pair:
    """A provider with one asset, and a consumer of it."""

    def __init__(self, provider: Connector, consumer: Connector, source: str) -> None:
        self.provider, self.consumer, self.source = provider, consumer, source
        # Negotiations so far, which the stores hold.
        self.held = 0
        self.to = {"counterPartyAddress": provider.dsp, "protocol": run.PROTOCOL}
        provider.offer(ASSET, f"{source}/data", {"permission": run.PLAIN})

    def cpu(self) -> Cpu:
        return self.provider.cpu().plus(self.consumer.cpu()).plus(driver_cpu())

    def lives(self) -> bool:
        return self.provider.lives() and self.consumer.lives()

    def must_live(self) -> None:
        if not self.lives():
            raise Failed("an EDC ended, most likely for want of memory")

    def exchange(self) -> dict[str, float]:
        """From the dataset to the first byte of data, and the end of it: the seconds of each step.

        The consumer ends the transfer, as it does with us; one that went on would be looked at by
        the provider's policy monitor for ever.
        """
        marks = [time.perf_counter()]
        party = {**self.to, "counterPartyId": PROVIDER}
        offer = self.consumer.offer_of(party, ASSET)
        marks.append(time.perf_counter())
        finalized = self.reach("/v3/contractnegotiations", "ContractNegotiationFinalized", {
            "@type": "ContractRequest", "policy": {**offer, "assigner": PROVIDER, "target": ASSET}})
        marks.append(time.perf_counter())
        started = self.reach("/v3/transferprocesses", "TransferProcessStarted", {
            "@type": "TransferRequest", "transferType": "HttpData-PULL",
            "contractId": finalized["contractAgreement"]["id"]})
        marks.append(time.perf_counter())
        self.fetch(started["dataAddress"]["properties"], marks)
        transfer = f"/v3/transferprocesses/{started['transferProcessId']}"
        self.consumer.must("POST", f"{transfer}/terminate",
                           {"@type": "TerminateTransfer", "reason": "the data are here"})
        return dict(zip(STEPS, (after - before for before, after in zip(marks, marks[1:]))))

    def reach(self, path: str, wanted: str, body: dict) -> dict:
        """Begins it and waits until EDC calls back; what it says, if that is what was wanted."""
        name, box = MAIL.box()
        try:
            back = {"@type": "CallbackAddress", "uri": self.source + name, "events": EVENTS,
                    "transactional": False}
            asked = {**body, **self.to, "callbackAddresses": [back]}
            begun = self.consumer.must("POST", path, asked)
            event = box.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failed(f"no {wanted} in {PATIENCE} s") from None
        finally:
            MAIL.close(name)
        if event["type"] != wanted:
            detail = self.consumer.must("GET", f"{path}/{begun['@id']}").get("errorDetail")
            raise Failed(f"{event['type']}: {detail}")
        return event["payload"]

    @staticmethod
    def fetch(address: dict[str, str], marks: list[float]) -> None:
        """Gets the data, and marks when their first byte was there."""
        token = {"authorization": address[run.NS + "authorization"]}
        answer = CLIENT.begin("GET", address[run.NS + "endpoint"], None, token)
        first = answer.read(1)
        marks.append(time.perf_counter())
        whole = first + answer.read()
        if answer.status != 200 or whole != run.DATA:
            raise Failed(f"the data: {answer.status}")
