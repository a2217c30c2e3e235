"""The face without a notebook: opens the browser, prints the link, and takes a pasted answer.

It writes to the standard error stream: a script's own output stays a script's own.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator

from ic_notebook.environment import has_browser, has_terminal
from ic_notebook.errors import SignInTimeout
from ic_notebook.sessions.session import Session
from ic_notebook.sign_in import Attempt, SignIn, require_a_way_back

_TICK = 0.2


def wait_in_terminal(
    sign_in: SignIn,
    attempt: Attempt,
    *,
    timeout: float,
    open_url: Callable[[str], object] | None = None,
) -> Session:
    """The session, once a person has approved.

    Args:
        sign_in: what the attempt belongs to.
        attempt: its future.
        timeout: seconds.
        open_url: gets the address in place of browser and terminal.

    Raises:
        SignInTimeout: nobody approved in time.
        SignInError: the attempt ended otherwise.
    """
    deadline = time.monotonic() + timeout
    with _changes(sign_in) as changed:
        while sign_in.url is None and not attempt.done():
            _check(sign_in, deadline, timeout)
            changed.wait(_TICK)
            changed.clear()
        url = sign_in.url
        if url is not None:
            _show(sign_in, url, open_url)
            sign_in.opened()
        pasted = _pasted_lines() if open_url is None and has_terminal() else iter(())
        shown: str | None = None
        while not attempt.done():
            _check(sign_in, deadline, timeout)
            line = next(pasted, None)
            if line is None:
                changed.wait(_TICK)
            elif line:
                changed.clear()
                sign_in.paste(line)
                # Until the answer was read, the problem is still that of the last one.
                changed.wait(_TICK)
                shown = None
            changed.clear()
            problem = sign_in.login.problem if sign_in.login else None
            if problem and problem != shown:
                print(f"{problem}\n", file=sys.stderr)
                shown = problem
    return attempt.result()


def _show(sign_in: SignIn, url: str, open_url: Callable[[str], object] | None) -> None:
    if open_url is not None or not has_terminal():
        require_a_way_back(sign_in)
    if open_url is not None:
        open_url(url)
        return
    browser = has_browser()
    where = "Your browser shows this page" if browser else "Open this page in a browser"
    print(f"{where}, to connect to influencers.club:\n\n  {url}\n", file=sys.stderr)
    if browser:
        # On a thread: some browsers hold up whoever opens them until they are closed.
        threading.Thread(target=webbrowser.open, args=(url,), name="ic_notebook-browser", daemon=True).start()
    if has_terminal():
        listening = sign_in.login is not None and sign_in.login.listening
        expected = "If the last page will not load" if listening else "The last page will not load"
        print(
            f"Waiting for your approval (Ctrl-C to stop). {expected}: copy its address, paste it here and "
            "press Enter.",
            file=sys.stderr,
        )


@contextlib.contextmanager
def _changes(sign_in: SignIn) -> Iterator[threading.Event]:
    changed = threading.Event()
    stop = sign_in.watch(changed.set)
    try:
        yield changed
    finally:
        stop()


def _check(sign_in: SignIn, deadline: float, timeout: float) -> None:
    if sign_in.gave_up(deadline):
        raise SignInTimeout(f"Nobody approved within {timeout:g} s. Connect again.")


def _pasted_lines() -> Iterator[str]:
    """Lines typed into the terminal as they come, an empty one every tick; never holds up the caller.

    Only what is typed during the wait is read, so that a later `input()` of the script gets its own.
    """
    if sys.platform == "win32":
        # A console cannot be waited for; where a browser was opened, the answer comes by the listener.
        while not has_browser():
            yield input()
        return
    descriptor, held = sys.stdin.fileno(), b""
    while True:
        ready, _, _ = select.select([descriptor], [], [], _TICK)
        if not ready:
            yield ""
            continue
        octets = os.read(descriptor, 65_536)
        if not octets:
            return
        *lines, held = (held + octets).split(b"\n")
        for line in lines:
            yield line.decode("utf-8", "replace")
