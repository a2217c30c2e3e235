"""The public functions of whoever is signed in: which session is meant, and what can be done with it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx

from ic_notebook import environment
from ic_notebook.background import background
from ic_notebook.errors import SignInRequired, StorageError
from ic_notebook.login.options import LoginOptions
from ic_notebook.sessions.current import current
from ic_notebook.sessions.status import Disconnected, SessionState, Status
from ic_notebook.sessions.token_source import NOBODY
from ic_notebook.sign_in import SignIn, sign_in, ways_back
from ic_notebook.storage.choice import Storage

if TYPE_CHECKING:
    from ic_notebook.sessions.apps import ConnectedApps
    from ic_notebook.sessions.session import Session

ONE_FOR_ALL = (
    "`marimo run` serves all its visitors from one process, so nobody signs in here: set IC_ACCESS_TOKEN "
    "before it starts, or open the notebook with `marimo edit`."
)


def session(*, base_url: str | None = None, profile: str | None = None, discover: bool = False) -> Session:
    """The session that is meant. No browser is opened for it.

    Args:
        base_url: the API; where None, the one connected last in this process, else `IC_BASE_URL`.
        profile: the session of this profile; the environment's token belongs to none.
        discover: look for a sign-in at a server that announces its own metadata (RFC 8414).

    Returns:
        The one connected last in this process, else that of `IC_ACCESS_TOKEN`, else the one that the keyring
        holds.

    Raises:
        SignInRequired: there is none.
        ConfigurationError: something given, or an environment variable, cannot be used.
        StorageError: the keyring holds one, but cannot be read: it is locked.
        UnexpectedAnswer, ServiceUnavailable: with `discover`, the metadata cannot be read.
    """
    if base_url is None and not discover:
        try:
            return current.meant(profile=profile)
        except SignInRequired:
            if environment.is_marimo_app():
                raise SignInRequired(ONE_FOR_ALL) from None
            raise
    face = sign_in_for(base_url, profile, None, discover=discover, client_id=None, scope=None)
    found = current.find(face.options.base_url, profile=profile)
    if found is None or (found.state is not SessionState.CONNECTED and not found.is_from_environment):
        found = background().run(face.keeping.restore)
    if found is None:
        raise SignInRequired(ONE_FOR_ALL if environment.is_marimo_app() else NOBODY)
    return found


def status(*, profile: str | None = None) -> Status:
    """How the sign-in stands, readable. Calls no server, and does not mind that nobody is signed in.

    Raises:
        ConfigurationError: the profile or an environment variable cannot be used.
    """
    try:
        found = session(profile=profile).status
    except (SignInRequired, StorageError) as failure:
        problem = None if str(failure) == NOBODY else str(failure)
        found = Status(
            connected=False,
            base_url=environment.base_url(),
            profile=environment.profile(profile),
            problem=problem,
        )
    return replace(found, ways=ways_back(found.base_url))


def client(*, profile: str | None = None, **options: Any) -> httpx.Client:
    """An httpx.Client for the API, signed in; see `Session.client`.

    Raises:
        SignInRequired: nobody is signed in.
    """
    return session(profile=profile).client(**options)


def async_client(*, profile: str | None = None, **options: Any) -> httpx.AsyncClient:
    """A new httpx.AsyncClient for the API, signed in; see `Session.async_client`.

    Raises:
        SignInRequired: nobody is signed in.
    """
    return session(profile=profile).async_client(**options)


def apps(*, profile: str | None = None) -> ConnectedApps:
    """The apps connected to the account, a table in a notebook; see `Session.apps`.

    Raises:
        SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
    """
    return session(profile=profile).apps()


def revoke(app_id: str, *, profile: str | None = None) -> None:
    """Disconnect one app at the service, by its id in `apps()`; see `Session.revoke`.

    Raises:
        ConfigurationError: no id was put in.
        APIError: no connected app has this id.
        SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
    """
    session(profile=profile).revoke(app_id)


def disconnect(*, profile: str | None = None) -> Disconnected:
    """End the sign-in at the service and forget it here; says so where it could only forget.

    Raises:
        SignInRequired: nobody is signed in.
        ConfigurationError: the token came from `IC_ACCESS_TOKEN`.
        UnexpectedAnswer, ServiceUnavailable: the service gave no usable answer; the sign-in stands.
    """
    return session(profile=profile).disconnect()


def forget(*, profile: str | None = None) -> None:
    """Forget the sign-in here, also in the keyring; at the service the app stays connected.

    Raises:
        SignInRequired: nobody is signed in.
        ConfigurationError: the token came from `IC_ACCESS_TOKEN`.
        StorageError: it could not be deleted from the keyring.
    """
    session(profile=profile).forget()


def sign_in_for(
    base_url: str | None,
    profile: str | None,
    storage: Storage,
    *,
    discover: bool,
    client_id: str | None,
    scope: str | None,
) -> SignIn:
    """The SignIn that these name; the environment says what is not given. Args and errors: as `connect`."""
    where = environment.base_url(base_url)
    options = LoginOptions(base_url=where, discover=discover, client_id=client_id, scope=scope)
    return sign_in(options, profile=profile, storage=storage)
