"""Calls of a storage that may block for ever: a keyring asks a person, a vault its network."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import filelock

from ic_notebook.background import reset_after_fork, until_done
from ic_notebook.errors import ICNotebookError, StorageError
from ic_notebook.notices import notices

T = TypeVar("T")

DEADLINE = 20.0
"""Seconds after which a caller has its answer, whatever the storage does."""
TELL_AFTER = 1.0
"""Seconds after which a person is told what is being waited for."""
TURN = 15.0
"""Seconds to wait for the calls of other processes; somebody else's may be stuck."""
_SLICE = 0.1


class StorageCalls:
    """Calls one storage, on a daemon thread, one call at a time.

    The caller has its answer at the deadline; a call that is late goes on, and until it has returned nothing
    queues behind it. A daemon thread, so that it never holds up the end of the process.

    Args:
        name: the storage, in words that fit a sentence, such as `your keyring`.
        advice: what a person can do while it does not answer.
        deadline: seconds.
        turn: a file whose lock keeps the calls of all processes apart, for a storage that bears one at a
            time: calls that overlap crash GNOME Keyring's daemon, and leave the keyring locked.
    """

    def __init__(
        self,
        name: str,
        *,
        advice: str = "",
        deadline: float = DEADLINE,
        turn: Callable[[], Path] | None = None,
    ) -> None:
        self._name = name
        self._advice = advice
        self._deadline = deadline
        self._turn = turn
        self._call: concurrent.futures.Future[Any] | None = None
        self._late: concurrent.futures.Future[Any] | None = None
        reset_after_fork(self)

    @property
    def under_way(self) -> concurrent.futures.Future[Any] | None:
        """The call that has not returned yet, or None."""
        return self._call if self._call is not None and not self._call.done() else None

    async def run(self, function: Callable[[], T]) -> T:
        """What `function` returns.

        Raises:
            StorageError: it failed, or had not returned at the deadline.
        """
        ends = time.monotonic() + self._deadline
        while (before := self.under_way) is not None:
            await self._returned(before, ends)
        call = _in_daemon_thread(lambda: self._in_turn(function))
        self._call = call
        await self._returned(call, ends)
        try:
            return call.result()
        except ICNotebookError as failure:
            raise failure.with_traceback(None) from None
        except Exception as failure:  # noqa: BLE001 - a storage of somebody else's may raise anything
            # Its words may hold what was to be stored.
            raise StorageError(f"{self._said} failed ({type(failure).__name__}). {self._advice}") from None

    def give_up(self) -> None:
        """A person does not want to wait: whoever does is told at once that there is no answer."""
        self._late = self.under_way

    def after_fork(self) -> None:
        """In a forked child: the parent's call never returns here."""
        self._call = self._late = None

    @property
    def _said(self) -> str:
        return self._name[0].upper() + self._name[1:]

    def _in_turn(self, function: Callable[[], T]) -> T:
        if self._turn is None:
            return function()
        path = self._turn()
        lock = filelock.FileLock(path, mode=0o600, thread_local=False)
        # Where it cannot be had, a call that may fail is better than none.
        with contextlib.suppress(OSError, NotImplementedError, filelock.Timeout):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.acquire(timeout=TURN, poll_interval=0.01)
        try:
            return function()
        finally:
            lock.release()

    async def _returned(self, call: concurrent.futures.Future[Any], ends: float) -> None:
        with contextlib.ExitStack() as telling:
            tell_at: float | None = time.monotonic() + TELL_AFTER
            while not call.done() and call is not self._late and time.monotonic() < ends:
                await until_done(call, timeout=max(0.0, min(_SLICE, ends - time.monotonic())))
                if tell_at is not None and time.monotonic() >= tell_at and not call.done():
                    telling.enter_context(
                        notices.showing(f"{self._said} does not answer yet. {self._advice}".rstrip())
                    )
                    tell_at = None
        if not call.done():
            self._late = call
            raise StorageError(f"{self._said} does not answer. {self._advice}".rstrip())


def _in_daemon_thread(function: Callable[[], T]) -> concurrent.futures.Future[T]:
    call: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        try:
            result = function()
        except BaseException as failure:  # noqa: BLE001 - handed to whoever asked
            call.set_exception(failure)
        else:
            call.set_result(result)

    threading.Thread(target=run, name="ic_notebook-storage", daemon=True).start()
    return call
