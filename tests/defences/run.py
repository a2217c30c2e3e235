"""`make defences`: every defence of `SECURITY.md` switched off, one at a time, and every test of it seen to fail.

`python -m tests.defences.run [NAME…]`. Each switch is thrown in a copy of the tree, where its tests then run;
before that, all of them pass in a copy with nothing switched off, so that a failure is the switch's doing.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.defences.page import named_in, rows, threat, without_parameter
from tests.defences.switch import ROOT, Switch
from tests.defences.switches import SWITCHES

AT_ONCE = 2
TEST_LIMIT = 60
"""Seconds for one test."""
LIMIT = 300
"""Seconds for the tests of one switch."""
CONTROL_LIMIT = 900
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", ".coverage*", "photographs", "dist", "build"
)
_BROKEN = re.compile(
    r"(\w+\.)*(ImportError|ModuleNotFoundError|SyntaxError|IndentationError|NameError|UnboundLocalError)\b"
)
"""What a test fails with where the switch has broken the source, which shows nothing."""
FAILED, SURVIVED, PASSED = "failed as it should", "SURVIVED", "passed"


@dataclass(frozen=True)
class Seen:
    """What became of one test with a switch thrown."""

    switch: Switch
    test: str
    outcome: str


def copied(to: Path) -> Path:
    """The tree, without what was made in it."""
    root = to / "tree"
    shutil.copytree(ROOT, root, ignore=_LEFT_OUT, symlinks=True)
    return root


def outcomes(root: Path, tests: Sequence[str], *, limit: float, long: bool) -> dict[str, str]:
    """What becomes of each test in a copy; the worst of a test's parameters counts."""
    # In front of the folder that an editable installation names, for every child too.
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    if long:
        environment["IC_TEST_LONG"] = "1"
    place = subprocess.run(
        [sys.executable, "-c", "import ic_notebook; print(ic_notebook.__file__)"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()
    if not Path(place).is_relative_to(root):
        raise RuntimeError(f"The tests would run against {place}.")
    report = root.parent / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", f"--timeout={TEST_LIMIT}"]
    command += [f"--junitxml={report}", "-o", "junit_family=xunit1", *tests]
    with (root.parent / "output").open("wb") as output:
        running = subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            running.wait(limit)
        except subprocess.TimeoutExpired:
            return dict.fromkeys(tests, f"no end within {limit:.0f} s")
        finally:
            # With what its tests have started: kernels, servers and browsers.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    found = dict.fromkeys(tests, "not run")
    if report.is_file():
        for name, outcome in _reported(report):
            for test in {name, without_parameter(name)} & found.keys():
                if found[test] in {"not run", PASSED}:
                    found[test] = outcome
    return found


def _reported(report: Path) -> Iterator[tuple[str, str]]:
    for case in ET.parse(report).getroot().iter("testcase"):
        yield f"{case.get('file')}::{case.get('name')}", _outcome(case)


def _outcome(case: ET.Element) -> str:
    failure, error, skipped = (case.find(kind) for kind in ("failure", "error", "skipped"))
    if error is not None:
        return f"error: {_line(error)}"
    if skipped is not None:
        return f"skipped: {_line(skipped)}"
    if failure is None:
        return PASSED
    return f"broken: {_line(failure)}" if _BROKEN.match(failure.get("message") or "") else FAILED


def _line(element: ET.Element) -> str:
    return (element.get("message") or "").partition("\n")[0][:120]


def thrown(switch: Switch) -> list[Seen]:
    """Throw one switch in a copy of its own, and see what its tests say."""
    with tempfile.TemporaryDirectory(prefix="ic-defences-") as folder:
        root = copied(Path(folder))
        for edit in switch.edits:
            edit.make(root)
        seen = outcomes(root, switch.tests, limit=LIMIT, long=switch.long)
    return [Seen(switch, test, SURVIVED if outcome == PASSED else outcome) for test, outcome in seen.items()]


def control(switches: Sequence[Switch]) -> dict[str, str]:
    """The tests that do not pass although nothing is switched off."""
    seen: dict[str, str] = {}
    for long in (False, True):
        tests = list(dict.fromkeys(test for each in switches if each.long is long for test in each.tests))
        if tests:
            with tempfile.TemporaryDirectory(prefix="ic-defences-") as folder:
                seen |= outcomes(copied(Path(folder)), tests, limit=CONTROL_LIMIT, long=long)
    return {test: outcome for test, outcome in seen.items() if outcome != PASSED}


def table(seen: Sequence[Seen]) -> str:
    """Row, defence, test, and what it did."""
    lines = []
    for row in rows():
        named = named_in(row)
        lines += [
            f"{threat(row)} | {each.switch.name}: {each.switch.defence} | {each.test} | {each.outcome}"
            for each in seen
            if without_parameter(each.test) in named
        ]
    return "\n".join(lines)


def main(names: Sequence[str]) -> int:
    """Throw the switches of these names, or all."""
    unknown = set(names) - {switch.name for switch in SWITCHES}
    if unknown:
        print(f"No such switch: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    switches = [switch for switch in SWITCHES if not names or switch.name in names]
    began = time.monotonic()
    without = control(switches)
    for test, outcome in without.items():
        print(f"with nothing switched off: {test}: {outcome}")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = [each for one in pool.map(thrown, switches) for each in one]
    print(table(seen))
    wrong = [each for each in seen if each.outcome != FAILED]
    tests = len({each.test for each in seen})
    print(
        f"\n{len(switches)} switches, {tests} tests, {len(seen)} runs in {time.monotonic() - began:.0f} s: "
        f"{len(seen) - len(wrong)} failed as they should, {len(wrong)} did not."
    )
    for each in wrong:
        print(f"  {each.switch.name}: {each.test}: {each.outcome}")
    return 1 if wrong or without else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
