"""Target: the listener's HTTP, driven as it is, with a network that is made of the input's bytes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

from ic_notebook.oauth.secret import Secret
from ic_notebook.redirect import doors, pages
from ic_notebook.redirect.listener import START, Listener
from ic_notebook.redirect.pages import Page
from tests.fuzz.building import JSON_WORDS, Reader, bytes_of, text_of
from tests.fuzz.targets import Target

PORT = 21_873
HOSTED = "hosted.example"
OURS = (f"127.0.0.1:{PORT}", f"localhost:{PORT}", HOSTED)
KEY, ANSWER, WORD = (letter * 43 for letter in "KAW")
ORIGIN = "http://localhost:8888"
ELSEWHERE = "https://as.example/authorize"
ALWAYS = {name.lower(): value for name, value in pages.HEADERS if name != "Content-Type"}
_HOST = re.compile(rb"host:[ \t]*(.*?)[ \t]*", re.IGNORECASE)


class Network:
    """A connection: it brings bytes in pieces, then its end or a reset, and takes what is written."""

    transport: Any = None

    def __init__(self, pieces: list[bytes], *, resets: bool) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._resets = resets
        self.written = b""
        self.closed = False

    async def read(self, most: int) -> bytes:
        """The next piece."""
        piece = next(self._pieces, b"")
        assert len(piece) <= most
        if not piece and self._resets:
            raise ConnectionResetError
        return piece

    def write(self, octets: bytes) -> None:
        """Take what is written."""
        assert not self.closed
        self.written += octets

    async def drain(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """The end of it."""
        self.closed = True


class _Socket:
    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", PORT


class Rig:
    """One listener for all cases, and what became of the last one."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.queries: list[str] = []
        self.heard: list[tuple[bytes, str | None]] = []
        self.door = doors.Door()
        self.door.key = Secret(KEY)
        self.listener = Listener(_Socket(), self.respond, at_door=self.at_door, started=self.started)  # type: ignore[arg-type]
        self.listener.hosts.add(HOSTED)

    async def respond(self, query: str) -> Page:
        self.queries.append(query)
        return pages.failed(query)

    def at_door(self, body: bytes, origin: str | None) -> str | None:
        if self.door.open(body, origin) is None:
            return None
        self.heard.append((body, origin))
        return ANSWER

    def started(self, word: str) -> str | None:
        return ELSEWHERE if word == WORD else None

    def serve(self, network: Network) -> None:
        """One connection, from its beginning to its end."""
        self.queries, self.heard = [], []
        self.door._origin = None
        self.loop.run_until_complete(self.listener._connected(network, network))  # type: ignore[arg-type]
        assert network.closed
        assert not self.listener._connections
        assert not self.listener._idle


RIG = Rig()


def check_listener(data: bytes) -> None:
    reader = Reader(data)
    how, size = reader.byte(), reader.byte()
    sent = _to_the_door(reader) if how & 1 else reader.rest()
    size = 1 + size * 16 if size else 4_096
    pieces = [sent[at : at + size] for at in range(0, len(sent), size)]
    network = Network(pieces, resets=bool(how & 2))
    RIG.serve(network)
    status, body = _only_response(network.written)
    hosts = [found[1].lower() for line in _head(sent) if (found := _HOST.fullmatch(line))]
    for_us = len(hosts) == 1 and hosts[0].decode("latin-1") in OURS
    assert len(RIG.queries) <= for_us
    assert len(RIG.heard) <= 1
    assert bool(RIG.queries or RIG.heard) == (status == 200)
    if status == 302:
        assert for_us
        assert f"{START}{WORD}".encode() in sent
    if RIG.queries and b"application/json" not in sent:
        assert body.count(b"<script>") == 1
    for message, origin in RIG.heard:
        opened = json.loads(message)
        assert (opened["key"], opened["origin"]) == (KEY, origin)
        assert body == ANSWER.encode()
        assert sent.startswith(b"POST ")


def _to_the_door(reader: Reader) -> bytes:
    """A request to the door, with any JSON and an origin."""
    length, origin = reader.byte(), reader.byte()
    body = text_of(reader.value()).encode()
    told = len(body) if length < 250 else length - 250
    said = f"Origin: {ORIGIN if origin < 250 else 'null'}\r\n" * (origin % 3)
    return f"POST /door HTTP/1.1\r\nHost: {OURS[0]}\r\n{said}Content-Length: {told}\r\n\r\n".encode() + body


