"""Around every request: a record of it, ``no-store``, and the faults that the settings ask for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse

from ic_notebook.sandbox.faults import Faults, Striking

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

KEPT = 20_000
NO_ANSWER = 0
"""The recorded status of a request whose connection was closed without an answer."""
ABORT = "abort"
"""The name in a scope's state of what closes the request's connection at once."""


class RecordedRequest(NamedTuple):
    """One request as the server saw it; the query is not kept, it can hold a state.

    ``status`` is 0 where the connection was closed without an answer.
    """

    method: str
    path: str
    status: int


class Recorder:
    """Writes each request down before its answer leaves, and forbids caches to keep the answer.

    A request that gets none has its connection closed.
    """

    def __init__(self, app: ASGIApp, *, requests: list[RecordedRequest]) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        answered = False

        async def recorded(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message)["cache-control"] = "no-store"
                self._record(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except Exception:
            self._record(scope, 500)
            raise
        if not answered:
            self._record(scope, NO_ANSWER)
            await _drop(scope, receive)

    def _record(self, scope: Scope, status: int) -> None:
        self._requests.append(RecordedRequest(scope["method"], scope["path"], status))
        if len(self._requests) > KEPT:
            del self._requests[: KEPT // 2]


class FaultInjector:
    """Lets some requests fail: with a 5xx HTML page, without any answer, or late."""

    def __init__(self, app: ASGIApp, *, current_faults: Callable[[], Faults | tuple[Faults, ...]]) -> None:
        self._app = app
        self._current_faults = current_faults
        self._in_force: object = None
        self._striking: list[Striking] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault(scope["path"]) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "delayed":
            await self._late(fault, scope, receive, send)
        else:
            if fault.stage == "after":
                await self._app(scope, receive, _nobody)
            if fault.kind == "status":
                page = "<!doctype html><title>Server error</title><h1>Something went wrong</h1>"
                await HTMLResponse(page, status_code=fault.status)(scope, receive, send)

    async def _late(self, fault: Faults, scope: Scope, receive: Receive, send: Send) -> None:
        async def held_back(message: Message) -> None:
            if message["type"] == "http.response.start":
                await asyncio.sleep(fault.delay)
            await send(message)

        if fault.stage == "before":
            await asyncio.sleep(fault.delay)
        await self._app(scope, receive, send if fault.stage == "before" else held_back)

    def _fault(self, path: str) -> Faults | None:
        current = self._current_faults()
        if current is not self._in_force:
            self._in_force = current
            each = (current,) if isinstance(current, Faults) else current
            self._striking = [Striking(faults) for faults in each]
        return next((striking.faults for striking in self._striking if striking.strikes(path)), None)


async def _nobody(_message: Message) -> None:
    """Nobody hears of the answer."""


async def _drop(scope: Scope, receive: Receive) -> None:
    abort = scope.get("state", {}).get(ABORT)
    if abort is None:
        raise ConnectionAbortedError("This server cannot close a connection without an answer.")
    abort()
    while (await receive())["type"] != "http.disconnect":
        """What is left of the request's body comes first."""
