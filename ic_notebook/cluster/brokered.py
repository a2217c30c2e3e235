"""BrokeredTokens: a worker's access token, which the notebook gives and renews."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable
from typing import Any

from ic_notebook.background import reset_after_fork
from ic_notebook.cluster.link import PATIENCE, Answer, Link
from ic_notebook.errors import SignInRequired
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.token_source import Renewal, Renewed

AHEAD = 5.0
"""Seconds that a renewal may take where the token lives for longer; then it is used as it is."""
REST = 10.0
"""Seconds for which a token that still lives is used as it is, once its renewal has failed."""
_NONE = TokenSet(access_token=Secret(""))


class BrokeredTokens:
    """Access tokens from the notebook, kept in memory alone; a `TokenSource`.

    How long one lives is counted from the question, by this computer's monotonic clock.

    Args:
        link: asks the notebook.
        monotonic: seconds.
    """

    def __init__(self, link: Link, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self._monotonic = monotonic
        # Re-entrant: an answer may be there before the question is noted.
        self._lock = threading.RLock()
        self._why: str | None = None
        self.relink(link)
        reset_after_fork(self)

    def relink(self, link: Link) -> None:
        """From now on ask by this way, and begin without a token."""
        with self._lock:
            self.link = link
            self._flights: dict[bool, Renewal] = {}
            self._forget()

    def current(self) -> TokenSet:
        """The latest that the notebook gave; before the first, one that has ended."""
        if self._why is not None:
            raise SignInRequired(self._why)
        return self._tokens

    def due(self, tokens: TokenSet) -> bool:
        """Whether the notebook would renew these now, or none was ever given."""
        with self._lock:
            return not self._known(tokens) or self._monotonic() >= self._due_at

    def expired(self, tokens: TokenSet) -> bool:
        """Whether these have ended by the clock."""
        with self._lock:
            return not tokens.access_token or (self._known(tokens) and self._monotonic() >= self._ends_at)

    def renew(self, tokens: TokenSet) -> Renewal:
        """What the notebook has; at most one question about it is under way, whoever asks."""
        with self._lock:
            outlives = self._known(tokens) and self._ends_at - self._monotonic() > AHEAD
        return self._flight(tokens, AHEAD if outlives else PATIENCE, refused=False)

    def replace(self, refused: TokenSet) -> Renewal:
        """What the notebook has in place of these; at most one question about it is under way."""
        return self._flight(refused, PATIENCE, refused=True)

    async def end(self) -> None:
        """The notebook knows; here nothing ends on the word of one endpoint."""

    def drop(self) -> None:
        """Forget the token; the next call asks for one."""
        with self._lock:
            self._forget()

    def finish(self, why: str) -> None:
        """Forget the token for good; whoever asks from now on is told why."""
        with self._lock:
            self._forget()
            self._why = why
        self.on_end()

    def after_fork(self) -> None:
        """In a forked child: the lock and the questions are the parent's; what lives is used to its end."""
        self._lock = threading.RLock()
        self._flights = {}

    def _forget(self) -> None:
        self._tokens, self._number = _NONE, 0
        self._due_at = self._ends_at = self._monotonic()

    def _known(self, tokens: TokenSet) -> bool:
        return bool(tokens.access_token) and tokens.access_token == self._tokens.access_token

    def _flight(self, tokens: TokenSet, within: float, *, refused: bool) -> Renewal:
        with self._lock:
            latest = self.current()
            if latest.access_token != tokens.access_token and not self.due(latest):
                return _settled(latest)
            flight = self._flights.get(refused)
            if flight is None or flight.done():
                number = self._number if refused and self._known(tokens) else 0
                flight = self._flights[refused] = self._asked(number, within)
            return flight

    def _asked(self, refused: int, within: float) -> Renewal:
        began, link = self._monotonic(), self.link
        asked = link.ask({"ask": "token", "refused": refused}, within=within)
        renewal: Renewal = concurrent.futures.Future()
        renewal.set_running_or_notify_cancel()
        asked.add_done_callback(lambda answer: self._heard(answer, renewal, link, began))
        return renewal

    def _heard(
        self, asked: concurrent.futures.Future[Answer], renewal: Renewal, link: Link, began: float
    ) -> None:
        try:
            answer = asked.result()
            renewed = Renewed(self._kept(answer["token"], link, began), refreshed=answer["refreshed"])
        except BaseException as failure:  # noqa: BLE001 - handed to whoever asked
            with self._lock:
                self._due_at = self._monotonic() + REST
            renewal.set_exception(failure)
        else:
            renewal.set_result(renewed)

    def _kept(self, given: dict[str, Any], link: Link, began: float) -> TokenSet:
        number, due_in = given.pop("number"), given.pop("due_in")
        tokens = TokenSet(**given | {"access_token": Secret(given["access_token"])})
        with self._lock:
            if link is not self.link or self._why is not None:
                self.current()
                return tokens
            self._tokens, self._number = tokens, number
            self._due_at = began + (float("inf") if due_in is None else due_in)
            self._ends_at = began + (float("inf") if tokens.lifetime is None else tokens.lifetime)
            return tokens


def _settled(tokens: TokenSet) -> Renewal:
    future: Renewal = concurrent.futures.Future()
    future.set_result(Renewed(tokens, refreshed=False))
    return future
