"""Login: one attempt to sign in, as a state machine.

Its transitions are a table. It runs on the background loop and touches no face: who shows it, watches it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ic_notebook.background import in_daemon_thread
from ic_notebook.errors import (
    AuthorizationResponseError,
    ICNotebookError,
    OAuthError,
    SignInCancelled,
    SignInTimeout,
    own_fault,
)
from ic_notebook.login.ends import last_page
from ic_notebook.login.links import Link, Links, rank
from ic_notebook.login.options import LoginOptions
from ic_notebook.login.states import OVER, TRANSITIONS, LoginState
from ic_notebook.oauth.authorization import AuthorizationRequest, AuthorizationResponse, same
from ic_notebook.oauth.metadata import discover, service_metadata
from ic_notebook.oauth.tokens import exchange_code
from ic_notebook.redirect import pages
from ic_notebook.redirect.doors import Door
from ic_notebook.redirect.listener import LINGER, START, Listener
from ic_notebook.redirect.pages import Page
from ic_notebook.redirect.rendezvous import Rendezvous
from ic_notebook.redirect.routes import Findings, loopback
from ic_notebook.sessions.session import Session

logger = logging.getLogger(__name__)

USED_UP = "The code of this approval is not valid any more. Connect again."
NO_CODE = "The service knows no such code. Copy the whole address of the last page and paste it."
ONCE = (
    "This program has been registered again already, so the old registration is not the reason. If the page "
    "still shows an error, tell the service's support."
)
BY_HAND = "This program signs in with the client_id that it was given, which it cannot register again."
PAGE_PATIENCE = 10.0
"""Seconds for which the browser's last page waits for the token request, to say how it ended."""


