"""The turns of one worker: taken from the notebook's budget in lots, so that few calls need a question."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from ic_notebook.background import reset_after_fork
from ic_notebook.cluster.budget import none_left
from ic_notebook.errors import ICNotebookError

LIFE = 1.0
"""Seconds for which a turn that was taken ahead can be used."""
LOT = 16
"""Turns that are taken ahead at most."""

Answer = dict[str, Any]
Ask = Callable[..., "concurrent.futures.Future[Answer]"]


class _Turn(NamedTuple):
    begins: float
    ends: float


class _Caller(NamedTuple):
    within: float
    answer: concurrent.futures.Future[float]


class Lease:
    """Hands out turns in the order in which they are asked for; at most one question is under way.

    What is asked for ahead doubles each time that all of it was used, and is nothing once any was left over.

    Args:
        ask: sends a question to the notebook.
        clock: monotonic seconds.
    """

    def __init__(self, ask: Ask, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._lock = threading.Lock()
        self._turns: deque[_Turn] = deque()
        self._callers: deque[_Caller] = deque()
        self._asking = False
        self._ahead = 0
        self._asked_at = clock() - LIFE
        reset_after_fork(self)

    def ask(self, *, within: float) -> concurrent.futures.Future[float]:
        """A turn for one call, in so many seconds."""
        answer: concurrent.futures.Future[float] = concurrent.futures.Future()
        with self._lock:
            turn = None if self._callers else self._held()
            if turn is None:
                self._callers.append(_Caller(within, answer))
        if turn is not None:
            answer.set_result(max(0.0, turn.begins - self._clock()))
        else:
            self._ask_if_needed()
        return answer

    def after_fork(self) -> None:
        """In a forked child: the lock, the turns and the question are the parent's."""
        self._lock = threading.Lock()
        self._turns.clear()
        self._callers.clear()
        self._asking = False

    def _held(self) -> _Turn | None:
        now = self._clock()
        while self._turns:
            turn = self._turns.popleft()
            if turn.ends >= now:
                return turn
            self._ahead = 0
        return None

    def _ask_if_needed(self) -> None:
        with self._lock:
            if self._asking or not self._callers:
                return
            self._asking = True
            wanted, began = len(self._callers), self._clock()
            if began > self._asked_at + LIFE:
                self._ahead = 0
            self._asked_at = began
            ahead, self._ahead = self._ahead, max(1, min(LOT, self._ahead * 2))
            within = max(caller.within for caller in self._callers)
        question = {"ask": "turns", "calls": wanted, "ahead": ahead, "within": within}
        answer = self._ask(question, within=within)
        answer.add_done_callback(lambda settled: self._heard(settled, wanted, began))

    def _heard(self, settled: concurrent.futures.Future[Answer], wanted: int, began: float) -> None:
        try:
            answer = settled.result()
        except (ICNotebookError, concurrent.futures.CancelledError) as failure:
            self._failed(failure, wanted)
        else:
            self._deal([float(delay) for delay in answer["delays"]], float(answer["pause"]), wanted, began)
        self._ask_if_needed()

    def _failed(self, failure: BaseException, wanted: int) -> None:
        with self._lock:
            self._asking = False
            callers = [self._callers.popleft() for _ in range(min(wanted, len(self._callers)))]
        for caller in callers:
            if caller.answer.set_running_or_notify_cancel():
                caller.answer.set_exception(failure)

    def _deal(self, delays: list[float], pause: float, wanted: int, began: float) -> None:
        """Each caller that asked gets its turn or a refusal; what is left is kept for those who come."""
        heard, settled = self._clock(), []
        with self._lock:
            self._asking = False
            while self._callers and (wanted > 0 or (delays and delays[0] <= self._callers[0].within)):
                caller = self._callers.popleft()
                wanted -= 1
                if caller.answer.set_running_or_notify_cancel():
                    fits = bool(delays) and delays[0] <= caller.within
                    settled.append((caller, delays.pop(0) if fits else None))
            # Its end is counted from the question: from then on the notebook may have counted it.
            self._turns.extend(_Turn(heard + delay, began + delay + LIFE) for delay in delays)
        for caller, delay in settled:
            if delay is None:
                caller.answer.set_exception(none_left(pause))
            else:
                caller.answer.set_result(delay)
