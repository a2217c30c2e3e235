"""The sessions of this process, by the API they are for: which one is meant, and who watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ic_notebook import environment
from ic_notebook.background import background, reset_after_fork
from ic_notebook.errors import SignInRequired
from ic_notebook.oauth.metadata import ServerMetadata, service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.token_source import NOBODY
from ic_notebook.storage.choice import looked_in
from ic_notebook.storage.sharing import SharedStore
from ic_notebook.transport import Transport

# Imported with the first session there is; a panel that invites to one does without.
if TYPE_CHECKING:
    from ic_notebook.sessions.session import Session


class CurrentSessions:
    """One session per base URL and profile; a later sign-in takes the place of an earlier one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # In the order in which they were connected.
        self._sessions: dict[tuple[str, str], Session] = {}
        self._from_environment: tuple[str, Session] | None = None
        self._watchers: list[Callable[[], None]] = []
        self._looks: dict[tuple[str, str], Future[Session | None]] = {}
        reset_after_fork(self)

    def add(self, session: Session) -> None:
        """Make a session the one that is meant."""
        key = (session.base_url, session.profile)
        with self._lock:
            known = self._sessions.pop(key, None) is session
            self._sessions[key] = session
        if not known:
            session.watch(self._tell)
        self._tell()

    def meant(self, *, profile: str | None = None) -> Session:
        """The session connected last, else the environment's, else the one that the keyring holds.

        Args:
            profile: the one of this profile; the environment's token belongs to none.

        Raises:
            SignInRequired: there is none.
            ConfigurationError: an environment variable or the profile cannot be used.
            StorageError: the keyring cannot be read in time.
        """
        of_profile = environment.profile(profile)
        latest = self._latest(profile)
        if latest is not None and latest.state is SessionState.CONNECTED:
            return latest
        session = self._environment_session() if profile is None else None
        if session is None:
            server = service_metadata(environment.base_url())
            store = looked_in(None, server.base_url, of_profile)
            session = self._looked_up(server, store) if store else None
        if session is not None:
            return session
        problem = latest.status.problem if latest is not None else None
        raise SignInRequired(problem or NOBODY)

    def find(self, base_url: str, *, profile: str | None = None) -> Session | None:
        """The session for one API, also one that the service has ended; None where there is none here.

        Raises:
            ConfigurationError: an environment variable or the profile cannot be used.
        """
        session = self._sessions.get((base_url, environment.profile(profile)))
        if session is not None and session.state is SessionState.CONNECTED:
            return session
        if profile is None and base_url == environment.base_url():
            from_environment = self._environment_session()
            if from_environment is not None:
                return from_environment
        return session if session is not None and session.state is SessionState.ENDED else None

    async def restore(
        self, server: ServerMetadata, store: SharedStore, *, transport: Transport | None = None
    ) -> Session | None:
        """The session that a store holds, added to those of this process; None where it holds none.

        Raises:
            StorageError: the store cannot be read in time.
        """
        from ic_notebook.sessions.session import Session

        restored = await Session.stored(server, store, transport=transport)
        known = self._sessions.get((server.base_url, store.profile))
        if known is not None and known.state is SessionState.CONNECTED:
            return known
        if restored is not None:
            self.add(restored)
        return restored

    def watch(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, on any thread, whenever a session comes, ends or goes."""
        self._watchers.append(callback)

    def after_fork(self) -> None:
        """In a forked child: nobody looks at the child's sessions, and the lock is the parent's."""
        self._lock = threading.Lock()
        self._watchers = []
        self._looks = {}

    def _looked_up(self, server: ServerMetadata, store: SharedStore) -> Session | None:
        """What the store holds; all threads that want it at once share one look."""
        key = (server.base_url, store.profile)
        with self._lock:
            look = self._looks.get(key)
            if look is None or look.done():
                look = self._looks[key] = background().submit(self.restore, server, store)
        return background().wait(look)

    def _environment_session(self) -> Session | None:
        token = environment.access_token()
        if token is None:
            return None
        from ic_notebook.sessions.session import Session

        base_url = environment.base_url()
        with self._lock:
            known = self._from_environment
            if known is None or known[0] != token or known[1].base_url != base_url:
                session = Session.from_environment(service_metadata(base_url), token)
                session.watch(self._tell)
                self._from_environment = known = (Secret(token), session)
            return known[1]

    def _latest(self, profile: str | None) -> Session | None:
        sessions = [session for session in self._sessions.values() if profile in (None, session.profile)]
        return sessions[-1] if sessions else None

    def _tell(self) -> None:
        for callback in list(self._watchers):
            callback()


current = CurrentSessions()
