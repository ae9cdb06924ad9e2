"""What the same costs two Twinpact nodes, by the benches of this repository, in the run in which
measure.py measures the EDC pair; and the table that holds both against each other."""

import dataclasses
import os
import pathlib
import re
import subprocess
import typing

ROOT = pathlib.Path(__file__).resolve().parents[2]
FIRST = "alone: negotiation, pull to the first byte"
PART, KNOWN, WHOLE = "a part of 100", "a part of 100, unchanged", "the whole, compressed"
LINE = re.compile(r"^(?P<name>.+?) {2,}(?P<half>[\d.]+) +(?P<most>[\d.]+) +(?P<cpu>[\d.]+)$")
RATE = re.compile(r"^\d+ exchanges in [\d.]+s: (\d+) a second")


@dataclasses.dataclass(frozen=True)
class Cost:
    """Milliseconds: what half of them took at most, what 99 of 100 did, and CPU of each."""

    half: float
    most: float
    cpu: float


@dataclasses.dataclass(frozen=True)
class Ours:
    """One time that the benches ran."""

    costs: dict[str, Cost]
    rate: float

    def at_a_time(self) -> Cost:
        return next(cost for name, cost in self.costs.items() if name.endswith(" at a time"))


def bench(name: str, seconds: int) -> list[str]:
    """The lines of a bench, which is built first if it has to be."""
    command = ["cargo", "bench", "-q", "-p", "twinpact-gateway", "--bench", name]
    env = {**os.environ, "TWINPACT_LOAD_SECONDS": str(seconds)}
    ran = subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout.splitlines()


def build() -> None:
    """So that nothing is built while something is measured."""
    for name in ("load", "catalog"):
        command = ["cargo", "bench", "-q", "-p", "twinpact-gateway", "--bench", name, "--no-run"]
        subprocess.run(command, cwd=ROOT, check=True)


def measured(seconds: int) -> Ours:
    costs, rate = {}, 0.0
    for line in [*bench("load", seconds), *bench("catalog", seconds)]:
        if found := LINE.match(line):
            figures = [float(found[part]) for part in ("half", "most", "cpu")]
            costs[found["name"].strip()] = Cost(*figures)
        elif found := RATE.match(line):
            rate = float(found[1])
    wanted = [FIRST, PART, KNOWN, WHOLE]
    if missing := [name for name in wanted if name not in costs] or not rate:
        raise RuntimeError(f"the benches do not say {missing}")
    return Ours(costs, rate)


def told(values: list[float], digits: int) -> str:
    """Each time that was measured."""
    return " / ".join(f"{value:,.{digits}f}" for value in values)


def row(name: str, ours: list[float], digits: int, unit: str, theirs: list[float | None],
        more_is_better: bool = False) -> str:
    """Ours, and theirs with how many times as good ours is."""
    mean = sum(ours) / len(ours)
    cells = [name, f"{told(ours, digits)}{unit}"]
    for value in theirs:
        times = None if not value else mean / value if more_is_better else value / mean
        cells += ["–", "–"] if times is None else [f"{value:,.{digits}f}{unit}", f"{times:,.1f}"]
    return f"| {' | '.join(cells)} |"


class Theirs(typing.NamedTuple):
    """What one setting of the EDC came to: alone, many at a time, CPU of each; none that failed."""

    alone: float | None
    rate: float | None
    cpu: float | None


def table(ours: list[Ours], theirs: list[Theirs], parts: list[float | None],
          names: list[str], parallel: int) -> list[str]:
    """The ratios. `parts` are the p50 of a part and of the whole of the EDC's largest catalogue."""
    def each(value: typing.Callable[[Ours], float]) -> list[float]:
        return [value(one) for one in ours]

    columns = "".join(f" {name} | ratio |" for name in names)
    nothing: list[float | None] = [None] * (len(names) - 1)
    part, whole = parts
    return [
        "## Beside two Twinpact nodes",
        "",
        "In the same run, before and after the EDC pair: `cargo bench -p twinpact-gateway --bench load`",
        "and `--bench catalog`. Ours is with mutual TLS, `fdatasync` before every answer, every policy",
        "decided, and receipts that both have signed. A ratio is how many times as good the mean of",
        "ours is.",
        "",
        f"| what | ours |{columns}",
        f"|---|---|{'---|---|' * len(names)}",
        row("alone, to the first byte of data, p50", each(lambda one: one.costs[FIRST].half), 1, " ms",
            [one.alone for one in theirs]),
        row(f"{parallel} at a time, a second", each(lambda one: one.rate), 1, "",
            [one.rate for one in theirs], more_is_better=True),
        row("CPU of each then", each(lambda one: one.at_a_time().cpu), 1, " ms",
            [one.cpu for one in theirs]),
        row("a part of 100 of a catalogue of 10,000, p50", each(lambda one: one.costs[PART].half), 1,
            " ms", [part, *nothing]),
        row("the same when it is known, p50; theirs is sent again",
            each(lambda one: one.costs[KNOWN].half), 1, " ms", [part, *nothing]),
        row("the whole of it, p50; ours compressed", each(lambda one: one.costs[WHOLE].half), 1, " ms",
            [whole, *nothing]),
        "",
    ]
