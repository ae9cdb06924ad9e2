"""What an exchange and a catalogue cost an Eclipse EDC pair: the figures to hold ours against.

    python3 oracles/edc/measure.py [--short] [--result FILE]

Two EDC connectors on loopback, each in a JVM of its own with a small heap, first as they come, then
polling every 50 ms. An exchange is the dataset from the catalogue, a negotiation until FINALIZED, a
transfer until STARTED, and the data with the token that came: to their first byte; then the
transfer is ended. First one at a time, then 64 at a time. Last, a provider that has just started is
asked at its DSP door for its catalogue, of 1,000 assets and of 10,000.

EDC looks through all that its stores in memory hold whenever it polls, so that each exchange costs
those that follow, above all at 50 ms; and it is long until Java has compiled what it runs. So few
come before the measurement (`--warm`), and the report says how many were held already and what the
compilers took. The driver does not poll: the consumer's EDC calls back, once with the agreement and
once with the token, so that no look at its management API is paid for and no wait between two looks
is counted. Before and after that the same is measured of two Twinpact nodes (ours.py), and both are
held against each other. `--short` makes few of each, only to show that it works. Needs what run.py needs, and
Linux.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import datetime
import gzip
import json
import os
import pathlib
import platform
import re
import signal
import sys
import tempfile
import threading
import time
import typing

import ours
import run
from jars import Jars, said_by
from pair import (CLIENT, CONSUMER, HEAP, PATIENCE, PROVIDER, STEPS, TROUBLE, Connector, Cpu, Failed,
                  Pair, Server, Source, driver_cpu)

# Milliseconds between two looks of an EDC; None: what it does by itself.
SETTINGS: list[int | None] = [None, 50]
MESSAGE_CONTEXT = ["https://w3id.org/dspace/2025/1/context.jsonld",
                   "https://w3id.org/edc/dspace/v0.0.1"]
PART = 100
# Threads that publish assets: enough to keep both cores busy.
PUBLISHERS = 4
# Seconds in which the ends of many transfers are over, before the next is measured.
SETTLE = 3
# Reasons for failures that are listed.
MOST_REASONS = 4


@dataclasses.dataclass(frozen=True)
class Effort:
    """How much is done of what; counts are bounded in seconds too."""

    warm: int
    warm_parallel: int
    warm_seconds: float
    alone: int
    alone_seconds: float
    parallel: int
    # What comes before it is steady, and is not counted.
    ramp_seconds: float
    load_seconds: float
    again: int
    again_seconds: float
    assets: tuple[int, ...]
    publish_seconds: float
    answers: int
    answer_seconds: float


FULL = Effort(warm=100, warm_parallel=16, warm_seconds=120, alone=200, alone_seconds=120,
              parallel=64, ramp_seconds=20, load_seconds=60, again=20, again_seconds=30,
              assets=(1_000, 10_000), publish_seconds=180, answers=50, answer_seconds=60)
SHORT = Effort(warm=30, warm_parallel=16, warm_seconds=10, alone=10, alone_seconds=8,
               parallel=64, ramp_seconds=4, load_seconds=6, again=3, again_seconds=5,
               assets=(500,), publish_seconds=15, answers=10, answer_seconds=4)


@dataclasses.dataclass
class Outcome:
    """What came of exchanges in these seconds, and the CPU time of that."""

    done: list[dict[str, float]]
    whys: list[str]
    seconds: float
    cpu: Cpu
    held_before: int

    def __str__(self) -> str:
        return f"{len(self.done)} in {self.seconds:.0f} s, {len(self.whys)} failed"

    def whole(self) -> list[float]:
        return [sum(steps.values()) for steps in self.done]

    def each(self, cpu: float) -> float | None:
        return cpu / len(self.done) if self.done else None


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
            more = self.left >= 0 and time.monotonic() < self.end
            self.pair.held += more
            return more

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
        """Waits for what has begun, no longer than its steps may take."""
        last = max(self.end, time.monotonic()) + len(STEPS) * PATIENCE
        for thread in self.threads:
            thread.join(max(0, last - time.monotonic()))

    def between(self, begin: float, end: float, cpu: Cpu, held: int) -> Outcome:
        """What ended in that time."""
        done = [steps for at, steps in list(self.done) if begin <= at < end]
        whys = [why for at, why in list(self.whys) if begin <= at < end]
        return Outcome(done, whys, end - begin, cpu, held)


def exchanges(pair: Pair, threads: int, most: int, seconds: float) -> Outcome:
    """So many exchanges, to the end of the last."""
    begin, held, cpu = time.monotonic(), pair.held, pair.cpu()
    crowd = Crowd(pair, threads, most, seconds)
    crowd.join()
    pair.must_live()
    return crowd.between(begin, time.monotonic(), pair.cpu().since(cpu), held)


def load(pair: Pair, effort: Effort) -> Outcome:
    """Exchanges many at a time, of which those are counted that end once it is steady."""
    crowd = Crowd(pair, effort.parallel, sys.maxsize, effort.ramp_seconds + effort.load_seconds)
    time.sleep(effort.ramp_seconds)
    begin, held, cpu = time.monotonic(), pair.held, pair.cpu()
    time.sleep(effort.load_seconds)
    end, cpu = time.monotonic(), pair.cpu().since(cpu)
    crowd.join()
    pair.must_live()
    return crowd.between(begin, end, cpu, held)


def idle(pair: Pair, seconds: float = 3) -> float:
    """How many cores both take while nothing is asked."""
    before = pair.cpu()
    time.sleep(seconds)
    return pair.cpu().since(before).whole / seconds


def percentile(values: list[float], part: float) -> float | None:
    """The value that this part of them does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None


