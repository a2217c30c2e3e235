"""The account's limit of calls, as one process keeps count of it for many."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from ic_notebook.background import reset_after_fork
from ic_notebook.errors import ServiceUnavailable
from ic_notebook.oauth.answers import duration

PERIOD = 60.0
"""Seconds over which the service counts."""
MARGIN = 2.0
"""Seconds that a call may take from its turn until it is counted."""


class Budget:
    """A bucket of turns; each comes back `PERIOD + MARGIN` seconds after the moment it was good for.

    A service that counts the calls of the last minute never sees more than `limit`. A bucket that fills
    steadily would let twice as many through in the first minute.

    Args:
        limit: calls a period.
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: deque[float] = deque(maxlen=limit)
        reset_after_fork(self)

    @property
    def limit(self) -> int:
        """Calls a period."""
        return self._turns.maxlen or 0

    @limit.setter
    def limit(self, limit: int) -> None:
        with self._lock:
            self._turns = deque(self._turns, maxlen=limit)

    @property
    def left(self) -> int:
        """Turns that are there at this moment."""
        with self._lock:
            gone = self._clock() - PERIOD - MARGIN
            return self.limit - sum(turn > gone for turn in self._turns)

    @property
    def pause(self) -> float:
        """Seconds until there is a turn, 0 where there is one."""
        with self._lock:
            return max(0.0, self._next() - self._clock())

    def take(self, count: int, *, within: float) -> list[float]:
        """As many turns as there are, up to `count`: for each the seconds to wait, at most `within`."""
        with self._lock:
            now = self._clock()
            delays: list[float] = []
            while len(delays) < count and (turn := self._next()) - now <= within:
                self._turns.append(turn)
                delays.append(max(0.0, turn - now))
            return delays

    def ask(self, *, within: float) -> Future[float]:
        """One turn, for a client of this process."""
        answer: Future[float] = Future()
        delays = self.take(1, within=within)
        if delays:
            answer.set_result(delays[0])
        else:
            answer.set_exception(none_left(self.pause))
        return answer

    def after_fork(self) -> None:
        """In a forked child: the lock may be held by a thread of the parent."""
        self._lock = threading.Lock()

    def _next(self) -> float:
        if len(self._turns) < self.limit:
            return self._clock()
        return max(self._clock(), self._turns[0] + PERIOD + MARGIN)


def none_left(pause: float) -> ServiceUnavailable:
    """The error for a call that would wait longer than its caller does."""
    return ServiceUnavailable(
        f"The account's limit of calls a minute is reached, and the next is free in {duration(pause)}, after "
        "this call's time limit. Send it again then, or give it a longer one.",
        retry_after=pause,
    )
