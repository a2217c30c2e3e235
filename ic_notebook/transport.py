"""Drives a protocol flow over httpx: time limits, bounded repeats, errors in words.

The only driver: all I/O runs on the background thread, which callers wait for or await.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import ssl
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from typing import TypeVar

import httpx

from ic_notebook.errors import ConfigurationError, ICNotebookError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.answers import retry_after
from ic_notebook.oauth.flow import Flow, Repeat, repeat_of
from ic_notebook.oauth.loopback import is_loopback

T = TypeVar("T")

USER_AGENT = "ic_notebook"
TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
MAX_ANSWER = 1_048_576
"""Bytes; an answer of an authorization server that is longer is not read on."""
MAX_SENDS = 4
MAX_WAIT = 20.0
"""Seconds spent waiting between repeats, in all; a longer `Retry-After` is the person's to wait for."""
_LOST = {502, 503, 504}
_OF_THE_CODING = {b"content-encoding", b"content-length"}
_GZIP = 16 + zlib.MAX_WBITS


def ssl_context() -> ssl.SSLContext:
    """The certificates to trust, read once for each value of `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    Raises:
        ConfigurationError: where `SSL_CERT_FILE` cannot be read.
    """
    try:
        return _ssl_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
    except OSError:
        raise ConfigurationError(
            "SSL_CERT_FILE does not name a file of certificates (PEM) that can be read. Correct or unset it."
        ) from None


