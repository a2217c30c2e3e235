"""A sandbox in process, the browser and the client that a test talks to it with, and a clock to turn."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ic_notebook.sandbox import SandboxSettings, create_app

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

# RFC 7636 appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
LOOPBACK = "http://127.0.0.1:8765/callback"

REGISTER = "/public/v1/oauth/register/"
AUTHORIZE = "/public/v1/oauth/authorize/"
TOKEN = "/public/v1/oauth/token/"
CREDITS = "/public/v1/accounts/credits/"


class Browser:
    """A client of the sandbox by raw HTTP, with the shortest ways to what most tests begin with."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.store = app.state.store
        self.http = httpx.AsyncClient(
            verify=False,
            transport=httpx.ASGITransport(app),
            base_url="http://127.0.0.1:8000",
            follow_redirects=False,
        )

    @property
    def settings(self) -> SandboxSettings:
        return self.app.state.settings

    @settings.setter
    def settings(self, settings: SandboxSettings) -> None:
        self.app.state.settings = settings

    async def register(self, **metadata: Any) -> dict[str, Any]:
        body = {
            "client_name": "A notebook",
            "redirect_uris": [LOOPBACK],
            "grant_types": ["authorization_code", "refresh_token"],
            "scope": "all",
        } | metadata
        response = await self.http.post(REGISTER, json={k: v for k, v in body.items() if v is not None})
        assert response.is_success, response.text
        return response.json()

    def authorization_parameters(self, client_id: str, **others: str | None) -> dict[str, str]:
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": LOOPBACK,
            "scope": "all",
            "state": "st-1",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        } | others
        return {name: value for name, value in parameters.items() if value is not None}

    async def authorize(self, client_id: str, **others: str | None) -> httpx.Response:
        return await self.http.get(AUTHORIZE, params=self.authorization_parameters(client_id, **others))

    async def answer(self, client_id: str, decision: str = "approve", **others: str | None) -> httpx.Response:
        started = await self.authorize(client_id, **others)
        assert started.status_code == 302, started.text
        page = await self.http.get(started.headers["location"])
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
        return await self.http.post(
            started.headers["location"], data={"csrf_token": token, "decision": decision}
        )

    async def code(self, client_id: str, **others: str | None) -> str:
        return back(await self.answer(client_id, **others))["code"]

    async def exchange(self, client_id: str | None, code: str | None, **others: str | None) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": VERIFIER,
            "client_id": client_id,
            "redirect_uri": LOOPBACK,
        } | others
        return await self.http.post(TOKEN, data={k: v for k, v in form.items() if v is not None})

    async def sign_in(self, client_id: str, **others: str | None) -> dict[str, Any]:
        response = await self.exchange(client_id, await self.code(client_id, **others))
        assert response.status_code == 200, response.text
        return response.json()

    async def refresh(self, client_id: str, refresh_token: str, **others: str) -> httpx.Response:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": refresh_token,
            "client_id": client_id,
        } | others
        return await self.http.post(TOKEN, data=form)

    async def call(self, token: str, path: str = CREDITS, method: str = "GET") -> httpx.Response:
        return await self.http.request(method, path, headers={"Authorization": f"Bearer {token}"})

    async def alive(self, token: str) -> bool:
        return (await self.call(token)).status_code == 200


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def back(response: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect brings back to the client."""
    assert response.status_code in {302, 303}, response.text
    query = urlsplit(response.headers["location"]).query
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def returned() -> Callable[[httpx.Response], dict[str, str]]:
    return back


@pytest.fixture
async def open_sandbox(anyio_backend: str, clock: Clock) -> AsyncIterator[Callable[..., Browser]]:
    """Makes a sandbox with the settings named."""
    async with AsyncExitStack() as stack:

        def make(**settings: Any) -> Browser:
            browser = Browser(create_app(SandboxSettings(**settings), clock=clock))
            stack.callback(browser.store.close)
            stack.push_async_callback(browser.http.aclose)
            return browser

        yield make


@pytest.fixture
async def sandbox(open_sandbox: Callable[..., Browser]) -> Browser:
    """A sandbox with the defaults."""
    return open_sandbox()
