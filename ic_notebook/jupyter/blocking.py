"""Waiting for a sign-in inside a cell.

While a cell blocks, nothing that the page sends arrives, so nothing may depend on it: the sign-in runs on the
background thread, and every panel is told how things stand once a second, whether or not it asked.
"""

from __future__ import annotations

import time

from ic_notebook.background import background
from ic_notebook.errors import SignInTimeout
from ic_notebook.sessions.session import Session
from ic_notebook.sign_in import Attempt, SignIn

_TELL_EVERY = 1.0


def wait_in_cell(sign_in: SignIn, attempt: Attempt, *, timeout: float) -> Session:
    """The session, once a person has approved; an interrupt ends the wait at once.

    Raises:
        SignInTimeout: nobody approved within `timeout` seconds.
        SignInError: the attempt ended otherwise.
    """
    deadline = time.monotonic() + timeout
    try:
        while True:
            sign_in.block(blocked=True)
            if sign_in.gave_up(deadline):
                raise SignInTimeout(f"Nobody approved within {timeout:g} s. Connect again.")
            try:
                left = max(0.1, deadline - time.monotonic())
                return background().wait(attempt, timeout=min(left, _TELL_EVERY))
            except TimeoutError:
                if attempt.done():
                    return attempt.result()
    finally:
        sign_in.block(blocked=False)
