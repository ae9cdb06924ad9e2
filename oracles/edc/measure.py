"""What an exchange and a catalogue cost an Eclipse EDC pair: the figures to hold ours against.

    python3 oracles/edc/measure.py [--short] [--result FILE]

Two EDC connectors on loopback, each in a JVM of its own with a small heap, first as they come, then
polling every 50 ms. An exchange is the dataset from the catalogue, a negotiation until FINALIZED, a
transfer until STARTED, and the data with the token that came: to their first byte. First one at a
time, then 64 at a time. Last, a provider that has just started is asked at its DSP door for its
catalogue, of 1,000 assets and of 10,000.

The driver does not poll: the consumer's EDC calls back, once with the agreement and once with the
token, so that no look at its management API is paid for and no wait between two looks is counted.
`--short` makes few of each, only to show that it works. Needs what run.py needs, and Linux.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime
import gzip
import http.client
import http.server
import json
import os
import pathlib
import platform
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
import typing
import urllib.parse

import run
from jars import Jars, said_by

PROVIDER, CONSUMER = "did:web:provider.example", "did:web:consumer.example"
# A small heap, lest a lazy collector be taken for need; who runs out of it ends, and is seen to.
HEAP = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError")
# Milliseconds between two looks of an EDC; None: what it does by itself.
SETTINGS: list[int | None] = [None, 50]
ASSET = "asset-1"
EVENTS = ["contract.negotiation.finalized", "contract.negotiation.terminated",
          "transfer.process.started", "transfer.process.terminated"]
MESSAGE_CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld",
                   "https://w3id.org/edc/dspace/v0.0.1"]
STEPS = ["catalogue", "negotiation", "transfer", "data"]
PART = 100
# Seconds that one request or one step of an exchange may take.
PATIENCE = 60
# Threads that publish assets: enough to keep both cores busy.
PUBLISHERS = 4
# Reasons for failures that are listed.
MOST_REASONS = 4


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is done of what; `alone`, `warm` and `answers` are also bounded in seconds."""

    warm: int
    warm_parallel: int
    warm_seconds: float
    alone: int
    alone_seconds: float
    parallel: int
    # What comes before it is steady, and is not counted.
    ramp_seconds: float
    load_seconds: float
    assets: tuple[int, ...]
    publish_seconds: float
    answers: int
    answer_seconds: float


FULL = Effort(warm=600, warm_parallel=64, warm_seconds=120, alone=200, alone_seconds=120,
              parallel=64, ramp_seconds=8, load_seconds=30, assets=(1_000, 10_000),
              publish_seconds=180, answers=50, answer_seconds=60)
