"""Whole sign-ins against the sandbox, with a plain HTTP client as the browser and a clients.json of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from ic_notebook import background as backgrounds
from ic_notebook.login import login as logins
from ic_notebook.login.login import Login
from ic_notebook.login.options import LoginOptions
from ic_notebook.login.states import LoginState
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.redirect.routes import loopback
from ic_notebook.registrar import Registrar
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from ic_notebook.sessions.current import CurrentSessions
from ic_notebook.sign_in import SignIn
from ic_notebook.storage.clients import ClientStore
from ic_notebook.transport import Transport

PATIENCE = 15.0
REGISTER = "/public/v1/oauth/register/"
AUTHORIZE = "/public/v1/oauth/authorize/"
TOKEN = "/public/v1/oauth/token/"
CREDITS = "/public/v1/accounts/credits/"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch, tmp_path):
    """No sign-in of the developer's own, and no configuration folder of theirs, is ever touched."""
    for name in ("IC_ACCESS_TOKEN", "IC_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def pick_ports(count: int = 2) -> tuple[int, ...]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)


@pytest.fixture
def free_ports():
    return pick_ports


@pytest.fixture(scope="session")
def _served():
    with serve_in_thread() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(request, _served):
    """The sandbox that all tests of a worker share, with the default settings and an empty log of requests.

    With the parameter "own", one of the test's own: for requests that nobody waits for, whose late answers
    would stand in the log of a later test.
    """
    if getattr(request, "param", None) == "own":
        with serve_in_thread() as own:
            yield own
        return
    _served.settings = SandboxSettings()
    _served.requests.clear()
    yield _served
    _served.settings = SandboxSettings()


@pytest.fixture
def turn(sandbox):
    """``turn(auto_approve=True)``: a switch of the sandbox, until the end of the test."""

    def switch(**settings) -> None:
        sandbox.settings = replace(sandbox.settings, **settings)

    return switch


@pytest.fixture
def paths(sandbox) -> Callable[[], list[str]]:
    """What our side asked of the server (the browser's own requests aside), by the last word of the path."""

    def asked() -> list[str]:
        ours = {REGISTER: "register", TOKEN: "token", CREDITS: "credits"}
        return [ours[request.path] for request in sandbox.requests if request.path in ours]

    return asked


@pytest.fixture
def options(sandbox, tmp_path) -> LoginOptions:
    return LoginOptions(
        base_url=sandbox.url,
        ports=pick_ports(4),
        clients=ClientStore(tmp_path / "clients.json", machine="here"),
    )


class Browser:
    """A browser that follows redirects, and a person who approves or denies."""

    def __init__(self) -> None:
        self.http = httpx.Client(verify=False, trust_env=False, timeout=PATIENCE, follow_redirects=True)

    def answer(self, url: str, decision: str = "approve") -> httpx.Response:
        """The last page: the consent page is answered, and the redirect followed."""
        return self.http.send(self._request(url, decision), follow_redirects=True)

    def address(self, url: str, decision: str = "approve") -> str:
        """The address of the last page, which is not opened: as where the browser is on another computer."""
        response = self.http.send(self._request(url, decision), follow_redirects=False)
        assert response.status_code == 303, response.text
        return response.headers["location"]

    def _request(self, url: str, decision: str) -> httpx.Request:
        page = self.http.get(url)
        assert page.status_code == 200, page.text
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        return self.http.build_request("POST", page.url, data={"csrf_token": token, "decision": decision})


@pytest.fixture
def browser() -> Iterator[Browser]:
    browser = Browser()
    yield browser
    browser.http.close()


@pytest.fixture
def with_state():
    """``with_state(url, "other")``: the address with another state."""

    def change(url: str, state: str) -> str:
        split = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(split.query).items()} | {"state": state}
        return split._replace(query=urlencode(query)).geturl()

    return change


# -- a Login on the test's own loop


