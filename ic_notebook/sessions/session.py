"""Session: what a signed-in person has."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import weakref
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, NoReturn, TypeVar

import httpx

from ic_notebook.background import background, reset_after_fork
from ic_notebook.environment import DEFAULT_PROFILE, in_notebook
from ic_notebook.errors import APIError, ConfigurationError, ICNotebookError, SignInRequired, StorageError
from ic_notebook.oauth.connected_apps import disconnect_app, list_apps
from ic_notebook.oauth.flow import Flow
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.oauth.revocation import revoke_tokens
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.apps import ConnectedApps
from ic_notebook.sessions.auth import SessionAuth
from ic_notebook.sessions.client import AsyncSessionClient, SessionClient, client_options
from ic_notebook.sessions.credits import credits_available
from ic_notebook.sessions.status import (
    ALREADY_ENDED,
    CONFIRMED,
    FORGOTTEN_ONLY,
    NO_WAY_TO_REVOKE,
    REVOKED,
    Disconnected,
    SessionState,
    Status,
)
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.sessions.token_source import ENDED, StaticToken, TokenSource, refused_in
from ic_notebook.sessions.turns import Turns
from ic_notebook.storage.sharing import SharedStore
from ic_notebook.transport import Transport, usable_environment

T = TypeVar("T")

logger = logging.getLogger(__name__)

_NOT_COPIED = "A Session is a sign-in and is not copied; call ic_notebook.session()."
ENVIRONMENT = "IC_ACCESS_TOKEN"
FROM_ENVIRONMENT = "from the environment, not renewed here"


class Session:
    """A sign-in: clients for the API, and the account's connected apps.

    Pickled it is a handle without a token: a process that has this sign-in, such as a worker of a Dask
    cluster that shares it, gets its own session; any other one that says what it is when it is used.

    Made by `connect()`. It holds no token itself; its token source does. All methods can be called from any
    thread, and wait on a background thread, so that Ctrl-C ends the wait at once.
    """

    def __init__(
        self,
        server: ServerMetadata,
        source: TokenSource,
        *,
        profile: str = DEFAULT_PROFILE,
        transport: Transport | None = None,
    ) -> None:
        self.profile = profile
        self._server = server
        self._source = source
        self._transport = transport or Transport()
        self._state = SessionState.CONNECTED
        self._watchers: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._shared_client: httpx.Client | None = None
        self._own_app_id: str | None = None
        self.turns = Turns()
        self._auth = SessionAuth(source, base_url=server.base_url, handle=self.handle)
        source.on_end = lambda: self._move(SessionState.ENDED)
        reset_after_fork(self)

    @classmethod
    def signed_in(
        cls,
        server: ServerMetadata,
        client: ClientInformation,
        tokens: TokenSet,
        *,
        profile: str = DEFAULT_PROFILE,
        transport: Transport,
    ) -> Session:
        """The session that a finished sign-in gives; it lives in memory until `keep` is called."""
        tokens = replace(tokens, client_name=client.client_name)
        source = StoredTokens(server, tokens, transport=transport)
        return cls(server, source, profile=profile, transport=transport)

    @classmethod
    async def stored(
        cls, server: ServerMetadata, store: SharedStore, *, transport: Transport | None = None
    ) -> Session | None:
        """The session that a store holds, or None.

        Raises:
            StorageError: the store cannot be read in time.
        """
        stamp = store.stamp()
        tokens = await store.load()
        if tokens is None:
            return None
        source = StoredTokens(server, tokens, store=store, stamp=stamp, transport=transport)
        return cls(server, source, profile=store.profile, transport=transport)

    @classmethod
    def from_environment(cls, server: ServerMetadata, access_token: str) -> Session:
        """The session of a token or API key in `IC_ACCESS_TOKEN`: never renewed, stored or revoked here."""
        source = StaticToken(access_token, origin=ENVIRONMENT)
        return cls(server, source, profile=DEFAULT_PROFILE)

    @property
    def base_url(self) -> str:
        """The API that this session is for."""
        return self._server.base_url

    @property
    def auth(self) -> SessionAuth:
        """For `auth=` of an httpx, httpx2 or requests client of one's own; for this session's API alone."""
        return self._auth.for_every_client()

    @property
    def handle(self) -> tuple[str, str, bool]:
        """What is pickled of it: which sign-in is meant, for a process that has it too."""
        return self.base_url, self.profile, self.is_from_environment

    @property
    def state(self) -> SessionState:
        """How it stands."""
        return self._state

    @property
    def is_from_environment(self) -> bool:
        """Whether its token came from `IC_ACCESS_TOKEN`."""
        return isinstance(self._source, StaticToken)

    @property
    def store(self) -> SharedStore | None:
        """What it is kept in beside memory, or None."""
        return self._source.store if isinstance(self._source, StoredTokens) else None

    @property
    def status(self) -> Status:
        """How it stands, readable; no call is made for it."""
        connected = self._state is SessionState.CONNECTED
        tokens = self._tokens
        since = tokens.signed_in_at if tokens else None
        return Status(
            connected=connected,
            base_url=self.base_url,
            profile=self.profile,
            kept=self._kept if connected else None,
            since=None if since is None else datetime.fromtimestamp(since, tz=timezone.utc),
            registered_as=(tokens.client_name or None) if tokens else None,
            problem=self._problem,
        )

    @property
    def _kept(self) -> str:
        if self.is_from_environment:
            return FROM_ENVIRONMENT
        if self.store is not None:
            return f"remembered in {self.store.kept}"
        return "this kernel only" if in_notebook() else "this process only"

    @property
    def _tokens(self) -> TokenSet | None:
        try:
            return self._source.current()
        except SignInRequired:
            return None

    @property
    def _problem(self) -> str | None:
        if self._state is not SessionState.ENDED:
            return None
        if self.is_from_environment:
            return refused_in(ENVIRONMENT)
        try:
            self._source.current()
        except SignInRequired as ended:
            return str(ended)
        return ENDED

    def __repr__(self) -> str:
        return f"<Session {self._state.value}, {self.base_url}>"

    def __reduce__(self) -> Any:
        from ic_notebook.sessions.handles import session_of

        return session_of, self.handle

    def __copy__(self) -> NoReturn:
        raise TypeError(_NOT_COPIED)

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError(_NOT_COPIED)

    def client(self, **options: Any) -> httpx.Client:
        """An httpx client for the API, signed in.

        Args:
            options: as httpx.Client takes them. Without any, one client a session, closed at exit; with any,
                a new one, which is the caller's to close.

        Returns:
            A client with this session's base URL and auth, 30 s time limit (10 s to connect). It waits for
            the account's limit of calls (429, any call: within the caller's read time limit, or 120 s where
            none is set) and says so when that takes more than 2 s. GET, HEAD, OPTIONS, TRACE, PUT and DELETE
            are sent again after a connection failure or a 502, 503 or 504, five times at most within the read
            time limit. A status alone never raises; `raise_for_status()` raises an `APIError` that says why
            in one line.

        Raises:
            ConfigurationError: proxy variables that cannot be used.
        """
        if options:
            with usable_environment():
                return SessionClient(**self._client_options(options))
        with self._lock, usable_environment():
            if self._shared_client is None or self._shared_client.is_closed:
                self._shared_client = SessionClient(**self._client_options({}))
                weakref.finalize(self, self._shared_client.close)
            return self._shared_client

    def async_client(self, **options: Any) -> httpx.AsyncClient:
        """A new httpx.AsyncClient, signed in; the caller's to close, since its pool belongs to one loop.

        Raises:
            ConfigurationError: proxy variables that cannot be used.
        """
        with usable_environment():
            return AsyncSessionClient(**self._client_options(options))

    def access_token(self) -> str:
        """A valid access token, renewed first where it is due: for tools that take nothing else.

        Raises:
            SignInRequired: nobody is signed in, or the sign-in has ended.
            ServiceUnavailable, OAuthError, UnexpectedAnswer: the token has ended and could not be renewed.
        """
        tokens = self._source.current()
        if self._source.due(tokens):
            try:
                tokens = background().wait(self._source.renew(tokens)).tokens
            except ICNotebookError as error:
                if isinstance(error, SignInRequired) or self._source.expired(tokens):
                    raise
        return str(tokens.access_token)

    def credits(self) -> float:
        """Credits that the account has left.

        Raises:
            SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
        """
        return background().run(self.load_credits)

    def apps(self) -> ConnectedApps:
        """The apps connected to the account; a table in a notebook.

        Raises:
            SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
        """
        return background().run(self.load_apps)

    def revoke(self, app_id: str) -> None:
        """Disconnect one app at the service, by the id in the list of connected apps.

        Raises:
            ConfigurationError: an id that cannot be one.
            APIError: no connected app has this id.
            SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
        """
        background().run(self.revoke_app, app_id)

    def disconnect(self) -> Disconnected:
        """End this sign-in at the service, where it can be told which app it is, and forget it here.

        Raises:
            SignInRequired: it was disconnected or forgotten before.
            ConfigurationError: the token came from the environment, which looks after it.
            UnexpectedAnswer, ServiceUnavailable: the service gave no usable answer; the session stands.
        """
        return background().run(self.end)

    def forget(self) -> None:
        """Forget the token here. At the service the app stays connected.

        Raises:
            ConfigurationError: the token came from the environment, which looks after it.
        """
        background().run(self.let_go)

    async def let_go(self) -> None:
        """`forget` for a face, on the background loop."""
        self._must_be_ours()
        try:
            await self._clear()
        finally:
            self._move(SessionState.DISCONNECTED)

    async def keep(self, store: SharedStore) -> None:
        """From now on share this sign-in through a store, with other processes and for later ones.

        Raises:
            StorageError: it cannot be stored in time; the session stays in memory.
        """
        assert isinstance(self._source, StoredTokens)
        await self._source.keep(store)

    async def check(self) -> None:
        """Make a call that every signed-in account may make, and that costs nothing.

        Raises:
            SignInRequired: the sign-in has ended.
            UnexpectedAnswer, ServiceUnavailable: as the call went.
        """
        if self._server.announced:
            # No such call is known; its end shows when it is due.
            tokens = self._source.current()
            if self._source.due(tokens):
                await asyncio.wrap_future(self._source.renew(tokens))
            return
        await self.load_credits()

    async def look(self) -> None:
        """See what became of this sign-in elsewhere, where a store tells that anything did."""
        if isinstance(self._source, StoredTokens):
            with contextlib.suppress(ICNotebookError):
                await self._source.look()

    async def load_credits(self) -> float:
        """`credits` for a face, on the background loop."""
        return await self._call(credits_available(self.base_url))

    async def load_apps(self) -> ConnectedApps:
        """`apps` for a face, on the background loop."""
        listed = await self._call(list_apps(self._apps_endpoint()))
        tokens = self._source.current()
        apps = ConnectedApps.of(listed, client_id=tokens.client_id, client_name=tokens.client_name)
        self._own_app_id = apps.own.id if apps.own else None
        return apps

    async def revoke_app(self, app_id: str) -> None:
        """`revoke` for a face, on the background loop."""
        app_id = str(app_id).strip()
        if not await self._call(disconnect_app(self._apps_endpoint(), app_id)):
            raise APIError("No connected app has this id. ic.apps() lists them.", status_code=404)
        if app_id == self._own_app_id and not self.is_from_environment:
            await self._has_been_revoked()

    async def end(self) -> Disconnected:
        """`disconnect` for a face, on the background loop."""
        self._must_be_ours()
        try:
            result = await self._end_at_the_service()
        except SignInRequired:
            if self._state is SessionState.DISCONNECTED:
                raise
            result = Disconnected(confirmed=False, message=ALREADY_ENDED)
        await self._has_been_revoked()
        return result

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, on any thread, whenever the state changes; returns what ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def after_fork(self) -> None:
        """In a forked child: the parent's connections are not ours to use."""
        self._lock = threading.Lock()
        self._shared_client = None

    def _client_options(self, given: dict[str, Any]) -> dict[str, Any]:
        ours = {"turns": self.turns, "handle": (self.handle, given)}
        return ours | client_options(self._auth, self.base_url, given)

    async def _end_at_the_service(self) -> Disconnected:
        if self._server.revocation_endpoint is not None:
            await self._transport.drive(
                revoke_tokens(self._server.revocation_endpoint, self._source.current())
            )
            return Disconnected(confirmed=True, message=REVOKED)
        if self._server.connected_apps_endpoint is None:
            return Disconnected(confirmed=False, message=NO_WAY_TO_REVOKE)
        own = (await self.load_apps()).own
        if own is None or own.id is None:
            return Disconnected(confirmed=False, message=FORGOTTEN_ONLY)
        if await self._call(disconnect_app(self._apps_endpoint(), own.id)):
            return Disconnected(confirmed=True, message=CONFIRMED)
        return Disconnected(confirmed=False, message=ALREADY_ENDED)

    async def _call(self, flow: Flow[T]) -> T:
        try:
            return await self._transport.drive(flow, auth=self._auth)
        except SignInRequired:
            # A person's call may be refused for its own reasons, but not one that every token may make.
            tokens = self._tokens
            if tokens is not None and tokens.refresh_token is None:
                await self._source.end()
            raise

    def _apps_endpoint(self) -> str:
        if self._server.connected_apps_endpoint is None:
            raise ConfigurationError(f"{self._server.host} announces no list of connected apps.")
        return self._server.connected_apps_endpoint

    def _must_be_ours(self) -> None:
        if self.is_from_environment:
            raise ConfigurationError(
                f"This session's token is in {ENVIRONMENT}: it is not disconnected or forgotten here. Unset "
                "the variable, and end the token where it was made."
            )

    async def _has_been_revoked(self) -> None:
        try:
            await self._clear()
        except StorageError as failure:
            logger.warning("%s What is stored there is of no use any more.", failure)
        finally:
            self._move(SessionState.DISCONNECTED)

    async def _clear(self) -> None:
        if isinstance(self._source, StoredTokens):
            await self._source.clear()

    def _move(self, state: SessionState) -> None:
        if self._state is not SessionState.CONNECTED:
            return
        self._state = state
        for callback in list(self._watchers):
            callback()