class Login:
    """One attempt. `run()` takes it from NEW to one of its ends; the other methods report what happened.

    Args:
        options: which server, and how.
        on_change: called on the loop whenever `state` or `problem` changes.
        prove_within: seconds to wait for a page that says by which route it reaches this; 0 where no page is.
        folder: where a Jupyter server on the same files looks for this, or None.

    Attributes:
        route: by which the browser's answer is to come back.
        findings: what the page has found out about the routes, or None.
        door: for what the page says past a busy kernel.
    """

    def __init__(
        self,
        options: LoginOptions,
        *,
        on_change: Callable[[], None] = lambda: None,
        prove_within: float = 0.0,
        folder: Path | None = None,
    ) -> None:
        self.options = options
        self.route = loopback(options.ports)
        self.findings: Findings | None = None
        self.door = Door()
        self._prove_within = prove_within
        self._folder = folder
        self._found = asyncio.Event()
        self._rendezvous: Rendezvous | None = None
        self._again: Callable[[], Awaitable[Link]] = self._made
        self._links: Links | None = None
        self.state = LoginState.NEW
        self.request: AuthorizationRequest | None = None
        self.listening = False
        self.problem: str | None = None
        self.notice: str | None = None
        self._on_change = on_change
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[AuthorizationResponse] = loop.create_future()
        self._news: asyncio.Future[None] = loop.create_future()
        self._patience = 0.0
        self._ended = asyncio.Event()
        self._closed = asyncio.Event()
        self._listener: Listener | None = None
        self._task: asyncio.Task[Any] | None = None
        self._link: Link | None = None
        self._registered_again = False
        self._works: Callable[[], Awaitable[None]] = _nothing
        self._cancelled = False
        self._failure: ICNotebookError | None = None

    async def run(self) -> Session:
        """Prepare, wait for the answer, exchange the code.

        Raises:
            SignInDeclined, SignInCancelled, SignInTimeout, OAuthError, UnexpectedAnswer, ServiceUnavailable,
            ConfigurationError: as it ended. Its listener then only says that this sign-in is over (`linger`).
        """
        self._task = asyncio.current_task()
        try:
            self._move(LoginState.PREPARING)
            await self._listen()
            await self._prepare()
            session = None
            while session is None:
                response = await self._response()
                self._move(LoginState.FINISHING)
                session = await self._finish(response)
            self._move(LoginState.CONNECTED)
        except ICNotebookError as error:
            self._fail(error)
            raise error.with_traceback(None) from None
        except asyncio.CancelledError:
            cancelled = SignInCancelled("The sign-in was cancelled. Connect again whenever you like.")
            self._fail(cancelled)
            if self._cancelled:
                raise cancelled from None
            raise
        except Exception as error:
            self._fail(own_fault(error))
            raise
        finally:
            self._ended.set()
        return session

    async def linger(self) -> None:
        """What is left to do: note that the registration works, and tell a late browser that this is over."""
        try:
            await self._works()
            if self._listener is not None:
                await asyncio.wait_for(self._closed.wait(), LINGER)
        except asyncio.TimeoutError:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening, and stop lingering."""
        self._closed.set()
        if self._rendezvous is not None:
            self._rendezvous.withdraw()
        if self._listener is not None:
            self._listener.close()

    def opened(self) -> None:
        """A person has opened the link."""
        if self.state is LoginState.READY:
            self._move(LoginState.WAITING)
            self.wait_for(self.options.release_after)

    def register_again(self) -> None:
        """A person saw an error page in the browser, unheard of here: make a link with a client that is new.

        Once an attempt. The old link is of no use any more once the new one is there; where none can be had,
        `problem` says why, and the old one stands.
        """
        if self.state not in {LoginState.READY, LoginState.WAITING} or self._answer.done():
            return
        if self._registered_again or self.options.client_id is not None:
            self.notice = ONCE if self._registered_again else BY_HAND
            self._on_change()
            return
        self.problem = None
        self._remake(self._registered_anew)

    def found(self, findings: Findings) -> None:
        """A page says by which routes it reaches this: an unopened link comes back by the best."""
        self.findings = findings
        self._found.set()
        better = self._links is not None and rank(self._links.best(findings, self.port)) < rank(self.route)
        if self.state is LoginState.READY and better:
            self._remake(self._made)
        else:
            self._on_change()

    def at_door(self, body: bytes, origin: str | None) -> str | None:
        """Take a message of the panel's page; gives what proves to it that it was taken."""
        message = self.door.open(body, origin)
        if message is None:
            return None
        kind, text = message.get("type"), message.get("text")
        if kind == "routes":
            self.found(Findings.of(message))
        elif kind == "opened":
            self.opened()
        elif kind == "cancel":
            self.cancel()
        elif kind == "register":
            self.register_again()
        elif kind == "paste" and isinstance(text, str):
            self.paste(text)
        elif kind == "answer" and isinstance(text, str):
            self._take(text.removeprefix("?"))
        return self.door.answer

    def started(self, word: str) -> str | None:
        """Where a browser goes on that begins at a proxy's page."""
        ready = self.state in {LoginState.READY, LoginState.WAITING}
        if self.request is None or not ready or not same(word, self.door.start):
            return None
        return self.request.url

    @property
    def url(self) -> str | None:
        """The address to open, once there is one: the consent page, or a proxy's page that goes on to it."""
        if self.request is None or self.route.start is None:
            return self.request.url if self.request else None
        return f"{self.route.start}{START}{self.door.start}"

    @property
    def one_click(self) -> bool:
        """Whether the answer is known to come back by itself."""
        return self.route.proven or (self.listening and not self._prove_within)

    @property
    def port(self) -> int | None:
        """The port that is listened on, or None."""
        return self._listener.port if self._listener else None

    def wait_for(self, seconds: float) -> None:
        """Have patience with the person for so long from now, at least."""
        self._patience = max(self._patience, asyncio.get_running_loop().time() + seconds)
        self._wake()

    def cancel(self) -> None:
        """A person gives up; a code that is already on its way to the server is not called back."""
        if self._task is not None and self.state not in OVER | {LoginState.FINISHING, LoginState.NEW}:
            self._cancelled = True
            self._task.cancel()

    def paste(self, text: str) -> None:
        """Take pasted text as the answer, or say in `problem` what is wrong with it."""
        if self.request is None or self._answer.done() or self.state in OVER:
            return
        try:
            response = AuthorizationResponse.from_pasted(text, to=self.request)
        except ICNotebookError as error:
            self.problem = str(error)
            self._on_change()
            return
        self.problem = None
        self._answer.set_result(response)

    async def respond(self, query: str) -> Page:
        """Take the query of a redirect; gives the page that says what came of it."""
        refusal = self._take(query)
        if refusal is not None:
            return refusal
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._ended.wait(), PAGE_PATIENCE)
        return last_page(self.state, self._failure)

    def _take(self, query: str) -> Page | None:
        """Take the query of a redirect as the answer, or give the page that says why it is none."""
        if self.request is None or self._answer.done() or self.state in OVER:
            return pages.OVER
        try:
            response = AuthorizationResponse.from_redirect(query, to=self.request)
        except AuthorizationResponseError:
            return pages.NOT_THIS_ONE
        except ICNotebookError as error:
            self._answer.set_exception(error.with_traceback(None))
        else:
            self._answer.set_result(response)
        return None

    def _wake(self) -> None:
        if not self._news.done():
            self._news.set_result(None)

    async def _listen(self) -> None:
        # Any port will do for the Jupyter server, which finds it by the file; the pool is what is registered.
        ports = (*self.options.ports, *((0,) if self._folder else ()))
        self._listener = await Listener.open(
            self.respond, ports=ports, at_door=self.at_door, started=self.started
        )
        if self._listener is not None and self._folder is not None:
            self._rendezvous = Rendezvous(self._folder, self._listener.port)
            await self._announce(self.door.key)
        self.listening = self._place is not None

    @property
    def _place(self) -> int | None:
        """Which port of the pool is listened on; None where it is none of them."""
        ports = self.options.ports
        return ports.index(self.port) if self.port in ports else None

    async def _announce(self, key: str) -> None:
        rendezvous = self._rendezvous
        if rendezvous is None:
            return
        try:
            await in_daemon_thread(lambda: rendezvous.announce(key))
        except OSError as failure:
            logger.info("A Jupyter server cannot find this sign-in: %s", failure.strerror)

    async def _prepare(self) -> None:
        if self._prove_within:
            # Told now, so that a page can try the routes while the server is asked.
            self._on_change()
        server = service_metadata(self.options.base_url)
        if self.options.discover:
            server = await self.options.transport.drive(discover(self.options.base_url))
        self._links = Links(self.options, server)
        if self._prove_within and self._listener is not None:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._found.wait(), self._prove_within)
        await self._ask_with(await self._made())
        self._move(LoginState.READY)

    async def _made(self) -> Link:
        assert self._links is not None
        return await self._links.make(self.findings, self.port)

    async def _registered_anew(self) -> Link:
        assert self._links is not None
        assert self._link is not None
        return await self._links.anew(self._link)

    def _remake(self, again: Callable[[], Awaitable[Link]]) -> None:
        self._again = again
        self._move(LoginState.PREPARING)
        self._wake()

    async def _prepare_again(self) -> None:
        again = self._again
        making = asyncio.ensure_future(again())
        try:
            events: set[asyncio.Future[Any]] = {making, self._answer}
            await asyncio.wait(events, return_when=asyncio.FIRST_COMPLETED)
        finally:
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        # An answer that came meanwhile is one to the old request, which it is checked against.
        if not self._answer.done():
            try:
                await self._ask_with(making.result())
                self._registered_again |= again == self._registered_anew
            except ICNotebookError as error:
                self.problem = f"{error} The link that you have stays as it is."
        self._move(LoginState.READY)
        self.wait_for(self.options.release_after)

    async def _ask_with(self, link: Link) -> None:
        if self._cancelled:
            # Before Python 3.12 `asyncio.wait_for` forgets a cancel that comes together with its result.
            raise asyncio.CancelledError
        request = link.registrar.authorization_request(link.client, self._place or 0)
        await self._announce(request.state)
        if self._listener is not None and link.route.keeps_host:
            self._listener.hosts.add(link.route.host.lower())
        self.notice, self.route = link.registrar.notice, link.route
        self._link, self.request = link, request

    async def _response(self) -> AuthorizationResponse:
        """The answer, by whichever way it comes, within the patience that there is with the person."""
        self.wait_for(self.options.release_after)
        while not self._answer.done():
            if self.state is LoginState.PREPARING:
                await self._prepare_again()
                continue
            left = self._patience - asyncio.get_running_loop().time()
            if left <= 0:
                raise SignInTimeout("Nobody approved in time. Connect again.")
            self._news = asyncio.get_running_loop().create_future()
            events: set[asyncio.Future[Any]] = {self._answer, self._news}
            await asyncio.wait(events, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        if self.state is LoginState.PREPARING:
            self._move(LoginState.READY)
        return await self._answer

    async def _finish(self, response: AuthorizationResponse) -> Session | None:
        """The session; None where what was pasted alone was no code, and the wait goes on."""
        assert self.request is not None
        assert self._link is not None
        registrar, client = self._link.registrar, self._link.client
        transport, now = self.options.transport, self.options.clock()
        try:
            tokens = await transport.drive(exchange_code(response, to=self.request, now=now))
        except OAuthError as refusal:
            if refusal.error in {"invalid_client", "unauthorized_client"}:
                await registrar.drop(client)
            if refusal.error != "invalid_grant":
                raise
            if response.state_checked:
                raise OAuthError(
                    USED_UP, error=refusal.error, error_description=refusal.error_description
                ) from None
            self._answer = asyncio.get_running_loop().create_future()
            self.problem = NO_CODE
            self._move(LoginState.WAITING)
            return None
        self._works = lambda: registrar.signed_in(client)
        return Session.signed_in(registrar.server, client, tokens, transport=transport)

    def _fail(self, error: ICNotebookError) -> None:
        self._failure = error
        if not self._answer.cancel() and not self._answer.cancelled():
            self._answer.exception()
        unopened = self.state is LoginState.READY and isinstance(error, SignInTimeout)
        self._move(LoginState.RELEASED if unopened else LoginState.FAILED)

    def _move(self, state: LoginState) -> None:
        if state not in TRANSITIONS[self.state]:
            raise RuntimeError(f"A login does not go from {self.state.value} to {state.value}.")
        self.state = state
        self._on_change()


async def _nothing() -> None:
    """There is nothing to note of an attempt that came to nothing."""
