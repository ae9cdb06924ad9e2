#!/usr/bin/env python3
"""Measures how long `serve --conformance` takes from its start to the last line that says it is ready.

    python3 tools/double_start.py PROGRAM [RUNS]

With the script of docs/test-double.md, as a test would start it; one start after the other.
Python 3.11, standard library only.
"""

import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

PAGE = pathlib.Path(__file__).parent.parent / "docs/test-double.md"


def started(program, script):
    """The milliseconds until it is ready; it is stopped then."""
    command = [program, "--json", "serve", "--conformance", script]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ready = any(line.rstrip() == "}" for line in process.stdout)
        took = (time.monotonic() - begun) * 1000
        process.terminate()
    if not ready or process.returncode != 0:
        sys.exit(f"double_start: {program} ended with {process.returncode}, ready: {ready}")
    return took


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    program = str(pathlib.Path(sys.argv[1]).resolve())
    runs = int(sys.argv[2]) if len(sys.argv) == 3 else 20
    with tempfile.TemporaryDirectory() as place:
        script = pathlib.Path(place, "script.toml")
        script.write_text(PAGE.read_text().split("```toml\n")[1].split("```")[0])
        took = sorted(started(program, str(script)) for _ in range(runs))
    middle = statistics.median(took)
    print(f"{runs} starts: {took[0]:.0f} to {took[-1]:.0f} ms, median {middle:.0f} ms")


if __name__ == "__main__":
    main()
