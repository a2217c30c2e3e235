"""Somebody signed in at the sandbox, without a listener; and one caller for the sync and the async client."""

from __future__ import annotations

import contextlib
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ic_notebook import sign_in
from ic_notebook.background import background
from ic_notebook.login.options import LoginOptions
from ic_notebook.oauth.authorization import AuthorizationRequest, AuthorizationResponse
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.registration import ClientInformation, ClientMetadata, register
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import exchange_code
from ic_notebook.sandbox import RunningSandbox
from ic_notebook.sessions.current import current
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.transport import Transport

CREDITS = "/public/v1/accounts/credits/"
TOKEN = "/public/v1/oauth/token/"
APPS = "/public/v1/oauth/apps/"
NAME = "ic_notebook on a test"
REDIRECT_URI = "http://127.0.0.1:8765/callback"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


async def at_once(_seconds: float) -> None:
    """A pause between repeats that takes no time."""


def impatient(**options: Any) -> Transport:
    """A transport that repeats as ever, but never waits before it does."""
    return Transport(sleep=at_once, **options)


class _NotFollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def approved_location(url: str) -> str:
    """Where a person's approval sends the browser; urllib, which writes no logs."""
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({}), _NotFollowed).open(url, timeout=10)
    except urllib.error.HTTPError as redirect:
        redirect.close()
        return redirect.headers["Location"]
    raise AssertionError("the sandbox did not approve by itself")


def approve(url: str) -> None:
    """The browser of a person who approves at once, and ends on the listener's page."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as page:
        page.read()


def registered(sandbox: RunningSandbox) -> ClientInformation:
    server = service_metadata(sandbox.url)
    metadata = ClientMetadata(client_name=NAME, redirect_uris=(REDIRECT_URI,), scope="all")
    return background().run(Transport().drive, register(server.registration_endpoint or "", metadata))


def signed_in(
    sandbox: RunningSandbox,
    *,
    client: ClientInformation | None = None,
    transport: Transport | None = None,
    clock: Callable[[], float] | None = None,
    monotonic: Callable[[], float] | None = None,
) -> Session:
    """A session as a finished sign-in gives it; with clocks of its own where they are given."""
    server, transport = service_metadata(sandbox.url), transport or Transport()
    client = client or registered(sandbox)
    request = AuthorizationRequest.new(
        server, client_id=client.client_id, redirect_uri=REDIRECT_URI, scope="all"
    )
    response = AuthorizationResponse.from_redirect(urlsplit(approved_location(request.url)).query, to=request)
    now = clock() if clock else None
    flow = exchange_code(response, to=request, now=now if now is not None else sandbox.store.now())
    tokens: TokenSet = background().run(Transport().drive, flow)
    sandbox.requests.clear()
    if clock is None and monotonic is None:
        return Session.signed_in(server, client, tokens, transport=transport)
    fixed = lambda: 0.0  # noqa: E731
    source = StoredTokens(
        server,
        replace(tokens, client_name=client.client_name),
        transport=transport,
        clock=clock or fixed,
        monotonic=monotonic or fixed,
    )
    return Session(server, source, transport=transport)


def seen(sandbox: RunningSandbox) -> list[str]:
    """The requests that the sandbox saw, in words such as `GET credits 200`."""
    return [
        f"{method} {path.strip('/').rpartition('/')[2]} {status}" for method, path, status in sandbox.requests
    ]


def refreshes(sandbox: RunningSandbox) -> int:
    """Requests to the token endpoint."""
    return sum(path == TOKEN for _, path, _ in sandbox.requests)


class Caller:
    """A session's client of either kind, behind one set of coroutines."""

    def __init__(self, session: Session, kind: str, **options: Any) -> None:
        hook = options.pop("before_send", None)
        if hook is not None:

            async def async_hook(request: httpx.Request) -> None:
                hook(request)

            options["event_hooks"] = {"request": [hook if kind == "sync" else async_hook]}
        self.session, self.kind = session, kind
        self.http = session.client(**options) if kind == "sync" else session.async_client(**options)

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        answer = self.http.request(method, url, **options)
        return answer if isinstance(answer, httpx.Response) else await answer

    async def get(self, url: str = CREDITS, **options: Any) -> httpx.Response:
        return await self.request("GET", url, **options)

    async def close(self) -> None:
        if isinstance(self.http, httpx.Client):
            self.http.close()
        else:
            await self.http.aclose()


def free_ports() -> tuple[int, ...]:
    """Three ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = tuple(one.getsockname()[1] for one in sockets)
    for one in sockets:
        one.close()
    return ports


@contextlib.contextmanager
def nobody_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No variable, file or session of anybody else's."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    for name in (
        "IC_ACCESS_TOKEN",
        "IC_BASE_URL",
        "IC_PROFILE",
        "IC_STORAGE",
        "CI",
        "BROWSER",
        "DISPLAY",
        "WAYLAND_DISPLAY",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    # Ports of its own: other tests may hold the pool's for as long as a minute.
    monkeypatch.setattr("ic_notebook.signed_in.LoginOptions", partial(LoginOptions, ports=free_ports()))
    forget_everybody()
    yield
    forget_everybody()


def forget_everybody() -> None:
    """As in a process that has just begun; no listener of a sign-in that is over stays open."""

    async def close_listeners() -> None:
        for face in list(sign_in._sign_ins.values()):
            if face.login is not None:
                face.login.cancel()
                face.login.close()

    if sign_in._sign_ins:
        background().run(close_listeners)
    sign_in._sign_ins.clear()
    current._sessions.clear()
    current._from_environment = None
    current._watchers.clear()
