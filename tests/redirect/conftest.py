"""A listener on a port of its own, raw bytes to send it, and a login whose server is a function."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ic_notebook.login.login import Login
from ic_notebook.login.options import LoginOptions
from ic_notebook.login.states import LoginState
from ic_notebook.redirect import pages
from ic_notebook.redirect.listener import Listener
from ic_notebook.redirect.pages import Page
from ic_notebook.storage.clients import ClientStore
from ic_notebook.transport import Transport
from tests.load.report import KEY

PATIENCE = 10.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pick_ports(count: int = 1) -> tuple[int, ...]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)


@pytest.fixture
def free_ports() -> Callable[[int], tuple[int, ...]]:
    """``free_ports(3)``: ports of 127.0.0.1 that nothing listens on."""
    return pick_ports


class Answers(list):
    """Takes every query it is given, and says Connected."""

    async def __call__(self, query: str) -> Page:
        self.append(query)
        return pages.CONNECTED


class Door:
    """An open listener, the queries that came through it, and a way to send it bytes."""

    def __init__(self, listener: Listener, taken: list[str]) -> None:
        self.listener, self.taken, self.port = listener, taken, listener.port

    def request(
        self, target: str = "/callback?a=b", *, method: str = "GET", host: str | None = None
    ) -> bytes:
        return f"{method} {target} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{self.port}'}\r\n\r\n".encode()

    async def send(self, octets: bytes, *, then_close: bool = False) -> bytes:
        """What comes back until the listener closes the connection; a reset counts as nothing more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        received = b""
        try:
            with contextlib.suppress(ConnectionError):
                writer.write(octets)
                if then_close:
                    writer.write_eof()
                while chunk := await asyncio.wait_for(reader.read(65_536), PATIENCE):
                    received += chunk
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        return received


@pytest.fixture
async def door(anyio_backend) -> AsyncIterator[Door]:
    """A listener that takes everything; at the end no exception was left to the loop, and it holds nothing."""
    faults: list[dict] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    taken = Answers()
    listener = await Listener.open(taken, ports=pick_ports())
    yield Door(listener, taken)
    await until(lambda: not listener._connections)
    listener.close()
    await asyncio.sleep(0)
    asyncio.get_running_loop().set_exception_handler(None)
    assert faults == []


async def until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        await asyncio.sleep(0.005)


@pytest.fixture
def eventually():
    return until


def status_of(response: bytes) -> int | None:
    return int(response.split(b" ", 2)[1]) if response.startswith(b"HTTP/1.1 ") else None


@pytest.fixture
def status() -> Callable[[bytes], int | None]:
    return status_of


def answer_of(status: int, **fields: str) -> httpx.Response:
    return httpx.Response(status, stream=httpx.ByteStream(json.dumps(fields).encode()))


class Attempt:
    """A login under way against a server that registers and exchanges whatever it is asked."""

    def __init__(self, folder: Path, ports: tuple[int, ...]) -> None:
        self.exchanged: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        options = LoginOptions(
            base_url="https://api.example.com",
            ports=ports,
            transport=Transport(http=httpx.MockTransport(self._answer)),
            clients=ClientStore(folder / "clients.json", machine="here"),
        )
        self.login = Login(options)
        self.run = asyncio.create_task(self.login.run())
        self.browser = httpx.AsyncClient(verify=False, trust_env=False, timeout=PATIENCE)

    @property
    def redirect_uri(self) -> str:
        return self.login.request.redirect_uri

    @property
    def right(self) -> dict[str, str]:
        return {"code": "the-code", "state": str(self.login.request.state)}

    async def ready(self) -> None:
        await until(lambda: self.login.state is LoginState.READY)

    async def redirected(self, **parameters: str) -> httpx.Response:
        return await self.browser.get(self.redirect_uri, params=parameters)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await self.gate.wait()
        if request.url.path.endswith("/register/"):
            return answer_of(201, client_id="c1")
        self.exchanged.append(request.content)
        return answer_of(200, access_token="at", token_type="Bearer")


@pytest.fixture
async def start(tmp_path, anyio_backend) -> AsyncIterator[Callable[..., Attempt]]:
    """``start()``: an attempt that is not yet prepared; ``start(ports)`` with these ports."""
    attempts: list[Attempt] = []

    def begin(ports: tuple[int, ...] | None = None) -> Attempt:
        attempts.append(Attempt(tmp_path, ports or pick_ports(2)))
        return attempts[-1]

    yield begin
    for attempt in attempts:
        await attempt.browser.aclose()
        attempt.run.cancel()
        with contextlib.suppress(BaseException):
            await attempt.run
        attempt.login.close()
    await asyncio.sleep(0)


@pytest.fixture
async def attempt(start) -> Attempt:
    """An attempt that is ready."""
    attempt = start()
    await attempt.ready()
    return attempt


@pytest.fixture
def report(record_property: Callable[[str, Any], None]) -> Callable[[dict[str, Any]], None]:
    """Has figures shown at the end of the run."""
    return lambda figures: record_property(KEY, figures)
