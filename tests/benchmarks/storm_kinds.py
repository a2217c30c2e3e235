"""One expired sign-in of each kind, and a call that has to have it renewed first.

What is called is answered in process, at once; only the token request goes to the server.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import httpx

from ic_notebook.background import background
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.token_source import StoredTokens
from ic_notebook.storage.choice import object_store
from ic_notebook.storage.files import read_bytes, write_atomically
from tests.benchmarks.clients import BEARER, mcp_provider

PATH = "/public/v1/accounts/credits/"


class FileVault:
    """A team's vault: one file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> TokenSet | None:
        text = read_bytes(self._path, at_most=65_536)
        return None if text is None else TokenSet.from_json(text.decode())

    def save(self, tokens: TokenSet) -> None:
        write_atomically(self._path, tokens.to_json().encode())

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)


def at_once(library: Any) -> Any:
    """Options of a client of httpx or httpx2: token requests go out, all others are answered here."""

    class AtOnce(library.AsyncHTTPTransport):  # type: ignore[misc, name-defined]
        async def handle_async_request(self, request: Any) -> Any:
            if "token" in request.url.path:
                return await super().handle_async_request(request)
            return library.Response(200, json={})

    class AtOnceSync(library.HTTPTransport):  # type: ignore[misc, name-defined]
        def handle_request(self, request: Any) -> Any:
            if "token" in request.url.path:
                return super().handle_request(request)
            return library.Response(200, json={})

    return {True: {"transport": AtOnce(verify=False)}, False: {"transport": AtOnceSync(verify=False)}}


class Kind:
    """A way to be signed in.

    Args:
        url: the server.
        folder: what processes share.
    """

    ways: tuple[str, ...] = ("tasks", "threads", "processes")

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder

    def seed(self, number: int) -> None:
        """What one process leaves for all of them."""

    def prepare(self, number: int) -> None:
        """A sign-in whose access token has ended."""

    def call(self) -> None:
        """One call, in a thread."""

    async def call_async(self) -> None:
        """One call, in a task."""


class StaticHeader(Kind):
    """Nothing is ever renewed: what the crowd itself takes."""

    def prepare(self, number: int) -> None:
        options = at_once(httpx)
        self._client = httpx.Client(base_url=self.url, headers=BEARER, **options[False])
        self._async = httpx.AsyncClient(base_url=self.url, headers=BEARER, **options[True])

    def call(self) -> None:
        self._client.get(PATH).raise_for_status()

    async def call_async(self) -> None:
        (await self._async.get(PATH)).raise_for_status()


class InMemory(Kind):
    ways = ("tasks", "threads")

    def prepare(self, number: int) -> None:
        server = service_metadata(self.url)
        self._use(Session(server, StoredTokens(server, self._expired(number))))

    def _expired(self, number: int) -> TokenSet:
        return TokenSet(
            access_token=Secret(f"old-{number}"),
            refresh_token=Secret("r" * 40),
            lifetime=60.0,
            obtained_at=time.time() - 3_600,
            client_id="c",
            issuer=self.url,
        )

    def _use(self, session: Session) -> None:
        options = at_once(httpx)
        self._client = session.client(**options[False])
        self._async = session.async_client(**options[True])

    def call(self) -> None:
        self._client.get(PATH).raise_for_status()

    async def call_async(self) -> None:
        (await self._async.get(PATH)).raise_for_status()


class Shared(InMemory):
    ways = ("tasks", "threads", "processes")

    def seed(self, number: int) -> None:
        async def save() -> None:
            async with self._store.exclusive() as exclusive:
                await exclusive.save(self._expired(number))

        background().run(save)

    def prepare(self, number: int) -> None:
        session = background().run(Session.stored, service_metadata(self.url), self._store)
        assert session is not None
        self._use(session)

    @property
    def _store(self) -> Any:
        return object_store(FileVault(self.folder / "vault"), self.url, "default")


class SingleFlight(Kind):
    """As it is written by hand: a lock, and a second look behind it."""

    def prepare(self, number: int) -> None:
        self._expired = True
        self._lock, self._async_lock = threading.Lock(), asyncio.Lock()

    def _refresh(self) -> None:
        asked = urllib.request.Request(f"{self.url}/token", data=b"grant_type=refresh_token")
        with urllib.request.urlopen(asked, timeout=30) as answer:
            json.load(answer)
        self._expired = False

    def call(self) -> None:
        if self._expired:
            with self._lock:
                if self._expired:
                    self._refresh()

    async def call_async(self) -> None:
        if self._expired:
            async with self._async_lock:
                if self._expired:
                    await asyncio.to_thread(self._refresh)


