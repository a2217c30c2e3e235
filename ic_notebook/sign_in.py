"""SignIn: what every face of this process looks at for one server: its session, and the attempt under way.

A Login is one attempt; a person may need several, and two panels, a cell and a magic must show one truth.
All methods may be called from any thread: they post to the background loop and return.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ic_notebook import environment
from ic_notebook.background import background, reset_after_fork
from ic_notebook.errors import ConfigurationError, ICNotebookError, SignInCancelled, SignInError, own_fault
from ic_notebook.keeping import Keeping
from ic_notebook.login.options import PROVE_WITHIN, LoginOptions
from ic_notebook.login.states import OVER, LoginState
from ic_notebook.redirect.routes import Findings
from ic_notebook.sessions.current import CurrentSessions, current
from ic_notebook.sessions.status import SessionState
from ic_notebook.storage.choice import Storage, checked_storage

# What makes an attempt or a session is imported with the first one: by then the panel is drawn.
if TYPE_CHECKING:
    from ic_notebook.login.login import Login
    from ic_notebook.sessions.session import Session

logger = logging.getLogger(__name__)

Attempt = concurrent.futures.Future["Session"]

MAX_LINGERING = 1
"""Attempts that are over and still hold a port; more would leave too few of the pool for other kernels."""


class SignIn:
    """The sign-in at one server.

    Attributes:
        options: which server, and how.
        profile: which of a person's accounts, or None for the one that is meant where nobody names one.
        keeping: what of it outlives this process.
        login: the attempt under way or the last one, or None.
        failure: why the last attempt came to nothing, until the next one is opened; None otherwise.
        misconfigured: why no session can be looked for, or None.
        note: what a person should know about how the last session ended, or None.
        in_page: whether a panel in a page shows it, which can tell by what way it reaches this.
        findings: what a page has found out about the ways, or None.
        blocked: whether a cell waits for it in such a way that nothing that a page sends arrives.
        credits: what the account has left, once the service has told, or None.
    """

    def __init__(
        self,
        options: LoginOptions,
        *,
        profile: str | None = None,
        storage: Storage = None,
        sessions: CurrentSessions = current,
    ) -> None:
        self.options = options
        self.profile = profile
        self.login: Login | None = None
        self.failure: ICNotebookError | None = None
        self.misconfigured: ConfigurationError | None = None
        self.note: str | None = None
        self.blocked = self.in_page = False
        self.findings: Findings | None = None
        self.credits: float | None = None
        self.keeping = Keeping(
            options, profile=profile, storage=storage, sessions=sessions, on_change=self._tell
        )
        self._sessions = sessions
        self._lock = threading.Lock()
        self._following = self._new_client = False
        self._attempt: Attempt | None = None
        self._ending: Attempt | None = None
        self._watchers: list[Callable[[], None]] = []
        self._viewers = 0
        self._waiting = 0
        self._lingering: list[Login] = []
        self._credits_of: Session | None = None
        sessions.watch(self._session_changed)
        reset_after_fork(self)

    @property
    def session(self) -> Session | None:
        """The session for this server; one that the service has ended is shown until the next."""
        try:
            found = self._sessions.find(self.options.base_url, profile=self.profile)
        except ConfigurationError as error:
            self.misconfigured = error
            return None
        self.misconfigured = None
        return found

    @property
    def connected(self) -> bool:
        """Whether calls can be made."""
        session = self.session
        return session is not None and session.state is SessionState.CONNECTED

    @property
    def phase(self) -> LoginState | None:
        """Where the attempt under way stands; None where there is none."""
        login, attempt = self.login, self._attempt
        if login is None:
            return None
        if login.state is LoginState.CONNECTED and attempt is not None and not attempt.done():
            return LoginState.FINISHING  # it is being kept
        return login.state if login.state not in OVER else None

    @property
    def looking(self) -> bool:
        """Whether a sign-in is looked for that was kept, before anything else is done."""
        return self.keeping.busy and self.phase is None and not self.connected

    @property
    def url(self) -> str | None:
        """The address to open in a browser, once it is prepared and as long as it is of use."""
        ready = self.phase in {LoginState.READY, LoginState.WAITING}
        return self.login.url if ready and self.login else None

    @property
    def unheard(self) -> bool:
        """Whether a waiting cell keeps away what a person does in the page: there is no door past it."""
        return self.blocked and not (self.findings is not None and self.findings.reached)

    def begin(self) -> Attempt:
        """Start an attempt, unless one is under way; its future gives the session or raises how it ended."""
        with self._lock:
            attempt = self._attempt
            if attempt is not None and not attempt.done():
                return attempt
            attempt = self._attempt = background().submit(self._run)
        # Outside the lock: where the attempt has ended already, this runs at once and may begin the next.
        attempt.add_done_callback(self._ended)
        return attempt

    @contextlib.contextmanager
    def awaited(self, *, timeout: float) -> Iterator[Attempt]:
        """An attempt that somebody waits for, for `timeout` seconds; the last to give up cancels it."""
        with self._lock:
            self._waiting += 1
        attempt = self.begin()
        self._tell_login(lambda login: login.wait_for(timeout))
        try:
            yield attempt
        finally:
            with self._lock:
                self._waiting -= 1
                last = not self._waiting
            if last and not attempt.done():
                self.cancel()
            self._tell()

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for it: a cell, most often."""
        return self._waiting > 0

    def gave_up(self, deadline: float) -> bool:
        """Whether the time for the person is over; an approval that is being finished is seen to its end."""
        return time.monotonic() >= deadline and self.phase is not LoginState.FINISHING

    def prepare(self) -> None:
        """A person comes near, or asks again: have a link ready for them."""
        if not self.connected:
            self.begin()

    def found(self, findings: Findings) -> None:
        """A page says by which ways it reaches this."""
        self._tell_login(lambda login: login.found(findings))

    def opened(self) -> None:
        """A person has opened the link."""
        self._tell_login(lambda login: login.opened())

    def paste(self, text: str) -> None:
        """A person has pasted the answer."""
        self._tell_login(lambda login: login.paste(text))

    @property
    def ending(self) -> Attempt | None:
        """The attempt that was cancelled and has not ended yet, or None."""
        return self._ending if self._ending is not None and not self._ending.done() else None

    def register_again(self) -> None:
        """A person saw an error page in the browser: sign in with a client that is registered anew."""
        if self.phase in {LoginState.READY, LoginState.WAITING}:
            self._tell_login(lambda login: login.register_again())
        else:
            self._new_client = True

    def remember(self, *, on: bool) -> None:
        """A person says whether the sign-in is to be kept; heard late, it holds for the one just made."""

        async def act() -> None:
            self.keeping.choose(remember=on)
            session = self.session if self.connected else None
            if session is None or session.is_from_environment or session.store is not None:
                return
            await self.keeping.keep(session)
            self._follow()

        background().submit(act)

    def cancel(self) -> None:
        """A person gives up."""
        self._ending = self._attempt
        self._tell_login(lambda login: login.cancel())

    def viewed(self) -> None:
        """A face is seen by a person: from now on the link is kept ready and other processes are followed."""
        with self._lock:
            self._viewers += 1
        background().submit(self._look_around)
        self._follow()
        self._ask_credits()

    def unviewed(self) -> None:
        """A face is gone."""
        with self._lock:
            self._viewers = max(0, self._viewers - 1)

    def block(self, *, blocked: bool) -> None:
        """Say whether a cell that waits for this sign-in keeps away what a page sends."""
        self.blocked = blocked
        self._tell()

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called, on any thread, whenever something changes; returns what ends it."""
        self._watchers.append(callback)
        return lambda: self._watchers.remove(callback) if callback in self._watchers else None

    def after_fork(self) -> None:
        """In a forked child: the attempt, the listener and the faces are the parent's."""
        self._lock = threading.Lock()
        self._attempt = self._ending = self.login = None
        self._following = False
        self._watchers, self._viewers, self._waiting, self._lingering = [], 0, 0, []

    async def _run(self) -> Session:
        from ic_notebook.login.login import Login

        options = replace(self.options, new_client=self._new_client)
        self._new_client = False
        login = self.login = Login(
            options,
            on_change=self._login_changed,
            prove_within=PROVE_WITHIN if self.in_page else 0.0,
            folder=environment.kernel_folder() if self.in_page else None,
        )
        try:
            session = await login.run()
        except SignInCancelled:
            # Somebody may have signed in elsewhere meanwhile, which this sign-in then is.
            adopted = self.session if self.connected else None
            if adopted is None:
                raise
            return adopted
        finally:
            self._let_linger(login)
        session.profile = self.keeping.profile
        await self.keeping.keep(session)
        self._sessions.add(session)
        return session

    async def _look_around(self) -> None:
        """Before a link is prepared: perhaps somebody is signed in already. Then: could it be remembered?"""
        if not self.connected and (self.phase is None or self.keeping.unread):
            try:
                await self.keeping.restore()
            except ICNotebookError as failure:
                self.note = str(failure)
        self._keep_ready()
        await self._check_keeping()

    async def _check_keeping(self) -> None:
        # What the import of a keyring costs is not to hold up the link.
        link_first = self.phase in {LoginState.NEW, LoginState.PREPARING}
        if self._viewers and self.keeping.offered and not self.connected and not link_first:
            await self.keeping.check()

    @property
    def _to_follow(self) -> bool:
        return self._viewers > 0 and self.keeping.followed(self.session if self.connected else None)

    def _follow(self) -> None:
        if not self._to_follow:
            return
        with self._lock:
            if self._following:
                return
            self._following = True
        background().submit(self._followed)

    async def _followed(self) -> None:
        try:
            await self.keeping.follow(
                shown=lambda: self.session if self.connected else None,
                wanted=lambda: self._to_follow,
                on_other=self._became_another,
            )
        finally:
            self._following = False
        # Somebody may have come between the last look and the line above.
        self._follow()

    def _became_another(self) -> None:
        self._credits_of = self.credits = None
        self._tell()
        self._ask_credits()

    def _let_linger(self, login: Login) -> None:
        background().submit(login.linger)
        self._lingering.append(login)
        for older in self._lingering[:-MAX_LINGERING]:
            self._lingering.remove(older)
            older.close()

    def _ended(self, attempt: Attempt) -> None:
        error = SignInCancelled("") if attempt.cancelled() else attempt.exception()
        login = self.login
        if isinstance(error, ICNotebookError):
            if not isinstance(error, SignInCancelled) and login and login.state is not LoginState.RELEASED:
                self.failure = error
        elif error is not None:
            log_fault("A sign-in ended by a fault of ic_notebook's own", error)
            self.failure = own_fault(error)
        self._tell()
        # What failed before a link was there waits for a person; anything later gets a new link at once.
        failed_late = login is not None and login.request is not None and login.state is LoginState.FAILED
        # Cancelled by nobody but the end of the process: nothing begins any more.
        if failed_late and isinstance(error, ICNotebookError) and not attempt.cancelled():
            self._keep_ready()

    def _keep_ready(self) -> None:
        if self._viewers and not self.connected and not self.misconfigured:
            self.begin()

    def _login_changed(self) -> None:
        if self.login and self.login.findings is not None:
            self.findings = self.login.findings
        if self.login and self.login.state in {LoginState.WAITING, LoginState.FINISHING}:
            self.failure = self.note = None
        if self.login and self.login.state is LoginState.READY:
            background().submit(self._check_keeping)
        # An end is told with what it came to: the session, or the failure.
        if self.login and self.login.state not in OVER:
            self._tell()

    def _session_changed(self) -> None:
        if self.connected:
            self.failure = self.note = None
            if self.phase in {LoginState.READY, LoginState.WAITING}:
                # Signed in elsewhere: this link is not needed any more.
                self.cancel()
            self._ask_credits()
        self._tell()
        self._keep_ready()
        self._follow()

    def _ask_credits(self) -> None:
        session = self.session
        if not self._viewers or session is None or not self.connected:
            return
        with self._lock:
            if session is self._credits_of:
                return
            self._credits_of, self.credits = session, None
        background().submit(self._load_credits, session)

    async def _load_credits(self, session: Session) -> None:
        try:
            left = await session.load_credits()
        except ICNotebookError:
            left = None
        if session is self._credits_of:
            self.credits = left
            self._credits_of = session if left is not None else None
            self._tell()

    def _tell_login(self, action: Callable[[Login], None]) -> None:
        async def act() -> None:
            if self.login is not None:
                action(self.login)

        background().submit(act)

    def _tell(self) -> None:
        for callback in list(self._watchers):
            try:
                callback()
            except Exception as error:  # noqa: BLE001, PERF203 - each face on its own
                # A face that is broken or closed does not break the sign-in, nor the other faces.
                log_fault("A face of the sign-in could not show how it stands", error)