SHORT = Effort(warm=60, warm_parallel=16, warm_seconds=15, alone=10, alone_seconds=10,
               parallel=64, ramp_seconds=5, load_seconds=8, assets=(200, 1_000),
               publish_seconds=15, answers=10, answer_seconds=5)


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

    def cpu(self) -> float:
        """Seconds of processor time so far, user and system."""
        # The name of the command, in parentheses, may hold spaces.
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        fields = stat.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak(self) -> float:
        """The most memory that it has had resident, in MiB."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def lives(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def driver_cpu() -> float:
    """Seconds of processor time of this process, user and system."""
    times = os.times()
    return times.user + times.system


class Pair:
    """A provider with one asset, and a consumer of it."""

    def __init__(self, provider: Connector, consumer: Connector, source: str) -> None:
        self.provider, self.consumer, self.source = provider, consumer, source
        self.to = {"counterPartyAddress": provider.dsp, "protocol": run.PROTOCOL}
        provider.offer(ASSET, f"{source}/data", {"permission": run.PLAIN})

    def cpu(self) -> float:
        return self.provider.cpu() + self.consumer.cpu() + driver_cpu()

    def lives(self) -> bool:
        return self.provider.lives() and self.consumer.lives()

    def exchange(self) -> dict[str, float]:
        """From the dataset to the first byte of data: the seconds of each step."""
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
        if answer.status != 200 or first + answer.read() != run.DATA:
            raise Failed(f"the data: {answer.status}")


@dataclasses.dataclass
class Outcome:
    """What came of exchanges between `begin` and `end`, and the CPU time of that."""

    done: list[dict[str, float]]
    whys: list[str]
    seconds: float
    cpu: float

    def __str__(self) -> str:
        return f"{len(self.done)} in {self.seconds:.0f} s, {len(self.whys)} failed"

    def whole(self) -> list[float]:
        return [sum(steps.values()) for steps in self.done]

    def cpu_each(self) -> float | None:
        return self.cpu / len(self.done) if self.done else None


class Crowd:
    """Threads that make one exchange after another until there are enough or it is time."""

    def __init__(self, pair: Pair, threads: int, most: int, seconds: float) -> None:
        self.pair, self.left, self.lock = pair, most, threading.Lock()
        self.end = time.monotonic() + seconds
        self.done: list[tuple[float, dict[str, float]]] = []
        self.whys: list[tuple[float, str]] = []
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def take(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left >= 0 and time.monotonic() < self.end

    def work(self) -> None:
        while self.take():
            try:
                steps = self.pair.exchange()
                self.done.append((time.monotonic(), steps))
            except TROUBLE as why:
                self.whys.append((time.monotonic(), str(why) or repr(why)))
                if not self.pair.lives():
                    return

    def join(self) -> None:
        for thread in self.threads:
            thread.join(4 * PATIENCE)

    def between(self, begin: float, end: float, cpu: float) -> Outcome:
        """What ended in that time."""
        done = [steps for at, steps in list(self.done) if begin <= at < end]
        whys = [why for at, why in list(self.whys) if begin <= at < end]
        return Outcome(done, whys, end - begin, cpu)


def exchanges(pair: Pair, threads: int, most: int, seconds: float) -> Outcome:
    """So many exchanges, to the end of the last."""
    begin, cpu = time.monotonic(), pair.cpu()
    crowd = Crowd(pair, threads, most, seconds)
    crowd.join()
    if not pair.lives():
        raise Failed("an EDC ended, most likely for want of memory")
    return crowd.between(begin, time.monotonic(), pair.cpu() - cpu)


def load(pair: Pair, effort: Effort) -> Outcome:
    """Exchanges many at a time, of which those are counted that end once it is steady."""
    crowd = Crowd(pair, effort.parallel, sys.maxsize, effort.ramp_seconds + effort.load_seconds)
    time.sleep(effort.ramp_seconds)
    begin, cpu = time.monotonic(), pair.cpu()
    time.sleep(effort.load_seconds)
    end, cpu = time.monotonic(), pair.cpu() - cpu
    crowd.join()
    if not pair.lives():
        raise Failed("an EDC ended, most likely for want of memory")
    return crowd.between(begin, end, cpu)


def idle(pair: Pair, seconds: float = 3) -> float:
    """How many cores both take while nothing is asked."""
    before = pair.provider.cpu() + pair.consumer.cpu()
    time.sleep(seconds)
    return (pair.provider.cpu() + pair.consumer.cpu() - before) / seconds


def percentile(values: list[float], part: float) -> float | None:
    """The value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None


@dataclasses.dataclass
class Figures:
    """What one setting came to."""

    millis: int | None
    at_rest: float
    alone: Outcome
    loaded: Outcome
    after: float
    peaks: tuple[float, float]


def say(what: str) -> None:
    """Progress, which is no part of the result."""
    print(what, file=sys.stderr, flush=True)


