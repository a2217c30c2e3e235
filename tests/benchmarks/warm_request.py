"""What an auth adds to a request whose token is good: CPU of this thread, in process, without a network."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from ic_notebook.storage.sharing import SharedStore
from tests.benchmarks.clients import (
    AUTHLIB,
    CLIENT,
    HEADER,
    MCP,
    MEMORY,
    MINIMAL,
    NONE,
    SHARED,
    Ours,
    answering_at_once,
    client_of,
    minimal_auth,
    optional,
    requests_session,
    there,
)
from tests.benchmarks.tables import (
    NOISE,
    Effort,
    Line,
    Measured,
    Result,
    Table,
    added,
    against,
    median,
    middle_half,
    yes_or_no,
)

PATH = "/public/v1/accounts/credits/"
REQUESTS: dict[Effort, int] = {"full": 20_000, "quick": 2_000, "least": 40}
BATCH = 100
"""Requests of one kind in a row."""
OWN = [HEADER, NOISE, NONE, MINIMAL, MEMORY, SHARED]
TIMES = 1.5
NOTHING = "an auth that does nothing"

Call = Callable[[], object]
AsyncCall = Callable[[], Awaitable[object]]


def timed(call: Call, count: int, costs: list[float]) -> None:
    """Add the CPU microseconds of each of so many calls."""
    for _ in range(count):
        began = time.thread_time_ns()
        call()
        costs.append((time.thread_time_ns() - began) / 1e3)


async def timed_async(call: AsyncCall, count: int, costs: list[float]) -> None:
    """Add the CPU microseconds of each of so many calls."""
    for _ in range(count):
        began = time.thread_time_ns()
        await call()
        costs.append((time.thread_time_ns() - began) / 1e3)


def batches(count: int, kinds: list[str]) -> Iterator[tuple[str, int, bool]]:
    """Kinds in turns, as (kind, how many, whether it counts); the first of each only warms up."""
    size = min(BATCH, count)
    for turn in range(-1, count // size):
        for kind in kinds if turn % 2 else reversed(kinds):
            gc.collect(1)
            yield kind, size, turn >= 0


def sync_costs(calls: dict[str, Call], count: int) -> Measured:
    costs: Measured = {kind: [] for kind in calls}
    for kind, size, counts in batches(count, list(calls)):
        timed(calls[kind], size, costs[kind] if counts else [])
    return costs


def async_costs(calls: dict[str, AsyncCall], count: int) -> Measured:
    costs: Measured = {kind: [] for kind in calls}

    async def all_of_them() -> None:
        for kind, size, counts in batches(count, list(calls)):
            await timed_async(calls[kind], size, costs[kind] if counts else [])

    asyncio.run(all_of_them())
    return costs


def table(title: str, costs: Measured) -> Table:
    """The whole request, what that is over the static header and over no auth, and over the minimal auth's."""
    none, header, minimal = costs[NONE], costs[HEADER], median(costs[MINIMAL])
    rows = [
        (
            kind,
            f"{median(values):.1f}",
            middle_half(values, 1),
            f"{added(values, header):+.1f}",
            f"{added(values, none):+.1f}",
            f"{median(values) / minimal:.2f}",
        )
        for kind, values in costs.items()
    ]
    columns = ("", "median µs", "middle half", "over the header", "over no auth", "÷ minimal auth")
    return Table(title, columns, rows)


def _calls(library: Any, kinds: list[str], ours: Ours, *, asynchronous: bool) -> dict[str, Any]:
    def call(kind: str) -> Call:
        transport = answering_at_once(library)
        client = client_of(library, kind, ours, asynchronous=asynchronous, transport=transport)
        return lambda: client.get(PATH)

    return {kind: call(kind) for kind in kinds}


def whole_requests(ours: Ours, count: int) -> dict[str, Measured]:
    """Of every library, sync and async, with every auth there is for it."""
    measured = {
        "httpx, sync": sync_costs(_calls(httpx, [*OWN, CLIENT], ours, asynchronous=False), count),
        "httpx, async": async_costs(_calls(httpx, [*OWN, CLIENT], ours, asynchronous=True), count),
    }
    if (httpx2 := optional("httpx2")) is not None:
        kinds = [*OWN, *there(AUTHLIB)]
        measured["httpx2, sync"] = sync_costs(_calls(httpx2, kinds, ours, asynchronous=False), count)
        kinds += there(MCP)
        measured["httpx2, async"] = async_costs(_calls(httpx2, kinds, ours, asynchronous=True), count)
    if (requests := optional("requests")) is not None:
        sessions = {kind: requests_session(requests, kind, ours) for kind in OWN}
        url = ours.base_url + PATH
        calls: dict[str, Call] = {kind: partial(session.get, url) for kind, session in sessions.items()}
        measured["requests"] = sync_costs(calls, count)
    return measured


