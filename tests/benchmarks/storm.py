"""A refresh storm: callers that all find at once that the access token has ended, at a token endpoint of 300 ms."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.benchmarks.servers import loopback, own_environment, process, seen
from tests.benchmarks.storm_peers import KINDS, SECOND_LOOK
from tests.benchmarks.tables import NOT_INSTALLED, Effort, Line, Result, Table, median, version, yes_or_no

TOKEN_SECONDS = 0.3
TASKS, THREADS, PROCESSES = 1_000, 64, 8
IN_EACH = THREADS // PROCESSES
"""Threads (or tasks) of each process, where there are several."""
ROUNDS: dict[Effort, int] = {"full": 5, "quick": 1, "least": 1}
OURS = ("Session, in memory", "Session, shared")
TIMES = 1.5
WAYS = {
    "tasks": f"{TASKS:,} tasks",
    "threads": f"{THREADS} threads",
    "processes": f"{PROCESSES} processes of {IN_EACH} callers",
}


class Storms:
    """Processes of one kind; each storm finds a sign-in of its own that has ended."""

    def __init__(self, name: str, url: str, folder: Path, count: int, stack: contextlib.ExitStack) -> None:
        self._url = url
        self._ways = KINDS[name][1].ways
        environment = own_environment(folder, NO_PROXY="127.0.0.1")
        arguments = ("-W", "ignore", "-m", "tests.benchmarks.storm_caller", name, url, str(folder))
        self._callers = [stack.enter_context(process(*arguments, env=environment)) for _ in range(count)]
        self._number = 0

    def run(self, way: str, tasks: int, threads: int) -> tuple[int, float, int]:
        """One storm: refreshes, milliseconds until the slowest caller has its answer, calls that failed."""
        self._number += 1
        callers = self._callers if way == "processes" else self._callers[:1]
        count = tasks if way == "tasks" else threads // len(callers)
        _ask(callers[0], do="seed", number=self._number)
        tasks_alone = way == "tasks" or "threads" not in self._ways
        for caller in callers:
            _tell(caller, do="tasks" if tasks_alone else "threads", count=count, number=self._number)
        for caller in callers:
            _hear(caller)
        seen(self._url)
        began = time.time()
        for caller in callers:
            _tell(caller)
        answers = [_hear(caller) for caller in callers]
        failed = sum(sum(answer["failures"].values()) for answer in answers)
        refreshes = sum("token" in request for request in seen(self._url))
        return refreshes, (max(answer["last"] for answer in answers) - began) * 1e3, failed


def _tell(caller: subprocess.Popen[str], **order: Any) -> None:
    assert caller.stdin is not None
    caller.stdin.write(json.dumps(order) + "\n")
    caller.stdin.flush()


def _hear(caller: subprocess.Popen[str]) -> dict[str, Any]:
    assert caller.stdout is not None
    words: dict[str, Any] = json.loads(caller.stdout.readline())
    return words


def _ask(caller: subprocess.Popen[str], **order: Any) -> dict[str, Any]:
    _tell(caller, **order)
    return _hear(caller)


def one_refresh(url: str) -> float:
    """Milliseconds of a bare token request."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    began = time.perf_counter()
    with opener.open(f"{url}/token", data=b"grant_type=refresh_token", timeout=30) as answer:
        answer.read()
    return (time.perf_counter() - began) * 1e3


def storms_of(
    name: str, url: str, effort: Effort
) -> tuple[dict[str, list[tuple[int, float, int]]], list[float]]:
    """What came of each way's storms, and one bare refresh beside each of them."""
    tasks, threads, processes = (20, 4, 2) if effort == "least" else (TASKS, THREADS, PROCESSES)
    came: dict[str, list[tuple[int, float, int]]] = {}
    bare = []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ways = KINDS[name][1].ways
        count = processes if "processes" in ways else 1
        storms = Storms(name, url, Path(folder), count, stack)
        for turn in range(effort == "least", ROUNDS[effort] + 1):
            for way in ways:
                outcome = storms.run(way, tasks, threads)
                # The first warms up: a process of a notebook has imported what it calls with.
                if turn:
                    came.setdefault(way, []).append(outcome)
                    bare.append(one_refresh(url))
    return came, bare


def measure(effort: Effort) -> Result:
    there = [name for name, (peer, _) in KINDS.items() if peer is None or version(peer)]
    names = list(OURS) if effort == "least" else there
    all_came: dict[str, dict[str, list[tuple[int, float, int]]]] = {}
    bare: list[float] = []
    with loopback(token_seconds=TOKEN_SECONDS) as url:
        for name in names:
            all_came[name], beside = storms_of(name, url, effort)
            bare += beside
    refresh = median(bare)
    rows = [_row(name, all_came.get(name), refresh) for name in KINDS]
    columns = ("", *(f"{words}: refreshes, slowest ÷ one refresh" for words in WAYS.values()))
    notes = [
        f"One bare token request: {refresh:.0f} ms. A server that lets a refresh token be used once would have",
        "ended the sign-in of whoever refreshed more than once. - : that library is not for this.",
    ]
    return Result([_line(all_came, refresh)], [Table("Refresh storm", columns, rows, notes)])


def _row(name: str, came: dict[str, list[tuple[int, float, int]]] | None, refresh: float) -> list[str]:
    if came is None:
        return [name, NOT_INSTALLED if KINDS[name][0] else "", "", ""]
    return [name, *(_outcome(came[way], refresh) if way in came else "-" for way in WAYS)]


def _outcome(outcomes: list[tuple[int, float, int]], refresh: float) -> str:
    refreshes, slowest, failed = zip(*outcomes, strict=True)
    words = f"{median(refreshes):g}, {median(slowest) / refresh:.2f} times"
    return words + (f", {max(failed)} failed" if any(failed) else "")


def _line(all_came: dict[str, dict[str, list[tuple[int, float, int]]]], refresh: float) -> Line:
    def said(name: str) -> str:
        came = all_came[name]
        return " / ".join(_outcome(came[way], refresh) for way in WAYS if way in came)

    def refreshes(name: str) -> str:
        came = all_came[name]
        return " / ".join(f"{median([n for n, _, _ in came[w]]):g}" if w in came else "-" for w in WAYS)

    ours = [outcomes for name in OURS for outcomes in all_came[name].values()]
    reached = all(
        max(refreshes for refreshes, _, _ in outcomes) == 1
        and not any(failed for _, _, failed in outcomes)
        and median([slowest for _, slowest, _ in outcomes]) <= TIMES * refresh
        for outcomes in ours
    )
    beside = {"the crowd itself, under a static header": "static header", SECOND_LOOK: SECOND_LOOK}
    slowest = [f"{words}, {said(name)}" for words, name in beside.items() if name in all_came]
    others = [
        f"{_short(name)} {refreshes(name)}" for name in all_came if name not in (*OURS, *beside.values())
    ]
    return Line(
        f"refresh storm ({' / '.join(WAYS.values())}): refreshes, slowest caller ÷ one refresh of 300 ms",
        f"in memory {said(OURS[0])}; shared {said(OURS[1])}",
        "; ".join([*slowest, f"refreshes of {', '.join(others)}"]) if others else "-",
        f"one refresh, ≤ {TIMES:g} times",
        yes_or_no(reached),
    )


def _short(name: str) -> str:
    return name.partition("'s ")[0].partition(".")[0]