def log_fault(what: str, error: BaseException) -> None:
    """Log an exception that is a fault of our own: where it happened, without words that may quote a code."""
    where = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s (%s):\n%s", what, type(error).__name__, where)


class _Lock:
    """Guards the table below; a forked child gets one of its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        reset_after_fork(self)

    def after_fork(self) -> None:
        self.lock = threading.Lock()


_table = _Lock()
_sign_ins: dict[tuple[object, ...], SignIn] = {}


def sign_in(options: LoginOptions, *, profile: str | None = None, storage: Storage = None) -> SignIn:
    """The one SignIn of this process for these options, this profile and this storage.

    Raises:
        ConfigurationError: for a storage or a profile that is none, or cannot be had here.
    """
    environment.profile(profile)
    storage = checked_storage(storage)
    kept_in = storage if storage is None or isinstance(storage, str) else id(storage)
    key = (options.base_url, options.discover, options.scope, options.client_id, profile, kept_in)
    with _table.lock:
        if key not in _sign_ins:
            _sign_ins[key] = SignIn(options, profile=profile, storage=storage)
        return _sign_ins[key]


def ways_back(base_url: str) -> tuple[str, ...]:
    """What the panels' pages have found out about the ways from the browser to this process, in words."""
    with _table.lock:
        found = [face.findings for face in _sign_ins.values() if face.options.base_url == base_url]
    told = [findings for findings in found if findings is not None]
    return tuple(str(entry) for entry in told[-1].tried) if told else ()


def require_a_way_back(sign_in: SignIn) -> None:
    """For a face that takes no pasted answer.

    Raises:
        SignInError: no port could be listened on, so the answer could not arrive.
    """
    if sign_in.login is not None and not sign_in.login.listening:
        ports = ", ".join(map(str, sign_in.options.ports))
        raise SignInError(
            f"Every port that the answer could come to is taken by other programs ({ports}). End one of "
            "them, or connect in a notebook or terminal, where the answer can be pasted."
        )
