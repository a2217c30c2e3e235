"""Where a session's access token comes from, and how it is renewed."""

from __future__ import annotations

import concurrent.futures
import logging
from collections.abc import Callable
from typing import NamedTuple, Protocol

from ic_notebook.errors import (
    SignInRequired,
)
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet

logger = logging.getLogger(__name__)


class Renewed(NamedTuple):
    """A token set, and whether it is fresh from the server rather than what somebody else had obtained."""

    tokens: TokenSet
    refreshed: bool


Renewal = concurrent.futures.Future[Renewed]

ENDED = "This sign-in has ended. It was disconnected in the dashboard or in another notebook. Connect again."
CUT_SHORT = (
    "This sign-in has ended: a renewal of it was cut short, and the service does not give its answer twice. "
    "Connect again."
)
NOBODY = "Nobody is signed in. Connect first: %load_ext ic_notebook, or ic_notebook.connect()."
FORKED = (
    "The sign-in has to be renewed, which only the process that signed in can do, not one forked from it. "
    "Start the workers anew, or give them IC_ACCESS_TOKEN."
)
NOT_RENEWABLE = "The service refused the access token and gave none to renew it with. Connect again."
REST = 10.0
"""Seconds for which a token that still lives is used as it is, once its renewal has failed."""


class TokenSource(Protocol):
    """Gives access tokens; what `SessionAuth` asks.

    Attributes:
        on_end: called when the service has refused for good what is here.
    """

    on_end: Callable[[], None]

    def current(self) -> TokenSet:
        """The token set as it is known here, without any I/O.

        Raises:
            SignInRequired: there is none.
        """
        ...

    def due(self, tokens: TokenSet) -> bool:
        """Whether to ask `renew` before these are used: near their end, or perhaps not the latest."""
        ...

    def expired(self, tokens: TokenSet) -> bool:
        """Whether these have ended by the clock."""
        ...

    def renew(self, tokens: TokenSet) -> Renewal:
        """What to use in place of these: what somebody else has stored meanwhile, or what one refresh gives.

        Raises (also the future):
            SignInRequired: the sign-in has ended.
        """
        ...

    def replace(self, refused: TokenSet) -> Renewal:
        """As `renew`, for tokens that the service has refused: they are never given back.

        Raises (also the future):
            SignInRequired: there is nothing to renew with, or the sign-in has ended.
        """
        ...

    async def end(self) -> None:
        """Take it that the service has refused for good what is here."""
        ...


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

    def renew(self, tokens: TokenSet) -> Renewal:
        """The same."""
        return settled(Renewed(tokens, refreshed=False))

    def replace(self, refused: TokenSet) -> Renewal:  # noqa: ARG002 - it can't be renewed
        """Raises SignInRequired: nothing here can renew it."""
        raise SignInRequired(refused_in(self._origin))

    async def end(self) -> None:
        """The service has refused it for good; it is still tried, since it may be put right there."""
        self.on_end()


def refused_in(origin: str) -> str:
    """What to do about a token that somebody else looks after, and that the service refused."""
    next_step = "Put a valid token or API key there, or unset it and connect."
    return f"The service refused the token in {origin}. {next_step}"


def settled(renewed: Renewed) -> Renewal:
    """A renewal that there is already."""
    future: Renewal = concurrent.futures.Future()
    future.set_result(renewed)
    return future
