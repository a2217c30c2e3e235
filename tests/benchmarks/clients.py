"""The clients whose requests are compared: of httpx, httpx2 and requests, each with every kind of auth."""

from __future__ import annotations

import contextlib
import importlib
import io
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from ic_notebook.background import background
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.auth import auth_class
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.storage.calls import StorageCalls
from ic_notebook.storage.sharing import SharedStore
from tests.benchmarks.tables import NOISE

BASE_URL = "https://api.example.com"
TOKEN = "t" * 40
BEARER = {"Authorization": f"Bearer {TOKEN}"}

NONE, HEADER = "no auth at all", "a header set on the client"
MINIMAL = "minimal auth"
AUTHLIB, MCP = "Authlib's OAuth2Client", "MCP's OAuthClientProvider"
MEMORY, SHARED, CLIENT = "Session.auth, in memory", "Session.auth, shared", "ic_notebook.client()"


def optional(name: str) -> Any:
    """A module, or None where it is not installed."""
    with contextlib.suppress(ImportError):
        return importlib.import_module(name)
    return None


def there(kind: str) -> list[str]:
    """This kind, or none where its library is not installed."""
    return [kind] * (optional({AUTHLIB: "authlib", MCP: "mcp"}[kind]) is not None)


class CountingStorage:
    """What a shared session is kept in; a warm request is to call it never."""

    def __init__(self) -> None:
        self.tokens: TokenSet | None = None
        self.calls = 0

    def load(self) -> TokenSet | None:
        self.calls += 1
        return self.tokens

    def save(self, tokens: TokenSet) -> None:
        self.calls += 1
        self.tokens = tokens

    def delete(self) -> None:
        self.calls += 1
        self.tokens = None


class Ours:
    """One sign-in in memory and one that is shared, at one API."""

    def __init__(self, folder: Path, base_url: str = BASE_URL) -> None:
        self.base_url = base_url
        self.storage = CountingStorage()
        memory, shared = self._source(), self._source()
        self.session = Session(service_metadata(base_url), memory)
        store = SharedStore(
            self.storage,
            issuer=base_url,
            profile="default",
            kept=lambda: "memory",
            calls=StorageCalls("memory"),
            folder=folder,
        )
        background().run(shared.keep, store)
        assert not shared.outdated
        self.storage.calls = 0
        kind = auth_class()
        self.auth = {MEMORY: kind(memory, base_url=base_url), SHARED: kind(shared, base_url=base_url)}

    def _source(self) -> StoredTokens:
        tokens = TokenSet(
            access_token=Secret(TOKEN),
            refresh_token=Secret("r" * 40),
            lifetime=86_400.0,
            obtained_at=time.time(),
            client_id="c",
            issuer=self.base_url,
        )
        return StoredTokens(service_metadata(self.base_url), tokens)


def minimal_auth(library: Any) -> Any:
    """As little as an auth of httpx or httpx2 can do."""

    class MinimalAuth(library.Auth):  # type: ignore[misc, name-defined]
        def auth_flow(self, request: Any) -> Generator[Any, Any, None]:
            request.headers["Authorization"] = f"Bearer {TOKEN}"
            yield request

    return MinimalAuth()


class _InMemory:
    """MCP's storage, as its documentation has it."""

    def __init__(self, tokens: Any, client: Any) -> None:
        self._tokens, self._client = tokens, client

    async def get_tokens(self) -> Any:
        return self._tokens

    async def set_tokens(self, tokens: Any) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> Any:
        return self._client

    async def set_client_info(self, client_info: Any) -> None:
        self._client = client_info


def mcp_provider(base_url: str = BASE_URL, *, tokens: Any = None, client: Any = None, **handlers: Any) -> Any:
    """MCP's provider with a token (and so long as none is given, an unending one)."""
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata, OAuthToken

    redirect_uris: Any = ["http://127.0.0.1:8765/callback"]
    storage: Any = _InMemory(tokens or OAuthToken(access_token=TOKEN), client)
    metadata = OAuthClientMetadata(client_name="bench", redirect_uris=redirect_uris)
    return OAuthClientProvider(base_url, metadata, storage, **handlers)


def client_of(library: Any, kind: str, ours: Ours, *, asynchronous: bool, **options: Any) -> Any:
    """A client of httpx or httpx2 that makes signed requests to the API of `ours`."""
    options = {"base_url": ours.base_url, **options}
    make = library.AsyncClient if asynchronous else library.Client
    if kind == NONE:
        return make(**options)
    if kind in {HEADER, NOISE}:
        return make(headers=BEARER, **options)
    if kind == AUTHLIB:
        authlib = importlib.import_module("authlib.integrations.httpx_client")
        token = {"access_token": TOKEN, "token_type": "Bearer", "expires_at": time.time() + 86_400}
        return (authlib.AsyncOAuth2Client if asynchronous else authlib.OAuth2Client)(token=token, **options)
    if kind == CLIENT:
        del options["base_url"]
        return (ours.session.async_client if asynchronous else ours.session.client)(**options)
    if kind == MCP:
        return make(auth=mcp_provider(ours.base_url), **options)
    return make(auth=minimal_auth(library) if kind == MINIMAL else ours.auth[kind], **options)


def requests_session(requests: Any, kind: str, ours: Ours) -> Any:
    """A session of requests that gets its answers at once."""

    class NoNetwork(requests.adapters.BaseAdapter):  # type: ignore[misc, name-defined]
        def send(self, request: Any, **_options: Any) -> Any:
            response = requests.Response()
            response.status_code, response.request, response.url = 200, request, request.url
            response.raw, response.connection = io.BytesIO(b'{"credits_available": 1.0}'), self
            return response

        def close(self) -> None:
            pass

    def signed(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {TOKEN}"
        return request

    session = requests.Session()
    session.trust_env = False
    session.mount("https://", NoNetwork())
    if kind in {HEADER, NOISE}:
        session.headers.update(BEARER)
    elif kind != NONE:
        session.auth = signed if kind == MINIMAL else ours.auth[kind]
    return session


def answering_at_once(library: Any) -> Any:
    """A transport of httpx or httpx2 that needs no network."""
    answer: Callable[[Any], Any] = lambda _: library.Response(200, json={"credits_available": 1.0})  # noqa: E731
    return library.MockTransport(answer)
