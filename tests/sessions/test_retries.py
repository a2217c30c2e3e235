"""Lost answers: what can be repeated safely is, a bounded number of times; nothing else is."""

from __future__ import annotations

import asyncio
import io
import ssl

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.errors import ServiceUnavailable
from ic_notebook.notices import notices
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.sandbox import Faults, SandboxSettings
from ic_notebook.sessions.session import Session
from tests.sessions.pacing import EVERY_METHOD, Passing, Service, limited, somebody
from tests.sessions.people import CREDITS, free_ports, seen, signed_in

pytestmark = pytest.mark.anyio

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]
UNSAFE = ["POST", "PATCH"]
LOST = [
    502,
    503,
    504,
    httpx.ConnectError("no"),
    httpx.ConnectTimeout("no"),
    httpx.PoolTimeout("no"),
    httpx.ReadError("no"),
    httpx.WriteError("no"),
    httpx.CloseError("no"),
    httpx.RemoteProtocolError("no"),
    ssl.SSLError("no"),
]
FINAL = [
    400,
    403,
    408,
    500,
    501,
    507,
    httpx.ReadTimeout("no"),
    httpx.WriteTimeout("no"),
    httpx.ProxyError("no"),
    httpx.UnsupportedProtocol("no"),
    httpx.LocalProtocolError("no"),
    httpx.DecodingError("no"),
    httpx.TooManyRedirects("no"),
    httpx.InvalidURL("no"),
    httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
    ServiceUnavailable("no"),
    ic.SignInRequired("no"),
    ic.NotResent("no"),
    ic.ForeignOrigin("no"),
    ic.OAuthError("no", error="x"),
    OSError("no"),
]
PAUSES = [0.05, 0.1, 0.2, 0.4, 0.8]


def named(step: object) -> str:
    return str(step) if isinstance(step, int) else type(step).__name__


@pytest.fixture
def time_passes() -> Passing:
    return Passing()


@pytest.fixture
def call(caller, time_passes):
    """Sends a request to a service that answers by steps; gives what became of it and the service."""

    async def send(*steps, method="GET", options=None, **request):
        service = Service(*steps)
        client = caller(somebody(), transport=service, pace=time_passes.pace, **(options or {}))
        try:
            return await client.request(method, "/x/", **request), service
        except Exception as failure:
            return failure, service

    return send


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("lost", LOST, ids=named)
async def test_a_call_that_is_safe_to_repeat_survives_five_losses(call, time_passes, method, lost):
    answer, service = await call(*[lost] * 5, 200, method=method)
    assert answer.status_code == 200
    assert len(service.seen) == 6
    assert time_passes.waits == PAUSES


@pytest.mark.parametrize("lost", LOST, ids=named)
async def test_the_sixth_loss_is_the_callers_as_it_is(call, lost):
    outcome, service = await call(lost)
    assert len(service.seen) == 6
    assert outcome is lost if isinstance(lost, Exception) else outcome.status_code == lost


@pytest.mark.parametrize("method", UNSAFE)
@pytest.mark.parametrize("lost", LOST, ids=named)
async def test_a_call_that_is_not_safe_to_repeat_is_sent_once(call, time_passes, method, lost):
    outcome, service = await call(lost, 200, method=method)
    assert (len(service.seen), time_passes.waits) == (1, [])
    assert outcome is lost if isinstance(lost, Exception) else outcome.status_code == lost


@pytest.mark.parametrize("method", EVERY_METHOD)
@pytest.mark.parametrize("final", FINAL, ids=named)
async def test_what_a_repeat_would_not_mend_is_not_repeated(call, time_passes, method, final):
    outcome, service = await call(final, 200, method=method)
    assert (len(service.seen), time_passes.waits) == (1, [])
    assert outcome is final if isinstance(final, Exception) else outcome.status_code == final


async def test_a_failure_after_repeats_carries_no_earlier_one(call):
    failures = [httpx.ReadError(f"number {number}") for number in range(6)]
    outcome, _ = await call(*failures)
    assert outcome is failures[-1]
    assert outcome.__context__ is None


async def test_the_pauses_are_spread_by_chance(caller):
    passing = Passing(chance=lambda: 1.0)
    await caller(somebody(), transport=Service(503), pace=passing.pace).get("/x/")
    assert passing.waits == [0.1, 0.2, 0.4, 0.8, 1.6]


@pytest.mark.parametrize(("limit", "sends"), [(3, 1), (4, 1), (5, 2), (9, 3), (20, 5), (None, 6)])
async def test_no_repeat_begins_after_the_time_limit_of_the_caller(call, time_passes, limit, sends):
    def slowly(_request):
        time_passes.now += 4
        return httpx.ReadError("no")

    outcome, service = await call(slowly, options={"timeout": httpx.Timeout(99, read=limit)})
    assert isinstance(outcome, httpx.ReadError)
    assert len(service.seen) == sends


async def test_a_client_of_no_special_time_limit_repeats_for_its_own_thirty_seconds(kind, time_passes):
    def slowly(_request):
        time_passes.now += 20
        return httpx.Response(503)

    options = {"transport": (service := Service(slowly)), "pace": time_passes.pace}
    if kind == "sync":
        with somebody().client(**options) as client:
            client.get("/x/")
    else:
        async with somebody().async_client(**options) as client:
            await client.get("/x/")
    assert len(service.seen) == 2


def asking(seconds: object) -> dict[str, object]:
    return {"status_code": 503, "headers": {"retry-after": str(seconds)}}


