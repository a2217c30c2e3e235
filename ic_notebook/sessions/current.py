"""The sessions of this process, by the API they are for: which one is meant, and who watches."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ic_notebook import environment
from ic_notebook.background import reset_after_fork
from ic_notebook.errors import SignInRequired
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.token_source import ENDED, NOBODY


class CurrentSessions:
    """One session per base URL; a later sign-in takes the place of an earlier one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}
        self._latest: Session | None = None
        self._from_environment: tuple[str, Session] | None = None
        self._watchers: list[Callable[[], None]] = []
        reset_after_fork(self)

    def add(self, session: Session) -> None:
        """Make a session the one that is meant."""
        with self._lock:
            known = self._sessions.get(session.base_url) is session
            self._sessions[session.base_url] = session
            self._latest = session
        if not known:
            session.watch(self._tell)
        self._tell()

    def meant(self) -> Session:
        """The session connected last, else the environment's.

        Raises:
            SignInRequired: there is none.
            ConfigurationError: `IC_ACCESS_TOKEN` or `IC_BASE_URL` cannot be used.
        """
        latest = self._latest
        if latest is not None and latest.state is SessionState.CONNECTED:
            return latest
        session = self._environment_session()
        if session is None:
            ended = latest is not None and latest.state is SessionState.ENDED
            raise SignInRequired(ENDED if ended else NOBODY)
        return session

    def find(self, base_url: str) -> Session | None:
        """The session for one API, also one that the service has ended; None where there is none.

        Raises:
            ConfigurationError: `IC_ACCESS_TOKEN` cannot be used.
        """
        session = self._sessions.get(base_url)
        if session is not None and session.state is SessionState.CONNECTED:
            return session
        if base_url == environment.base_url():
            from_environment = self._environment_session()
            if from_environment is not None:
                return from_environment
        return session if session is not None and session.state is SessionState.ENDED else None

    def watch(self, callback: Callable[[], None]) -> None:
        """Have `callback` called, on any thread, whenever a session comes, ends or goes."""
        self._watchers.append(callback)

    def after_fork(self) -> None:
        """In a forked child: nobody looks at the child's sessions, and the lock is the parent's."""
        self._lock = threading.Lock()
        self._watchers = []

    def _environment_session(self) -> Session | None:
        token = environment.access_token()
        if token is None:
            return None
        base_url = environment.base_url()
        with self._lock:
            known = self._from_environment
            if known is None or known[0] != token or known[1].base_url != base_url:
                session = Session.from_environment(service_metadata(base_url), token)
                session.watch(self._tell)
                self._from_environment = known = (Secret(token), session)
            return known[1]

    def _tell(self) -> None:
        for callback in list(self._watchers):
            callback()


current = CurrentSessions()
