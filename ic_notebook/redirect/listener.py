"""The one HTTP listener of a sign-in: takes the browser's redirect on the loopback interface (RFC 8252 §7.3).

Every byte it reads may come from any page or program on this computer. It answers, one request a connection,
`GET /callback` with the right `Host`, `POST /door`, and the start page of a hosted notebook's proxy; it hands
on what it was sent, and what that is worth is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence

import h11

from ic_notebook.background import reset_after_fork
from ic_notebook.redirect import doors, pages
from ic_notebook.redirect.pages import Page
from ic_notebook.redirect.routes import PATH, PORTS

LINGER = 60.0
"""Seconds for which a listener says that its sign-in is over."""
REQUEST_TIMEOUT = 5.0
MAX_CONNECTIONS = 128
AT_ONCE = 8
"""Connections accepted in one turn of the loop; what is over the bound is dropped some turns later."""
MAX_REQUEST = 32_768

START = "/start/"
"""Where a browser begins that comes through a hosted notebook's proxy."""


Respond = Callable[[str], Awaitable[Page]]
"""Takes the query of a redirect, gives the page to show."""
AtDoor = Callable[[bytes, str | None], str | None]
"""Takes a message to the door and its `Origin`, gives what to answer; None for one that does not count."""
Started = Callable[[str], str | None]
"""Takes the word with which a browser begins, gives where to send it; None for a wrong word."""


def _closed(*_: object) -> None:
    """There is no such door here."""


@dataclasses.dataclass(frozen=True)
class _Said:
    """An answer that is no page."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def to_bytes(self) -> bytes:
        return self.body


class Listener:
    """A listener on one port of 127.0.0.1.

    Attributes:
        port: the port.
        hosts: what else than this computer's own names a redirect may be addressed to: the host of a proxy.
    """

    def __init__(
        self,
        server_socket: socket.socket,
        respond: Respond,
        *,
        at_door: AtDoor = _closed,
        started: Started = _closed,
    ) -> None:
        self.port: int = server_socket.getsockname()[1]
        self.hosts: set[str] = set()
        self._socket = server_socket
        self._respond = respond
        self._at_door = at_door
        self._started = started
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._idle: dict[asyncio.Task[None], None] = {}
        reset_after_fork(self)

    @classmethod
    async def open(
        cls,
        respond: Respond,
        *,
        ports: Sequence[int] = PORTS,
        at_door: AtDoor = _closed,
        started: Started = _closed,
    ) -> Listener | None:
        """Listen on the first free port, or return None where all are taken."""
        for port in ports:
            server_socket = _bound(port)
            if server_socket is not None:
                listener = cls(server_socket, respond, at_door=at_door, started=started)
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
            self._connected, sock=self._socket, limit=MAX_REQUEST, backlog=AT_ONCE, start_serving=False
        )
        await self._server.start_serving()
        # asyncio has one number for the turn and for the system's queue, in which more may wait.
        self._socket.listen(MAX_CONNECTIONS)

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
        body = True
        answer: Page | _Said = pages.NOTHING_HERE
        try:
            request, content = await asyncio.wait_for(_read_request(connection, reader), REQUEST_TIMEOUT)
        except h11.RemoteProtocolError:
            pass
        else:
            if request is None:
                return
            on_request()
            body, answer = request.method != b"HEAD", await self._answer_to(request, content)
        writer.write(_written(connection, answer, body=body))
        with contextlib.suppress(OSError):
            await asyncio.wait_for(writer.drain(), REQUEST_TIMEOUT)

    async def _answer_to(self, request: h11.Request, content: bytes) -> Page | _Said:
        path, _, query = request.target.decode("ascii", "replace").partition("?")
        if request.method == b"POST" and path == doors.PATH:
            return self._door(request, content)
        # A foreign Host is a page that had its own name resolve to this computer (DNS rebinding).
        if request.method != b"GET" or not self._is_for_us(_only(request, b"host")):
            return pages.NOTHING_HERE
        if path == PATH:
            page = await self._respond(query)
            wants_json = _only(request, b"accept") == pages.JSON.encode()
            return _Said(200, page.to_json(), (("Content-Type", pages.JSON),)) if wants_json else page
        target = self._started(path.removeprefix(START)) if path.startswith(START) else None
        return pages.NOTHING_HERE if target is None else _Said(302, headers=(("Location", target),))

    def _is_for_us(self, host: bytes | None) -> bool:
        ours = {f"127.0.0.1:{self.port}", f"localhost:{self.port}", *self.hosts}
        return host is not None and host.decode("ascii", "replace").lower() in ours

    def _door(self, request: h11.Request, content: bytes) -> _Said:
        origin = _only(request, b"origin")
        said = self._at_door(content, origin.decode("ascii", "replace") if origin else None)
        if said is None or origin is None:
            return _Said(403)
        return _Said(
            200, said.encode(), (("Access-Control-Allow-Origin", origin.decode()), ("Vary", "Origin"))
        )


def _only(request: h11.Request, name: bytes) -> bytes | None:
    values = [value for key, value in request.headers if key == name]
    return values[0] if len(values) == 1 else None


def _written(connection: h11.Connection, answer: Page | _Said, *, body: bool) -> bytes:
    content = answer.to_bytes() if body else b""
    headers = dict(pages.HEADERS)
    if isinstance(answer, _Said):
        headers |= {"Content-Type": "text/plain; charset=utf-8", **dict(answer.headers)}
    length = [("Content-Length", str(len(content))), ("Connection", "close")]
    response = h11.Response(status_code=answer.status, headers=[*headers.items(), *length])
    events = (response, h11.Data(data=content), h11.EndOfMessage())
    return b"".join(connection.send(event) or b"" for event in events)


async def _read_request(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request | None, bytes]:
    """The request and its body, which is read for a POST alone; whatever is too long is none."""
    request: h11.Request | None = None
    content = b""
    while len(content) <= doors.MAX_MESSAGE:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(4096))
        elif isinstance(event, h11.Request):
            request = event
            if request.method != b"POST":
                break
        elif isinstance(event, h11.Data):
            content += event.data
        else:
            break
    else:
        return None, b""
    return request, content


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
