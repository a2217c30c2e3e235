"""SessionAuth: signs requests with a session's access token (RFC 6750 §2.1) and keeps it fresh."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future
from typing import Any, NoReturn, TypeVar, cast

import httpx

from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.requests_auth import sign
from ic_notebook.sessions.resending import awaited, foreign, steps, waited
from ic_notebook.sessions.token_source import TokenSource

R = TypeVar("R")

_BEARER = "Bearer "
_NOT_COPIED = "A session's auth is a sign-in and is not copied; call ic_notebook.session().auth."


class SessionAuth(httpx.Auth):
    """For `auth=` of an httpx, httpx2 or requests client, sync or async (an asyncio loop).

    The token is renewed ahead of its end, and on a 401: first a token that somebody else renewed meanwhile is
    tried, then one refresh. A refresh, once sent, runs to its end whatever becomes of the request that wanted
    it. A request makes at most one refresh and three sends. It waits for a refresh as long as it would for an
    answer: its read time limit. (requests tells its limit only once it has sent: before that, 5 s.)

    Raises (from the request):
        SignInRequired: nobody is signed in, or the sign-in has ended.
        ForeignOrigin: the request goes to another origin than the session's.
        NotResent: the token was renewed, but the request's body cannot be read twice.
        ServiceUnavailable, OAuthError, UnexpectedAnswer: the token has ended and could not be renewed.
    """

    def __init__(
        self, source: TokenSource, *, base_url: str, handle: tuple[object, ...] | None = None
    ) -> None:
        self._source = source
        self._handle = handle
        url = httpx.URL(base_url)
        self._origin = _origin(url)
        self._scheme, self._host, self._port = url.scheme, url.raw_host, url.port

    def __repr__(self) -> str:
        return f"<SessionAuth for {self._origin}>"

    def __reduce__(self) -> Any:
        if self._handle is None:
            raise TypeError(_NOT_COPIED)
        from ic_notebook.sessions.handles import auth_of

        return auth_of, self._handle

    def __copy__(self) -> NoReturn:
        raise TypeError(_NOT_COPIED)

    def __deepcopy__(self, _memo: object) -> NoReturn:
        raise TypeError(_NOT_COPIED)

    def __call__(self, request: R) -> R:
        """Sign a request that the requests library has prepared, and have its answer looked at."""
        if not hasattr(request, "register_hook"):
            raise TypeError(
                "A session's auth does not know this HTTP client. If it was installed just now, take "
                "ic_notebook.session().auth again; else send session.access_token() yourself."
            )
        sign(cast("Any", request), self._source, origin=self._origin)
        return request

    def for_every_client(self) -> SessionAuth:
        """Itself, from now on an instance of the auth class of each client that is installed."""
        self.__class__ = auth_class()
        return self

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Drive the steps, waiting for a refresh on the caller's thread."""
        tokens = self._signed_as_is(request)
        if tokens is not None:
            response = yield request
            if response.status_code != 401 or not self._refused(response, tokens):
                return
        under_way = steps(self._source, refused=tokens, replayable=functools.partial(_replayable, request))
        try:
            step = next(under_way)
            while True:
                if isinstance(step, Future):
                    step = waited(under_way, step, _patience(request))
                else:
                    step = under_way.send(self._refused((yield _signed(request, step)), step))
        except StopIteration:
            return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Drive the steps, awaiting a refresh without ever cancelling it."""
        tokens = self._signed_as_is(request)
        if tokens is not None:
            response = yield request
            if response.status_code != 401 or not self._refused(response, tokens):
                return
        under_way = steps(self._source, refused=tokens, replayable=functools.partial(_replayable, request))
        try:
            step = next(under_way)
            while True:
                if isinstance(step, Future):
                    step = await awaited(under_way, step, _patience(request))
                else:
                    step = under_way.send(self._refused((yield _signed(request, step)), step))
        except StopIteration:
            return

    def _signed_as_is(self, request: httpx.Request) -> TokenSet | None:
        """Sign with tokens that are good as they are, which is nearly every call; None: renew first."""
        url = request.url
        if url.raw_host != self._host or url.port != self._port or url.scheme != self._scheme:
            raise foreign(self._origin, _origin(url))
        source = self._source
        tokens = source.current()
        if source.due(tokens):
            return None
        request.headers["Authorization"] = _BEARER + tokens.access_token
        return tokens

    def _refused(self, response: httpx.Response, tokens: TokenSet) -> bool:
        """Whether these tokens were: a 401 of where a redirect led to may have seen none."""
        if response.status_code != 401:
            return False
        sent = response.request
        return _origin(sent.url) == self._origin and sent.headers.get("Authorization") == _bearer(tokens)


def auth_class() -> type[SessionAuth]:
    """SessionAuth as the installed clients know it: where httpx2 is there, an httpx2.Auth too.

    The first import of httpx2 takes some 20 ms, so this is for whoever asks for the auth itself.
    """
    # A client that cannot be imported is nobody's client.
    with contextlib.suppress(Exception):
        import httpx2

        return _joined(httpx2.Auth)
    return SessionAuth


@functools.cache
def _joined(other: type) -> type[SessionAuth]:
    members = {"__doc__": SessionAuth.__doc__, "__module__": SessionAuth.__module__}
    return cast("type[SessionAuth]", type("SessionAuth", (SessionAuth, other), members))


# No isinstance below this line: what comes from httpx2 has the same attributes, but is of other classes.


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


def _patience(request: httpx.Request) -> float | None:
    """Seconds that the caller waits for an answer, and so for a renewal; None for ever."""
    return cast("float | None", (request.extensions.get("timeout") or {}).get("read"))


def _bearer(tokens: TokenSet) -> str:
    # An f-string would take four times as long over a Secret.
    return _BEARER + tokens.access_token


def _signed(request: httpx.Request, tokens: TokenSet) -> httpx.Request:
    request.headers["Authorization"] = _bearer(tokens)
    return request


def _replayable(request: httpx.Request) -> bool:
    # What is not in memory is read once: a file given as content would be 0 bytes the second time.
    try:
        return request.content is not None
    except RuntimeError:  # RequestNotRead
        return False
