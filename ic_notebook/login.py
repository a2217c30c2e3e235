"""Login: one attempt to sign in, as a state machine.

Its transitions are a table. It runs on the background loop and touches no face: who shows it, watches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ic_notebook.errors import (
    AuthorizationResponseError,
    ConfigurationError,
    ICNotebookError,
    OAuthError,
    SignInCancelled,
    SignInDeclined,
    SignInTimeout,
    StorageError,
)
from ic_notebook.oauth.answers import readable
from ic_notebook.oauth.authorization import AuthorizationRequest, AuthorizationResponse
from ic_notebook.oauth.metadata import ServerMetadata, discover, service_metadata
from ic_notebook.oauth.registration import ClientInformation, ClientMetadata, register
from ic_notebook.oauth.tokens import exchange_code
from ic_notebook.redirect import pages
from ic_notebook.redirect.listener import LINGER, PORTS, Listener, redirect_uris
from ic_notebook.redirect.pages import Page
from ic_notebook.session.session import Session
from ic_notebook.storage.clients import ClientStore, StoredClient
from ic_notebook.transport import Transport

logger = logging.getLogger(__name__)

ONE_DAY = 86_400.0
RELEASE_AFTER = 600.0
"""Seconds for which a prepared sign-in, or one that was opened, waits for a person."""
PAGE_PATIENCE = 10.0
"""Seconds for which the browser's last page waits for the token request, to say how it ended."""


class LoginState(enum.Enum):
    """Where an attempt stands."""

    NEW = "new"
    PREPARING = "preparing"
    READY = "ready"
    WAITING = "waiting"
    FINISHING = "finishing"
    CONNECTED = "connected"
    FAILED = "failed"
    RELEASED = "released"


_S = LoginState
TRANSITIONS: dict[LoginState, frozenset[LoginState]] = {
    _S.NEW: frozenset({_S.PREPARING, _S.FAILED}),
    _S.PREPARING: frozenset({_S.READY, _S.FAILED}),
    _S.READY: frozenset({_S.WAITING, _S.FINISHING, _S.FAILED, _S.RELEASED}),
    _S.WAITING: frozenset({_S.FINISHING, _S.FAILED}),
    _S.FINISHING: frozenset({_S.CONNECTED, _S.FAILED}),
    _S.CONNECTED: frozenset(),
    _S.FAILED: frozenset(),
    _S.RELEASED: frozenset(),
}
OVER = frozenset(state for state, following in TRANSITIONS.items() if not following)


@dataclass(frozen=True, kw_only=True)
class LoginOptions:
    """What an attempt needs to know, and what a test exchanges.

    Attributes:
        base_url: the API; its authorization server is at the published paths, or where `discover` finds it.
        discover: read RFC 8414 metadata first.
        scope: the scope to ask for; the server's default where None.
        ports: the loopback ports, all registered together.
        release_after: seconds that a prepared attempt waits for a person.
    """

    base_url: str
    discover: bool = False
    scope: str | None = None
    ports: tuple[int, ...] = PORTS
    release_after: float = RELEASE_AFTER
    transport: Transport = field(default_factory=Transport, repr=False)
    clients: ClientStore = field(default_factory=ClientStore, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)


