"""Waiting for a sign-in inside a cell.

While a cell blocks, nothing that the page sends arrives, unless this kernel has a pump. So nothing may depend
on it: the sign-in runs on the background thread, and without a pump every panel is told how things stand once
a second, whether or not it asked.
"""

from __future__ import annotations

import contextlib
import time

from ic_notebook.background import background
from ic_notebook.errors import SignInTimeout
from ic_notebook.jupyter.pump import pump_here
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
    pump = pump_here()
    try:
        sign_in.block(blocked=pump is None)
        while not attempt.done():
            if sign_in.gave_up(deadline):
                raise SignInTimeout(f"Nobody approved within {timeout:g} s. Connect again.")
            left = min(max(0.1, deadline - time.monotonic()), _TELL_EVERY)
            if pump is not None:
                pump.run(until=attempt.done, timeout=left)
                continue
            with contextlib.suppress(TimeoutError):
                background().wait(attempt, timeout=left)
            sign_in.block(blocked=True)
        return attempt.result()
    finally:
        sign_in.block(blocked=False)
