"""Requests at the same time that take 100 ms each: whether one waits for another."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.benchmarks.clients import (
    AUTHLIB,
    CLIENT,
    HEADER,
    MCP,
    MEMORY,
    SHARED,
    Ours,
    client_of,
    optional,
    there,
)
from tests.benchmarks.servers import loopback
from tests.benchmarks.tables import (
    NOISE,
    Effort,
    Line,
    Measured,
    Result,
    against,
    in_turns,
    median,
    yes_or_no,
)

PATH = "/public/v1/accounts/credits/"
CALL = 0.1
CROWDS: dict[Effort, tuple[int, ...]] = {"full": (1, 10, 100), "quick": (1, 10, 100), "least": (3,)}
ROUNDS: dict[Effort, int] = {"full": 5, "quick": 2, "least": 2}
SYNC, ASYNC = "threads", "tasks"


class Crowd:
    """Clients of every kind, each of whose requests has a connection of its own.

    Kept ones would be measured instead: httpx's pool takes time by their square, and now and then closes one
    under a thread that has just been given it.
    """

    def __init__(self, ours: Ours, *, peers: bool) -> None:
        self._loop = asyncio.new_event_loop()
        limits: Any = {
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=0),
            "timeout": 60,
            "verify": False,
        }
        kinds: dict[str, Any] = dict.fromkeys([HEADER, NOISE, MEMORY, SHARED, CLIENT], httpx)
        if peers and (httpx2 := optional("httpx2")) is not None:
            kinds |= dict.fromkeys(there(AUTHLIB) + there(MCP), httpx2)
        self.clients = {
            f"{kind} ({way})": client_of(
                library, kind, ours, asynchronous=way == ASYNC, trust_env=False, **limits
            )
            for kind, library in kinds.items()
            for way in (SYNC, ASYNC)
            # MCP's provider is for asynchronous clients; Authlib's sync client makes nobody wait.
            if way == ASYNC or kind not in {MCP, AUTHLIB}
        }

    def close(self) -> None:
        for name, client in self.clients.items():
            if name.endswith(f"({ASYNC})"):
                self._loop.run_until_complete(client.aclose())
            else:
                client.close()
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def kinds(self, way: str) -> list[str]:
        return [kind for kind in self.clients if kind.endswith(f"({way})")]

    def wall(self, kind: str, count: int) -> float:
        """Milliseconds until all of so many requests that begin at once are answered."""
        client = self.clients[kind]
        if kind.endswith(f"({ASYNC})"):
            return self._loop.run_until_complete(_wall_of_tasks(lambda: client.get(PATH), count))
        return _wall_of_threads(lambda: client.get(PATH), count)


async def _wall_of_tasks(call: Callable[[], Awaitable[Any]], count: int) -> float:
    began = time.perf_counter()
    answers = await asyncio.gather(*(call() for _ in range(count)))
    wall = (time.perf_counter() - began) * 1e3
    assert all(answer.status_code == 200 for answer in answers)
    return wall


def _wall_of_threads(call: Callable[[], Any], count: int) -> float:
    gate = threading.Barrier(count + 1)

    def one() -> Any:
        gate.wait()
        return call()

    with ThreadPoolExecutor(count) as pool:
        answers = [pool.submit(one) for _ in range(count)]
        gate.wait()
        began = time.perf_counter()
        statuses = {answer.result().status_code for answer in answers}
        wall = (time.perf_counter() - began) * 1e3
    assert statuses == {200}
    return wall


def measure(effort: Effort) -> Result:
    result = Result()
    said: dict[int, Measured] = {}
    with tempfile.TemporaryDirectory() as folder, loopback(call_seconds=CALL) as url:
        crowd = Crowd(Ours(Path(folder), url), peers=effort != "least")
        for count in CROWDS[effort]:
            for way in (ASYNC, SYNC):
                kinds = crowd.kinds(way)
                measured = _measured(crowd, kinds, count, ROUNDS[effort])
                title = f"{count} request{'s' * (count > 1)} at once of {CALL * 1e3:g} ms each, {way}"
                result.tables.append(against(title, "ms", measured, digits=0))
                if way == ASYNC:
                    said[count] = measured
        crowd.close()
    result.lines = [_line(said)]
    return result


def _measured(crowd: Crowd, kinds: list[str], count: int, rounds: int) -> Measured:
    # MCP's provider takes ten seconds for a hundred: twice is enough to see that.
    slow = [kind for kind in kinds if kind.startswith(MCP) and count > 10]
    quick = [kind for kind in kinds if kind not in slow]
    measured = in_turns(lambda kind: crowd.wall(kind, count), quick, rounds)
    return measured | in_turns(lambda kind: crowd.wall(kind, count), slow, 2, warm_up=False)


def _line(said: dict[int, Measured]) -> Line:
    def walls(kind: str) -> str:
        name = f"{kind} ({ASYNC})"
        return " / ".join(f"{median(measured[name]):,.0f}" for measured in said.values() if name in measured)

    header, noise, ours = (f"{kind} ({ASYNC})" for kind in (HEADER, NOISE, MEMORY))
    # The spread of the header's own rounds is the noise.
    waits = any(
        median(m[ours]) > 1.1 * median(m[header]) and median(m[ours]) > max(m[header] + m[noise])
        for m in said.values()
    )
    others = [f"{kind} {walls(kind)}" for kind in (HEADER, NOISE, AUTHLIB, MCP) if walls(kind)]
    return Line(
        f"{' / '.join(map(str, said))} requests at once of 100 ms, wall clock in ms",
        walls(MEMORY),
        ", ".join(others),
        "within the noise of a static header",
        yes_or_no(not waits),
    )