@dataclasses.dataclass
class Figures:
    """What one setting came to."""

    millis: int | None
    fresh: float
    alone: Outcome
    loaded: Outcome
    again: Outcome
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
            fresh = idle(pair)
            warm = exchanges(pair, effort.warm_parallel, effort.warm, effort.warm_seconds)
            say(f"warm: {warm}")
            time.sleep(SETTLE)
            alone = exchanges(pair, 1, effort.alone, effort.alone_seconds)
            say(f"alone: {alone}")
            loaded = load(pair, effort)
            say(f"{effort.parallel} at a time: {loaded}")
            time.sleep(SETTLE)
            again = exchanges(pair, 1, effort.again, effort.again_seconds)
            say(f"alone again: {again}")
            peaks = (provider.peak(), consumer.peak())
            return Figures(millis, fresh, alone, loaded, again, idle(pair), peaks)

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
    cpu: Cpu
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
                this = next(numbers, None)
            if this is None:
                break
            provider.must("POST", "/v3/assets", {
                "@type": "Asset", "@id": f"asset-{this}", "dataAddress": address,
                "properties": {"name": f"asset {this}"}})
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
    found = Answers(limit, [], Cpu(0, 0), 0, 0, "", "")
    try:
        end = time.monotonic() + seconds / 5
        for _ in range(most):
            body, found.coding = asked(provider, limit)
            if time.monotonic() > end:
                break
        found.bytes = len(body)
        found.datasets = len(json.loads(unpacked(body, found.coding)).get("dataset", []))
        end, cpu = time.monotonic() + seconds, provider.cpu().plus(driver_cpu())
        while len(found.times) < most and time.monotonic() < end:
            begin = time.perf_counter()
            asked(provider, limit)
            found.times.append(time.perf_counter() - begin)
        found.cpu = provider.cpu().plus(driver_cpu()).since(cpu)
    except TROUBLE as why:
        found.why = f"; {why if provider.lives() else 'the EDC ended for want of memory'}"
    return found


def unpacked(body: bytes, coding: str) -> bytes:
    return gzip.decompress(body) if coding == "gzip" else body


def number(value: float | None, digits: int = 0) -> str:
    """A figure of a table, or a dash."""
    return "–" if value is None else f"{value:,.{digits}f}"


def in_ms(seconds: float | None, digits: int = 0) -> str:
    return number(None if seconds is None else seconds * 1_000, digits)


def name_of(setting: int | None) -> str:
    return "the EDC as it comes" if setting is None else f"polling every {setting} ms"


def row_of(name: str, outcome: Outcome, rate: bool) -> str:
    """Latency, rate and cost of exchanges."""
    whole = outcome.whole()
    a_second = len(outcome.done) / outcome.seconds if rate else None
    cells = [name, f"{outcome.held_before:,}",
             in_ms(percentile(whole, 0.5)), in_ms(percentile(whole, 0.99)), number(a_second, 1),
             in_ms(outcome.each(outcome.cpu.whole)), in_ms(outcome.each(outcome.cpu.compilers)),
             f"{len(outcome.done):,}", f"{len(outcome.whys):,}"]
    return f"| {' | '.join(cells)} |"


def steps_of(outcome: Outcome) -> str:
    halves = [percentile([steps[step] for steps in outcome.done], 0.5) for step in STEPS]
    return ", ".join(f"{step} {in_ms(half)}" for step, half in zip(STEPS, halves))


