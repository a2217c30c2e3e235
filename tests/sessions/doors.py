"""HTTP servers that answer as a test says, and one caller for every HTTP library that a session signs for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import httpx2
import requests

KINDS = ["httpx", "httpx async", "httpx2", "httpx2 async", "requests"]
LIBRARIES = {"httpx": httpx, "httpx2": httpx2}


@dataclass(frozen=True)
class Seen:
    """A request that a door saw."""

    path: str
    token: str | None
    cookie: str | None
    body: bytes
    connection: int


@dataclass
class Answer:
    """What a door gives back."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


class Door:
    """A server on loopback.

    Attributes:
        answer: gives the answer to a request.
        seen: what came, in order.
    """

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.answer: Callable[[Seen], Answer] = lambda _seen: Answer()
        self.seen: list[Seen] = []

    @property
    def tokens(self) -> list[str | None]:
        return [one.token for one in self.seen]


@contextlib.contextmanager
def door() -> Iterator[Door]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(
                self.path,
                self.headers.get("Authorization"),
                self.headers.get("Cookie"),
                body,
                self.client_address[1],
            )
            opened.seen.append(seen)
            answer = opened.answer(seen)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    opened = Door(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


class AnyClient:
    """A client of one library with a session's auth, behind one set of coroutines."""

    def __init__(self, kind: str, auth: Any, *, timeout: Any = 20) -> None:
        self.kind, self._timeout = kind, timeout
        self.http: Any
        if kind == "requests":
            self.http = requests.Session()
            self.http.auth = auth
            return
        library = LIBRARIES[kind.partition(" ")[0]]
        client = library.AsyncClient if self.is_async else library.Client
        self.http = client(auth=auth, timeout=timeout, follow_redirects=True, trust_env=False, verify=False)

    @property
    def is_async(self) -> bool:
        return self.kind.endswith("async")

    async def get(self, url: str, *, content: Any = None) -> Any:
        return await self.request("GET", url, content=content)

    async def request(self, method: str, url: str, *, content: Any = None, **body: Any) -> Any:
        if content is not None:
            body["data" if self.kind == "requests" else "content"] = content
        if self.kind == "requests":
            body["timeout"] = self._timeout
        answer = self.http.request(method, url, **body)
        return await answer if self.is_async else answer

    async def streamed(self, url: str) -> tuple[int, bytes, bool]:
        """Status and body of an answer that is read piece by piece; whether it had been read before."""
        if self.kind == "requests":
            with self.http.get(url, stream=True, timeout=20) as answer:
                before = answer._content_consumed
                return answer.status_code, b"".join(answer.iter_content(10)), before
        if self.is_async:
            async with self.http.stream("GET", url) as answer:
                before = answer.is_stream_consumed
                return answer.status_code, b"".join([piece async for piece in answer.aiter_bytes()]), before
        with self.http.stream("GET", url) as answer:
            before = answer.is_stream_consumed
            return answer.status_code, b"".join(answer.iter_bytes()), before

    async def close(self) -> None:
        if self.is_async:
            await self.http.aclose()
        else:
            self.http.close()
