"""Time that passes only while somebody waits, and the answers of a service one after the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from ic_notebook.notices import notices
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.sessions.patience import Pace
from ic_notebook.sessions.session import Session

API = "https://api.example"
EVERY_METHOD = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "POST", "PATCH"]


class Passing:
    """A clock and the waits that moved it; `shown` is what a person saw meanwhile."""

    def __init__(self, *, chance: Callable[[], float] = lambda: 0.0) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []
        self.shown: list[str | None] = []
        self.pace = Pace(clock=lambda: self.now, chance=chance, wait=self.wait, wait_async=self.wait_async)

    def wait(self, seconds: float) -> None:
        self.waits.append(round(seconds, 6))
        self.shown.append(notices.latest)
        self.now += seconds

    async def wait_async(self, seconds: float) -> None:
        self.wait(seconds)


class Service(httpx.MockTransport):
    """Answers with each step in turn, the last one for ever; `seen` holds the requests.

    A step is a status, a response's arguments, an exception, or a callable that gets the request.
    """

    def __init__(self, *steps: Any) -> None:
        self.steps, self.seen = list(steps), []
        super().__init__(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if callable(step) and not isinstance(step, type):
            step = step(request)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, httpx.Response):
            return step
        return httpx.Response(step) if isinstance(step, int) else httpx.Response(**step)


def limited(retry_after: str | None = None, **headers: str) -> dict[str, Any]:
    """A 429."""
    told = {} if retry_after is None else {"retry-after": retry_after}
    return {"status_code": 429, "headers": told | headers}


def somebody() -> Session:
    """Whose token needs no service."""
    return Session.from_environment(service_metadata(API), "T0KEN")
