"""Registrar: gives a login the client that this computer is registered as, registering it once.

A stored client is used as it is; one that has not signed in for a day is first checked, since a client that
its server has dropped shows only in the browser, where a notebook never hears of it. A client made by hand is
neither checked nor stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from ic_notebook.background import in_daemon_thread
from ic_notebook.errors import (
    ICNotebookError,
    OAuthError,
    StorageError,
    UnexpectedAnswer,
)
from ic_notebook.oauth.answers import readable
from ic_notebook.oauth.authorization import AuthorizationRequest
from ic_notebook.oauth.loopback import is_loopback
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.registration import ClientInformation, ClientMetadata, closed, register
from ic_notebook.redirect.routes import Route
from ic_notebook.storage.clients import ClientStore, StoredClient
from ic_notebook.transport import Transport

logger = logging.getLogger(__name__)

ONE_DAY = 86_400.0
_REFUSES_A_URI = {"invalid_redirect_uri", "invalid_client_metadata"}


class Registrar:
    """The clients of this computer at one server.

    Attributes:
        server: the server.
        notice: what a person should know of the registration, or None.
    """

    def __init__(
        self,
        server: ServerMetadata,
        *,
        scope: str | None,
        client_id: str | None = None,
        new_client: bool = False,
        route: Route,
        store: ClientStore,
        transport: Transport,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.server = server
        self.notice: str | None = None
        self._scope = scope
        self._client_id = client_id
        self._new_client = new_client
        self._route = route
        self._store = store
        self._transport = transport
        self._clock = clock

    async def client(self) -> ClientInformation:
        """The client that was given, else the stored one, else one that is registered now.

        Raises:
            ConfigurationError: the server registers nobody, and no client was given.
            OAuthError, UnexpectedAnswer, ServiceUnavailable: the registration failed.
        """
        if self.server.refuses_public_clients:
            host = self.server.host
            logger.warning("%s says that every program needs a secret. It is tried without.", host)
        if self._client_id is not None:
            return self._given(self._client_id)
        stored = await in_daemon_thread(self._stored)
        if stored is None:
            return await self._registered_once(instead_of=None)
        # A server on this computer is one to develop against, which forgets its clients when it is restarted.
        lasting = not is_loopback(urlsplit(self.server.issuer).hostname)
        fresh = lasting and 0 <= self._clock() - stored.signed_in_at < ONE_DAY
        if not self._new_client and (fresh or not await self._is_unknown(stored.client)):
            return stored.client
        return await self.replace(stored.client)

    async def replace(self, client: ClientInformation) -> ClientInformation:
        """A new client in place of one that is of no use; the one that somebody else has put there meanwhile.

        Raises:
            ConfigurationError, OAuthError, UnexpectedAnswer, ServiceUnavailable: as `client`; the old one is
                kept.
        """
        fresh = await self._registered_once(instead_of=client)
        if await self._is_unknown(fresh):
            self.notice = "The service may show an error page: it refused a check of this registration."
        return fresh

    def authorization_request(self, client: ClientInformation, place: int = 0) -> AuthorizationRequest:
        """A new request for this client, to be answered at the port at this place of the pool."""
        return AuthorizationRequest.new(
            self.server,
            client_id=client.client_id,
            redirect_uri=self._route.redirect_uri(client.redirect_uris, place),
            scope=client.scope,
        )

    async def signed_in(self, client: ClientInformation) -> None:
        """Note that this client works."""
        if self._client_id is not None:
            return
        await self._keep(
            lambda: self._store.signed_in(self.server.issuer, client.client_id, now=self._clock())
        )

    async def drop(self, client: ClientInformation) -> None:
        """Forget a client that the server no longer knows."""
        if self._client_id is not None:
            return
        await self._keep(lambda: self._store.drop(self.server.issuer, client.client_id))

    def _given(self, client_id: str) -> ClientInformation:
        uris = self._route.redirect_uris
        return ClientInformation(client_id=client_id, client_name="", redirect_uris=uris, scope=self._scope)

    async def _registered_once(self, *, instead_of: ClientInformation | None) -> ClientInformation:
        async with self._store.registering(self.server.issuer):
            stored = await in_daemon_thread(self._stored)
            old = instead_of.client_id if instead_of else None
            if stored is not None and stored.client.client_id != old:
                return stored.client
            client = await self._register()
            if instead_of is not None and client.client_id != old:
                await self.drop(instead_of)
            return client

    def _stored(self) -> StoredClient | None:
        for uris in filter(None, (self._route.redirect_uris, self._route.elsewhere)):
            try:
                found = self._store.find(self.server.issuer, uris)
            except StorageError as error:
                logger.warning("%s", error)
                return None
            if found is not None and found.client.scope == self._scope:
                return found
        return None

    async def _is_unknown(self, client: ClientInformation) -> bool:
        # A request of its own: the state of the real one goes to the browser alone.
        check = self.authorization_request(client)
        try:
            return await self._transport.drive(check.client_is_unknown())
        except ICNotebookError:
            return False

    async def _register(self) -> ClientInformation:
        try:
            client = await self._register_for(self._route.redirect_uris)
        except (OAuthError, UnexpectedAnswer) as refusal:
            if not self._route.elsewhere or not refuses_redirect_uri(refusal):
                raise
            client = await self._register_for(self._route.elsewhere)
        await self._keep(lambda: self._store.save(self.server.issuer, client, now=self._clock()))
        return client

    async def _register_for(self, redirect_uris: tuple[str, ...]) -> ClientInformation:
        endpoint = self.server.registration_endpoint
        if endpoint is None:
            raise closed(self.server.host, redirect_uris)
        metadata = ClientMetadata(
            client_name=client_name(self._store.machine),
            redirect_uris=redirect_uris,
            scope=self._scope,
            application_type=self._route.application_type,
        )
        return await self._transport.drive(register(endpoint, metadata))

    async def _keep(self, change: Callable[[], None]) -> None:
        """A sign-in does not fail because its registration cannot be kept."""
        try:
            await in_daemon_thread(change)
        except StorageError as error:
            logger.warning("%s The next sign-in may register again.", error)


def refuses_redirect_uri(refusal: ICNotebookError) -> bool:
    """Whether the server may have refused the redirect URIs, and would take others."""
    # A 400 that is no error object of RFC 7591 may be about them as well.
    return isinstance(refusal, UnexpectedAnswer) or (
        isinstance(refusal, OAuthError) and refusal.error in _REFUSES_A_URI
    )


def client_name(machine: str) -> str:
    """The name in the list of connected apps: which program, and on which computer."""
    return f"ic_notebook on {readable(machine) or 'a computer'}"[:100]
