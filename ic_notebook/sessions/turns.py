"""Whose turn it is to call, where several programs share an account's limit of calls."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Protocol


class Limiter(Protocol):
    """Gives turns, one a call."""

    def ask(self, *, within: float) -> Future[float]:
        """Take a turn: the seconds until its call may be sent, at most `within`.

        Raises (the future):
            ServiceUnavailable: there is none within so many seconds, or nobody who could give one.
        """
        ...


class Turns:
    """A session's; its clients wait for none until there is a limiter."""

    __slots__ = ("limiter",)

    def __init__(self) -> None:
        self.limiter: Limiter | None = None
