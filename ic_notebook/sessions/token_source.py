"""Where a session's access token comes from, and how it is renewed."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import Protocol

from ic_notebook.background import background, reset_after_fork
from ic_notebook.errors import ICNotebookError, OAuthError, SignInRequired
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import refresh
from ic_notebook.storage.base import MemoryStorage, TokenStorage
from ic_notebook.transport import Transport

Renewal = concurrent.futures.Future[TokenSet]

ENDED = "This sign-in has ended. It was disconnected in the dashboard or in another notebook. Connect again."
NOBODY = "Nobody is signed in. Connect first: %load_ext ic_notebook, or ic_notebook.connect()."
FORKED = (
    "The sign-in has to be renewed, which only the process that signed in can do, not one forked from it. "
    "Start the workers anew, or give them IC_ACCESS_TOKEN."
)
NOT_RENEWABLE = "The service refused the access token and gave none to renew it with. Connect again."
REST = 10.0
"""Seconds for which a token that still lives is used as it is, once its renewal has failed."""
_GONE = {"invalid_grant", "invalid_client", "unauthorized_client"}


class TokenSource(Protocol):
    """Gives access tokens; what `SessionAuth` asks.

    Attributes:
        on_end: called when the service has refused for good what is here.
    """

    on_end: Callable[[], None]

    def current(self) -> TokenSet:
        """The token set as it stands, without any I/O.

        Raises:
            SignInRequired: there is none.
        """
        ...

    def due(self, tokens: TokenSet) -> bool:
        """Whether it is time to renew these."""
        ...

    def expired(self, tokens: TokenSet) -> bool:
        """Whether these have ended by the clock."""
        ...

    def renew(self, stale: TokenSet) -> Renewal:
        """A newer token set than `stale`: the one that is there already, or one refresh for all who ask.

        Raises:
            SignInRequired: there is nothing to renew with.
        """
        ...


class StoredTokens:
    """A token set in a storage, renewed by its refresh token.

    Args:
        server: where to renew.
        tokens: what the sign-in gave.
        storage: keeps them.
        transport: sends the refresh.
        clock, monotonic: seconds; a wall clock can be set back, and a monotonic one stands still in sleep, so
            a token is as old as the one that says more.
    """

    def __init__(
        self,
        server: ServerMetadata,
        tokens: TokenSet,
        *,
        storage: TokenStorage | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._storage = storage or MemoryStorage()
        self._transport = transport or Transport()
        self.on_end: Callable[[], None] = lambda: None
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._renewal: Renewal | None = None
        self._forked = False
        self._why = NOBODY
        self._received = monotonic()
        self._rest_until = self._received
        self._storage.save(tokens)
        reset_after_fork(self)

    def current(self) -> TokenSet:
        """The token set in the storage."""
        tokens = self._storage.load()
        if tokens is None:
            raise SignInRequired(self._why)
        return tokens

    def due(self, tokens: TokenSet) -> bool:
        """Whether it is time to renew these, and there is something to renew them with."""
        if tokens.refresh_token is None or self._forked or not tokens.due(age=self._age(tokens)):
            return False
        return self._monotonic() >= self._rest_until or self.expired(tokens)

    def expired(self, tokens: TokenSet) -> bool:
        """Whether these have ended by the clock."""
        return tokens.expired(age=self._age(tokens))

    def renew(self, stale: TokenSet) -> Renewal:
        """A newer token set than `stale`; at most one refresh is under way, whoever asks."""
        with self._lock:
            tokens = self.current()
            if tokens.access_token != stale.access_token:
                return _settled(tokens)
            if self._forked:
                # The refresh token is the parent's too: renewed here, it would be used up there.
                raise SignInRequired(FORKED)
            if tokens.refresh_token is not None:
                if self._renewal is None or self._renewal.done():
                    self._renewal = background().submit_to_finish(self._refresh, tokens)
                return self._renewal
        self._end(NOT_RENEWABLE)
        raise SignInRequired(NOT_RENEWABLE)

    def clear(self, why: str = NOBODY) -> None:
        """Forget the tokens; whoever asks from now on is told why."""
        with self._lock:
            self._why = why
            self._storage.delete()

    def after_fork(self) -> None:
        """In a forked child: the parent's lock, its refresh and its right to refresh are not ours."""
        self._lock = threading.Lock()
        self._renewal = None
        self._forked = True

    async def _refresh(self, stale: TokenSet) -> TokenSet:
        try:
            fresh = await self._transport.drive(refresh(self._server, stale, now=self._clock()))
        except ICNotebookError as failure:
            if isinstance(failure, OAuthError) and failure.error in _GONE:
                if self._is_current(stale):
                    self._end(ENDED)
                raise SignInRequired(ENDED) from None
            self._rest_until = self._monotonic() + REST
            raise
        with self._lock:
            if not self._is_current(stale):
                # Forgotten, or signed in anew, while the answer was on its way: that stands.
                return self.current()
            self._received = self._monotonic()
            self._storage.save(fresh)
        return fresh

    def _end(self, why: str) -> None:
        self.clear(why)
        self.on_end()

    def _is_current(self, tokens: TokenSet) -> bool:
        stored = self._storage.load()
        return stored is not None and stored.access_token == tokens.access_token

    def _age(self, tokens: TokenSet) -> float:
        return max(self._clock() - tokens.obtained_at, self._monotonic() - self._received)


class StaticToken:
    """A token or API key that somebody else looks after; it is never renewed here.

    Args:
        access_token: the credential, without a `Bearer ` prefix.
        origin: what to call it in a message, such as `IC_ACCESS_TOKEN`.
    """

    def __init__(self, access_token: str, *, origin: str) -> None:
        self._tokens = TokenSet(access_token=Secret(access_token))
        self._origin = origin
        self.on_end: Callable[[], None] = lambda: None

    def current(self) -> TokenSet:
        """Always the same."""
        return self._tokens

    def due(self, tokens: TokenSet) -> bool:  # noqa: ARG002 - it has no end that is known
        """Never."""
        return False

    def expired(self, tokens: TokenSet) -> bool:  # noqa: ARG002 - it has no end that is known
        """Never, as far as is known here."""
        return False

    def renew(self, stale: TokenSet) -> Renewal:  # noqa: ARG002 - it can't be renewed
        """Raises SignInRequired: nothing here can renew it."""
        self.on_end()
        raise SignInRequired(refused_in(self._origin))


def refused_in(origin: str) -> str:
    """What to do about a token that somebody else looks after, and that the service refused."""
    next_step = "Put a valid token or API key there, or unset it and connect."
    return f"The service refused the token in {origin}. {next_step}"


def _settled(tokens: TokenSet) -> Renewal:
    future: Renewal = concurrent.futures.Future()
    future.set_result(tokens)
    return future
