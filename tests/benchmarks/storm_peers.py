"""What others do when an access token has ended: kinds of a refresh storm beside our own."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import threading
import time
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

from tests.benchmarks.clients import mcp_provider
from tests.benchmarks.storm_kinds import PATH, InMemory, Kind, Shared, StaticHeader, at_once

SECOND_LOOK = "a lock and a second look, in a minimal httpx.Auth"


class _LockAndSecondLook(httpx.Auth):
    """As it is written by hand."""

    def __init__(self, url: str) -> None:
        self._url, self._token = url, ""
        self._lock, self._async_lock = threading.Lock(), asyncio.Lock()

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if not self._token:
            with self._lock:
                if not self._token:
                    answer = yield self._refresh()
                    answer.read()
                    self._token = answer.json()["access_token"]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        if not self._token:
            async with self._async_lock:
                if not self._token:
                    answer = yield self._refresh()
                    await answer.aread()
                    self._token = answer.json()["access_token"]
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request

    def _refresh(self) -> httpx.Request:
        return httpx.Request("POST", f"{self._url}/token", data={"grant_type": "refresh_token"})


class SecondLook(StaticHeader):
    def prepare(self, number: int) -> None:
        options = at_once(httpx)
        auth = _LockAndSecondLook(self.url)
        self._client = httpx.Client(base_url=self.url, auth=auth, **options[False])
        self._async = httpx.AsyncClient(base_url=self.url, auth=auth, **options[True])


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
    SECOND_LOOK: (None, SecondLook),
    "MCP's OAuthClientProvider": ("mcp", Mcp),
    "Authlib's OAuth2Client": ("authlib", Authlib),
    "globus-sdk's RefreshTokenAuthorizer": ("globus-sdk", Globus),
    "google-auth's Credentials": ("google-auth", Google),
    "huggingface_hub.get_token": ("huggingface-hub", HuggingFace),
}
