"""The rule of `resending` for the requests library, which is not imported until it has sent something.

requests signs while it prepares a request, and shows the answer to a hook, which may put another in its
place.
"""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from ic_notebook.background import background
from ic_notebook.errors import ICNotebookError, NotResent
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.resending import Attempt, again, foreign, not_renewed, waited
from ic_notebook.sessions.token_source import TokenSource

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

_PORTS = {"https": 443, "http": 80}
AHEAD = 5.0
"""Seconds that a request waits for a renewal ahead of its token's end; then it is sent with what is there.

How long its caller would wait shows only once it is sent.
"""


def sign(request: Any, source: TokenSource, *, origin: str) -> None:
    """Sign a request that requests has prepared, and have its answer looked at.

    Raises:
        ForeignOrigin: it goes elsewhere than to `origin`.
        SignInRequired, ServiceUnavailable, OAuthError, UnexpectedAnswer: as SessionAuth says.
    """
    theirs = _origin(request.url)
    if theirs != origin:
        raise foreign(origin, theirs)
    attempt = _attempt(source)
    request.headers["Authorization"] = _bearer(attempt.tokens)
    request.register_hook("response", _Resend(source, origin, attempt))


def _attempt(source: TokenSource) -> Attempt:
    tokens = source.current()
    if not source.due(tokens):
        return Attempt(tokens)
    try:
        return Attempt(*background().wait(source.renew(tokens), timeout=AHEAD))
    except TimeoutError:
        return Attempt(tokens)
    except ICNotebookError as failure:
        return not_renewed(source, tokens, failure)


class _Resend:
    """A response hook; it stays on the copies of its request that follow a redirect, wherever that leads."""

    def __init__(self, source: TokenSource, origin: str, attempt: Attempt) -> None:
        self._source = source
        self._origin = origin
        self._attempt = attempt

    def __reduce__(self) -> tuple[Callable[[], Callable[..., None]], tuple[()]]:
        # A response that is pickled takes its request along, but not the sign-in.
        return _spent, ()

    def __call__(self, response: Response, **options: Any) -> Response:
        """The answer: this one, or that to the request sent again."""
        if self._refused(response):
            response = self._answer(response, options)
        if not response.is_redirect:
            # The same prepared request may be sent once more, much later.
            self._attempt.refreshed, self._attempt.failure = False, None
        return response

    def _answer(self, response: Response, options: dict[str, Any]) -> Response:
        request = response.request
        under_way = again(self._source, self._attempt, replayable=partial(_replayable, request))
        try:
            step = next(under_way)
            while True:
                if isinstance(step, Future):
                    _release(response)
                    step = waited(under_way, step, _patience(options.get("timeout")))
                else:
                    response = _sent_again(response, step, options)
                    step = under_way.send(self._refused(response))
        except StopIteration:
            return response
        except BaseException as failure:
            response.close()
            if isinstance(failure, NotResent):
                _rewind(request)
            raise

    def _refused(self, response: Response) -> bool:
        """Whether the token was: a 401 of where a redirect led to may have seen none."""
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return False
        sent = response.request
        signature = sent.headers.get("Authorization")
        return _origin(sent.url) == self._origin and signature == _bearer(self._attempt.tokens)


def _sent_again(refused: Response, tokens: TokenSet, options: dict[str, Any]) -> Response:
    """The answer to the same request object: what a redirect of it leads to is made from that one."""
    request = refused.request
    refused.request = request.copy()
    _take_cookies(request, refused)
    request.headers["Authorization"] = _bearer(tokens)
    began = time.perf_counter()
    answer: Response = refused.connection.send(request, **options)
    answer.elapsed = timedelta(seconds=time.perf_counter() - began)
    answer.history = [*refused.history, refused]
    return answer


def _take_cookies(request: PreparedRequest, refused: Response) -> None:
    """Have the request send the cookies that its refusal set, but for a caller's own Cookie header."""
    cookies: Any = importlib.import_module("requests.cookies")
    jar: Any = getattr(request, "_cookies", None)
    if jar is None:
        return
    given = request.headers.pop("Cookie", "")
    if given != (cookies.get_cookie_header(jar, request) or ""):
        request.headers["Cookie"] = given
        return
    cookies.extract_cookies_to_jar(jar, request, refused.raw)
    request.prepare_cookies(jar)


def _release(response: Response) -> None:
    """Give its connection back, read to the end where that can be done."""
    with contextlib.suppress(OSError, RuntimeError):
        _ = response.content
    response.close()


def _replayable(request: PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, (bytes, str, bytearray))


def _rewind(request: PreparedRequest) -> None:
    """Leave a file where it was, so that whoever sends it again sends all of it."""
    position, seek = getattr(request, "_body_position", None), getattr(request.body, "seek", None)
    if isinstance(position, int) and seek is not None:
        with contextlib.suppress(OSError, ValueError):
            seek(position)


def _patience(timeout: Any) -> float | None:
    """Seconds that the caller waits for an answer: of a number, a pair, or urllib3's Timeout."""
    if isinstance(timeout, tuple):
        timeout = timeout[1]
    elif hasattr(timeout, "total"):
        timeout = timeout.read_timeout if timeout.total is None else timeout.total
    return cast("float | None", timeout)


class _Signature(Secret):
    """An Authorization header that is neither printed nor pickled with the request that bears it."""

    __slots__ = ()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, ("Bearer ...",)


def _bearer(tokens: TokenSet) -> _Signature:
    return _Signature(f"Bearer {tokens.access_token}")


def _origin(url: str | None) -> str:
    """Of the host that requests connects to, which it reads with the same function."""
    parts = urlsplit(url or "")
    scheme, host, port = parts.scheme, parts.hostname or "", parts.port
    host = f"[{host}]" if ":" in host else host
    return f"{scheme}://{host}" if port in {None, _PORTS.get(scheme)} else f"{scheme}://{host}:{port}"


def _spent() -> Callable[..., None]:
    return _no_hook


def _no_hook(_response: Response, **_options: Any) -> None:
    """What a copied response has in place of the hook."""
