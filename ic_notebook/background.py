"""The one daemon thread on which this package does its I/O.

A plain asyncio loop, started on first need and ended when nothing is left to do. A thread rather than
the caller's loop: a sign-in goes on while a cell blocks the kernel, and a refresh outlives its caller.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import functools
import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

LINGER = 2.0
"""Seconds for which the thread stays when its last task has ended, in case another follows."""
EXIT_GRACE = 5.0
"""Seconds for which an exit waits for work that must be finished."""
_SLICE = 0.2
_HEAD_START = 0.005


class Background:
    """A daemon thread with an event loop; both are there only while something runs on them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._selector: selectors.BaseSelector | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._submitted = 0
        self._to_finish = 0

    @property
    def running(self) -> bool:
        """Whether the thread is there."""
        return self._loop is not None

    def submit(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> concurrent.futures.Future[T]:
        """Run a coroutine function on the thread; cancelling the future cancels the task."""
        return self._submit(function(*args, **kwargs), concurrent.futures.Future(), must_finish=False)

    def submit_to_finish(
        self,
        function: Callable[P, Coroutine[Any, Any, T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> concurrent.futures.Future[T]:
        """As `submit`, for work that nobody's cancelling ends and that an exit waits for (5 s at most)."""
        return self._submit(function(*args, **kwargs), concurrent.futures.Future(), must_finish=True)

    def wait(self, future: concurrent.futures.Future[T], *, timeout: float | None = None) -> T:
        """The future's result; the wait hears Ctrl-C at once on every platform.

        Raises:
            TimeoutError: after `timeout` seconds. The work goes on.
        """
        if threading.current_thread() is self._thread:
            msg = "waiting on the background thread for itself would never end"
            raise RuntimeError(msg)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not future.done():
            left = _SLICE if deadline is None else min(_SLICE, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError
            with contextlib.suppress(concurrent.futures.TimeoutError):
                future.exception(timeout=left)
        return future.result()

    def head_start(self, work: concurrent.futures.Future[Any]) -> None:
        """Hold the caller for up to 5 ms, so that the thread can begin.

        A thousand tasks that ask for the same and go on computing would keep the interpreter from it: what is
        sent in 2 ms otherwise was seen to be sent after 200.
        """
        if threading.current_thread() is not self._thread:
            with contextlib.suppress(concurrent.futures.TimeoutError, concurrent.futures.CancelledError):
                work.exception(timeout=_HEAD_START)

    def run(self, function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a coroutine function and wait for it; an interrupted wait cancels it."""
        # Made here, so that it can be cancelled even where the interrupt comes within the submit.
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        try:
            self._submit(function(*args, **kwargs), future, must_finish=False)
            return self.wait(future)
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """At exit: let finish what must, for 5 s at most, cancel the rest, end the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or not thread.is_alive():
            return
        deadline = time.monotonic() + EXIT_GRACE
        while self._to_finish and time.monotonic() < deadline:
            time.sleep(0.01)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._cancel_all, loop)
        thread.join(timeout=1.0)

    def abandon(self) -> None:
        """In a forked child: the thread is not here, and its selector is shared with the parent's loop."""
        if self._selector is not None:
            self._selector.close()

    def _submit(
        self,
        coroutine: Coroutine[Any, Any, T],
        future: concurrent.futures.Future[T],
        *,
        must_finish: bool,
    ) -> concurrent.futures.Future[T]:
        with self._lock:
            try:
                loop = self._loop or self._start()
            except RuntimeError:
                # No thread can be started any more: too many, or the interpreter is ending.
                coroutine.close()
                raise
            self._submitted += 1
            self._to_finish += must_finish
            loop.call_soon_threadsafe(self._begin, loop, coroutine, future, must_finish)
        return future

    def _start(self) -> asyncio.AbstractEventLoop:
        selector = selectors.DefaultSelector()
        loop = asyncio.SelectorEventLoop(selector)
        loop.getaddrinfo = _daemon_getaddrinfo  # type: ignore[method-assign]
        thread = threading.Thread(target=self._main, args=(loop,), name="ic_notebook", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            loop.close()
            raise
        self._loop, self._thread, self._selector = loop, thread, selector
        return loop

    def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        ended = False
        while not ended:
            # asyncio lets a task's own exit() through; its future tells of it, and the other tasks go on.
            with contextlib.suppress(KeyboardInterrupt, SystemExit):
                loop.run_forever()
                ended = True
        with self._lock:
            if self._loop is loop:
                self._loop = self._thread = self._selector = None
        with contextlib.suppress(Exception):
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _begin(
        self,
        loop: asyncio.AbstractEventLoop,
        coroutine: Coroutine[Any, Any, T],
        future: concurrent.futures.Future[T],
        must_finish: bool,  # noqa: FBT001 - called back by the loop, which passes by position
    ) -> None:
        task = loop.create_task(coroutine)
        self._tasks.add(task)

        def settle(task: asyncio.Task[T]) -> None:
            self._tasks.discard(task)
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                if task.cancelled():
                    future.cancel()
                    future.set_running_or_notify_cancel()
                elif error := task.exception():
                    future.set_exception(error)
                else:
                    future.set_result(task.result())
            with self._lock:
                self._submitted -= 1
                self._to_finish -= must_finish
            if not self._submitted:
                loop.call_later(LINGER, self._end_if_idle, loop)

        def pass_on_cancel(future: concurrent.futures.Future[T]) -> None:
            if future.cancelled() and not must_finish:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(task.cancel)

        task.add_done_callback(settle)
        future.add_done_callback(pass_on_cancel)

    def _end_if_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            if self._submitted or self._loop is not loop:
                return
            self._loop = self._thread = self._selector = None
            loop.stop()

    def _cancel_all(self, loop: asyncio.AbstractEventLoop) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        loop.call_later(0.1 if tasks else 0.0, loop.stop)


_waiting: dict[tuple[object, asyncio.AbstractEventLoop], list[asyncio.Future[None]]] = {}


async def until_done(work: concurrent.futures.Future[Any], *, timeout: float | None) -> None:
    """Wait until `work` is done or `timeout` seconds are over; whoever waits never cancels it.

    All who wait in a loop are woken by one system call: a thousand would make one each.
    """
    loop = asyncio.get_running_loop()
    waiter: asyncio.Future[None] = loop.create_future()
    key = work, loop
    waiting = _waiting.get(key)
    if waiting is None:
        waiting = _waiting[key] = []
        work.add_done_callback(functools.partial(_wake_all, key, waiting))
    waiting.append(waiter)
    timer = None if timeout is None else loop.call_later(timeout, _wake, [waiter])
    try:
        await waiter
    finally:
        if timer is not None:
            timer.cancel()


def _wake_all(
    key: tuple[object, asyncio.AbstractEventLoop], waiting: list[asyncio.Future[None]], _work: object
) -> None:
    del _waiting[key]
    # That loop may have ended, and with it whoever waited there.
    with contextlib.suppress(RuntimeError):
        key[1].call_soon_threadsafe(_wake, waiting)


def _wake(waiting: list[asyncio.Future[None]]) -> None:
    for waiter in waiting:
        if not waiter.done():
            waiter.set_result(None)


async def in_daemon_thread(function: Callable[[], T], *, name: str = "ic_notebook-file") -> T:
    """Run what blocks on a daemon thread of its own: one in the loop's executor can hold up an exit."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast("T", result))

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except BaseException as failure:  # noqa: BLE001 - handed to whoever asked
            error = failure
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await answer


async def _daemon_getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
    """A name look-up that never holds up an exit."""
    return await in_daemon_thread(lambda: socket.getaddrinfo(host, port, **options), name="ic_notebook-dns")


class _Forks(Protocol):
    def after_fork(self) -> None: ...


_holders: weakref.WeakSet[Any] = weakref.WeakSet()
_background = Background()
_parents: list[Background] = []


def background() -> Background:
    """This process's own."""
    return _background


def reset_after_fork(holder: _Forks) -> None:
    """Have `holder.after_fork()` called in a forked child: its locks and futures belong to the parent."""
    _holders.add(holder)


def _after_fork_in_child() -> None:
    global _background  # noqa: PLW0603 - the parent's thread does not exist here
    # Kept for ever: collecting its tasks would run their clean-up here, on the parent's connections.
    _parents.append(_background)
    _background.abandon()
    _background = Background()
    for holder in list(_holders):
        holder.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


@atexit.register
def _at_exit() -> None:
    _background.close()
