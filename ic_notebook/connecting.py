"""The public functions: find or make the session, and pick the face for where this runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx

from ic_notebook import environment
from ic_notebook.background import background
from ic_notebook.errors import ConfigurationError, NobodyThere, SignInCancelled, SignInRequired, SignInTimeout
from ic_notebook.login import LoginOptions
from ic_notebook.sessions.apps import ConnectedApps
from ic_notebook.sessions.current import current
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import Disconnected, SessionState, Status
from ic_notebook.sign_in import SignIn, require_a_way_back, sign_in

if TYPE_CHECKING:
    from ic_notebook.jupyter.panel import ConnectPanel

TIMEOUT = 300.0
"""Seconds that `connect` waits for a person."""
_END_WITHIN = 1.0
_TICK = 0.1


def connect(
    *,
    base_url: str | None = None,
    timeout: float = TIMEOUT,
    open_url: Callable[[str], object] | None = None,
    discover: bool = False,
    scope: str | None = None,
) -> Session:
    """Sign in, and wait until a person has approved; a live session is returned at once.

    In a notebook it shows the panel; in a terminal it opens the browser, prints the link, and takes a pasted
    answer. Ctrl-C or *Interrupt* ends the wait and leaves nothing behind.

    Args:
        base_url: the API; `IC_BASE_URL`, else the service.
        timeout: seconds to wait for the person.
        open_url: a callable that gets the authorization URL in place of the browser; its result is ignored.
        discover: read the server's own metadata (RFC 8414) in place of the service's published paths.
        scope: the scope to ask for; the server's default where None.

    Returns:
        The session, which `ic_notebook.session()` gives from now on.

    Raises:
        NobodyThere: no person can be asked here; the message names the ways out.
        SignInTimeout: nobody approved in time.
        SignInDeclined, SignInCancelled: the person said no.
        ConfigurationError, OAuthError, UnexpectedAnswer, ServiceUnavailable: the server could not be used.
    """
    _check_timeout(timeout)
    face = _sign_in(base_url, discover=discover, scope=scope)
    live = _live(face)
    if live is not None:
        return live
    _require_somebody(open_url)
    in_cell = open_url is None and environment.in_notebook()
    if in_cell:
        _display_panel(face)
    try:
        with face.awaited(timeout=timeout) as attempt:
            if in_cell:
                from ic_notebook.jupyter.blocking import wait_in_cell

                return wait_in_cell(face, attempt, timeout=timeout)
            from ic_notebook.terminal import wait_in_terminal

            return wait_in_terminal(face, attempt, timeout=timeout, open_url=open_url)
    except concurrent.futures.CancelledError:
        raise SignInCancelled("The sign-in was cancelled: this process is ending.") from None
    finally:
        # Seen to its end, so that a connect() which follows begins another.
        ending = face.ending
        if ending is not None:
            with contextlib.suppress(Exception):
                background().wait(ending, timeout=_END_WITHIN)


async def connect_async(
    *,
    base_url: str | None = None,
    timeout: float = TIMEOUT,
    open_url: Callable[[str], object] | None = None,
    discover: bool = False,
    scope: str | None = None,
) -> Session:
    """As `connect`, without holding up the running asyncio loop. Without a notebook `open_url` is needed.

    Args and errors: as `connect`.

    Raises:
        NobodyThere: also where there is neither a notebook nor `open_url`.
    """
    _check_timeout(timeout)
    face = _sign_in(base_url, discover=discover, scope=scope)
    live = _live(face)
    if live is not None:
        return live
    _require_somebody(open_url)
    if open_url is None and environment.in_notebook():
        _display_panel(face)
    elif open_url is None:
        raise NobodyThere("Outside a notebook, give connect_async(open_url=…), or call connect().")
    approval: asyncio.Future[Session] | None = None
    try:
        with face.awaited(timeout=timeout) as attempt:
            approval = asyncio.wrap_future(attempt)
            # Also where nobody awaits it any more: what it came to is then no news.
            approval.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            return await _approved(face, approval, open_url, timeout=timeout)
    finally:
        if approval is not None and face.ending is not None:
            await asyncio.wait({approval}, timeout=_END_WITHIN)


def panel(*, base_url: str | None = None, discover: bool = False, scope: str | None = None) -> ConnectPanel:
    """The Connect panel, to be displayed in a notebook. It asks for nothing before somebody sees it.

    Args:
        base_url: the API; `IC_BASE_URL`, else the service.
        discover: read the server's own metadata (RFC 8414).
        scope: the scope to ask for; the server's default where None.

    Raises:
        ConfigurationError: for a base URL that a token must not go to.
    """
    from ic_notebook.jupyter.panel import ConnectPanel

    return ConnectPanel(_sign_in(base_url, discover=discover, scope=scope))


def session() -> Session:
    """The session that is meant: the one connected last in this process, else that of `IC_ACCESS_TOKEN`.

    Raises:
        SignInRequired: there is none. No browser is opened for it.
        ConfigurationError: `IC_ACCESS_TOKEN` or `IC_BASE_URL` cannot be used.
    """
    return current.meant()


def status() -> Status:
    """How the sign-in stands, readable. Makes no call, and does not mind that nobody is signed in.

    Raises:
        ConfigurationError: `IC_ACCESS_TOKEN` or `IC_BASE_URL` cannot be used.
    """
    try:
        return current.meant().status
    except SignInRequired:
        return Status(connected=False, base_url=environment.base_url())


def client(**options: Any) -> httpx.Client:
    """An httpx.Client for the API, signed in; see `Session.client`.

    Raises:
        SignInRequired: nobody is signed in.
    """
    return session().client(**options)


def async_client(**options: Any) -> httpx.AsyncClient:
    """A new httpx.AsyncClient for the API, signed in; see `Session.async_client`.

    Raises:
        SignInRequired: nobody is signed in.
    """
    return session().async_client(**options)


def apps() -> ConnectedApps:
    """The apps connected to the account, a table in a notebook; see `Session.apps`.

    Raises:
        SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
    """
    return session().apps()


def revoke(app_id: str) -> None:
    """Disconnect one app at the service, by its id in `apps()`; see `Session.revoke`.

    Raises:
        ConfigurationError: no id was put in.
        APIError: no connected app has this id.
        SignInRequired, UnexpectedAnswer, ServiceUnavailable: as the call went.
    """
    session().revoke(app_id)


def disconnect() -> Disconnected:
    """End the sign-in at the service and forget it here; says so where it could only forget.

    Raises:
        SignInRequired: nobody is signed in.
        ConfigurationError: the token came from `IC_ACCESS_TOKEN`.
        UnexpectedAnswer, ServiceUnavailable: the service gave no usable answer; the sign-in stands.
    """
    return session().disconnect()


def forget() -> None:
    """Forget the sign-in here; at the service the app stays connected.

    Raises:
        SignInRequired: nobody is signed in.
        ConfigurationError: the token came from `IC_ACCESS_TOKEN`.
    """
    session().forget()


def _sign_in(base_url: str | None, *, discover: bool, scope: str | None) -> SignIn:
    return sign_in(LoginOptions(base_url=environment.base_url(base_url), discover=discover, scope=scope))


def _check_timeout(timeout: float) -> None:
    if not 0 < timeout < math.inf:
        raise ConfigurationError("timeout is a number of seconds above 0.")


def _live(face: SignIn) -> Session | None:
    live = current.find(face.options.base_url)
    if live is None or live.state is not SessionState.CONNECTED:
        return None
    if not live.is_from_environment:
        current.add(live)
    return live


def _require_somebody(open_url: Callable[[str], object] | None) -> None:
    if open_url is None and not environment.somebody_is_there():
        raise NobodyThere(
            "Nobody can be asked to approve here: this run is unattended, or has no browser and no terminal. "
            "Set IC_ACCESS_TOKEN to a token or API key, or connect where a person is."
        )


def _display_panel(face: SignIn) -> None:
    from IPython.display import display

    from ic_notebook.jupyter.panel import ConnectPanel

    display(ConnectPanel(face))


async def _approved(
    face: SignIn,
    approval: asyncio.Future[Session],
    open_url: Callable[[str], object] | None,
    *,
    timeout: float,
) -> Session:
    """The session; wakes up often, since an interrupt of a kernel is heard only then."""
    deadline = time.monotonic() + timeout
    while not approval.done():
        if face.gave_up(deadline):
            raise SignInTimeout(f"Nobody approved within {timeout:g} s. Connect again.")
        if open_url is not None and face.url is not None:
            require_a_way_back(face)
            open_url(face.url)
            face.opened()
            open_url = None
        await asyncio.wait({approval}, timeout=_TICK)
    return approval.result()
