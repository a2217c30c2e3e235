"""Running the sandbox on loopback: in a thread for tests and the demo, or as a process."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ic_notebook.sandbox.app import create_app
from ic_notebook.sandbox.middleware import ABORT
from ic_notebook.sandbox.settings import SandboxSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.applications import Starlette

    from ic_notebook.sandbox.middleware import RecordedRequest
    from ic_notebook.sandbox.store import Store

HOST = "127.0.0.1"
STOP_WITHIN = 5.0


class _Protocol(H11Protocol):
    """HTTP/1.1 whose requests can have their connection closed without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, ABORT: transport.abort}


class _Server(uvicorn.Server):
    """Uvicorn that tells when it answers, and whose end by a signal is an ordinary one."""

    def __init__(self, app: Starlette, *, on_ready: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            loop="asyncio",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGINT and SIGTERM ask for the end; unlike Uvicorn's own, they are not raised again after it."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.handle_exit) for number in signals}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class RunningSandbox:
    """A sandbox that answers at ``url`` until its ``with`` block ends."""

    def __init__(self, url: str, app: Starlette) -> None:
        self.url = url
        self._app = app

    @property
    def store(self) -> Store:
        """Its store: seed apps, issue or end tokens, advance the clock."""
        store: Store = self._app.state.store
        return store

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request so far as ``(method, path, status)``, oldest first; may be cleared."""
        requests: list[RecordedRequest] = self._app.state.requests
        return requests

    @property
    def settings(self) -> SandboxSettings:
        """The settings in force; assign others to turn a switch (not port and database)."""
        settings: SandboxSettings = self._app.state.settings
        return settings

    @settings.setter
    def settings(self, settings: SandboxSettings) -> None:
        self._app.state.settings = settings


def listen(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; OSError where the port is taken."""
    # the protocol is named because asyncio turns Nagle's algorithm off only where it is: 40 ms an answer
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform != "win32":
            # on Windows this option would let two servers have one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """The origin that the listener answers."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


@contextmanager
def serve_in_thread(
    settings: SandboxSettings | None = None, *, clock: Callable[[], float] = time.time
) -> Iterator[RunningSandbox]:
    """A sandbox on a thread of this process, at a free port of 127.0.0.1 unless the settings name one.

    Raises:
        OSError: The port is taken.
        RuntimeError: The server did not start.
    """
    app = create_app(settings, clock=clock)
    ready = threading.Event()
    server = _Server(app, on_ready=ready.set)
    try:
        listener = listen(app.state.settings.port)
        url = url_of(listener)
        thread = threading.Thread(
            target=server.run, kwargs={"sockets": [listener]}, name="ic-notebook-sandbox", daemon=True
        )
        thread.start()
        try:
            if not ready.wait(10):
                raise RuntimeError("The sandbox did not start within 10 seconds.")
            yield RunningSandbox(url, app)
        finally:
            server.should_exit = True
            thread.join(STOP_WITHIN)
    finally:
        app.state.store.close()


def serve(settings: SandboxSettings) -> None:
    """Run the sandbox in this thread until SIGINT or SIGTERM; prints ``ready URL`` when it answers.

    Raises:
        OSError: The port is taken.
        sqlalchemy.exc.DatabaseError: The database file cannot be opened or is none.
    """
    listener = listen(settings.port)
    url = url_of(listener)

    def say_ready() -> None:
        sys.stdout.write(f"ready {url}\n")
        sys.stdout.flush()

    try:
        app = create_app(settings)
    except BaseException:
        listener.close()
        raise
    try:
        _Server(app, on_ready=say_ready).run(sockets=[listener])
    finally:
        app.state.store.close()
