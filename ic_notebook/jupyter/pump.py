"""Hearing the page while a cell waits, on a kernel that handles one message after the other.

Such a kernel (ipykernel 6) keeps what the front end sends in one queue, and the running cell holds it up. The
pump hands the kernel out of turn what is not a cell: a click, a pasted code. Cells stay in the queue, in
order, and are the kernel's to run, or to abort if this one fails. A kernel with subshells needs none of it
and gets none: there a nested loop can lose queued cells.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

TICK = 0.05
"""Seconds between two looks into the queue."""


def pump_here() -> Pump | None:
    """The pump of this kernel; None where it needs none, or where this is not the kernel's own thread."""
    from IPython import get_ipython

    kernel: Any = getattr(get_ipython(), "kernel", None)
    if not hasattr(kernel, "msg_queue") or hasattr(kernel, "shell_channel_thread"):
        return None
    # The event loop of a GUI, once entered within ours, would not come back before the next message.
    if kernel.eventloop is not None or threading.current_thread() is not threading.main_thread():
        return None
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return None
    known = loop is kernel.io_loop.asyncio_loop and isinstance(loop, asyncio.BaseEventLoop)
    return Pump(kernel) if known else None


class Pump:
    """Has a kernel handle the messages that came behind the running cell, all but cells."""

    def __init__(self, kernel: Any) -> None:
        self._kernel = kernel

    def run(self, *, until: Callable[[], bool], timeout: float) -> None:
        """Hear the page until something is so, for `timeout` seconds at most; for a cell that blocks.

        Raises:
            KeyboardInterrupt: within two ticks of an interrupt of the kernel.
            concurrent.futures.CancelledError: the kernel is ending.
        """
        loop = asyncio.get_running_loop()
        _nest(loop)
        deadline = time.monotonic() + timeout
        with _interrupts_noted() as interrupted:

            def enough() -> bool:
                return until() or interrupted.is_set() or time.monotonic() >= deadline

            hearing = loop.create_task(self._hear(until=enough))
            try:
                loop.run_until_complete(hearing)
            except RuntimeError:
                if hearing.done():
                    raise
                # The loop was stopped under it.
                hearing.cancel()
                raise concurrent.futures.CancelledError from None
        if interrupted.is_set():
            raise KeyboardInterrupt

    async def hear(self) -> None:
        """Have the kernel handle what there is now; for a cell that awaits."""
        while (found := self._next()) is not None:
            *_, dispatch, arguments = found
            await self._out_of_turn(dispatch, arguments)

    async def _hear(self, *, until: Callable[[], bool]) -> None:
        while not until():
            await self.hear()
            await asyncio.sleep(TICK)

    def _next(self) -> Any:
        """Take the first message that is no cell; all else keeps its place in the queue."""
        queue = self._kernel.msg_queue
        items = []
        while not queue.empty():
            items.append(queue.get_nowait())
        found = next((item for item in items if self._can_go_first(item)), None)
        for item in items:
            if item is not found:
                queue.put_nowait(item)
        return found

    def _can_go_first(self, item: Any) -> bool:
        *_, dispatch, arguments = item
        # The end of an abort, for one, is in the queue too, and has its place behind the cells to be aborted.
        if dispatch != self._kernel.dispatch_shell:
            return False
        session = self._kernel.session
        try:
            _, frames = session.feed_identities(arguments[0], copy=False)
            # Read without a look at the signature, which a session checks once a message, on its dispatch.
            kind = session.unpack(frames[1].bytes)["msg_type"]
        except Exception:  # noqa: BLE001 - not understood: it stays the kernel's
            return False
        return bool(kind != "execute_request")

    async def _out_of_turn(self, dispatch: Callable[..., Awaitable[None]], arguments: Any) -> None:
        kernel = self._kernel
        # What the kernel keeps of the message under way: where the cell's output belongs, and what an
        # interrupt is to do once the cell has ended.
        parent = kernel.get_parent("shell")
        ident = kernel._parent_ident["shell"]  # noqa: SLF001 - it has no other name
        between_cells = kernel.saved_sigint_handler
        try:
            await dispatch(*arguments)
        except Exception:
            kernel.log.exception("Error in message handler")
        finally:
            kernel.saved_sigint_handler = between_cells
            kernel.set_parent(ident, parent, channel="shell")
            # It has said that it is idle, for this message; the cell is still under way.
            kernel._publish_status("busy", "shell")  # noqa: SLF001 - as above


def _nest(loop: asyncio.AbstractEventLoop) -> None:
    if not hasattr(loop, "_nest_patched"):
        import nest_asyncio2

        nest_asyncio2.apply(loop)


@contextlib.contextmanager
def _interrupts_noted() -> Iterator[threading.Event]:
    """Note an interrupt: raised just anywhere in the nested loop, it could take a message with it."""
    interrupted = threading.Event()
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)
