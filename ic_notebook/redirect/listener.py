"""The one HTTP listener of a sign-in: takes the browser's redirect on the loopback interface (RFC 8252 §7.3).

Every byte it reads may come from any page or program on this computer. It answers `GET /callback` with the
right `Host`, one request a connection, and hands the query on; what the query is worth is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

import h11

from ic_notebook.background import reset_after_fork
from ic_notebook.redirect import pages
from ic_notebook.redirect.pages import Page

PORTS = (21873, 23417, 25931, 26783, 28219, 29347, 30671, 31957)
"""The loopback ports that are registered together; the first free one is used."""
PATH = "/callback"
LINGER = 60.0
"""Seconds for which a listener says that its sign-in is over."""
REQUEST_TIMEOUT = 5.0
MAX_CONNECTIONS = 128
MAX_REQUEST = 32_768

Respond = Callable[[str], Awaitable[Page]]
"""Takes the query of a redirect, gives the page to show."""


def redirect_uris(host: str = "127.0.0.1", *, ports: Sequence[int] = PORTS) -> tuple[str, ...]:
    """The redirect URIs of a pool of ports, to be registered together."""
    return tuple(f"http://{host}:{port}{PATH}" for port in ports)


class Listener:
    """A listener on one port of 127.0.0.1."""

    def __init__(self, server_socket: socket.socket, respond: Respond) -> None:
        self.port: int = server_socket.getsockname()[1]
        self._socket = server_socket
        self._respond = respond
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._idle: dict[asyncio.Task[None], None] = {}
        reset_after_fork(self)

    @classmethod
    async def open(cls, respond: Respond, *, ports: Sequence[int] = PORTS) -> Listener | None:
        """Listen on the first free port, or return None where all are taken."""
        for port in ports:
            server_socket = _bound(port)
            if server_socket is not None:
                listener = cls(server_socket, respond)
                try:
                    await listener._start()
                except BaseException:
                    listener.close()
                    raise
                return listener
        return None

    def close(self) -> None:
        """Stop listening; connections under way are dropped."""
        if self._server is not None:
            self._server.close()
        self._socket.close()
        for task, writer in list(self._connections.items()):
            task.cancel()
            writer.transport.abort()

    def after_fork(self) -> None:
        """In a forked child: held here too, the port would stay taken when the parent closes it."""
        self._socket.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._connected, sock=self._socket, limit=MAX_REQUEST, start_serving=False
        )
        await self._server.start_serving()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._idle) >= MAX_CONNECTIONS:
            # The one that has idled longest makes room: a page that holds connections open locks nobody out.
            oldest = next(iter(self._idle))
            del self._idle[oldest]
            self._connections[oldest].transport.abort()
            oldest.cancel()
        self._connections[task], self._idle[task] = writer, None
        try:
            await self._serve(reader, writer, on_request=lambda: self._idle.pop(task, None))
        except (OSError, h11.RemoteProtocolError, asyncio.TimeoutError, asyncio.CancelledError):
            # Cancelled by us alone, and told to nobody: asyncio's streams would log it as a fault.
            pass
        finally:
            self._idle.pop(task, None)
            del self._connections[task]
            writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, on_request: Callable[[], object]
    ) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
        try:
            request = await asyncio.wait_for(_read_request(connection, reader), REQUEST_TIMEOUT)
        except h11.RemoteProtocolError:
            body, page = True, pages.NOTHING_HERE
        else:
            if request is None:
                return
            on_request()
            body, page = request.method != b"HEAD", await self._page(request)
        writer.write(_answer(connection, page, body=body))
        with contextlib.suppress(OSError):
            await asyncio.wait_for(writer.drain(), REQUEST_TIMEOUT)

    async def _page(self, request: h11.Request) -> Page:
        hosts = [value for name, value in request.headers if name == b"host"]
        allowed = {f"127.0.0.1:{self.port}".encode(), f"localhost:{self.port}".encode()}
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        # A foreign Host is a page that had its own name resolve to this computer (DNS rebinding).
        if request.method != b"GET" or len(hosts) != 1 or hosts[0].lower() not in allowed or path != PATH:
            return pages.NOTHING_HERE
        return await self._respond(query)


def _answer(connection: h11.Connection, page: Page, *, body: bool) -> bytes:
    content = page.to_bytes() if body else b""
    headers = [*pages.HEADERS, ("Content-Length", str(len(content))), ("Connection", "close")]
    response = h11.Response(status_code=page.status, headers=headers)
    events = (response, h11.Data(data=content), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


async def _read_request(connection: h11.Connection, reader: asyncio.StreamReader) -> h11.Request | None:
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        elif isinstance(event, h11.Request):
            return event
        else:
            return None


def _bound(port: int) -> socket.socket | None:
    server_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server_socket.bind(("127.0.0.1", port))
        # Two programs can bind one port at the same moment; only one of them can listen.
        server_socket.listen(MAX_CONNECTIONS)
    except OSError:
        server_socket.close()
        return None
    return server_socket
