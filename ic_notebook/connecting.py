"""The public functions that sign somebody in, and pick the face for where this runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from ic_notebook import environment
from ic_notebook.background import background
from ic_notebook.errors import (
    ConfigurationError,
    ICNotebookError,
    NobodyThere,
    SignInCancelled,
    SignInRequired,
    SignInTimeout,
    StorageError,
)
from ic_notebook.sessions.current import current
from ic_notebook.sessions.status import SessionState
from ic_notebook.sign_in import SignIn, require_a_way_back
from ic_notebook.signed_in import ONE_FOR_ALL, sign_in_for
from ic_notebook.storage.choice import Storage

if TYPE_CHECKING:
    from ic_notebook.jupyter.panel import ConnectPanel
    from ic_notebook.jupyter.pump import Pump
    from ic_notebook.sessions.session import Session

T = TypeVar("T")

logger = logging.getLogger(__name__)

TIMEOUT = 300.0
"""Seconds that `connect` waits for a person."""
VOILA = (
    "In Voila the page is there only when the cells have run, so none can wait for a person: show "
    "ic.panel(), which the visitor clicks."
)
_END_WITHIN = 1.0
_TICK = 0.1
_TELL_EVERY = 1.0


def connect(
    *,
    base_url: str | None = None,
    profile: str | None = None,
    storage: Storage = None,
    timeout: float = TIMEOUT,
    open_url: Callable[[str], object] | None = None,
    discover: bool = False,
    client_id: str | None = None,
    scope: str | None = None,
    new_client: bool = False,
) -> Session:
    """Sign in, and wait until a person has approved; a session that lives is returned at once.

    In a notebook it shows the panel; in a terminal it opens the browser, prints the link, and takes a pasted
    answer. Ctrl-C or *Interrupt* ends the wait and leaves nothing behind.

    Args:
        base_url: the API; `IC_BASE_URL`, else the service.
        profile: a name for one of several accounts; `IC_PROFILE`, else `default`.
        storage: `"memory"`, `"keyring"` (the system's, shared by all programs of this user), or an object
            with `load`, `save` and `delete` for a `TokenSet`. `IC_STORAGE`, else memory. A sign-in that the
            keyring holds already is used, unless this is `"memory"`.
        timeout: seconds to wait for the person.
        open_url: a callable that gets the authorization URL in place of the browser; its result is ignored.
        discover: read the server's own metadata (RFC 8414) in place of the service's published paths.
        client_id: a client registered by hand, for a server that registers none itself.
        scope: the scope to ask for; the server's default where None.
        new_client: register this program anew and sign in anew, because the browser showed an error page.

    Returns:
        The session, which `ic_notebook.session()` gives from now on.

    Raises:
        NobodyThere: no person can be asked here; the message names the ways out.
        SignInTimeout: nobody approved in time.
        SignInDeclined, SignInCancelled: the person said no.
        ConfigurationError: something given cannot be used; there is no keyring, and one was asked for.
        StorageError: the storage that was asked for does not answer.
        OAuthError, UnexpectedAnswer, ServiceUnavailable: the server could not be used.
    """
    _check_timeout(timeout)
    face = sign_in_for(base_url, profile, storage, discover=discover, client_id=client_id, scope=scope)
    live = _already_there(face, storage, open_url=open_url, new_client=new_client)
    if live is not None:
        return live
    in_cell = open_url is None and environment.shows_panels()
    if in_cell:
        _display_panel(face)
    with _seen_to_its_end(face), face.awaited(timeout=timeout) as attempt:
        if in_cell:
            from ic_notebook.jupyter.blocking import wait_in_cell

            return wait_in_cell(face, attempt, timeout=timeout)
        from ic_notebook.terminal import wait_in_terminal

        return wait_in_terminal(face, attempt, timeout=timeout, open_url=open_url)


def connect_with_link(
    *,
    base_url: str | None = None,
    profile: str | None = None,
    storage: Storage = None,
    timeout: float = TIMEOUT,
    discover: bool = False,
    client_id: str | None = None,
    scope: str | None = None,
    new_client: bool = False,
) -> Session:
    """As `connect` in a notebook, with a plain link and a box for the answer in place of the panel.

    Args and errors: as `connect`.
    """
    from ic_notebook.jupyter.link import show_connected, wait_with_link

    _check_timeout(timeout)
    face = sign_in_for(base_url, profile, storage, discover=discover, client_id=client_id, scope=scope)
    live = _already_there(face, storage, open_url=None, new_client=new_client)
    if live is not None:
        show_connected(live)
        return live
    with _seen_to_its_end(face), face.awaited(timeout=timeout) as attempt:
        return wait_with_link(face, attempt, timeout=timeout)


async def connect_async(
    *,
    base_url: str | None = None,
    profile: str | None = None,
    storage: Storage = None,
    timeout: float = TIMEOUT,
    open_url: Callable[[str], object] | None = None,
    discover: bool = False,
    client_id: str | None = None,
    scope: str | None = None,
    new_client: bool = False,
) -> Session:
    """As `connect`, without holding up the running asyncio loop. Without a notebook `open_url` is needed.

    Args and errors: as `connect`.

    Raises:
        NobodyThere: also where there is neither a notebook nor `open_url`.
    """
    _check_timeout(timeout)
    face = sign_in_for(base_url, profile, storage, discover=discover, client_id=client_id, scope=scope)
    if new_client:
        face.register_again()
    else:
        live = await _here(background().submit(_live, face, storage))
        if live is not None:
            return live
    _require_somebody(open_url)
    if open_url is None and not environment.shows_panels():
        raise NobodyThere("Outside a notebook, give connect_async(open_url=…), or call connect().")
    if storage not in {None, "memory"}:
        await _here(background().submit(face.keeping.store.check))
    if open_url is None:
        _display_panel(face)
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


def panel(
    *,
    base_url: str | None = None,
    profile: str | None = None,
    storage: Storage = None,
    discover: bool = False,
    client_id: str | None = None,
    scope: str | None = None,
    new_client: bool = False,
) -> ConnectPanel:
    """The Connect panel, to be displayed in a notebook. It asks for nothing before somebody sees it.

    Args: as `connect`.

    Raises:
        ConfigurationError: something given cannot be used.
        NobodyThere: one process serves every visitor here (`marimo run`).
    """
    from ic_notebook.jupyter.panel import ConnectPanel

    _require_one_person()
    face = sign_in_for(base_url, profile, storage, discover=discover, client_id=client_id, scope=scope)
    if new_client:
        face.register_again()
    return ConnectPanel(face)


def _already_there(
    face: SignIn, storage: Storage, *, open_url: Callable[[str], object] | None, new_client: bool
) -> Session | None:
    """The session that there is already; None where a person has to be asked, and can be."""
    if new_client:
        face.register_again()
    else:
        live = background().run(_live, face, storage)
        if live is not None:
            return live
    _require_somebody(open_url)
    if storage not in {None, "memory"}:
        background().run(face.keeping.store.check)
    return None


@contextlib.contextmanager
def _seen_to_its_end(face: SignIn) -> Iterator[None]:
    """An attempt that is given up has ended after this, so that a connect() which follows begins another."""
    try:
        yield
    except concurrent.futures.CancelledError:
        raise SignInCancelled("The sign-in was cancelled: this process is ending.") from None
    finally:
        ending = face.ending
        if ending is not None:
            with contextlib.suppress(Exception):
                background().wait(ending, timeout=_END_WITHIN)


def _check_timeout(timeout: float) -> None:
    if not 0 < timeout < math.inf:
        raise ConfigurationError("timeout is a number of seconds above 0.")


async def _live(face: SignIn, storage: Storage) -> Session | None:
    """The session that there is already, here or in the storage; None where a person has to be asked."""
    live = current.find(face.options.base_url, profile=face.profile)
    if live is not None and live.is_from_environment:
        return live
    if live is None or live.state is not SessionState.CONNECTED or (storage == "memory" and live.store):
        live = await _stored(face, storage)
        if live is None or not await _works(live):
            return None
    elif storage not in {None, "memory"} and live.store is None:
        await live.keep(face.keeping.store)
    current.add(live)
    return live


async def _stored(face: SignIn, storage: Storage) -> Session | None:
    try:
        return await face.keeping.restore()
    except StorageError as failure:
        if storage is not None:
            raise
        # Nobody asked for it by name: a sign-in in memory does as well.
        logger.warning("%s", failure)
        return None


async def _works(stored: Session) -> bool:
    """Whether a sign-in that was kept still stands, as far as the service tells."""
    try:
        await stored.check()
    except SignInRequired:
        return False
    except ICNotebookError:
        # No answer is no refusal.
        pass
    return True


async def _here(answer: concurrent.futures.Future[T]) -> T:
    """What the background thread gives, awaited on the caller's loop."""
    return await asyncio.wrap_future(answer)


def _require_one_person() -> None:
    if environment.is_marimo_app():
        raise NobodyThere(ONE_FOR_ALL)


def _require_somebody(open_url: Callable[[str], object] | None) -> None:
    _require_one_person()
    if open_url is None and not environment.somebody_is_there():
        if environment.in_voila():
            raise NobodyThere(VOILA)
        raise NobodyThere(
            "Nobody can be asked to approve here: this run is unattended, or has no browser and no terminal. "
            "Set IC_ACCESS_TOKEN to a token or API key, or sign in once where a person is and keep it in the "
            "keyring: ic-notebook connect."
        )


def _display_panel(face: SignIn) -> None:
    from ic_notebook.jupyter.panel import ConnectPanel

    if environment.in_marimo_editor():
        import marimo

        marimo.output.append(ConnectPanel(face))
        return
    from IPython.display import display

    display(ConnectPanel(face))


def _pump() -> Pump | None:
    if not environment.in_notebook():
        return None
    from ic_notebook.jupyter.pump import pump_here

    return pump_here()


async def _approved(
    face: SignIn,
    approval: asyncio.Future[Session],
    open_url: Callable[[str], object] | None,
    *,
    timeout: float,
) -> Session:
    """The session; wakes up often, since an interrupt of a kernel is heard only then."""
    deadline = time.monotonic() + timeout
    pump, told_at = _pump(), 0.0
    while not approval.done():
        if face.gave_up(deadline):
            raise SignInTimeout(f"Nobody approved within {timeout:g} s. Connect again.")
        if pump is not None:
            await pump.hear()
        elif time.monotonic() > told_at + _TELL_EVERY:
            # Not every kernel hears the page's hello while a cell awaits.
            face.block(blocked=False)
            told_at = time.monotonic()
        if open_url is not None and face.url is not None:
            require_a_way_back(face)
            open_url(face.url)
            face.opened()
            open_url = None
        await asyncio.wait({approval}, timeout=_TICK)
    return approval.result()