def reasons(whys: list[str]) -> list[str]:
    """What failed how often, most often first, with what differs from case to case left out."""
    found = collections.Counter(
        re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+", "N", why) for why in whys)
    return [f"- {times} × {' '.join(why.split())[:200]}"
            for why, times in found.most_common(MOST_REASONS)]


def report_of_setting(figures: Figures, parallel: int) -> list[str]:
    alone, loaded, again = figures.alone, figures.loaded, figures.again
    lines = [
        f"## Exchanges, {name_of(figures.millis)}",
        "",
        "| what | held before | p50 ms | p99 ms | a second | CPU ms each | of it compilers | "
        "came to data | failed |",
        "|---|---|---|---|---|---|---|---|---|",
        row_of("alone, to the first byte of data", alone, rate=False),
        row_of(f"{parallel} at a time, {loaded.seconds:.0f} s", loaded, rate=True),
        row_of("alone again", again, rate=False),
        "",
        f"The p50 of each step in ms, alone: {steps_of(alone)}; {parallel} at a time: "
        f"{steps_of(loaded)}.",
        f"At rest both took {figures.fresh:.2f} cores when fresh, {figures.after:.2f} after all that. "
        f"Resident at most: provider {figures.peaks[0]:.0f} MiB, "
        f"consumer {figures.peaks[1]:.0f} MiB.",
    ]
    if whys := alone.whys + loaded.whys + again.whys:
        lines += ["", "Why they failed:", "", *reasons(whys)]
    return [*lines, ""]


def row_of_answers(catalogue: Catalogue, answers: Answers) -> str:
    name = "the whole" if answers.limit == catalogue.offered else f"a part of {answers.limit}"
    count = len(answers.times)
    cells = [f"{name}, of {catalogue.offered:,}", in_ms(percentile(answers.times, 0.5), 1),
             in_ms(percentile(answers.times, 0.99), 1),
             in_ms(answers.cpu.whole / count if count else None, 1),
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
        f"| EDC | org.eclipse.edc {version}, stores in memory, mock identity, no TLS |",
        f"| Java | {java}, each `{' '.join(HEAP)}` |",
        f"| machine | {machine()}; load before {busy:.1f} |",
        "",
    ]


def method(effort: Effort) -> list[str]:
    return [
        "## How it was measured",
        "",
        f"Provider and consumer are processes of their own on loopback; {effort.warm} exchanges before,",
        f"{effort.warm_parallel} at a time, warm them. An exchange is the dataset from the catalogue, a",
        "negotiation until FINALIZED, a transfer until STARTED and the data with the token that came;",
        "latencies are of that, to the first byte of data. Then the consumer ends the transfer, which",
        "goes on by itself and is in the CPU time. The consumer's EDC calls the driver back with",
        "agreement and token; the driver polls nothing. CPU is user and system time of both JVMs and of",
        "the driver, which is the source of the data too, over the exchanges that came to data; the",
        "part of Java's compilers would end some day. Many at a time are counted once",
        f"{effort.ramp_seconds:.0f} s have gone by, until no new ones begin. What failed is not tried",
        "again and is not in the latencies. `held before`: the negotiations that the stores held by",
        "then. EDC looks through its stores in memory whenever it polls, so that each that is held",
        "costs those that follow, and the pair at rest; a database would have an index.",
        "",
        "One contract definition offers all assets of a catalogue; its CPU is that of the provider and",
        "of who asks.",
    ]


def ratios(bench: Bench, own: list[ours.Ours], settings: list[Figures],
           catalogues: list[Catalogue]) -> list[str]:
    """The EDC's figures as the table takes them."""
    def millis(seconds: float | None) -> float | None:
        return None if seconds is None else seconds * 1_000

    theirs = [ours.Theirs(millis(percentile(figures.alone.whole(), 0.5)),
                          len(figures.loaded.done) / figures.loaded.seconds,
                          millis(figures.loaded.each(figures.loaded.cpu.whole)))
              for figures in settings]
    parts = [millis(percentile(part.times, 0.5)) for part in catalogues[-1].parts] \
        if catalogues else [None, None]
    names = [name_of(figures.millis) for figures in settings]
    return ours.table(own, theirs, parts, names, bench.effort.parallel)


def report(bench: Bench, short: bool, busy: float, settings: list[Figures],
           catalogues: list[Catalogue], whys: list[str], own: list[ours.Ours]) -> str:
    lines = head(bench.jars.version, short, busy)
    lines += ratios(bench, own, settings, catalogues)
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
    arguments.add_argument("--warm", type=int, help="how many exchanges come before")
    arguments = arguments.parse_args()
    effort = SHORT if arguments.short else FULL
    if arguments.warm is not None:
        effort = dataclasses.replace(effort, warm=arguments.warm)
    wanted, busy = os.environ.get("EDC_VERSION"), os.getloadavg()[0]
    jars = Jars(run.HERE, [wanted] if wanted else run.VERSIONS)
    # The connectors are stopped then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = Server(("127.0.0.1", 0), Source)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as place:
        source = f"http://127.0.0.1:{server.server_port}"
        bench = Bench(jars, pathlib.Path(place), source, effort)
        seconds = round(effort.load_seconds)
        ours.build()
        say("two Twinpact nodes")
        own = [ours.measured(seconds)]
        settings, catalogues, whys = measure(bench)
        say("two Twinpact nodes again")
        own.append(ours.measured(seconds))
    text = report(bench, arguments.short, busy, settings, catalogues, whys, own)
    print(text, end="")
    if arguments.result:
        arguments.result.write_text(text, "utf-8")
    sys.exit(1 if whys else 0)


if __name__ == "__main__":
    main()
