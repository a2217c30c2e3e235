"""What is pickled in place of a session, its auth or its client: which sign-in is meant, no more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import httpx

from ic_notebook.errors import SignInRequired
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.auth import SessionAuth
from ic_notebook.sessions.current import current
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.token_source import Renewal


def session_of(base_url: str, profile: str, is_from_environment: bool) -> Session:  # noqa: FBT001 - pickled
    """This process's own session for the API and profile; where there is none, one that says so when used."""
    found = current.find(base_url, profile=profile)
    if found is None and is_from_environment:
        known = current.find(base_url)
        found = known if known is not None and known.is_from_environment else None
    return found or _SessionElsewhere(base_url, profile, is_from_environment)


def auth_of(*handle: Any) -> SessionAuth:
    """The auth of `session_of`."""
    return session_of(*handle).auth


def client_of(handle: tuple[Any, ...], options: dict[str, Any]) -> httpx.Client:
    """A client of `session_of`, made as the pickled one was."""
    return session_of(*handle).client(**options)


def async_client_of(handle: tuple[Any, ...], options: dict[str, Any]) -> httpx.AsyncClient:
    """A client of `session_of`, made as the pickled one was."""
    return session_of(*handle).async_client(**options)


class _TokensElsewhere:
    """No token, and what to do about it."""

    def __init__(self, why: str) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self._why = why

    def current(self) -> TokenSet:
        self._refuse()

    def due(self, _tokens: TokenSet) -> bool:
        return False

    def expired(self, _tokens: TokenSet) -> bool:
        return True

    def renew(self, _tokens: TokenSet) -> Renewal:
        self._refuse()

    def replace(self, _refused: TokenSet) -> Renewal:
        self._refuse()

    async def end(self) -> None:
        self.on_end()

    def _refuse(self) -> NoReturn:
        raise SignInRequired(self._why)


class _SessionElsewhere(Session):
    """The handle of a session that this process does not have."""

    def __init__(self, base_url: str, profile: str, is_from_environment: bool) -> None:  # noqa: FBT001 - pickled
        why = (
            f"This is the handle of a sign-in at {base_url} (profile {profile}) in another process; it "
            "holds no token. For the workers of a Dask cluster, call ic_notebook.cluster.share(client) in "
            "the notebook; elsewhere connect."
        )
        self._handle = base_url, profile, is_from_environment
        super().__init__(service_metadata(base_url), _TokensElsewhere(why), profile=profile)
        self._state = SessionState.ENDED
        self._why = why

    @property
    def handle(self) -> tuple[str, str, bool]:
        return self._handle

    def __repr__(self) -> str:
        return f"<Session elsewhere, {self.base_url}: {self._why}>"
