"""What the panel shows of a SignIn, in words: a dictionary for the page, with no secret but the link."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ic_notebook import environment
from ic_notebook.environment import DEFAULT_PROFILE
from ic_notebook.errors import (
    ConfigurationError,
    ICNotebookError,
    ServiceUnavailable,
    SignInDeclined,
    SignInTimeout,
)
from ic_notebook.jupyter.cells import CELLS, NEXT
from ic_notebook.login.states import LoginState
from ic_notebook.oauth.metadata import SERVICE, service_metadata
from ic_notebook.redirect.routes import EXTENSION, HOSTED, LOOPBACK, PAGE, SERVER_PROXY
from ic_notebook.sessions.apps import ConnectedApps, day
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.token_source import ENDED
from ic_notebook.sign_in import SignIn

if TYPE_CHECKING:
    from ic_notebook.login.login import Login

View = dict[str, Any]
"""One picture of the panel, as JSON; `panel.js` says what it does with each key."""

PRODUCT = "influencers.club"
INVITATION = "Sign in once. Every cell of this notebook can then call the API."
WAYS = {
    EXTENSION: "comes back through this Jupyter server",
    PAGE: "comes back through this page",
    SERVER_PROXY: "comes back through this server's proxy",
    HOSTED: "comes back through this notebook host's proxy",
}
BY_PASTE = "ends with an address to paste here"
RESTART = (
    "For one click without pasting: restart your Jupyter server once "
    "(ic_notebook was installed while it ran)."
)
INSTALL_BESIDE = (
    "For one click without pasting: install ic-notebook beside JupyterLab too, and restart it once."
)
AWAITED = "This cell waits until you have connected. To stop waiting, interrupt the kernel."
BLOCKED_WAITING = "This cell goes on by itself. To stop waiting or to paste an address, interrupt the kernel."


NO_KEYRING = "no system keyring here: the sign-in ends with this kernel"


def view_of(sign_in: SignIn, *, apps: View | None, busy: str | None, notice: str | None = None) -> View:
    """The whole picture.

    Args:
        sign_in: what is shown.
        apps: what the table of apps shows, or None where it is not open.
        busy: a sentence while something asked for is under way.
        notice: a sentence on what takes its time just now, anywhere in this process.
    """
    session = sign_in.session
    # A cell that waits for another sign-in needs its link, whatever there is already.
    wanted = sign_in.waited_for and sign_in.phase is not None
    if session is not None and session.state is SessionState.CONNECTED and not wanted:
        view = _connected(sign_in, session) | {"apps": apps, "busy": busy}
    elif sign_in.phase is LoginState.WAITING:
        view = _waiting(sign_in)
    elif sign_in.phase is LoginState.FINISHING:
        view = _picture("finishing", "Approved, finishing…") | _storage_is_slow(sign_in, notice)
    else:
        view = _not_connected(sign_in, notice)
    return {"notice": notice, "profile": _profile(sign_in), "door": _door(sign_in)} | view


def unusable(error: ConfigurationError) -> View:
    """The picture where an environment variable names no sign-in at all; the panel cannot be asked again."""
    return _picture("dead", "Not connected", f"{error} Then run this cell again.")


def apps_view(apps: ConnectedApps) -> View:
    """The rows of the table of apps."""
    rows = [
        {
            "id": app.id or "",
            "name": app.name or "without a name",
            "connected": day(app.created),
            "own": app is apps.own,
            "can_revoke": app.id is not None,
        }
        for app in apps
    ]
    return {"rows": rows}


def _picture(state: str, title: str, text: str = "") -> View:
    return {"state": state, "title": title, "text": text}


def _not_connected(sign_in: SignIn, notice: str | None) -> View:
    if sign_in.looking:
        view = _picture("looking", PRODUCT, "Looking for a sign-in on this computer…") | {"action": "Connect"}
        view |= _storage_is_slow(sign_in, notice)
    else:
        view = _no_session(sign_in)
    host = service_metadata(sign_in.options.base_url).sign_in_host
    return view | {"url": sign_in.url, "host": host, "way": _way(sign_in), "remember": _remember(sign_in)}


def _no_session(sign_in: SignIn) -> View:
    failure = sign_in.misconfigured or sign_in.failure
    if failure is not None:
        return _failed(failure, sign_in.options.base_url) | {"action": "Try again"}
    ended = sign_in.session if sign_in.session and sign_in.session.state is SessionState.ENDED else None
    if ended is not None and ended.is_from_environment:
        words = "Put a valid token or API key there and run this cell again, or connect here."
        return _picture("ended", "IC_ACCESS_TOKEN was refused", words) | {"action": "Connect"}
    if ended is not None:
        words, why = "It was disconnected in the dashboard or in another notebook.", ended.status.problem
        words = words if why in {None, ENDED} else str(why)
        return _picture("ended", "This sign-in has ended", words) | {"action": "Connect again"}
    if sign_in.phase in {LoginState.NEW, LoginState.PREPARING}:
        return _picture("preparing", PRODUCT, "Getting ready…") | {"action": "Connect"}
    ready = sign_in.phase is LoginState.READY
    notice = sign_in.login.notice if sign_in.login else None
    words = notice or (AWAITED if sign_in.waited_for else sign_in.note or INVITATION)
    problem = sign_in.login.problem if ready and sign_in.login else None
    view = _picture("ready" if ready else "idle", PRODUCT, words)
    return view | {"action": "Connect", "remark": problem}


def _door(sign_in: SignIn) -> View | None:
    """How the page reaches the listener of the attempt under way; None where nothing listens."""
    login = sign_in.login if sign_in.phase is not None else None
    if login is None or login.port is None:
        return None
    on_our_page = login.request is not None and login.route.name in {PAGE, EXTENSION}
    state = str(login.request.state) if login.request is not None and on_our_page else None
    return login.door.to_page(login.port) | {"state": state}


def _storage_is_slow(sign_in: SignIn, notice: str | None) -> View:
    """What a person may do about a storage that does not answer: not while a cell keeps their click away."""
    if notice is None or not sign_in.keeping.busy:
        return {}
    return {"text": notice, "notice": None, "can_go_on": not sign_in.blocked}


def _remember(sign_in: SignIn) -> View | None:
    """The box; None where there is none to tick, or where a waiting cell would keep the tick away."""
    keeping = sign_in.keeping
    if not keeping.offered or sign_in.blocked:
        return None
    problem = NO_KEYRING if keeping.impossible else None
    return {"on": keeping.remember, "problem": problem, "reason": keeping.impossible}


def _profile(sign_in: SignIn) -> str | None:
    """The name of the account, where it is not the default one; a token of the environment has none."""
    session = sign_in.session
    if sign_in.misconfigured is not None or (session is not None and session.is_from_environment):
        return None
    profile = sign_in.keeping.profile
    return profile if profile != DEFAULT_PROFILE else None


def _waiting(sign_in: SignIn) -> View:
    login = sign_in.login
    paste_only = login is not None and not login.one_click
    text = "This panel notices by itself, also while a cell is running."
    return _picture("waiting", "Approve in the other tab", BLOCKED_WAITING if sign_in.unheard else text) | {
        "url": sign_in.url,
        "problem": login.problem if login else None,
        "remark": (login.notice if login else None) or (_how_to_click_once(sign_in) if paste_only else None),
        "direct_url": login.request.url if login and login.request and login.route.start else None,
        "paste_hint": _last_address(login),
        "paste_only": paste_only,
        "blocked": sign_in.unheard,
        "remember": _remember(sign_in),
    }


def _way(sign_in: SignIn) -> str | None:
    """By which way the browser comes back, once a link is ready; None where it comes straight, as most do."""
    login = sign_in.login
    if sign_in.phase is not LoginState.READY or login is None or sign_in.findings is None:
        return None
    return WAYS.get(login.route.name) if login.route.proven else BY_PASTE


def _last_address(login: Login | None) -> str:
    """What the address of the last page looks like, where it will not load."""
    if login is None or login.route.name == LOOPBACK:
        return "http://127.0.0.1:…/callback?code=…"
    return f"{login.route.redirect_uris[0]}?code=…"


def _how_to_click_once(sign_in: SignIn) -> str | None:
    """What a person could do so that the next sign-in needs no paste; None where nothing is known to help."""
    findings = sign_in.findings
    if findings is None or findings.why_not(EXTENSION) != "not there":
        return None
    if environment.shares_jupyter():
        return RESTART
    return INSTALL_BESIDE


def _connected(sign_in: SignIn, session: Session) -> View:
    left = [] if sign_in.credits is None else [f"{sign_in.credits:,.2f}".rstrip("0").rstrip(".") + " credits"]
    status = session.status
    since = [f"since {status.since.astimezone():%H:%M}"] if status.since else []
    registered = [f"as {status.registered_as}"] if status.registered_as else []
    title = "Connected with IC_ACCESS_TOKEN" if session.is_from_environment else "Connected"
    in_memory = session.store is None and not session.is_from_environment
    return _picture("connected", title, " · ".join([*left, status.kept or "", *since, *registered])) | {
        "can_disconnect": not session.is_from_environment,
        "can_list": may_list(session),
        "remark": sign_in.keeping.failure if in_memory else None,
        "next": NEXT,
        "cells": [{"name": cell.name, "title": cell.title, "code": cell.code} for cell in CELLS],
    }


def may_list(session: Session) -> bool:
    """Whether a panel may list and revoke apps: not for each visitor, with a token that is the operator's."""
    return not (session.is_from_environment and environment.serves_many())


def _failed(failure: ICNotebookError, base_url: str) -> View:
    if isinstance(failure, SignInDeclined):
        words = "Nobody is signed in. Connect again and choose Approve on the page."
        return _picture("failed", "Not connected: access was declined", words)
    if isinstance(failure, SignInTimeout):
        return _picture("failed", "Not connected: nobody approved in time", str(failure))
    if isinstance(failure, ServiceUnavailable) and failure.status_code is None:
        if base_url == SERVICE:
            return _picture("failed", f"{PRODUCT} cannot be reached", str(failure))
        host = service_metadata(base_url).host
        return _picture("failed", f"{host} cannot be reached", f"{failure} Check IC_BASE_URL as well.")
    return _picture("failed", "Not connected", str(failure))
