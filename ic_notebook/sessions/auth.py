"""SessionAuth: signs requests with a session's access token (RFC 6750 §2.1) and keeps it fresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from typing import Any

import httpx

from ic_notebook.background import background
from ic_notebook.errors import ForeignOrigin, ICNotebookError, NotResent, ServiceUnavailable, SignInRequired
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.token_source import Renewal, Renewed, TokenSource

Steps = Generator["httpx.Request | Renewal", "httpx.Response | Renewed", None]


class SessionAuth(httpx.Auth):
    """For `auth=` of an httpx client, sync or async (an asyncio loop).

    The token is renewed ahead of its end, and on a 401: first a token that somebody else renewed meanwhile is
    tried, then one refresh. A refresh, once sent, runs to its end whatever becomes of the request that wanted
    it. A request makes at most one refresh and three sends.

    Raises (from the request):
        SignInRequired: nobody is signed in, or the sign-in has ended.
        ForeignOrigin: the request goes to another origin than the session's.
        NotResent: the token was renewed, but the request's body cannot be read twice.
        ServiceUnavailable, OAuthError, UnexpectedAnswer: the token has ended and could not be renewed.
    """

    def __init__(self, source: TokenSource, *, base_url: str) -> None:
        self._source = source
        self._origin = _origin(httpx.URL(base_url))

    def __repr__(self) -> str:
        scheme, host, port = self._origin
        return f"<SessionAuth for {scheme}://{host}{f':{port}' if port else ''}>"

    def __reduce__(self) -> Any:
        raise TypeError("A session's auth is a sign-in and is not copied; call ic_notebook.session().auth.")

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Drive the steps, waiting for a refresh on the caller's thread."""
        steps = self._steps(request)
        step = next(steps)
        try:
            while True:
                if isinstance(step, httpx.Request):
                    step = steps.send((yield step))
                    continue
                try:
                    tokens = background().wait(step, timeout=_patience(request))
                except TimeoutError:
                    step = steps.throw(_too_slow(request))
                except Exception as failure:  # noqa: BLE001 - handed to the steps, which decide
                    step = steps.throw(failure)
                else:
                    step = steps.send(tokens)
        except StopIteration:
            return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Drive the steps, awaiting a refresh without ever cancelling it."""
        steps = self._steps(request)
        step = next(steps)
        try:
            while True:
                if isinstance(step, httpx.Request):
                    step = steps.send((yield step))
                    continue
                try:
                    waiting = asyncio.shield(asyncio.wrap_future(step))
                    tokens = await asyncio.wait_for(waiting, _patience(request))
                except (TimeoutError, asyncio.TimeoutError):
                    step = steps.throw(_too_slow(request))
                except Exception as failure:  # noqa: BLE001 - handed to the steps, which decide
                    step = steps.throw(failure)
                else:
                    step = steps.send(tokens)
        except StopIteration:
            return

    def _steps(self, request: httpx.Request) -> Steps:
        """The rule itself, for both drivers: yields requests to send and renewals to wait for."""
        if _origin(request.url) != self._origin:
            raise ForeignOrigin(
                f"This session's token is for {self._origin[1]} alone, so it was not sent to "
                f"{request.url.host}. Use a client of your own there."
            )
        tokens, refreshed = self._source.current(), False
        failure: ICNotebookError | None = None
        if self._source.due(tokens):
            try:
                tokens, refreshed = _renewed((yield self._source.renew(tokens)))
            except ICNotebookError as error:
                if isinstance(error, SignInRequired) or self._source.expired(tokens):
                    raise
                failure = error
        response = yield _signed(request, tokens)
        for _resend in range(2):
            # A 401 to a token that this call has just had refreshed is the endpoint's own answer.
            if not self._refused(response) or refreshed:
                return
            if failure is not None and self._source.current().access_token == tokens.access_token:
                raise failure
            tokens, refreshed = _renewed((yield self._source.replace(tokens)))
            response = yield _signed(_replayable(request), tokens)

    def _refused(self, answer: httpx.Response | Renewed) -> bool:
        """Whether the token was: a 401 of an origin that a redirect led to has seen none."""
        assert isinstance(answer, httpx.Response)
        return answer.status_code == httpx.codes.UNAUTHORIZED and _origin(answer.request.url) == self._origin


def _patience(request: httpx.Request) -> float | None:
    """Seconds that the caller waits for an answer, and so for a renewal; None for ever."""
    limits = request.extensions.get("timeout") or {}
    seconds = limits.get("read")
    return seconds if isinstance(seconds, (int, float)) else None


def _too_slow(request: httpx.Request) -> ServiceUnavailable:
    return ServiceUnavailable(
        f"Renewing the sign-in takes longer than this call's time limit of {_patience(request):g} s. It goes "
        "on: send the call again."
    )


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    default = {"https": 443, "http": 80}.get(url.scheme)
    return url.scheme, url.host, None if url.port == default else url.port


def _signed(request: httpx.Request, tokens: TokenSet) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {tokens.access_token}"
    return request


def _replayable(request: httpx.Request) -> httpx.Request:
    # A file given as content would be sent as 0 bytes the second time, without an error.
    if not isinstance(request.stream, httpx.ByteStream):
        raise NotResent(
            "The access token was renewed while this request was under way. Send the request again."
        )
    return request


def _renewed(answer: httpx.Response | Renewed) -> Renewed:
    assert isinstance(answer, Renewed)
    return answer