class Bench:
    """What all measurements need: the jars, a place for files, and the source."""

    def __init__(self, jars: Jars, place: pathlib.Path, source: str, effort: Effort) -> None:
        self.jars, self.place, self.source, self.effort = jars, place, source, effort
        self.begun = 0

    @contextlib.contextmanager
    def connector(self, name: str, millis: int | None) -> typing.Iterator[Connector]:
        """An EDC that has just started, and is stopped afterwards."""
        self.begun += 1
        edc = Connector(self.jars, self.place / str(self.begun), millis, name)
        try:
            yield edc
        finally:
            edc.stop()

    def setting(self, millis: int | None) -> Figures:
        """Exchanges alone and many at a time, after as many as it takes to be warm."""
        effort = self.effort
        with contextlib.ExitStack() as stack:
            provider = stack.enter_context(self.connector(PROVIDER, millis))
            consumer = stack.enter_context(self.connector(CONSUMER, millis))
            pair = Pair(provider, consumer, self.source)
            warm = exchanges(pair, effort.warm_parallel, effort.warm, effort.warm_seconds)
            say(f"warm: {warm}")
            at_rest = idle(pair)
            alone = exchanges(pair, 1, effort.alone, effort.alone_seconds)
            say(f"alone: {alone}")
            loaded = load(pair, effort)
            say(f"{effort.parallel} at a time: {loaded}")
            peaks = (provider.peak(), consumer.peak())
            return Figures(millis, at_rest, alone, loaded, idle(pair), peaks)

    def catalogue(self, count: int) -> "Catalogue":
        """What the catalogue of a provider of so many assets costs who asks at its door."""
        effort, parts = self.effort, []
        with self.connector(PROVIDER, None) as provider:
            offered, seconds = publish(provider, count, self.source, effort.publish_seconds)
            say(f"{offered} assets published in {seconds:.0f} s")
            for limit in (PART, offered):
                answers = answers_of(provider, limit, effort.answers, effort.answer_seconds)
                say(f"{limit} of {offered}: {len(answers.times)} answers{answers.why}")
                parts.append(answers)
            peak = provider.peak() if provider.lives() else None
            return Catalogue(count, offered, seconds, parts, peak)


@dataclasses.dataclass
class Answers:
    """Answers to the same request for a catalogue; `why` there are no more, if that is wanted."""

    limit: int
    times: list[float]
    cpu: float
    datasets: int
    bytes: int
    coding: str
    why: str


@dataclasses.dataclass
class Catalogue:
    """What was asked for, what came to be offered, and what that cost."""

    wanted: int
    offered: int
    seconds: float
    parts: list[Answers]
    peak: float | None


def publish(provider: Connector, count: int, source: str, seconds: float) -> tuple[int, float]:
    """Offers so many assets by one definition, as far as time allows: how many, and how long."""
    begin, numbers, lock = time.monotonic(), iter(range(count)), threading.Lock()
    address = {"@type": "DataAddress", "type": "HttpData", "baseUrl": f"{source}/data"}

    def work() -> int:
        made = 0
        while time.monotonic() < begin + seconds:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            provider.must("POST", "/v3/assets", {
                "@type": "Asset", "@id": f"asset-{number}", "dataAddress": address,
                "properties": {"name": f"asset {number}"}})
            made += 1
        return made

    provider.must("POST", "/v3/policydefinitions", {
        "@type": "PolicyDefinition", "@id": "use",
        "policy": {"@type": "Set", "permission": run.PLAIN}})
    with concurrent.futures.ThreadPoolExecutor(PUBLISHERS) as pool:
        workers = [pool.submit(work) for _ in range(PUBLISHERS)]
        offered = sum(worker.result() for worker in workers)
    # An empty selector is of every asset.
    provider.must("POST", "/v3/contractdefinitions", {
        "@type": "ContractDefinition", "@id": "all", "assetsSelector": [],
        "accessPolicyId": "use", "contractPolicyId": "use"})
    return offered, time.monotonic() - begin


def asked(provider: Connector, limit: int) -> tuple[bytes, str]:
    """The catalogue, or its first part, by DSP, and how it was compressed."""
    message = {"@context": MESSAGE_CONTEXT, "@type": "CatalogRequestMessage",
               "filter": [{"@type": "QuerySpec", "offset": 0, "limit": limit}]}
    # What the mock of an identity takes for a token.
    token = {"region": "eu", "audience": provider.dsp, "clientId": CONSUMER}
    headers = {"authorization": json.dumps(token), "accept-encoding": "gzip"}
    answer = CLIENT.begin("POST", f"{provider.dsp}/catalog/request", message, headers)
    body = answer.read()
    if answer.status != 200:
        raise Failed(f"catalogue: {answer.status} {body[:200]!r}")
    return body, answer.headers.get("content-encoding", "none")


def answers_of(provider: Connector, limit: int, most: int, seconds: float) -> Answers:
    """How long the same request takes, again and again, once a fifth of the time has warmed it."""
    found = Answers(limit, [], 0, 0, 0, "", "")
    try:
        end = time.monotonic() + seconds / 5
        for _ in range(most):
            body, found.coding = asked(provider, limit)
            if time.monotonic() > end:
                break
        found.bytes = len(body)
        found.datasets = len(json.loads(unpacked(body, found.coding)).get("dataset", []))
        end, cpu = time.monotonic() + seconds, provider.cpu() + driver_cpu()
        while len(found.times) < most and time.monotonic() < end:
            begin = time.perf_counter()
            asked(provider, limit)
            found.times.append(time.perf_counter() - begin)
        found.cpu = provider.cpu() + driver_cpu() - cpu
    except TROUBLE as why:
        found.why = f"; {why if provider.lives() else 'the EDC ended for want of memory'}"
    return found


