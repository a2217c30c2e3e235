"""The account's limit of calls: a call waits for it within its caller's time, and says so."""

from __future__ import annotations

import _thread
import asyncio
import dataclasses
import io
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.notices import notices
from ic_notebook.sessions.patience import Pace, interruptible_wait
from tests.sessions.pacing import EVERY_METHOD, Passing, Service, limited, somebody
from tests.sessions.people import CREDITS, seen, signed_in

pytestmark = pytest.mark.anyio

DATE = {"date": "Wed, 21 Oct 2026 07:28:00 GMT"}


@pytest.fixture
def time_passes() -> Passing:
    return Passing()


@pytest.fixture
def call(caller, time_passes):
    """Sends a request to a service that answers by steps; gives the last answer and the service."""

    async def send(*steps, method="GET", options=None, **request):
        service = Service(*steps)
        client = caller(somebody(), transport=service, pace=time_passes.pace, **(options or {}))
        return await client.request(method, "/x/", **request), service

    return send


@pytest.mark.parametrize("method", EVERY_METHOD)
async def test_any_call_waits_as_long_as_it_is_told_and_is_then_carried_out(call, time_passes, method):
    answer, service = await call(limited("7"), limited("2"), 200, method=method)
    assert answer.status_code == 200
    assert time_passes.waits == [7.0, 2.0]
    assert [request.method for request in service.seen] == [method] * 3


async def test_the_body_is_sent_again_whole(call):
    answer, service = await call(limited("1"), 200, method="POST", json={"handle": "x"})
    assert answer.status_code == 200
    assert [request.content for request in service.seen] == [b'{"handle":"x"}'] * 2


async def test_a_date_is_read_by_the_clock_of_the_server(call, time_passes):
    await call(limited("Wed, 21 Oct 2026 07:28:11 GMT", **DATE), 200)
    assert time_passes.waits == [11.0]


@pytest.mark.parametrize(
    "told", [None, "", "0", "-5", "soon", "1e3", "Tue, 20 Oct 2026 07:28:00 GMT", "Wed, 99 Oct 2026"]
)
async def test_without_a_time_to_come_back_the_pauses_double(call, time_passes, told):
    answer, _ = await call(*[limited(told, **DATE)] * 3, 200)
    assert answer.status_code == 200
    assert time_passes.waits == [0.5, 1.0, 2.0]