class Mcp(Kind):
    ways = ("tasks", "processes")

    def prepare(self, number: int) -> None:
        import httpx2
        from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

        redirect_uris: Any = ["http://127.0.0.1:8765/callback"]
        tokens = OAuthToken(access_token="old", refresh_token="r" * 40, expires_in=60)
        client = OAuthClientInformationFull(client_id="c", redirect_uris=redirect_uris)
        self._provider = mcp_provider(self.url, tokens=tokens, client=client)
        asyncio.run(self._first_call(httpx2))
        self._provider.context.token_expiry_time = 1.0
        # Its lock belongs to the loop that used it first.
        self._provider.context.lock = type(self._provider.context.lock)()
        self._async = self._client(httpx2)

    async def _first_call(self, library: Any) -> None:
        """Has it look into its storage, which does not tell when a token ends."""
        async with self._client(library) as client:
            await client.get(PATH)

    def _client(self, library: Any) -> Any:
        options = at_once(library)[True]
        return library.AsyncClient(base_url=self.url, auth=self._provider, **options)

    async def call_async(self) -> None:
        (await self._async.get(PATH)).raise_for_status()


class Authlib(Kind):
    def prepare(self, number: int) -> None:
        import httpx2
        from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth2Client

        options = at_once(httpx2)
        known: dict[str, Any] = {
            "base_url": self.url,
            "token_endpoint": f"{self.url}/token",
            "client_id": "c",
        }
        token = {"access_token": "old", "token_type": "Bearer", "refresh_token": "r" * 40, "expires_at": 1}
        self._client = OAuth2Client(token=dict(token), **known, **options[False])
        self._async = AsyncOAuth2Client(token=dict(token), **known, **options[True])

    def call(self) -> None:
        self._client.get(PATH).raise_for_status()

    async def call_async(self) -> None:
        (await self._async.get(PATH)).raise_for_status()


class Globus(Kind):
    ways = ("threads", "processes")

    def prepare(self, number: int) -> None:
        os.environ["GLOBUS_SDK_SERVICE_URL_AUTH"] = self.url
        import globus_sdk

        client = globus_sdk.NativeAppAuthClient("c")
        self._authorizer = globus_sdk.RefreshTokenAuthorizer(
            "r" * 40, client, access_token="old", expires_at=1
        )

    def call(self) -> None:
        assert "old" not in (self._authorizer.get_authorization_header() or "")


class Google(Kind):
    ways = ("threads", "processes")

    def prepare(self, number: int) -> None:
        from google.auth.transport.requests import Request
        from google.oauth2.credentials import Credentials

        uri, past = f"{self.url}/token", dt.datetime(2020, 1, 1)  # noqa: DTZ001 - as it wants it
        self._request = Request()
        self._credentials = Credentials(
            "old", refresh_token="r" * 40, token_uri=uri, client_id="c", client_secret="s", expiry=past
        )

    def call(self) -> None:
        headers: dict[str, str] = {}
        self._credentials.before_request(self._request, "GET", self.url + PATH, headers)
        assert "old" not in headers["authorization"]


class HuggingFace(Kind):
    """Its tokens are in files; what it may renew, it renews a day ahead."""

    ways = ("threads", "processes")

    def seed(self, number: int) -> None:
        ends = int(time.time()) + 60
        text = f"[bench]\nhf_token = old-{number}\nrefresh_token = {'r' * 40}\nexpires_at = {ends}\n"
        (self.folder / "stored_tokens").write_text(text)
        (self.folder / "token").write_text(f"old-{number}")

    def prepare(self, number: int) -> None:
        os.environ.update({"HF_HOME": str(self.folder), "HF_ENDPOINT": self.url})
        import huggingface_hub

        self._get_token = huggingface_hub.get_token

    def call(self) -> None:
        assert "old" not in (self._get_token() or "old")


KINDS: dict[str, tuple[str | None, type[Kind]]] = {
    "static header": (None, StaticHeader),
    "Session, in memory": (None, InMemory),
    "Session, shared": (None, Shared),
    "a lock and a second look": (None, SingleFlight),
    "MCP's OAuthClientProvider": ("mcp", Mcp),
    "Authlib's OAuth2Client": ("authlib", Authlib),
    "globus-sdk's RefreshTokenAuthorizer": ("globus-sdk", Globus),
    "google-auth's Credentials": ("google-auth", Google),
    "huggingface_hub.get_token": ("huggingface-hub", HuggingFace),
}