def unpacked(body: bytes, coding: str) -> bytes:
    return gzip.decompress(body) if coding == "gzip" else body


def number(value: float | None, digits: int = 0) -> str:
    """A figure of a table, or a dash."""
    return "–" if value is None else f"{value:,.{digits}f}"


def millis(seconds: float | None, digits: int = 0) -> str:
    return number(None if seconds is None else seconds * 1_000, digits)


def name_of(setting: int | None) -> str:
    return "the EDC as it comes" if setting is None else f"polling every {setting} ms"


def row_of(name: str, outcome: Outcome, rate: bool) -> str:
    """Latency, rate and cost of exchanges."""
    whole = outcome.whole()
    each = len(outcome.done) / outcome.seconds if rate else None
    cells = [name, millis(percentile(whole, 0.5)), millis(percentile(whole, 0.99)),
             number(each, 1), millis(outcome.cpu_each(), 1),
             f"{len(outcome.done):,}", f"{len(outcome.whys):,}"]
    return f"| {' | '.join(cells)} |"


def steps_of(outcome: Outcome) -> str:
    halves = [percentile([steps[step] for steps in outcome.done], 0.5) for step in STEPS]
    return ", ".join(f"{step} {millis(half)}" for step, half in zip(STEPS, halves))


def reasons(whys: list[str]) -> list[str]:
    """What failed how often, most often first, with what differs from case to case left out."""
    found = collections.Counter(
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", "N", why) for why in whys)
    return [f"- {times} × {' '.join(why.split())[:200]}"
            for why, times in found.most_common(MOST_REASONS)]


def report_of_setting(figures: Figures, parallel: int) -> list[str]:
    alone, loaded = figures.alone, figures.loaded
    lines = [
        f"## Exchanges, {name_of(figures.millis)}",
        "",
        "| what | p50 ms | p99 ms | a second | CPU ms each | came to data | failed |",
        "|---|---|---|---|---|---|---|",
        row_of("alone, to the first byte of data", alone, rate=False),
        row_of(f"{parallel} at a time, {loaded.seconds:.0f} s", loaded, rate=True),
        "",
        f"The p50 of each step in ms, alone: {steps_of(alone)}; {parallel} at a time: "
        f"{steps_of(loaded)}.",
        f"At rest both took {figures.at_rest:.2f} cores before, {figures.after:.2f} after. Resident at "
        f"most: provider {figures.peaks[0]:.0f} MiB, consumer {figures.peaks[1]:.0f} MiB.",
    ]
    if whys := alone.whys + loaded.whys:
        lines += ["", "Why they failed:", "", *reasons(whys)]
    return [*lines, ""]


def row_of_answers(catalogue: Catalogue, answers: Answers) -> str:
    name = "the whole" if answers.limit == catalogue.offered else f"a part of {answers.limit}"
    count = len(answers.times)
    cells = [f"{name}, of {catalogue.offered:,}", millis(percentile(answers.times, 0.5), 1),
             millis(percentile(answers.times, 0.99), 1),
             millis(answers.cpu / count if count else None, 1),
             number(answers.bytes or None), number(answers.datasets or None),
             f"{count}{answers.why}"]
    return f"| {' | '.join(cells)} |"


def report_of_catalogues(catalogues: list[Catalogue]) -> list[str]:
    lines = [
        "## Catalogue at the provider's DSP door",
        "",
        "| what | p50 ms | p99 ms | CPU ms each | bytes | datasets | answers |",
        "|---|---|---|---|---|---|---|",
    ]
    for catalogue in catalogues:
        lines += [row_of_answers(catalogue, answers) for answers in catalogue.parts]
    codings = sorted({part.coding for each in catalogues for part in each.parts if part.coding})
    lines += ["", f"Asked with `accept-encoding: gzip`; content coding of the answers: "
                  f"{', '.join(codings)}."]
    for each in catalogues:
        fewer = "" if each.offered == each.wanted else f" (of {each.wanted:,}, then time was up)"
        peak = "" if each.peak is None else f"; resident at most {each.peak:.0f} MiB"
        lines.append(f"- {each.offered:,} assets{fewer} published in {each.seconds:.0f} s{peak}.")
    return [*lines, ""]


def machine() -> str:
    """What it ran on: processors, memory, system."""
    info = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (f"{os.cpu_count()} cores ({models[0] if models else platform.machine()}), "
            f"{pages:.0f} GiB, {platform.system()} {platform.release()}")


def head(version: str, short: bool, busy: float) -> list[str]:
    java = said_by("java", "-version").splitlines()[0]
    command = "python3 oracles/edc/measure.py" + (" --short" if short else "")
    return [
        "# What an exchange costs an Eclipse EDC pair",
        "",
        *(["**A short run, which only shows that it works.**", ""] if short else []),
        "| what | version |",
        "|---|---|",
        f"| date | {datetime.date.today()} |",
        f"| command | `{command}` |",
        f"| EDC | org.eclipse.edc {version}, all stores in memory, mock identity, no TLS |",
        f"| Java | {java}, each `{' '.join(HEAP)}` |",
        f"| machine | {machine()}; load before {busy:.1f} |",
        "",
    ]


def method(effort: Effort) -> list[str]:
    return [
        "## How it was measured",
        "",
        f"Provider and consumer are processes of their own on loopback; before, {effort.warm} exchanges,",
        f"{effort.warm_parallel} at a time, warm them. An exchange is the dataset from the catalogue, a",
        "negotiation until FINALIZED, a transfer until STARTED and the data with the token that came. The",
        "consumer's EDC calls back when it is there, with agreement and token; nothing is polled by the",
        "driver. A transfer stays STARTED, since nobody ends it who pulls. CPU is user and system time of",
        "both JVMs and of the driver, which is the source of the data too, over what came to data.",
        f"Many at a time are counted once {effort.ramp_seconds:.0f} s of it have gone by, and until new ones",
        "cease to begin. What failed is not tried again and not in the latencies.",
        "Catalogues: CPU is that of the provider and the asker; one contract definition offers all.",
    ]


def report(bench: Bench, short: bool, busy: float, settings: list[Figures],
           catalogues: list[Catalogue], whys: list[str]) -> str:
    lines = head(bench.jars.version, short, busy)
    for figures in settings:
        lines += report_of_setting(figures, bench.effort.parallel)
    if catalogues:
        lines += report_of_catalogues(catalogues)
    if whys:
        lines += ["## What could not be measured", "", *(f"- {why}" for why in whys), ""]
    return "\n".join([*lines, *method(bench.effort)]) + "\n"


def measure(bench: Bench) -> tuple[list[Figures], list[Catalogue], list[str]]:
    """All of it; what fails as a whole is said, and the rest goes on."""
    settings, catalogues, whys = [], [], []
    for setting in SETTINGS:
        say(name_of(setting))
        try:
            settings.append(bench.setting(setting))
        except TROUBLE as why:
            whys.append(f"exchanges, {name_of(setting)}: {why!r}")
    for count in bench.effort.assets:
        try:
            catalogues.append(bench.catalogue(count))
        except TROUBLE as why:
            whys.append(f"a catalogue of {count:,}: {why!r}")
    return settings, catalogues, whys


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--short", action="store_true", help="few of each, to see that it works")
    arguments.add_argument("--result", type=pathlib.Path, help="where the report goes as well")
    arguments = arguments.parse_args()
    wanted, busy = os.environ.get("EDC_VERSION"), os.getloadavg()[0]
    jars = Jars(run.HERE, [wanted] if wanted else run.VERSIONS)
    server = Server(("127.0.0.1", 0), Source)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as place:
        source = f"http://127.0.0.1:{server.server_port}"
        bench = Bench(jars, pathlib.Path(place), source, SHORT if arguments.short else FULL)
        settings, catalogues, whys = measure(bench)
    text = report(bench, arguments.short, busy, settings, catalogues, whys)
    print(text, end="")
    if arguments.result:
        arguments.result.write_text(text, "utf-8")
    sys.exit(1 if whys else 0)


if __name__ == "__main__":
    main()
