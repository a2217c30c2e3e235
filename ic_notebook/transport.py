"""Drives a protocol flow over httpx: time limits, bounded repeats, errors in words.

The only driver: all I/O runs on the background thread, which callers wait for or await.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from typing import TypeVar

import httpx

from ic_notebook.errors import ICNotebookError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.answers import retry_after
from ic_notebook.oauth.flow import Flow, Repeat, repeat_of

T = TypeVar("T")

TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0
MAX_ANSWER = 1_048_576
"""Bytes; an answer of an authorization server that is longer is not read on."""
MAX_SENDS = 4
MAX_WAIT = 20.0
"""Seconds spent waiting between repeats, in all; a longer `Retry-After` is the person's to wait for."""
_LOST = {502, 503, 504}
_NO_PROXY = ("127.0.0.1", "localhost", "[::1]")


@lru_cache(maxsize=1)
def ssl_context() -> ssl.SSLContext:
    """The certificates to trust, read once; `SSL_CERT_FILE` is honoured."""
    return httpx.create_ssl_context()


def direct_to_loopback() -> dict[str, None]:
    """Mounts for an httpx client that keep requests to this computer away from proxy variables."""
    return {f"all://{host}": None for host in _NO_PROXY}


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
            ICNotebookError: what the flow raises. The traceback starts here: the flow's frames hold secrets.
        """
        async with self._client() as client:
            try:
                request = next(flow)
                while True:
                    request = flow.send(await self._send(client, request, auth))
            except StopIteration as stop:
                value: T = stop.value
                return value
            except ICNotebookError as error:
                failure = error
            finally:
                flow.close()
        raise failure.with_traceback(None) from None

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            timeout=httpx.Timeout(self._timeout, connect=self._connect_timeout),
            follow_redirects=False,
            verify=ssl_context(),
            transport=self._http,
            mounts=None if self._http else direct_to_loopback(),
            headers={"User-Agent": "ic_notebook"},
        )

    async def _send(
        self, client: httpx.AsyncClient, request: httpx.Request, auth: httpx.Auth | None
    ) -> httpx.Response:
        repeat, began, pauses = repeat_of(request), self._clock(), _pauses()
        for sends_left in reversed(range(MAX_SENDS)):
            response: httpx.Response | None = None
            try:
                response = await asyncio.wait_for(_once(client, request, auth), self._timeout)
            except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, asyncio.TimeoutError) as failure:
                error = explain(failure, request, timeout=self._timeout)
            pause = _pause(response, repeat, next(pauses))
            waited = self._clock() - began
            if pause is not None and sends_left and waited + pause <= max(MAX_WAIT, 2 * self._timeout):
                await self._sleep(pause)
            elif response is None:
                raise error from None
            else:
                return response
        raise AssertionError  # the last round returns or raises


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
    try:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > MAX_ANSWER:
                raise UnexpectedAnswer(
                    f"{request.url.host} answered with more than {MAX_ANSWER} bytes, which were not read."
                )
    finally:
        await response.aclose()
    headers = [
        (k, v) for k, v in response.headers.multi_items() if k not in {"content-encoding", "content-length"}
    ]
    return httpx.Response(
        response.status_code, headers=headers, content=bytes(content), request=response.request
    )


def explain(failure: Exception, request: httpx.Request, *, timeout: float) -> ServiceUnavailable:
    """What a failure to get an answer means to a person, and what to do."""
    host = request.url.netloc.decode("ascii", "replace")
    not_sent = isinstance(
        failure, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.InvalidURL)
    )
    if _is_tls(failure):
        words = (
            f"The certificate of {host} could not be verified. If your network inspects TLS, set SSL_CERT_FILE "
            "to the file with its certificate, then try again."
        )
    elif isinstance(failure, httpx.ProxyError):
        words = f"The proxy let no request to {host} through. Check HTTPS_PROXY and NO_PROXY, then try again."
    elif isinstance(failure, (TimeoutError, asyncio.TimeoutError, httpx.TimeoutException)):
        words = f"No answer from {host} in {timeout:.0f} s. Check the network or proxy, then try again."
    elif not_sent:
        words = f"{host} cannot be reached. Check the network or proxy, then try again."
    else:
        words = f"The connection to {host} broke before an answer came. Try again."
    return ServiceUnavailable(words, answer_lost=not not_sent)


def _is_tls(failure: BaseException | None) -> bool:
    while failure is not None:
        if isinstance(failure, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(failure):
            return True
        failure = failure.__cause__ or failure.__context__
    return False
