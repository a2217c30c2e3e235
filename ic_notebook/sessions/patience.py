"""When a call of a session's client is sent again, and how long it waits before: no I/O, for either kind.

A 429 means that the call was not carried out, whatever its method. A lost answer does not: only a call that
can be repeated safely (RFC 9110 §9.2.2) is sent again after one.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import httpx

from ic_notebook.notices import notices
from ic_notebook.oauth.answers import duration, limit_reached, retry_after
from ic_notebook.transport import CONNECT_TIMEOUT, TIMEOUT

TIME_LIMIT = httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT)
"""A session client's own, where its caller sets none."""
MAX_WAIT = 120.0
"""Seconds for which a call waits for the account's limit where its caller sets none: two of its minutes."""
TELL_AFTER = 2.0
"""Seconds; a longer wait is told."""
MAX_REPEATS = 5
"""With 5 % of all answers lost, six sends all fail once in 64 million calls."""
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
_LOST = frozenset({502, 503, 504})
_BUSY = _LOST | {429}

CONNECTION_FAILURES = (
    httpx.NetworkError,
    httpx.RemoteProtocolError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    ssl.SSLError,  # httpx lets a TLS alert that comes after the handshake through as it is
)
"""After these a call may be sent again. A read or write that timed out has had all its caller's time."""


def interruptible_wait(seconds: float) -> None:
    """Wait on this thread; Ctrl-C ends it at once, on Windows and in a kernel too."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(0.2, left))


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Time and chance, which a test brings itself.

    Attributes:
        clock: monotonic seconds.
        chance: gives a number from 0 to 1, which spreads those who wait at once.
        wait: waits so many seconds on the caller's thread.
        wait_async: the same in the caller's task.
    """

    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    wait: Callable[[float], None] = interruptible_wait
    wait_async: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True)
class Pause:
    """A wait of so many seconds before the same request is sent again, and why, where it is to be told."""

    seconds: float
    told: str | None = None

    def showing(self) -> AbstractContextManager[None]:
        """Tells the person for as long as it lasts, where there is something to tell."""
        if self.told is None:
            return nullcontext()
        return notices.showing(f"{self.told} Going on in {duration(self.seconds)}.", topic=self.told)


class Patience:
    """What is left of it for one call, counted from its first send."""

    __slots__ = ("_began", "_lost", "_pace", "_refusals", "_request", "_waited")

    def __init__(self, request: httpx.Request, pace: Pace) -> None:
        self._request, self._pace = request, pace
        self._began = pace.clock()
        self._lost = self._refusals = 0
        self._waited = 0.0

    @property
    def for_a_turn(self) -> float:
        """Seconds that it may wait for its turn, where turns are given."""
        return self._left(for_the_limit=True)

    def until(self, turn: float) -> Pause:
        """The pause before a turn in so many seconds; one before the first send takes nothing of the rest."""
        if not self._refusals and not self._lost:
            self._began = self._pace.clock() + turn
        return Pause(turn, "The account's limit of calls a minute is reached." if turn > TELL_AFTER else None)

    def after_answer(self, response: httpx.Response) -> Pause | None:
        """The pause before the request is sent again, or None where the answer is the caller's."""
        if response.status_code not in _BUSY:
            return None
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return self._after_429(response)
        return self._after_loss(retry_after(response) or 0.0)

    def after_failure(self, failure: Exception) -> Pause | None:
        """The pause before the request is sent again, or None where the failure is the caller's."""
        # A certificate does not get better.
        return None if "CERTIFICATE_VERIFY_FAILED" in str(failure) else self._after_loss(0.0)

    def _after_429(self, response: httpx.Response) -> Pause | None:
        if not self._replayable:
            return None
        if response.request.method != self._request.method and not self._idempotent:
            # It was carried out, and what it redirected to was refused.
            return None
        asked = retry_after(response) or 0.0
        left = self._left(for_the_limit=True)
        if asked:
            pause = asked if asked > left else min(left, asked + min(1.0, asked / 2) * self._pace.chance())
        else:
            pause = min(16.0, 2.0**self._refusals) * (0.5 + self._pace.chance() / 2)
        if pause > left:
            return None
        self._refusals += 1
        self._waited += pause
        return Pause(pause, limit_reached(response) if self._waited > TELL_AFTER else None)

    def _after_loss(self, asked: float) -> Pause | None:
        if self._lost >= MAX_REPEATS or not self._idempotent or not self._replayable:
            return None
        pause = asked + 0.1 * 2**self._lost * (0.5 + self._pace.chance() / 2)
        if pause > self._left(for_the_limit=False):
            return None
        self._lost += 1
        return Pause(pause, "The service asks to wait." if pause > TELL_AFTER else None)

    def _left(self, *, for_the_limit: bool) -> float:
        limits = self._request.extensions.get("timeout") or {}
        seconds = limits.get("read")
        if seconds is None or (for_the_limit and limits == TIME_LIMIT.as_dict()):
            seconds = MAX_WAIT
        return float(seconds) - (self._pace.clock() - self._began)

    @property
    def _idempotent(self) -> bool:
        return self._request.method in _IDEMPOTENT

    @property
    def _replayable(self) -> bool:
        # A file or a generator would be sent as 0 bytes the second time, without an error.
        return isinstance(self._request.stream, httpx.ByteStream)
