"""The httpx clients that a session hands out: its base URL, its auth, and refusals in words."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httpx

from ic_notebook.background import background
from ic_notebook.errors import APIError
from ic_notebook.oauth.answers import (
    credentials_of,
    duration,
    limit_reached,
    readable,
    reason_of,
    retry_after,
)
from ic_notebook.sessions.auth import SessionAuth
from ic_notebook.sessions.patience import CONNECTION_FAILURES, TIME_LIMIT, Pace, Patience
from ic_notebook.sessions.turns import Turns
from ic_notebook.transport import USER_AGENT, ssl_context, uses_environment

Handle = tuple[tuple[str, str, bool], dict[str, Any]]
"""Of which session a client is, and with which options of its caller's."""

THREADS = httpx.Limits(max_connections=100, max_keepalive_connections=100)
"""httpx would keep 20. Of more callers nearly each call made a connection of its own, and now and then one
was closed under a call that had just been given it, which failed or hung (httpcore 1.0.9, its issue 1110)."""

_NEXT_STEP = {
    400: "Check what the call sends.",
    401: "This endpoint refuses the sign-in, which is otherwise valid. Check that the account may use it.",
    402: "Add credits to the account, then send it again.",
    403: "The account, or the network on the way, does not allow this call.",
    404: "Check the path; the service's paths end with a slash.",
    422: "Check what the call sends.",
}


class APIStatusError(APIError, httpx.HTTPStatusError):
    """What `raise_for_status()` raises; also an httpx.HTTPStatusError, with `request` and `response`."""

    def __init__(self, message: str, *, response: httpx.Response, reason: str | None) -> None:
        httpx.HTTPStatusError.__init__(self, message, request=response.request, response=response)
        self.status_code = response.status_code
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        # To another process go the words alone: request and response hold the token and the body.
        return partial(APIError, status_code=self.status_code, reason=self.reason), self.args


def raise_for_status(response: httpx.Response) -> httpx.Response:
    """The response itself where it is a success.

    Raises:
        APIStatusError: otherwise, with what failed, why, and what to do, in one line.
    """
    if response.is_success:
        return response
    try:
        reason = reason_of(response)
    except httpx.StreamError:
        reason = None
    secrets = credentials_of(response)
    phrase = readable(response.reason_phrase, secrets=secrets) or ""
    called = f"{response.request.method} {readable(response.request.url.path, secrets=secrets)}"
    answered = f"{called}: {response.status_code} {phrase}".rstrip()
    why = (reason or "").rstrip(".")
    told = why and why.casefold() != phrase.casefold()
    words = f"{answered}{': ' + why if told else ''}. {_next_step(response)}".rstrip()
    raise APIStatusError(words, response=response, reason=reason) from None


def _next_step(response: httpx.Response) -> str:
    status, asked = response.status_code, retry_after(response)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return f"{limit_reached(response)} Try again in {duration(asked) if asked else 'a minute'}."
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        after = f"in {duration(asked)}" if asked else "later"
        return f"The service has a fault of its own; try again {after}."
    return _NEXT_STEP.get(status, "")


