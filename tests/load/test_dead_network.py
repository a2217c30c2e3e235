"""A network that is dead for a minute: clear errors meanwhile, no storm of refreshes, and all is well afterwards."""

from __future__ import annotations

import threading
from collections import Counter

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.background import background
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from ic_notebook.sessions.patience import Pace
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.transport import Transport
from tests.sessions.people import CREDITS, TOKEN, Caller, Clock, signed_in
from tests.sessions.vaults import Vault, shared

pytestmark = pytest.mark.anyio

MINUTE = 60.0
FAILURES = {
    "unreachable": (httpx.ConnectError, 0.0),
    "silent": (httpx.ConnectTimeout, 10.0),
    "broken": (httpx.ReadError, 0.1),
}
"""What a dead network looks like to a client, and how many seconds it takes to."""


class Network(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """The real one, until it is dead; then a time passes, and nothing has arrived."""

    def __init__(self, clock: Clock) -> None:
        self._sync, self.clock = httpx.HTTPTransport(), clock
        self.dead: str | None = None
        self.tried: Counter[str] = Counter()
        self.arrived: Counter[str] = Counter()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._see(request)
        return self._sync.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._see(request)
        async with httpx.AsyncHTTPTransport() as real:
            answer = await real.handle_async_request(request)
            content = httpx.ByteStream(await answer.aread())
            return httpx.Response(answer.status_code, headers=answer.headers, stream=content)

    def close(self) -> None:
        self._sync.close()

    async def aclose(self) -> None:
        self._sync.close()

    def _see(self, request: httpx.Request) -> None:
        counted = self.arrived if self.dead is None else self.tried
        counted["refresh" if request.url.path == TOKEN else "call"] += 1
        if self.dead is not None:
            failure, seconds = FAILURES[self.dead]
            self.clock.now += seconds
            raise failure("the network is dead", request=request)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def network(clock):
    network = Network(clock)
    yield network
    network.close()


@pytest.fixture
def sandbox(clock):
    settings = SandboxSettings(auto_approve=True, rate_limit=0, access_token_lifetime=30)
    with serve_in_thread(settings, clock=clock) as sandbox:
        yield sandbox


def pace_of(clock: Clock) -> Pace:
    """Waits that take no time but the clock's."""

    def wait(seconds: float) -> None:
        clock.now += seconds

    async def wait_async(seconds: float) -> None:
        clock.now += seconds

    return Pace(clock=clock, wait=wait, wait_async=wait_async)


@pytest.fixture
def session(sandbox, network, clock, tmp_path) -> Session:
    """A sign-in that is shared through a store, as seen by one of its processes."""
    transport = Transport(http=network, sleep=pace_of(clock).wait_async, clock=clock)
    session = signed_in(sandbox, transport=transport, clock=clock, monotonic=clock)
    background().run(session.keep, shared(Vault(), sandbox.url, tmp_path))
    return session


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("dead", FAILURES)
async def test_calls_fail_clearly_meanwhile_and_work_once_it_is_back(network, session, report, dead, kind):
    caller, clock = Caller(session, kind, transport=network, pace=pace_of(network.clock)), network.clock
    assert (await caller.get()).status_code == 200
    began, network.dead, calls, told = clock.now, dead, 0, Counter()
    while clock.now < began + MINUTE:
        tried, calls = network.tried.copy(), calls + 1
        with pytest.raises((ic.ServiceUnavailable, httpx.TransportError)) as failure:
            await caller.get()
        told[type(failure.value).__name__] += 1
        if isinstance(failure.value, ic.ServiceUnavailable):
            assert "network" in str(failure.value) or "Try again" in str(failure.value)
        # One call makes six sends at most, and renewals of four sends: ahead of the token's end, and at its end.
        assert network.tried["call"] - tried["call"] <= 6
        assert network.tried["refresh"] - tried["refresh"] <= 8
        clock.now += 1.0
    seconds = clock.now - began
    report({"calls": calls, "sends": dict(network.tried), "seconds": round(seconds), "told": dict(told)})
    assert network.tried["refresh"] <= 1.5 * seconds
    assert session.state is SessionState.CONNECTED

    network.dead = None
    network.arrived.clear()
    assert [(await caller.get()).status_code for _ in range(3)] == [200] * 3
    assert network.arrived["refresh"] == 1
    await caller.close()


def test_many_callers_share_the_renewals_that_fail(network, session, clock, report):
    """With the access token at its end, 32 threads want a renewal all at once and again and again."""
    client = session.client(transport=network, pace=pace_of(clock))
    assert client.get(CREDITS).status_code == 200
    clock.now += 31
    began, network.dead = clock.now, "unreachable"
    failures: Counter[str] = Counter()

    def call() -> None:
        while clock.now < began + MINUTE:
            try:
                client.get(CREDITS)
            except (ic.ICNotebookError, httpx.TransportError) as failure:
                failures[type(failure).__name__] += 1

    threads = [threading.Thread(target=call) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    seconds = clock.now - began
    report({"failed": dict(failures), "sends": dict(network.tried), "seconds": round(seconds)})
    # Four sends in 3.5 s, however many wait for them; and no call is sent with a token that has ended.
    assert network.tried["refresh"] <= 1.5 * seconds
    assert network.tried["call"] == 0
    assert set(failures) == {"ServiceUnavailable"}
    network.dead = None
    assert client.get(CREDITS).status_code == 200
    assert network.arrived == {"refresh": 1, "call": 2}
    client.close()