@lru_cache(maxsize=1)
def _ssl_context(_file: str | None, _directory: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


@contextlib.contextmanager
def usable_environment() -> Iterator[None]:
    """While an httpx client is made.

    Raises:
        ConfigurationError: in place of what httpx makes of proxy variables that cannot be used.
    """
    try:
        yield
    except ICNotebookError:
        raise
    except (ImportError, httpx.InvalidURL, ValueError):
        raise ConfigurationError(
            "The proxy variables (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY) cannot be used. Correct or "
            'unset them; a SOCKS proxy needs: pip install "httpx[socks]".'
        ) from None


def uses_environment(host: str) -> bool:
    """Whether proxy variables count for requests to this host: never for this computer itself."""
    return not is_loopback(host)


class Transport:
    """Sends what flows yield.

    Args:
        timeout: seconds for one request as a whole.
        connect_timeout: seconds for a connection.
        http: the httpx transport, where a test brings its own.
        sleep: waits between repeats.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        timeout: float = TIMEOUT,
        connect_timeout: float = CONNECT_TIMEOUT,
        http: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeout = timeout
        self._connect_timeout = connect_timeout
        self._http = http
        self._sleep = sleep
        self._clock = clock

    async def drive(self, flow: Flow[T], *, auth: httpx.Auth | None = None) -> T:
        """Run a flow to its end.

        Args:
            flow: a generator of requests.
            auth: signs the requests, where the calls are a signed-in person's.

        Returns:
            What the flow returns.

        Raises:
            ServiceUnavailable: no usable answer; `answer_lost` tells whether it may have been carried out.
            ConfigurationError: environment variables for certificates or proxies that cannot be used.
            ICNotebookError: what the flow raises. The traceback starts here: the flow's frames hold secrets.
        """
        try:
            return await self._run(flow, auth)
        except ICNotebookError as error:
            failure = error
        finally:
            flow.close()
        failure.__context__ = None
        raise failure.with_traceback(None) from None

    async def _run(self, flow: Flow[T], auth: httpx.Auth | None) -> T:
        try:
            request = next(flow)
            async with self._client(request.url.host) as client:
                while True:
                    request = flow.send(await self._send(client, request, auth))
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _client(self, host: str) -> httpx.AsyncClient:
        with usable_environment():
            return httpx.AsyncClient(
                timeout=httpx.Timeout(self._timeout, connect=self._connect_timeout),
                follow_redirects=False,
                verify=ssl_context(),
                transport=self._http,
                trust_env=uses_environment(host),
                headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
            )

    async def _send(
        self, client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth | None
    ) -> httpx.Response:
        repeat, began, pauses, paused = repeat_of(request), self._clock(), _pauses(), 0.0
        for name, value in client.headers.items():
            # httpx gives a client's headers only to the requests that it built itself.
            request.headers.setdefault(name, value)
        lost = False
        for sends_left in reversed(range(MAX_SENDS)):
            response: httpx.Response | None = None
            try:
                response = await asyncio.wait_for(_once(client, request, auth), self._timeout)
            except ICNotebookError:
                raise
            except (*_FAILURES, asyncio.TimeoutError, OSError) as failure:
                # OSError: httpx lets a TLS alert that comes after the handshake through as it is.
                error = explain(failure, request, timeout=self._timeout)
                error.answer_lost = lost = lost or error.answer_lost
            else:
                response.extensions["after_lost_answer"] = lost
                lost = lost or response.status_code in _LOST
            pause = _pause(response, repeat, next(pauses))
            if pause is not None and sends_left and self._in_time(began, paused + pause):
                paused += pause
                await self._sleep(pause)
            elif response is None:
                raise error from None
            else:
                return response
        raise AssertionError  # the last round returns or raises

    def _in_time(self, began: float, pauses: float) -> bool:
        return pauses <= MAX_WAIT and self._clock() - began <= 2 * self._timeout


def _pauses() -> Iterator[float]:
    pause = 0.5
    while True:
        yield pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, guards nothing
        pause *= 2


def _pause(response: httpx.Response | None, repeat: Repeat, pause: float) -> float | None:
    """Seconds to wait before the same request is sent again, or None where it must not be."""
    if repeat is Repeat.NEVER:
        return None
    if response is None:
        return pause if repeat is Repeat.IF_LOST else None
    asked = retry_after(response)
    if response.status_code == 429 or (response.status_code == 503 and asked is not None):
        wanted = pause if asked is None else asked
        return wanted if wanted <= MAX_WAIT else None
    if response.status_code in _LOST and repeat is Repeat.IF_LOST:
        return pause
    return None


async def _once(client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth | None) -> httpx.Response:
    response = await client.send(request, auth=auth, stream=True)
    raw = bytearray()
    try:
        # The body of a 5xx is nobody's to read.
        if response.status_code < 500:
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > MAX_ANSWER:
                    break
    finally:
        await response.aclose()
    content = _decoded(bytes(raw), coding=response.headers.get("content-encoding", "identity"))
    if len(content) > MAX_ANSWER:
        raise UnexpectedAnswer(
            f"{request.url.host} answered with more than {MAX_ANSWER} bytes, which were not read."
        )
    # As bytes: a header may hold any, and must not spoil an answer that has already changed the server.
    headers = [(k, v) for k, v in response.headers.raw if k.lower() not in _OF_THE_CODING]
    return httpx.Response(response.status_code, headers=headers, content=content, request=response.request)


def _decoded(raw: bytes, *, coding: str) -> bytes:
    """A body without its content coding, read to the bound at most; a coding not asked for gives none."""
    coding = coding.strip().lower()
    if coding in {"", "identity"} or len(raw) > MAX_ANSWER:
        return raw
    if coding not in {"gzip", "x-gzip"}:
        return b""
    try:
        return zlib.decompressobj(_GZIP).decompress(raw, MAX_ANSWER + 1)
    except zlib.error:
        return b""


_FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
    httpx.LocalProtocolError,
)


def explain(failure: Exception, request: httpx.Request, *, timeout: float) -> ServiceUnavailable:
    """What a failure to get an answer means to a person, and what to do."""
    host = request.url.netloc.decode("ascii", "replace")
    not_sent = isinstance(failure, _NOT_SENT)
    if _is_tls(failure):
        words = (
            f"The certificate of {host} could not be verified. If your network inspects TLS, set "
            "SSL_CERT_FILE to the file with its certificate, then try again."
        )
    elif isinstance(failure, httpx.ProxyError):
        words = f"The proxy let no request to {host} through. Check HTTPS_PROXY and NO_PROXY, then try again."
    elif isinstance(failure, (TimeoutError, asyncio.TimeoutError, httpx.TimeoutException)):
        words = f"No answer from {host} in {timeout:.0f} s. Check the network or proxy, then try again."
    elif not_sent:
        words = f"No connection to {host}. Check the network or proxy, then try again."
    else:
        words = f"The connection to {host} broke before an answer came. Try again."
    return ServiceUnavailable(words, answer_lost=not not_sent)


def _is_tls(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(failure):
            return True
        failure = failure.__cause__ or failure.__context__
    return False