def alone(ours: Ours, count: int) -> Measured:
    """The auth by itself: given a request and its answer by hand, without a client."""
    request = httpx.Request("GET", ours.base_url + PATH)
    response = httpx.Response(200, request=request)

    def driven(auth: httpx.Auth) -> Call:
        def drive() -> None:
            flow = auth.sync_auth_flow(request)
            next(flow)
            with suppress(StopIteration):
                flow.send(response)

        return drive

    auths = {MINIMAL: minimal_auth(httpx), MEMORY: ours.auth[MEMORY], SHARED: ours.auth[SHARED]}
    nothing = httpx.Auth()
    return sync_costs(
        {NOTHING: driven(nothing)} | {kind: driven(auth) for kind, auth in auths.items()}, count
    )


def measure(effort: Effort) -> Result:
    count = REQUESTS[effort]
    with tempfile.TemporaryDirectory() as folder:
        ours = Ours(Path(folder))
        by_itself = alone(ours, count)
        measured = whole_requests(ours, count)
        with looks_counted() as looks:
            timed(_calls(httpx, [SHARED], ours, asynchronous=False)[SHARED], 100, [])
    assert ours.storage.calls == 0
    note = (
        f"A request of a shared session looks {looks[0] / 100:g} times whether something changed (a stat); "
        "all of these called its storage 0 times."
    )
    tables = [table(f"Warm request, {name} (CPU, no network)", costs) for name, costs in measured.items()]
    tables.append(against("The auth by itself, sync (CPU)", "µs", by_itself, digits=2, notes=[note]))
    return Result(lines(measured, by_itself), tables)


def lines(measured: dict[str, Measured], by_itself: Measured) -> list[Line]:
    """One for each kind of client: what the whole request takes, since a minimal auth is within its noise."""
    nothing = by_itself[NOTHING]
    alone = {kind: added(by_itself[kind], nothing) for kind in (MINIMAL, MEMORY, SHARED)}
    times = alone[MEMORY] / alone[MINIMAL]
    found = [
        Line(
            "CPU of the auth by itself, warm, µs",
            f"{alone[MEMORY]:.1f} in memory, {alone[SHARED]:.1f} shared",
            f"minimal auth {alone[MINIMAL]:.1f}",
            f"≤ {TIMES:g} times a minimal auth",
            "yes" if times <= TIMES else f"no: {times:.1f} times",
        )
    ]
    for name in ("httpx2, sync", "httpx2, async"):
        if name not in measured:
            continue
        costs = measured[name]
        over = {kind: added(values, costs[HEADER]) for kind, values in costs.items()}
        others = {kind: over[kind] for kind in (AUTHLIB, MCP) if kind in over}
        whole = median(costs[MEMORY]) / median(costs[MINIMAL])
        beside = [f"{kind} {cost:+.1f}" for kind, cost in {MINIMAL: over[MINIMAL], **others}.items()]
        least = all(over[SHARED] <= cost for cost in others.values())
        found.append(
            Line(
                f"CPU that auth adds to a warm request over a static header ({name}), µs",
                f"{over[MEMORY]:+.1f} in memory, {over[SHARED]:+.1f} shared; whole request {whole:.2f} times minimal",
                f"{', '.join(beside)}; noise {over[NOISE]:+.1f}",
                f"whole request ≤ {TIMES:g} times a minimal auth's, least of the others",
                yes_or_no(whole <= TIMES and least),
            )
        )
    return found


@contextmanager
def looks_counted() -> Iterator[list[int]]:
    """How often a shared session looks whether another process has changed something."""
    looks, stamp = [0], SharedStore.stamp

    def counted(store: SharedStore) -> int | None:
        looks[0] += 1
        return stamp(store)

    SharedStore.stamp = counted  # type: ignore[method-assign]
    try:
        yield looks
    finally:
        SharedStore.stamp = stamp  # type: ignore[method-assign]
