"""StoredTokens: the tokens of one sign-in, renewed once for all who share them.

In memory alone, or in a store that other processes use too: lock, load, still the same? refresh, save,
marker.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable

from ic_notebook.background import background, reset_after_fork
from ic_notebook.errors import (
    ICNotebookError,
    OAuthError,
    ServiceUnavailable,
    SignInRequired,
    StorageError,
    UnexpectedAnswer,
)
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import refresh
from ic_notebook.sessions.token_source import (
    CUT_SHORT,
    ENDED,
    FORKED,
    NOBODY,
    NOT_RENEWABLE,
    REST,
    Renewal,
    Renewed,
    settled,
)
from ic_notebook.storage.sharing import Exclusive, SharedStore
from ic_notebook.transport import Transport

logger = logging.getLogger(__name__)

_GONE = {"invalid_grant", "invalid_client", "unauthorized_client"}


class StoredTokens:
    """A token set renewed by its refresh token; in memory alone, or shared through a store.

    Args:
        server: where to renew.
        tokens: what the sign-in gave, or what was loaded.
        store: what shares them with other processes, or None.
        stamp: the store's stamp from before they were loaded.
        transport: sends the refresh.
        clock, monotonic: seconds; a wall clock can be set back, and a monotonic one stands still in sleep, so
            a token is as old as the one that says more.
    """

    def __init__(
        self,
        server: ServerMetadata,
        tokens: TokenSet,
        *,
        store: SharedStore | None = None,
        stamp: int | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self.store = store
        self._server = server
        self._tokens: TokenSet | None = tokens
        self._stamp = stamp
        self._transport = transport or Transport()
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._flights: dict[bool, Renewal] = {}
        self._forked = False
        self._why = NOBODY
        self._received = monotonic()
        self._rest_until = self._received
        self._unsaved: TokenSet | None = None
        self._cut_short: str | None = None
        reset_after_fork(self)

    def current(self) -> TokenSet:
        """The token set that is known here."""
        tokens = self._tokens
        if tokens is None:
            raise SignInRequired(self._why)
        return tokens

    def due(self, tokens: TokenSet) -> bool:
        """Whether these should be renewed, or looked for in the store, before they are used."""
        if self._flights and self._being_replaced(tokens):
            # The service has refused them: sent all the same, they would be refused once more.
            return True
        if (
            self._unsaved is None
            and (self.store is None or not self.outdated)
            and not self._ends_soon(tokens)
        ):
            return False
        return self._monotonic() >= self._rest_until or self.expired(tokens)

    def expired(self, tokens: TokenSet) -> bool:
        """Whether these have ended by the clock."""
        return tokens.expired(age=self.age(tokens))

    def age(self, tokens: TokenSet) -> float:
        """Seconds since these were obtained."""
        return max(self._clock() - tokens.obtained_at, self._monotonic() - self._received)

    @property
    def outdated(self) -> bool:
        """Whether somebody else has changed what is stored since it was last looked at here."""
        return self.store is not None and self.store.stamp() != self._stamp

    def renew(self, tokens: TokenSet) -> Renewal:
        """The latest; at most one refresh is under way, whoever asks."""
        return self._flight(tokens, refused=False)

    def replace(self, refused: TokenSet) -> Renewal:
        """Another than these; at most one refresh is under way, whoever asks."""
        return self._flight(refused, refused=True)

    async def look(self) -> None:
        """See what somebody else has stored, if anything: the same tokens, newer ones, or none.

        Raises:
            SignInRequired: none; here they are forgotten too.
            StorageError: the store cannot be read in time.
        """
        if self.outdated and self._tokens is not None:
            await self._adopted()

    async def keep(self, store: SharedStore) -> None:
        """From now on share these tokens through a store.

        Raises:
            StorageError: they cannot be stored in time; they stay in memory.
        """
        async with store.exclusive() as exclusive:
            kept = False
            while not kept:
                # A refresh that began in memory is saved with what it gives, not with what it used up.
                if (flight := self._flights.get(True)) is not None:
                    with contextlib.suppress(ICNotebookError):
                        await asyncio.shield(asyncio.wrap_future(flight))
                tokens = self.current()
                await exclusive.save(tokens)
                with self._lock:
                    kept = tokens is self._tokens and self._flights.get(True) is flight
                    if kept:
                        self.store, self._stamp = store, store.stamp()

    async def clear(self, why: str = NOBODY) -> None:
        """Forget the tokens, here and in the store; whoever asks from now on is told why.

        Raises:
            StorageError: they are forgotten here, but could not be deleted in time.
        """
        with self._lock:
            self._tokens, self._why = None, why
        if self.store is not None:
            async with self.store.exclusive() as exclusive:
                await exclusive.delete()

    async def end(self) -> None:
        """The service has refused for good a token that nothing can renew."""
        try:
            await self.clear(NOT_RENEWABLE)
        except StorageError as failure:
            logger.warning("%s What is stored there is of no use any more.", failure)
        finally:
            self.on_end()

    def after_fork(self) -> None:
        """In a forked child: the parent's lock and its refresh are not ours.

        Nor is the right to refresh, unless a store shares what comes of it.
        """
        self._lock = threading.Lock()
        self._flights = {}
        self._forked = True

    def _flight(self, tokens: TokenSet, *, refused: bool) -> Renewal:
        with self._lock:
            latest = self.current()
            if latest.access_token != tokens.access_token:
                return settled(Renewed(latest, refreshed=False))
            if self.store is None and self._forked:
                # The refresh token is the parent's too: renewed here, it would be used up there.
                raise SignInRequired(FORKED)
            # In memory both ways are one refresh; with a store the lock makes them one.
            alike = refused or self.store is None
            flight = self._flights.get(alike or self._being_replaced(latest))
            if flight is not None and not flight.done():
                return flight
            flight = background().submit_to_finish(self._renewed, latest, refused=refused)
            self._flights[alike] = flight
        background().head_start(flight)
        return flight

    def _being_replaced(self, tokens: TokenSet) -> bool:
        flight = self._flights.get(True)
        return flight is not None and tokens.refresh_token is not None and not flight.done()

    async def _renewed(self, tokens: TokenSet, *, refused: bool) -> Renewed:
        try:
            if self.outdated:
                latest = await self._adopted()
                if latest.access_token != tokens.access_token if refused else not self._ends_soon(latest):
                    return Renewed(latest, refreshed=False)
                tokens = latest
            async with self._exclusive() as exclusive:
                latest = await self._adopted()
                if self._unsaved is not None:
                    await self._saved(latest, self._unsaved, exclusive)
                if latest.access_token != tokens.access_token or not (refused or self._ends_soon(latest)):
                    return Renewed(latest, refreshed=False)
                return await self._refreshed(latest, exclusive)
        except SignInRequired:
            raise
        except ICNotebookError:
            self._rest_until = self._monotonic() + REST
            raise

    @contextlib.asynccontextmanager
    async def _exclusive(self) -> AsyncIterator[Exclusive | None]:
        if self.store is None:
            yield None
            return
        async with self.store.exclusive() as exclusive:
            yield exclusive

    async def _adopted(self) -> TokenSet:
        """What is stored now, known here from now on."""
        store = self.store
        if store is None:
            return self.current()
        stamp = store.stamp()
        stored = await store.load()
        with self._lock:
            latest = self.current()
            if stored is None:
                self._tokens, self._why = None, ENDED
            elif self._unsaved is not None and stored.access_token == self._unsaved.access_token:
                # What is here took its place, and could not be stored.
                return latest
            elif stored.access_token != latest.access_token:
                self._tokens, self._received = stored, self._monotonic()
            self._stamp, self._unsaved = stamp, None
        if stored is None:
            self.on_end()
            raise SignInRequired(ENDED)
        return stored

    async def _refreshed(self, stale: TokenSet, exclusive: Exclusive | None) -> Renewed:
        if stale.refresh_token is None:
            # Unless it has ended by the clock, the refusal may be one endpoint's own.
            if self.expired(stale):
                await self._gone(stale, exclusive, NOT_RENEWABLE)
            raise SignInRequired(NOT_RENEWABLE)
        cut_short = self._begins(stale)
        try:
            fresh = await self._transport.drive(refresh(self._server, stale, now=self._clock()))
        except OAuthError as refusal:
            if refusal.error not in _GONE:
                raise
            return await self._refused(stale, exclusive, lost=cut_short or refusal.after_lost_answer)
        except (ServiceUnavailable, UnexpectedAnswer) as failure:
            if getattr(failure, "answer_lost", True):
                self._cut_short = stale.access_token
            elif not cut_short and self.store is not None:
                self.store.renewal_ends()
            raise
        with self._lock:
            if self._tokens is None or self._tokens.access_token != stale.access_token:
                # Forgotten, or signed in anew, while the answer was on its way: that stands.
                return Renewed(self.current(), refreshed=False)
            self._tokens, self._received = fresh, self._monotonic()
        await self._saved(fresh, stale, exclusive)
        return Renewed(fresh, refreshed=True)

    def _begins(self, stale: TokenSet) -> bool:
        """Note that a refresh is sent; whether the answer to one of these very tokens was lost before."""
        known = self._cut_short == stale.access_token
        if self.store is None or self._unsaved is not None:
            return known
        return self.store.renewal_begins(stale.access_token) or known

    async def _refused(self, stale: TokenSet, exclusive: Exclusive | None, *, lost: bool) -> Renewed:
        """The grant of `stale` is no more, unless somebody else has stored another meanwhile."""
        newer = await self._saved_meanwhile(stale)
        if newer is not None:
            return Renewed(newer, refreshed=False)
        await self._gone(stale, exclusive, CUT_SHORT if lost else ENDED)
        raise SignInRequired(self._why)

    async def _saved_meanwhile(self, stale: TokenSet) -> TokenSet | None:
        """What somebody who does not know of our lock has stored, such as another machine; or None."""
        try:
            latest = await self._adopted()
        except StorageError:
            return None
        return latest if latest.access_token != stale.access_token else None

    async def _saved(self, fresh: TokenSet, stale: TokenSet, exclusive: Exclusive | None) -> None:
        if exclusive is None or self.store is None:
            return
        try:
            await exclusive.save(fresh)
        except StorageError as failure:
            logger.warning("%s The renewed sign-in is kept in this process until it can be stored.", failure)
            self._unsaved = self._unsaved or stale
            self._rest_until = self._monotonic() + REST
        else:
            self._stamp, self._unsaved = self.store.stamp(), None
            self.store.renewal_ends()

    async def _gone(self, stale: TokenSet, exclusive: Exclusive | None, why: str) -> None:
        """Forget what the service has refused for good; a sign-in that took its place stands."""
        with self._lock:
            if self._tokens is None or self._tokens.access_token != stale.access_token:
                return
            self._tokens, self._why = None, why
        self.on_end()
        if exclusive is not None and self.store is not None:
            with contextlib.suppress(StorageError):
                await exclusive.delete()
                self.store.renewal_ends()

    def _ends_soon(self, tokens: TokenSet) -> bool:
        # Age as `age` says; first, since this is on the way of every request.
        due = tokens.due_at_age
        if self._clock() - tokens.obtained_at < due and self._monotonic() - self._received < due:
            return False
        return tokens.refresh_token is not None and not (self._forked and self.store is None)