class SessionClient(httpx.Client):
    """An httpx.Client that waits for the account's limit of calls, and sends again what was lost on the way.

    After a 429 the call was not carried out, so any is repeated: after as many seconds as `Retry-After` says
    (and up to one more, by chance), else after 0.5 to 1 s, then twice as long each time, 16 s at most. A
    wait of more than 2 s is told, in the log and in the panel. After a connection failure or a 502, 503 or
    504, only GET, HEAD, OPTIONS, TRACE, PUT and DELETE are repeated: five times at most, after 0.05 to 0.1
    s, then twice as long each time (`Retry-After` may ask for more). A DELETE whose answer was lost can
    therefore end with the 404 of its repeat.

    Every repeat begins within the read time limit, counted from the first send; without one (`timeout=None`)
    within 120 s. Where the caller sets no time limit at all, the wait for the account's limit has 120 s too.
    Where it would be longer than what is left, the 429 is given back at once. A read that timed out is not
    repeated: it has had all its time. A body that cannot be read twice (a file, a generator, a multipart
    form) is sent once; a stream that the caller holds is never begun again. What is not repeated any more is
    the caller's: the answer, or httpx's own exception.

    Where a limiter gives the turns (a sign-in that a cluster shares), every send waits for its own first, as
    long as it would for the account's limit; else ServiceUnavailable says when there is one again.

    `raise_for_status()` explains a refusal; a status alone never raises.

    Args:
        pace: time and chance, where a test brings its own.
        turns: the session's.
        handle: what is pickled in place of it.
        options: as httpx.Client takes them.
    """

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        turns: Turns | None = None,
        handle: Handle | None = None,
        **options: Any,
    ) -> None:
        self._pace = pace or Pace()
        self._turns = turns or Turns()
        self._handle = handle
        super().__init__(**{"limits": THREADS} | options)

    def __reduce__(self) -> Any:
        from ic_notebook.sessions.handles import client_of

        return client_of, _handle(self._handle)

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx.Client.send, with the repeats of this class."""
        patience = Patience(request, self._pace)
        while True:
            if (limiter := self._turns.limiter) is not None:
                turn = patience.until(background().wait(limiter.ask(within=patience.for_a_turn)))
                with turn.showing():
                    self._pace.wait(turn.seconds)
            try:
                response = super().send(request, **options)
            except CONNECTION_FAILURES as failure:
                pause = patience.after_failure(failure)
                if pause is None:
                    raise
            else:
                pause = patience.after_answer(response)
                if pause is None:
                    return _explaining(response)
                response.close()
            with pause.showing():
                self._pace.wait(pause.seconds)


class AsyncSessionClient(httpx.AsyncClient):
    """An httpx.AsyncClient that waits and repeats as SessionClient does."""

    def __init__(
        self,
        *,
        pace: Pace | None = None,
        turns: Turns | None = None,
        handle: Handle | None = None,
        **options: Any,
    ) -> None:
        self._pace = pace or Pace()
        self._turns = turns or Turns()
        self._handle = handle
        super().__init__(**options)

    def __reduce__(self) -> Any:
        from ic_notebook.sessions.handles import async_client_of

        return async_client_of, _handle(self._handle)

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx.AsyncClient.send, with the repeats of SessionClient."""
        patience = Patience(request, self._pace)
        while True:
            if (limiter := self._turns.limiter) is not None:
                asked = asyncio.wrap_future(limiter.ask(within=patience.for_a_turn))
                turn = patience.until(await asked)
                with turn.showing():
                    await self._pace.wait_async(turn.seconds)
            try:
                response = await super().send(request, **options)
            except CONNECTION_FAILURES as failure:
                pause = patience.after_failure(failure)
                if pause is None:
                    raise
            else:
                pause = patience.after_answer(response)
                if pause is None:
                    return _explaining(response)
                await response.aclose()
            with pause.showing():
                await self._pace.wait_async(pause.seconds)


def _handle(handle: Handle | None) -> Handle:
    if handle is None:
        raise TypeError("This client is of no session, so it cannot be pickled.")
    return handle


def client_options(auth: SessionAuth, base_url: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a session's client is made with; what the caller gives wins, but for the auth."""
    options: dict[str, Any] = {
        "base_url": base_url,
        "timeout": TIME_LIMIT,
        "trust_env": uses_environment(httpx.URL(base_url).host),
        "headers": {"Accept": "application/json", "User-Agent": USER_AGENT},
    }
    if "verify" not in given:
        options["verify"] = ssl_context()
    return options | given | {"auth": auth}


def _explaining(response: httpx.Response) -> httpx.Response:
    response.raise_for_status = partial(raise_for_status, response)  # type: ignore[method-assign]
    return response
