"""Where an attempt to sign in can stand, and where it can go from there."""

from __future__ import annotations

import enum


class LoginState(enum.Enum):
    """Where an attempt stands."""

    NEW = "new"
    PREPARING = "preparing"
    READY = "ready"
    WAITING = "waiting"
    FINISHING = "finishing"
    CONNECTED = "connected"
    FAILED = "failed"
    RELEASED = "released"


_S = LoginState
TRANSITIONS: dict[LoginState, frozenset[LoginState]] = {
    _S.NEW: frozenset({_S.PREPARING, _S.FAILED}),
    _S.PREPARING: frozenset({_S.READY, _S.FAILED}),
    # Back to preparing: a person saw an error page in the browser, so the link is to have another client.
    _S.READY: frozenset({_S.WAITING, _S.FINISHING, _S.FAILED, _S.RELEASED, _S.PREPARING}),
    _S.WAITING: frozenset({_S.FINISHING, _S.FAILED, _S.PREPARING}),
    # Back to waiting: what was pasted alone turned out to be no code; the right one is still unspent.
    _S.FINISHING: frozenset({_S.CONNECTED, _S.FAILED, _S.WAITING}),
    _S.CONNECTED: frozenset(),
    _S.FAILED: frozenset(),
    _S.RELEASED: frozenset(),
}
OVER = frozenset(state for state, following in TRANSITIONS.items() if not following)
"""The states in which an attempt has ended."""