class Login:
    """One attempt. `run()` takes it from NEW to one of its ends; the other methods report what happened.

    Args:
        options: which server, and how.
        on_change: called on the loop whenever `state` or `problem` changes.
    """

    def __init__(self, options: LoginOptions, *, on_change: Callable[[], None] = lambda: None) -> None:
        self.options = options
        self.state = LoginState.NEW
        self.request: AuthorizationRequest | None = None
        self.listening = False
        self.problem: str | None = None
        self.notice: str | None = None
        self._on_change = on_change
        self._answer: asyncio.Future[AuthorizationResponse] = asyncio.get_running_loop().create_future()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()
        self._listener: Listener | None = None
        self._failure: ICNotebookError | None = None

    async def run(self) -> Session:
        """Prepare, wait for the answer, exchange the code.

        Raises:
            SignInDeclined, SignInCancelled, SignInTimeout, OAuthError, UnexpectedAnswer, ServiceUnavailable,
            ConfigurationError: as it ended. Its listener then only says that this sign-in is over; see `linger`.
        """
        try:
            self._move(LoginState.PREPARING)
            self._listener = await Listener.open(self.respond, ports=self.options.ports)
            server, client = await self._prepare(self._listener)
            response = await self._response()
            self._move(LoginState.FINISHING)
            session = await self._finish(server, client, response)
            self._move(LoginState.CONNECTED)
        except ICNotebookError as error:
            self._fail(error)
            raise error.with_traceback(None) from None
        except asyncio.CancelledError:
            self._fail(SignInCancelled("The sign-in was cancelled. Connect again whenever you like."))
            raise
        finally:
            self._ended.set()
        return session

    async def linger(self) -> None:
        """For a minute, tell a browser that comes late that this sign-in is over; then stop listening."""
        try:
            if self._listener is not None:
                await asyncio.sleep(LINGER)
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            self._listener.close()

    def opened(self) -> None:
        """A person has opened the link."""
        if self.state is LoginState.READY:
            self._opened.set_result(None)
            self._move(LoginState.WAITING)

    def paste(self, text: str) -> None:
        """Take pasted text as the answer, or say in `problem` what is wrong with it."""
        if self.request is None or self._answer.done() or self.state in OVER:
            return
        try:
            response = AuthorizationResponse.from_pasted(text, to=self.request)
        except ICNotebookError as error:
            self.problem = str(error)
            self._on_change()
            return
        self.problem = None
        self._answer.set_result(response)

    async def respond(self, query: str) -> Page:
        """Take the query of a redirect; gives the page that says what came of it."""
        if self.request is None or self._answer.done() or self.state in OVER:
            return pages.OVER
        try:
            response = AuthorizationResponse.from_redirect(query, to=self.request)
        except AuthorizationResponseError:
            return pages.NOT_THIS_ONE
        except ICNotebookError as error:
            self._answer.set_exception(error.with_traceback(None))
        else:
            self._answer.set_result(response)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), PAGE_PATIENCE)
        return self._page()

    def _page(self) -> Page:
        if self.state is LoginState.CONNECTED:
            return pages.CONNECTED
        if isinstance(self._failure, SignInDeclined):
            return pages.DECLINED
        if self._failure is not None:
            return pages.failed(str(self._failure))
        return pages.FINISHING

    async def _prepare(self, listener: Listener | None) -> tuple[ServerMetadata, ClientInformation]:
        options = self.options
        server = service_metadata(options.base_url)
        if options.discover:
            server = await options.transport.drive(discover(options.base_url))
        client = await self._client(server)
        port = listener.port if listener else options.ports[0]
        self.request = self._authorization_request(server, client, port)
        self.listening = listener is not None
        self._move(LoginState.READY)
        return server, client

    def _authorization_request(
        self, server: ServerMetadata, client: ClientInformation, port: int
    ) -> AuthorizationRequest:
        redirect_uri = next(uri for uri in client.redirect_uris if f":{port}/" in uri)
        return AuthorizationRequest.new(
            server, client_id=client.client_id, redirect_uri=redirect_uri, scope=client.scope
        )

    async def _client(self, server: ServerMetadata) -> ClientInformation:
        """The client registered for this computer: the stored one, or one registered now."""
        stored = self._stored_client(server)
        if stored is None:
            return await self._register(server)
        if self.options.clock() - stored.signed_in_at < ONE_DAY or not await self._is_unknown(
            server, stored.client
        ):
            return stored.client
        self._try_store(lambda: self.options.clients.drop(server.issuer, stored.client.client_id))
        client = await self._register(server)
        if await self._is_unknown(server, client):
            self.notice = "The service may show an error page: it refused a check of this registration."
        return client

    def _stored_client(self, server: ServerMetadata) -> StoredClient | None:
        scope = self._scope(server)
        for host in ("127.0.0.1", "localhost"):
            try:
                found = self.options.clients.find(server.issuer, self._redirect_uris(host))
            except StorageError as error:
                logger.warning("%s", error)
                return None
            if found is not None and found.client.scope == scope:
                return found
        return None

    async def _is_unknown(self, server: ServerMetadata, client: ClientInformation) -> bool:
        # A request of its own: the state of the real one goes to the browser alone.
        check = self._authorization_request(server, client, self.options.ports[0])
        try:
            return await self.options.transport.drive(check.client_is_unknown())
        except ICNotebookError:
            return False

    async def _register(self, server: ServerMetadata) -> ClientInformation:
        if server.registration_endpoint is None:
            raise ConfigurationError(
                f"{server.host} lets no program register (RFC 7591), so nobody can sign in."
            )
        try:
            client = await self._register_for(server, "127.0.0.1")
        except OAuthError as refusal:
            if refusal.error not in {"invalid_redirect_uri", "invalid_client_metadata"}:
                raise
            client = await self._register_for(server, "localhost")
        self._try_store(lambda: self.options.clients.save(server.issuer, client, now=self.options.clock()))
        return client

    async def _register_for(self, server: ServerMetadata, host: str) -> ClientInformation:
        assert server.registration_endpoint is not None
        metadata = ClientMetadata(
            client_name=client_name(self.options.clients.machine),
            redirect_uris=self._redirect_uris(host),
            scope=self._scope(server),
        )
        return await self.options.transport.drive(register(server.registration_endpoint, metadata))

    def _scope(self, server: ServerMetadata) -> str | None:
        return self.options.scope if self.options.scope is not None else server.scope

    def _redirect_uris(self, host: str) -> tuple[str, ...]:
        return redirect_uris(host, ports=self.options.ports)

    async def _response(self) -> AuthorizationResponse:
        """The answer, by whichever way it comes; being prepared and being opened each have their time."""
        patience = self.options.release_after
        await asyncio.wait(
            {self._answer, self._opened}, timeout=patience, return_when=asyncio.FIRST_COMPLETED
        )
        if self._opened.done() and not self._answer.done():
            await asyncio.wait({self._answer}, timeout=patience)
        if not self._answer.done():
            raise SignInTimeout(f"Nobody approved within {patience / 60:.0f} minutes. Connect again.")
        return await self._answer

    async def _finish(
        self, server: ServerMetadata, client: ClientInformation, response: AuthorizationResponse
    ) -> Session:
        assert self.request is not None
        transport, clients, now = self.options.transport, self.options.clients, self.options.clock()
        try:
            tokens = await transport.drive(exchange_code(response, to=self.request, now=now))
        except OAuthError as refusal:
            if refusal.error in {"invalid_client", "unauthorized_client"}:
                self._try_store(lambda: clients.drop(server.issuer, client.client_id))
            raise
        self._try_store(lambda: clients.signed_in(server.issuer, client.client_id, now=now))
        return Session.signed_in(server, client, tokens, transport=transport)

    def _try_store(self, change: Callable[[], None]) -> None:
        """A sign-in does not fail because its registration cannot be kept."""
        try:
            change()
        except StorageError as error:
            logger.warning("%s The next sign-in registers again.", error)

    def _fail(self, error: ICNotebookError) -> None:
        self._failure = error
        if not self._answer.cancel() and not self._answer.cancelled():
            self._answer.exception()
        unopened = self.state is LoginState.READY and isinstance(error, SignInTimeout)
        self._move(LoginState.RELEASED if unopened else LoginState.FAILED)

    def _move(self, state: LoginState) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} -> {state}"
        self.state = state
        self._on_change()


def client_name(machine: str) -> str:
    """The name in the list of connected apps: which program, and on which computer."""
    return f"ic_notebook on {readable(machine) or 'a computer'}"[:100]
