"""What ic_notebook costs, measured beside its peers, all in one run: `make bench`.

    python -m tests.benchmarks.run [--only NAME] [--quick] [--markdown]

Everything is measured in turns with what it is compared with, round by round, so that a busy computer is busy
for all of them. A row that measures the same thing twice shows what is noise.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import sys
import time
import traceback

import ic_notebook
from tests.benchmarks import (
    at_once,
    import_time,
    memory,
    panel_time,
    redirect_time,
    storm,
    to_connect,
    warm_request,
)
from tests.benchmarks.tables import Effort, Line, Result, version

BENCHMARKS = {
    "import": import_time,
    "panel": panel_time,
    "warm": warm_request,
    "at-once": at_once,
    "storm": storm,
    "to-connect": to_connect,
    "redirect": redirect_time,
    "memory": memory,
}
PACKAGES = (
    "httpx", "httpx2", "requests", "authlib", "globus-sdk", "google-auth", "httpx-auth", "huggingface-hub",
    "mcp", "msal", "tokentoss", "anywidget", "jupyterlab", "ipykernel",
)  # fmt: skip
COLUMNS = ("what", "ic_notebook", "beside", "to reach", "reached")


def circumstances() -> str:
    """When, on what, and with which versions."""
    versions = [f"{name} {version(name) or 'not installed'}" for name in PACKAGES]
    load = f", load {os.getloadavg()[0]:.1f} when it began" if hasattr(os, "getloadavg") else ""
    return (
        f"{dt.datetime.now(tz=dt.timezone.utc):%Y-%m-%d}, ic_notebook {ic_notebook.__version__}, "
        f"Python {platform.python_version()}, {platform.system()}, {os.cpu_count()} cores{load}; "
        f"{', '.join(versions)}."
    )


def markdown(lines: list[Line]) -> str:
    """The README's form."""
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(_cells(line) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def summary(lines: list[Line]) -> str:
    """The same to read in a terminal."""
    blocks = []
    for line in lines:
        what, *rest = _cells(line)
        words = [f"  {name + ':':13}{cell}" for name, cell in zip(COLUMNS[1:], rest, strict=True)]
        blocks.append("\n".join([what, *words]))
    return "\n\n".join(blocks)


def _cells(line: Line) -> tuple[str, ...]:
    return (line.what, line.ours, line.beside, line.to_reach, line.reached)


def results(names: list[str], effort: Effort) -> dict[str, Result]:
    """Each of these; one that fails says so, and the others go on."""
    found = {}
    for name in names:
        began = time.monotonic()
        try:
            found[name] = BENCHMARKS[name].measure(effort)
        except Exception:
            print(f"{name} failed:\n{traceback.format_exc()}", file=sys.stderr)
            continue
        print("\n\n".join(table.text() for table in found[name].tables), file=sys.stderr)
        print(f"({name}: {time.monotonic() - began:.0f} s)\n", file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", action="append", choices=list(BENCHMARKS), help="one of them; may be repeated"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, while working on them")
    parser.add_argument("--markdown", action="store_true", help="the summary as the README has it")
    given = parser.parse_args()
    head = circumstances()
    names = given.only or list(BENCHMARKS)
    found = results(names, "quick" if given.quick else "full")
    lines = [line for result in found.values() for line in result.lines]
    print(f"{head}\n\n{markdown(lines) if given.markdown else summary(lines)}")
    return 0 if len(found) == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