async def test_pauses_stop_doubling(call, time_passes):
    await call(429, options={"timeout": 100})
    assert time_passes.waits[:7] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("told", ["40", "999999", "9" * 18, "Thu, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_that_is_longer_than_what_is_left_is_not_begun(call, time_passes, told):
    answer, service = await call(limited(told, **DATE), options={"timeout": 30})
    assert answer.status_code == 429
    assert (time_passes.waits, len(service.seen)) == ([], 1)


async def test_a_limit_that_stays_reached_is_told_with_when_to_come_back(call):
    answer, _ = await call(limited("40", **{"ratelimit-limit": "300"}))
    with pytest.raises(ic.APIError) as caught:
        answer.raise_for_status()
    assert str(caught.value) == (
        "GET /x/: 429 Too Many Requests. The account's limit of 300 calls a minute is reached. "
        "Try again in 40 s."
    )


@pytest.mark.parametrize(
    ("told", "words"),
    [(None, "in a minute."), ("0", "in a minute."), ("600", "in 10 min."), ("86400", "in 24 h.")],
)
async def test_when_to_come_back_is_said_in_a_unit_that_fits(call, told, words):
    answer, _ = await call(limited(told), options={"timeout": 0.1})
    with pytest.raises(ic.APIError, match=f"Try again {words}$"):
        answer.raise_for_status()


@pytest.mark.parametrize(
    ("limits", "bound"),
    [
        ({"options": {"timeout": 10}}, 10),
        ({"options": {"timeout": httpx.Timeout(60, read=10)}}, 10),
        ({"options": {"timeout": 60}, "timeout": 10}, 10),
        ({"options": {"timeout": 30}}, 30),
        ({"options": {"timeout": None}}, 120),
        ({"timeout": None}, 120),
    ],
)
@pytest.mark.parametrize("told", [None, "3"])
async def test_waiting_ends_within_the_time_limit_of_the_caller(call, time_passes, limits, bound, told):
    began = time_passes.now
    answer, service = await call(limited(told), method="POST", **limits)
    assert answer.status_code == 429
    assert bound / 3 < time_passes.now - began <= bound
    assert len(service.seen) == len(time_passes.waits) + 1


async def test_the_time_limit_counts_from_the_first_send(call, time_passes):
    def slowly(_request):
        time_passes.now += 4
        return httpx.Response(429, headers={"retry-after": "3"})

    began = time_passes.now
    answer, service = await call(slowly, options={"timeout": 10})
    assert answer.status_code == 429
    assert (len(service.seen), time_passes.now - began) == (2, 11)


async def test_a_caller_without_a_time_limit_of_its_own_outlasts_the_minute(kind, time_passes):
    service = Service(limited("59"), limited("40"), 200)
    options = {"transport": service, "pace": time_passes.pace}
    if kind == "sync":
        with somebody().client(**options) as client:
            answer = client.post("/x/")
    else:
        async with somebody().async_client(**options) as client:
            answer = await client.post("/x/")
    assert answer.status_code == 200
    assert time_passes.waits == [59.0, 40.0]


async def test_a_person_is_told_while_the_wait_lasts_and_no_longer(call, time_passes, caplog):
    await call(limited("12"), limited("2", **{"x-ratelimit-limit": "300"}), 200)
    assert time_passes.shown == [
        "The account's limit of calls a minute is reached. Going on in 12 s.",
        "The account's limit of 300 calls a minute is reached. Going on in 2 s.",
    ]
    assert caplog.messages == time_passes.shown
    assert notices.latest is None


async def test_two_seconds_in_all_are_nothing_to_talk_about(call, time_passes, caplog):
    await call(limited("1"), limited("1"), limited("1"), 200)
    assert time_passes.shown == [
        None,
        None,
        "The account's limit of calls a minute is reached. Going on in 1 s.",
    ]
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(
    ("limit", "number"),
    [
        ("300", "300 "),
        (" 60 ", "60 "),
        ("300, 300;w=60", "300 "),
        ("300, 300; w=60", "300 "),
        ("5000, 5000;w=3600", ""),
        ("0", ""),
        ("many", ""),
        ("99999999", ""),
        ("-1", ""),
    ],
)
async def test_the_number_of_calls_is_said_where_the_service_says_it(call, time_passes, limit, number):
    await call(limited("9", **{"ratelimit-limit": limit}), 200)
    limit_in_words = f"The account's limit of {number}calls a minute is reached."
    assert time_passes.shown == [f"{limit_in_words} Going on in 9 s."]


async def test_chance_spreads_the_waits_but_never_shortens_what_was_told(caller):
    waits = []
    for chance in (0.0, 0.5, 1.0):
        passing = Passing(chance=lambda chance=chance: chance)
        client = caller(somebody(), transport=Service(limited("10"), limited("1"), 429), pace=passing.pace)
        await client.get("/x/")
        waits.append(passing.waits[:4])
    assert [row[:2] for row in waits] == [[10.0, 1.0], [10.5, 1.25], [11.0, 1.5]]
    assert [row[2] for row in waits] == [2.0, 3.0, 4.0]


async def test_chance_does_not_wait_past_the_time_limit(caller):
    passing = Passing(chance=lambda: 1.0)
    client = caller(somebody(), transport=Service(limited("10"), 200), pace=passing.pace, timeout=10)
    assert (await client.get("/x/")).status_code == 200
    assert passing.waits == [10.0]


@pytest.mark.parametrize("body", ["generator", "file", "multipart"])
async def test_a_body_that_cannot_be_read_twice_is_sent_once(new_sandbox, caller, kind, time_passes, body):
    def pieces():
        yield b"x"

    async def pieces_async():
        yield b"x"

    bodies = {
        "generator": {"content": pieces() if kind == "sync" else pieces_async()},
        "file": {"content": io.BytesIO(b"x") if kind == "sync" else pieces_async()},
        "multipart": {"files": {"f": io.BytesIO(b"x")}},
    }
    sandbox = new_sandbox(rate_limit=1)
    client = caller(signed_in(sandbox), pace=time_passes.pace, timeout=None)
    await client.get()
    assert (await client.get(**bodies[body])).status_code == 429
    assert time_passes.waits == []
    assert seen(sandbox) == ["GET credits 200", "GET credits 429"]


@pytest.mark.parametrize(("redirect", "sends"), [(303, 2), (302, 2), (307, 4), (308, 4)])
async def test_a_post_that_was_carried_out_is_not_repeated_for_what_it_redirected_to(call, redirect, sends):
    moved = {"status_code": redirect, "headers": {"location": "/y/"}}
    answer, service = await call(moved, limited("1"), moved, 200, method="POST", follow_redirects=True)
    assert len(service.seen) == sends
    assert answer.status_code == (429 if sends == 2 else 200)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A streamed body that knows whether it was let go."""

    def __init__(self) -> None:
        self.closed = False

    def __iter__(self):
        yield b"Too many"

    async def __aiter__(self):
        yield b"Too many"

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


async def test_a_refused_stream_is_let_go_before_the_wait_and_the_next_one_is_the_callers(kind):
    refused, passing = Body(), Passing()
    closed_in_time = []

    def answered(_request):
        closed_in_time.append(refused.closed)
        return httpx.Response(200, content=b"yes")

    service = Service(lambda _r: httpx.Response(429, headers={"retry-after": "1"}, stream=refused), answered)
    options = {"transport": service, "pace": passing.pace}
    if kind == "sync":
        with somebody().client(**options) as client, client.stream("POST", "/x/") as response:
            assert response.read() == b"yes"
    else:
        async with somebody().async_client(**options) as client, client.stream("POST", "/x/") as response:
            assert await response.aread() == b"yes"
    assert closed_in_time == [True]


async def test_a_single_connection_is_free_again_for_the_repeat(new_sandbox, kind):
    sandbox = new_sandbox(rate_limit=1)

    def next_minute(_seconds):
        sandbox.store.advance(60)

    async def next_minute_async(seconds):
        next_minute(seconds)

    pace = Pace(wait=next_minute, wait_async=next_minute_async)
    session, one = signed_in(sandbox), httpx.Limits(max_connections=1)
    if kind == "sync":
        with session.client(pace=pace, limits=one) as client:
            for _ in range(2):
                with client.stream("GET", CREDITS) as response:
                    assert response.status_code == 200
                    response.read()
    else:
        async with session.async_client(pace=pace, limits=one) as client:
            for _ in range(2):
                async with client.stream("GET", CREDITS) as response:
                    assert response.status_code == 200
                    await response.aread()
    assert seen(sandbox) == ["GET credits 200", "GET credits 429", "GET credits 200"]


@pytest.mark.parametrize("tells", [True, False])
async def test_a_real_limit_is_waited_for(new_sandbox, caller, tells):
    sandbox = new_sandbox(rate_limit=3, retry_after=tells)
    session, passing = signed_in(sandbox), Passing()

    def wait(seconds):
        passing.wait(seconds)
        sandbox.store.advance(seconds)

    async def wait_async(seconds):
        wait(seconds)

    pace = dataclasses.replace(passing.pace, wait=wait, wait_async=wait_async)
    client = caller(session, pace=pace, timeout=None)
    for _ in range(7):
        assert (await client.get()).status_code == 200
    assert 60 <= sum(passing.waits) <= 200
    if tells:
        assert len(passing.waits) == 2
        assert seen(sandbox).count("GET credits 429") == 2


async def test_a_real_refusal_says_when_to_come_back(new_sandbox, caller):
    sandbox = new_sandbox(rate_limit=1)
    client = caller(signed_in(sandbox), timeout=5)
    await client.get()
    answer = await client.get()
    with pytest.raises(ic.APIError) as caught:
        answer.raise_for_status()
    assert "an account may send 1 a minute" in str(caught.value)
    assert str(caught.value).endswith((" Try again in 60 s.", " Try again in 59 s."))


def test_the_auth_alone_does_not_wait(new_sandbox):
    sandbox = new_sandbox(rate_limit=1)
    session = signed_in(sandbox)
    with httpx.Client(auth=session.auth, base_url=sandbox.url, trust_env=False) as client:
        assert [client.get(CREDITS).status_code for _ in range(2)] == [200, 429]
    assert notices.latest is None


def test_many_threads_that_wait_at_once_say_so_once_and_come_back_apart(caplog):
    threads, waits, lock = 32, [], threading.Lock()
    all_wait = threading.Barrier(threads)
    met = threading.local()

    def wait(seconds: float) -> None:
        with lock:
            waits.append(seconds)
        all_wait.wait(timeout=20)

    def answer(_request):
        if getattr(met, "limit", False):
            return httpx.Response(200)
        met.limit = True
        return httpx.Response(429, headers={"retry-after": "12"})

    with (
        somebody().client(transport=httpx.MockTransport(answer), pace=Pace(wait=wait)) as client,
        ThreadPoolExecutor(threads) as pool,
    ):
        statuses = list(pool.map(lambda _: client.post("/x/").status_code, range(threads)))
    assert statuses == [200] * threads
    assert len({round(wait, 4) for wait in waits}) > threads // 2
    assert all(12 <= wait <= 13 for wait in waits)
    assert len(caplog.messages) == 1
    assert notices.latest is None


async def test_a_cancelled_or_timed_out_wait_leaves_nothing_behind():
    before, tasks = threading.active_count(), asyncio.all_tasks()
    async with somebody().async_client(transport=Service(limited("60")), timeout=100) as client:
        task = asyncio.create_task(client.get("/x/"))
        while notices.latest is None:
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.get("/x/"), timeout=0.1)
    assert notices.latest is None
    assert threading.active_count() <= before
    assert asyncio.all_tasks() == tasks


def test_an_interrupt_ends_the_wait_at_once_and_leaves_nothing_behind():
    interrupt = threading.Timer(0.2, _thread.interrupt_main)
    with somebody().client(transport=Service(limited("60")), timeout=100) as client:
        interrupt.start()
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.get("/x/")
    interrupt.join()
    assert time.monotonic() - began < 2
    assert notices.latest is None


def test_the_wait_takes_its_time():
    began = time.monotonic()
    interruptible_wait(0.25)
    interruptible_wait(0)
    interruptible_wait(-1)
    assert 0.25 <= time.monotonic() - began < 2


def test_the_words_go_to_the_log_of_the_package(caplog):
    with (
        caplog.at_level(logging.WARNING),
        somebody().client(transport=Service(limited("3"), 200), pace=Passing().pace) as client,
    ):
        client.get("/x/")
    assert [(record.name, record.levelname) for record in caplog.records] == [("ic_notebook", "WARNING")]