def _head(sent: bytes) -> list[bytes]:
    """The lines before the body, as a reader that knows little of HTTP sees them."""
    return re.split(rb"\r?\n", re.split(rb"\r?\n\r?\n", sent, maxsplit=1)[0])


def _only_response(written: bytes) -> tuple[int | None, bytes]:
    """Status and body of the one response that these bytes are, with our headers; None where there are none."""
    if not written:
        return None, b""
    head, _, body = written.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    told = re.fullmatch(r"HTTP/1\.1 ([2-5][0-9]{2}) [ -~]*", first)
    assert told
    status = int(told[1])
    headers = dict(_pair(line) for line in lines)
    assert len(headers) == len(lines)
    assert headers.items() >= ALWAYS.items()
    assert headers["connection"] == "close"
    assert int(headers["content-length"]) == len(body)
    others = headers.keys() - ALWAYS.keys() - {"connection", "content-length", "content-type"}
    allowed: dict[int, set[str]] = {
        200: {"access-control-allow-origin", "vary"} if RIG.heard else set(),
        302: {"location"},
        403: set(),
        404: set(),
    }
    assert others == allowed[status]
    return status, body


def _pair(line: str) -> tuple[str, str]:
    pair = re.fullmatch(r"([A-Za-z-]+): ([ -~]+)", line)
    assert pair
    return pair[1].lower(), pair[2]


def _get(target: str, *lines: str, method: str = "GET", host: str = OURS[0]) -> bytes:
    head = "".join(f"{line}\r\n" for line in (f"{method} {target} HTTP/1.1", f"Host: {host}", *lines))
    return f"{head}\r\n".encode()


MESSAGE = {"key": KEY, "origin": ORIGIN, "type": "paste", "text": "x"}
SEEDS = (
    *((b"\0\0" + _get("/callback?code=c&state=s", host=host)) for host in (*OURS, "evil.example")),
    b"\2\1" + _get("/callback?code=c", "Accept: application/json"),
    b"\0\2" + _get("/callback", f"Host: {OURS[1]}"),
    b"\0\0" + _get("/callback", method="HEAD"),
    b"\0\0" + _get(f"{START}{WORD}"),
    b"\0\0" + _get("/start/x"),
    b"\0\0GET http://127.0.0.1:21873/callback?x HTTP/1.0\r\nHost:\r\n localhost:21873\r\n\r\n",
    b"\0\3"
    + _get("/door", "Transfer-Encoding: chunked", f"Origin: {ORIGIN}", method="POST")
    + b"3\r\nabc\r\n0\r\n\r\n",
    b"\0\0" + _get("/door", "Content-Length: 2", "Expect: 100-continue", method="POST") + b"{}",
    *((bytes([1, size, 0, 1]) + bytes_of(MESSAGE)) for size in (0, 1, 9)),
    b"\1\0\0\2" + bytes_of(MESSAGE),
    b"\1\0\xff\xfc" + bytes_of(MESSAGE | {"origin": "null"}),
)
WORDS = (
    *("GET ", "POST ", "HEAD ", "OPTIONS ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "\r\n\r\n", "\n", "Host: "),
    *(f"Host: {host}\r\n" for host in OURS),
    *(
        "/callback",
        "?code=c",
        "/door",
        f"{START}{WORD}",
        KEY,
        f"Origin: {ORIGIN}\r\n",
        "Accept: application/json\r\n",
    ),
    *(
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\n",
        "Connection: keep-alive\r\n",
        "Upgrade: x\r\n",
    ),
    *("0\r\n\r\n", "Expect: 100-continue\r\n", "\r\n ", "<script>", "%0d%0a"),
    *JSON_WORDS,
)


def _any_host() -> None:
    Listener._is_for_us = lambda self, host: host is not None  # type: ignore[method-assign]


TARGETS = {
    "listener": Target(check=check_listener, seeds=SEEDS, words=WORDS, longest=2_048, defect=_any_host)
}
