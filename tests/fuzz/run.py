"""Fuzz one target: `python -m tests.fuzz.run TARGET [--runs N] [--seed S] [--seconds S]`.

Prints how many cases were tried, how much of the code they reached and how long it took; where one fails, its
traceback and the input, and how to try that again. `--input` tries one input, which needs no fuzzer.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.targets import ROOMS, target

HOUSE = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
"""A file system without a disk, where there is one: some targets write a file for each case."""
SLOWEST = 20
"""Seconds after which a case counts as one that never ends."""


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 where no case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run")
    parser.add_argument("target", choices=ROOMS)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="the same seed tries the same cases; 0: any")
    parser.add_argument("--seconds", type=int, default=3_600, help="after which it stops")
    parser.add_argument(
        "--input", type=ast.literal_eval, help="try this one input, a Python literal of bytes"
    )
    parser.add_argument("--planted", action="store_true", help="put a defect in, to see it found")
    given = parser.parse_args(arguments)
    if given.input is not None:
        if given.planted:
            target(given.target).defect()
        target(given.target).check(given.input)
        return 0
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        return _fuzz(given, Path(folder))


def _fuzz(given: argparse.Namespace, folder: Path) -> int:
    flags = [f"-runs={given.runs}", f"-seed={given.seed}", f"-timeout={SLOWEST}"]
    flags.append(f"-max_total_time={given.seconds}")
    began = time.monotonic()
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.fuzz.loop",
            given.target,
            str(folder),
            "planted" if given.planted else "",
            *flags,
        ],
        cwd=HOUSE,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    seconds = time.monotonic() - began
    done = re.search(r"^#(\d+)\tDONE +cov: (\d+) ft: \d+ corp: (\d+)", ended.stdout, re.MULTILINE)
    if ended.returncode == 0 and done:
        cases, edges, kept = map(int, done.groups())
        print(
            f"{given.target}: {cases:,} cases in {seconds:.0f} s ({cases / seconds:,.0f} a second), "
            f"{edges} edges, {kept} inputs kept"
        )
        return 0
    said = ended.stdout.partition("=== Uncaught Python exception: ===")
    print(re.split(r"^==\d+== ", said[2] or said[0], flags=re.MULTILINE)[0].strip()[-8_000:])
    for left in [*folder.glob("crash-*"), *folder.glob("timeout-*"), *folder.glob("oom-*")]:
        print(f"It fails with the input\n{left.read_bytes()!r}\nTry it again with --input.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