async def test_a_service_that_asks_to_wait_is_waited_for_and_a_person_told(call, time_passes):
    answer, _ = await call(asking(12), asking(1), asking(0), 200)
    assert answer.status_code == 200
    assert time_passes.waits == [12.05, 1.1, 0.2]
    assert time_passes.shown == ["The service asks to wait. Going on in 13 s.", None, None]
    assert notices.latest is None


async def test_a_service_that_asks_for_more_than_is_left_is_not_waited_for(call, time_passes):
    answer, service = await call(asking(40))
    assert (len(service.seen), time_passes.waits) == (1, [])
    with pytest.raises(ic.APIError) as caught:
        answer.raise_for_status()
    assert str(caught.value) == (
        "GET /x/: 503 Service Unavailable. The service has a fault of its own; try again in 40 s."
    )


async def test_losses_and_limits_are_counted_apart(call, time_passes):
    answer, _ = await call(502, limited("1"), httpx.ReadError("no"), limited("1"), 503, 504, 502, 200)
    assert answer.status_code == 200
    assert time_passes.waits == [0.05, 1.0, 0.1, 1.0, 0.2, 0.4, 0.8]


async def test_an_answer_that_broke_off_is_asked_for_again(call):
    class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            yield b"[1, "
            raise httpx.RemoteProtocolError("peer closed connection")

        async def __aiter__(self):
            for piece in self:
                yield piece

    answer, _ = await call(
        lambda _request: httpx.Response(200, stream=Broken()), {"status_code": 200, "json": [1]}
    )
    assert answer.json() == [1]


async def test_a_stream_that_the_caller_reads_is_never_begun_again(kind):
    class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
        def __iter__(self):
            raise httpx.ReadError("broke off")
            yield b""

        async def __aiter__(self):
            raise httpx.ReadError("broke off")
            yield b""

    service = Service(lambda _request: httpx.Response(200, stream=Broken()))
    if kind == "sync":
        with (
            somebody().client(transport=service) as client,
            client.stream("GET", "/x/") as response,
            pytest.raises(httpx.ReadError),
        ):
            response.read()
    else:
        async with (
            somebody().async_client(transport=service) as client,
            client.stream("GET", "/x/") as response,
        ):
            with pytest.raises(httpx.ReadError):
                await response.aread()
    assert len(service.seen) == 1


@pytest.mark.parametrize("kind_of_fault", ["status", "dropped"])
@pytest.mark.parametrize("body", ["generator", "file", "multipart"])
async def test_a_body_that_cannot_be_read_twice_is_sent_once(sandbox, caller, kind, kind_of_fault, body):
    async def pieces_async():
        yield b"x"

    bodies = {
        "generator": {"content": iter([b"x"]) if kind == "sync" else pieces_async()},
        "file": {"content": io.BytesIO(b"x") if kind == "sync" else pieces_async()},
        "multipart": {"files": {"f": io.BytesIO(b"x")}},
    }
    client = caller(signed_in(sandbox))
    sandbox.settings = sandbox_with(Faults(kind=kind_of_fault, count=1))
    if kind_of_fault == "dropped":
        with pytest.raises((httpx.RemoteProtocolError, httpx.NetworkError)):
            await client.get(**bodies[body])
    else:
        assert (await client.get(**bodies[body])).status_code == 503
    assert (await client.get()).status_code == 200


def sandbox_with(*faults: Faults) -> SandboxSettings:
    return SandboxSettings(auto_approve=True, rate_limit=0, faults=faults)


async def test_no_call_fails_where_one_answer_in_ten_is_lost(sandbox, caller):
    session, passing = signed_in(sandbox), Passing()
    client = caller(session, pace=passing.pace, timeout=None)
    sandbox.settings = sandbox_with(
        Faults(kind="dropped", fraction=0.05, seed=1, paths=(CREDITS,)),
        Faults(kind="status", fraction=0.05, seed=2, paths=(CREDITS,), stage="after", status=502),
    )
    statuses = [(await client.get()).status_code for _ in range(300)]
    assert statuses == [200] * 300
    assert len(passing.waits) > 15


async def test_a_repeat_carries_a_token_that_was_renewed_meanwhile(sandbox, caller):
    session = signed_in(sandbox)
    client = caller(session, pace=Passing().pace)
    sandbox.settings = sandbox_with(Faults(count=1, paths=(CREDITS,)))
    sandbox.store.advance(3_700)
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 503", "GET credits 401", "POST token 200", "GET credits 200"]


@pytest.mark.parametrize(("method", "pauses"), [("POST", []), ("DELETE", PAUSES)])
async def test_a_server_that_is_not_there_is_said_by_httpx_itself(caller, time_passes, method, pauses):
    nowhere = Session.from_environment(service_metadata(f"http://127.0.0.1:{free_ports()[0]}"), "T0KEN")
    with pytest.raises(httpx.ConnectError):
        await caller(nowhere, pace=time_passes.pace).request(method, "/x/")
    assert time_passes.waits == pauses


async def test_a_hook_that_refuses_is_asked_once(caller):
    asked = []

    def refuse(request):
        asked.append(request)
        raise ServiceUnavailable("no")

    client = caller(somebody(), transport=Service(200), before_send=refuse, pace=Passing().pace)
    with pytest.raises(ServiceUnavailable):
        await client.get("/x/")
    assert len(asked) == 1


async def test_a_cancelled_pause_leaves_nothing_behind():
    tasks = asyncio.all_tasks()
    async with somebody().async_client(transport=Service(asking(20)), timeout=60) as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.get("/x/"), timeout=0.1)
    assert notices.latest is None
    assert asyncio.all_tasks() == tasks
