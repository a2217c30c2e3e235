"""Around every request: a record of it, ``no-store``, and the faults that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.responses import HTMLResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from ic_notebook.sandbox.settings import Faults

KEPT = 20_000


class RecordedRequest(NamedTuple):
    """One request as the server saw it; the query is not kept, it can hold a state."""

    method: str
    path: str
    status: int


class Recorder:
    """Writes each request down before its answer leaves, and forbids caches to keep the answer."""

    def __init__(self, app: ASGIApp, *, requests: list[RecordedRequest]) -> None:
        self._app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["cache-control"] = "no-store"
                self._record(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, recorded)
        except Exception:
            self._record(scope, 500)
            raise

    def _record(self, scope: Scope, status: int) -> None:
        self._requests.append(RecordedRequest(scope["method"], scope["path"], status))
        if len(self._requests) > KEPT:
            del self._requests[: KEPT // 2]


class FaultInjector:
    """Answers some requests with a 5xx HTML page, before or after they were carried out."""

    def __init__(self, app: ASGIApp, *, current_faults: Callable[[], Faults]) -> None:
        self._app = app
        self._current_faults = current_faults
        self._faults: Faults | None = None
        self._left = 0
        self._share = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        faults = self._current_faults()
        if not self._strikes(faults, scope["path"]):
            await self._app(scope, receive, send)
            return
        if faults.stage == "after":

            async def lost(_message: Message) -> None:
                """Nobody hears of the answer."""

            await self._app(scope, receive, lost)
        page = "<!doctype html><title>Server error</title><h1>Something went wrong</h1>"
        await HTMLResponse(page, status_code=faults.status)(scope, receive, send)

    def _strikes(self, faults: Faults, path: str) -> bool:
        if faults is not self._faults:
            self._faults, self._left, self._share = faults, faults.count, 0.0
        if faults.paths and not path.startswith(faults.paths):
            return False
        if self._left:
            self._left -= 1
            return True
        self._share += faults.fraction
        if self._share >= 1 - 1e-9:
            self._share -= 1
            return True
        return False
