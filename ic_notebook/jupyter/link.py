"""The face where a page shows no widget: a plain link, and a box in the cell for the answer.

The box is the front end's own, for passwords: what is typed into it is neither shown nor saved. The link is
taken out of the output when the sign-in ends. A front end keeps its box until somebody answers it (JupyterLab
runs no other cell before), so it is never withdrawn: what is said above it changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import getpass
import html
import threading
import time
from typing import Any

from IPython.display import display

from ic_notebook.background import background
from ic_notebook.errors import ICNotebookError, SignInCancelled, SignInTimeout
from ic_notebook.jupyter.cells import NEXT
from ic_notebook.login.states import LoginState
from ic_notebook.oauth.secret import Secret
from ic_notebook.sessions.session import Session
from ic_notebook.sign_in import Attempt, SignIn

_TICK = 0.2
_HEARD_WITHIN = 5.0
_BOX = "Address of the last page, or just Enter: "
_PRESS_ENTER = "Press Enter in the box below to go on."
_STOPPED = "The wait was stopped, and nobody is signed in. To sign in, run this cell again."
_HOW = (
    "Sign in and approve in the tab that opens. If its last page does not load, copy the address of that "
    "page into the box below and press Enter. An error page instead? Interrupt, and run "
    "%ic_connect --paste --new-client."
)


def wait_with_link(sign_in: SignIn, attempt: Attempt, *, timeout: float) -> Session:
    """The session, once a person has approved: their browser reaches this computer, or they paste the answer.

    Raises:
        SignInTimeout: nobody approved within `timeout` seconds.
        SignInCancelled: the kernel was interrupted.
        SignInError: the attempt ended otherwise.
    """
    deadline = time.monotonic() + timeout
    changed = threading.Event()
    unwatch = sign_in.watch(changed.set)
    sign_in.block(blocked=True)
    try:
        while sign_in.url is None and not attempt.done():
            _check(sign_in, deadline, timeout)
            changed.wait(_TICK)
            changed.clear()
        url = Secret(sign_in.url or "")
        if not url:
            return attempt.result()
        return _asked(sign_in, attempt, _Shown(url), changed, timeout=timeout, deadline=deadline)
    finally:
        sign_in.block(blocked=False)
        unwatch()


def show_connected(session: Session) -> None:
    """What is shown where there is nothing to ask."""
    display(_words(_connected(session)), raw=True)


def _asked(
    sign_in: SignIn,
    attempt: Attempt,
    shown: _Shown,
    changed: threading.Event,
    *,
    timeout: float,
    deadline: float,
) -> Session:
    sign_in.opened()
    background().submit(_tell_end, shown, attempt, deadline)
    last = _STOPPED
    try:
        problem = None
        while not attempt.done():
            problem = _answered(sign_in, attempt, _typed(f"{problem}\n{_BOX}" if problem else _BOX), changed)
            if not attempt.done():
                _check(sign_in, deadline, timeout)
        session = attempt.result()
        last = _connected(session)
    except KeyboardInterrupt:
        # Its frames are those of the box, which tell nobody anything.
        raise SignInCancelled(_STOPPED) from None
    except ICNotebookError as error:
        last = f"Not connected. {error}"
        raise
    finally:
        shown.say(last, last=True)
    return session


def _answered(sign_in: SignIn, attempt: Attempt, answer: str, changed: threading.Event) -> str | None:
    """What is wrong with what was typed, or None."""
    if answer and not attempt.done():
        sign_in.paste(answer)
        background().run(_read)
        heard_by = time.monotonic() + _HEARD_WITHIN
        while not (attempt.done() or _problem(sign_in) or time.monotonic() > heard_by):
            if sign_in.phase is LoginState.FINISHING:
                break
            changed.wait(_TICK)
            changed.clear()
    while not attempt.done() and sign_in.phase is LoginState.FINISHING:
        changed.wait(_TICK)
        changed.clear()
    return _problem(sign_in) if answer else None


def _problem(sign_in: SignIn) -> str | None:
    return sign_in.login.problem if sign_in.login else None


async def _read() -> None:
    """What was posted to the background before this has been done by now."""


async def _tell_end(shown: _Shown, attempt: Attempt, deadline: float) -> None:
    """Take the link away and say how it ended, although the cell still waits for its box."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    attempt.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(ended.wait(), max(0.0, deadline - time.monotonic()))
    connected = attempt.done() and not attempt.cancelled() and attempt.exception() is None
    shown.say(f"{'Connected.' if connected else 'Not connected.'} {_PRESS_ENTER}")


class _Shown:
    """The link in the cell's output, until something else is said in its place."""

    def __init__(self, url: str) -> None:
        link = f'<a href="{html.escape(url)}" target="_blank" rel="noopener noreferrer">'
        how = html.escape(_HOW)
        self._handle: Any = display(
            {
                "text/plain": f"Connect to influencers.club in a browser:\n\n{url}\n\n{_HOW}",
                "text/html": f"<p>{link}Connect to influencers.club</a></p><p>{how}</p>",
            },
            raw=True,
            display_id=True,
        )
        # On another thread, too, what is said belongs to this cell.
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self.over = False

    def say(self, words: str, *, last: bool = False) -> None:
        with self._lock:
            if not self.over:
                self.over = last
                self._context.copy().run(self._handle.update, _words(words), raw=True)


def _words(words: str) -> dict[str, str]:
    return {"text/plain": words, "text/html": f"<p>{html.escape(words)}</p>"}


def _connected(session: Session) -> str:
    kept = session.status.kept
    return f"Connected{f' ({kept})' if kept else ''}. Next: {NEXT}"


def _typed(prompt: str) -> str:
    try:
        return Secret(getpass.getpass(prompt).strip())
    except EOFError:
        return ""


def _check(sign_in: SignIn, deadline: float, timeout: float) -> None:
    if sign_in.gave_up(deadline):
        raise SignInTimeout(f"Nobody approved within {timeout:g} s. Connect again.")
