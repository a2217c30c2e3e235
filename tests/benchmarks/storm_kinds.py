"""An expired sign-in, and a call that has to have it renewed first: what a kind of it is, and ours.

What is called is answered in process, at once; only the token request goes to the server.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx

from ic_notebook.background import background
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.storage.choice import object_store
from ic_notebook.storage.files import read_bytes, write_atomically
from tests.benchmarks.clients import BEARER

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
