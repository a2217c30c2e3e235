"""Keeping: what of a sign-in outlives this process, and what other processes have done to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ic_notebook import environment
from ic_notebook.errors import ConfigurationError, ICNotebookError, StorageError
from ic_notebook.login.options import LoginOptions
from ic_notebook.oauth.metadata import discover, service_metadata
from ic_notebook.sessions.current import CurrentSessions
from ic_notebook.sessions.status import SessionState
from ic_notebook.storage.choice import Storage, keyring_store, looked_in, object_store
from ic_notebook.storage.sharing import SharedStore

if TYPE_CHECKING:
    from ic_notebook.sessions.session import Session

logger = logging.getLogger(__name__)

FOLLOW_EVERY = 0.3
"""Seconds between two looks at the marker that tells what other processes have done."""


class Keeping:
    """Where the sign-in of one server and profile is kept.

    Attributes:
        impossible: why none can be kept here, once that is known; None otherwise.
        failure: why the last sign-in could not be kept, or None.
        unread: whether the storage could not be read when it was last looked into.

    Args:
        options: which server, and how.
        profile: which of a person's accounts, or None for the one that is meant where nobody names one.
        storage: what was asked for.
        sessions: where a session that was kept is added.
        on_change: called whenever an attribute has changed.
    """

    def __init__(
        self,
        options: LoginOptions,
        *,
        profile: str | None,
        storage: Storage,
        sessions: CurrentSessions,
        on_change: Callable[[], None],
    ) -> None:
        self._wished = (storage or environment.storage() or "memory") != "memory"
        self.impossible: str | None = None
        self.failure: str | None = None
        self.unread = False
        self._calls = 0
        self._checked = False
        self._objects: dict[str, SharedStore] = {}
        self._options = options
        self._profile = profile
        self._storage = storage
        self._sessions = sessions
        self._on_change = on_change

    @property
    def remember(self) -> bool:
        """Whether the next sign-in is kept beyond this process."""
        return self._wished and self.impossible is None

    @property
    def busy(self) -> bool:
        """Whether the storage is being called just now."""
        return self._calls > 0

    @property
    def profile(self) -> str:
        """Which of a person's accounts."""
        return environment.profile(self._profile)

    @property
    def store(self) -> SharedStore:
        """Where the sign-in is kept, if it is."""
        issuer, profile = self._options.base_url, self.profile
        if self._storage is None or isinstance(self._storage, str):
            return keyring_store(issuer, profile)
        # One and the same, so that giving up reaches the call that is under way.
        if profile not in self._objects:
            self._objects[profile] = object_store(self._storage, issuer, profile)
        return self._objects[profile]

    @property
    def offered(self) -> bool:
        """Whether a person is to be asked: not where a storage was named, nor where several people come."""
        return self._storage is None and not environment.serves_many()

    def choose(self, *, remember: bool) -> None:
        """A person says whether the next sign-in is to be kept."""
        if self.impossible is None:
            self._wished = remember
        self._on_change()

    def go_on_without(self) -> None:
        """A person does not want to wait for the storage."""
        self.store.calls.give_up()

    async def restore(self) -> Session | None:
        """The session that was kept, where one is to be looked for; None where there is none.

        Raises:
            StorageError: the storage cannot be read in time.
            UnexpectedAnswer, ServiceUnavailable: the server's metadata cannot be read.
        """
        options, self.unread = self._options, False
        if looked_in(self._storage, options.base_url, self.profile) is None:
            return None
        with self._being_busy():
            server = service_metadata(options.base_url)
            if options.discover:
                server = await options.transport.drive(discover(options.base_url))
            try:
                restored = await self._sessions.restore(server, self.store, transport=options.transport)
            except StorageError:
                self.unread = True
                raise
        if restored is not None and restored.store is not None:
            # What takes its place is kept too, unless a person says otherwise.
            self._wished = True
        return restored

    async def check(self) -> None:
        """Find out, once, whether a sign-in can be kept here; `impossible` tells."""
        if self._checked:
            return
        try:
            await self.store.check()
        except ConfigurationError as failure:
            self._checked, self.impossible = True, str(failure)
            self._on_change()
        except ICNotebookError:
            # It does not answer just now; it may when it is needed.
            pass
        else:
            self._checked = True

    async def keep(self, session: Session) -> None:
        """Keep a session, where that is wanted; `failure` and a warning tell where it cannot be."""
        self.failure = None
        if not self._wished:
            return
        with self._being_busy():
            try:
                await session.keep(self.store)
            except ICNotebookError as failure:
                self.failure = f"{failure} This sign-in ends with this process."
                logger.warning("%s", self.failure)

    def followed(self, session: Session | None) -> bool:
        """Whether another process can change the session that is shown, or sign in where none is."""
        if session is not None:
            return session.store is not None
        return self._storage != "memory" and not environment.serves_many()

    async def follow(
        self,
        *,
        shown: Callable[[], Session | None],
        wanted: Callable[[], bool],
        on_other: Callable[[], None],
    ) -> None:
        """While `wanted`, look for what other processes do: to the session shown, or by signing in.

        Args:
            shown: gives the session that is shown, or None.
            wanted: whether to go on.
            on_other: called when the session shown has become another sign-in.
        """
        store, looked_at = self.store, None
        seen = store.stamp()
        while wanted():
            session = shown()
            await asyncio.sleep(FOLLOW_EVERY)
            now = store.stamp()
            # Once for each change: a locked keyring may ask its person each time that it is called.
            if session is None and now != seen:
                with contextlib.suppress(ICNotebookError):
                    await self.restore()
            elif session is not None and (now != seen or session is not looked_at):
                before = session.status
                await session.look()
                if session.state is SessionState.CONNECTED and session.status != before:
                    on_other()
            seen, looked_at = now, session

    @contextlib.contextmanager
    def _being_busy(self) -> Iterator[None]:
        self._calls += 1
        self._on_change()
        try:
            yield
        finally:
            self._calls -= 1
            self._on_change()