async def until_async(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        await asyncio.sleep(0.005)


@pytest.fixture
def until():
    return until_async


class Attempt:
    """A login on the loop of the test; the browser is a thread's."""

    def __init__(self, options: LoginOptions, browser: Browser, **page: Any) -> None:
        self.states: list[LoginState] = []
        self.login = Login(options, on_change=lambda: self.states.append(self.login.state), **page)
        self.run = asyncio.create_task(self.login.run())
        self._browser = browser

    @property
    def url(self) -> str:
        return self.login.request.url

    async def reach(self, state: LoginState = LoginState.READY) -> Attempt:
        await until_async(lambda: self.login.state is state or self.run.done())
        assert self.login.state is state
        return self

    async def answer(self, decision: str = "approve") -> httpx.Response:
        return await asyncio.to_thread(self._browser.answer, self.url, decision)

    async def address(self, decision: str = "approve") -> str:
        return await asyncio.to_thread(self._browser.address, self.url, decision)

    async def get(self, url: str) -> httpx.Response:
        return await asyncio.to_thread(self._browser.http.get, url)


@pytest.fixture
async def start(options, browser, anyio_backend) -> AsyncIterator[Callable[..., Attempt]]:
    """``start()``: an attempt with the test's options; ``start(scope="x")``: with others, or with a page."""
    attempts: list[Attempt] = []

    def begin(**changes) -> Attempt:
        page = {name: changes.pop(name) for name in ("prove_within", "folder") if name in changes}
        attempts.append(Attempt(replace(options, **changes), browser, **page))
        return attempts[-1]

    yield begin
    for attempt in attempts:
        attempt.run.cancel()
        with contextlib.suppress(BaseException):
            await attempt.run
        attempt.login.close()
    await asyncio.sleep(0)


# -- a SignIn on the background thread


def wait_until(condition: Callable[[], object], *, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.005)


@pytest.fixture
def eventually():
    return wait_until


def threads_of_ours() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("ic_notebook")}


@pytest.fixture(autouse=True)
def our_threads(monkeypatch):
    """The threads that this test has made: a sign-in of another test may linger for a minute."""
    monkeypatch.setattr(backgrounds, "_background", backgrounds.Background())
    before = threads_of_ours()
    return lambda: threads_of_ours() - before


@pytest.fixture
def quick_ends(monkeypatch) -> None:
    """What lingers lingers briefly."""
    monkeypatch.setattr(backgrounds, "LINGER", 0.02)
    monkeypatch.setattr(logins, "LINGER", 0.02)


@pytest.fixture
def sessions() -> CurrentSessions:
    """Sessions of the test's own."""
    return CurrentSessions()


@pytest.fixture
def face(options, sessions, quick_ends, our_threads) -> Iterator[SignIn]:
    """A SignIn that begins nothing by itself; at the end nothing of it runs, and no thread of ours is left."""
    face = SignIn(options, sessions=sessions)
    yield face
    face._viewers = 0
    attempt = face._attempt
    if attempt is not None and not attempt.done():
        face.cancel()
        with contextlib.suppress(BaseException):
            attempt.exception(PATIENCE)
    wait_until(lambda: not our_threads())


# -- a Registrar whose server is a function


class Server(httpx.AsyncBaseTransport):
    """Registers whoever asks as c1, c2, …; what the check of a client gets is ``check``."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.registered: list[dict] = []
        self.queries: list[dict] = []
        self.check: int | Exception = 302
        self.known: set[str] | None = None
        self.refuse_host: str | None = None
        self.refusal = {"error": "invalid_redirect_uri"}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path.rstrip("/").rpartition("/")[2])
        if request.method == "POST":
            return self._register(json.loads(await request.aread()))
        self.queries.append(dict(request.url.params))
        if self.known is not None:
            return _json(302 if request.url.params["client_id"] in self.known else 400, {})
        if isinstance(self.check, Exception):
            raise self.check
        return _json(self.check, {})

    def _register(self, body: dict) -> httpx.Response:
        if self.refuse_host and any(f"//{self.refuse_host}:" in uri for uri in body["redirect_uris"]):
            return _json(400, self.refusal)
        self.registered.append(body)
        client_id = f"c{len(self.registered)}"
        if self.known is not None:
            self.known.add(client_id)
        return _json(201, {"client_id": client_id, "client_secret": "never kept"})


def _json(status: int, body: dict) -> httpx.Response:
    headers = {"Location": "https://dashboard.example.com/"} if 300 <= status < 400 else {}
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(json.dumps(body).encode()))


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def registrar(server, clock, tmp_path) -> Callable[..., Registrar]:
    """``registrar()``: one for a server elsewhere; ``registrar("http://127.0.0.1:1")``: for one on this computer."""

    def make(base_url: str = "https://api.example.com", **options) -> Registrar:
        async def no_wait(_seconds: float) -> None:
            return

        known = {
            "scope": "all",
            "route": loopback((1001, 1002)),
            "store": ClientStore(tmp_path / "clients.json", machine="here"),
            "transport": Transport(http=server, sleep=no_wait),
            "clock": clock,
        }
        return Registrar(service_metadata(base_url), **(known | options))

    return make
