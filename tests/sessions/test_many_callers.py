"""However many ask at once, a token is renewed once, and no call fails for it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest

from tests.sessions.people import CREDITS, refreshes, registered, signed_in
from tests.sizes import LONG

pytestmark = pytest.mark.anyio

# httpx's pool takes time by the square of what waits and is connected; it is not what is tested.
FEW = httpx.Limits(max_connections=10)


def test_64_threads_with_an_ended_token_make_one_refresh_and_no_failed_call(sandbox):
    session = signed_in(sandbox)
    client = session.client()
    sandbox.store.end_access_tokens()
    together = threading.Barrier(64)

    def call() -> int:
        together.wait(20)
        return client.get(CREDITS).status_code

    with ThreadPoolExecutor(64) as pool:
        codes = [future.result(60) for future in [pool.submit(call) for _ in range(64)]]
    assert codes == [200] * 64
    assert refreshes(sandbox) == 1


async def test_tasks_with_an_ended_token_make_one_refresh_and_no_failed_call(sandbox):
    session = signed_in(sandbox)
    sandbox.store.end_access_tokens()
    async with session.async_client(limits=FEW) as client:
        responses = await asyncio.gather(*(client.get(CREDITS) for _ in range(500 if LONG else 100)))
    assert {response.status_code for response in responses} == {200}
    assert refreshes(sandbox) == 1


async def test_100_tasks_whose_sign_in_has_gone_are_all_told_after_one_refresh(sandbox):
    session = signed_in(sandbox)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    async with session.async_client(limits=FEW) as client:
        outcomes = await asyncio.gather(*(client.get(CREDITS) for _ in range(100)), return_exceptions=True)
    assert {type(outcome).__name__ for outcome in outcomes} == {"SignInRequired"}
    assert refreshes(sandbox) == 1


def test_threads_and_tasks_together_share_one_refresh(sandbox):
    session = signed_in(sandbox)
    client = session.client()
    sandbox.store.end_access_tokens()

    async def many() -> set[int]:
        async with session.async_client() as http:
            return {r.status_code for r in await asyncio.gather(*(http.get(CREDITS) for _ in range(30)))}

    with ThreadPoolExecutor(16) as pool:
        loops = [pool.submit(asyncio.run, many()) for _ in range(3)]
        calls = [pool.submit(client.get, CREDITS) for _ in range(10)]
        assert {future.result(60).status_code for future in calls} == {200}
        assert [future.result(60) for future in loops] == [{200}] * 3
    assert refreshes(sandbox) == 1


def test_two_sign_ins_of_one_client_that_end_each_others_token_take_turns(sandbox):
    sandbox.settings = replace(sandbox.settings, second_sign_in="ends-access")
    client = registered(sandbox)
    first, second = signed_in(sandbox, client=client), signed_in(sandbox, client=client)
    for _ in range(5):
        assert first.client().get(CREDITS).status_code == 200
        assert second.client().get(CREDITS).status_code == 200
    assert refreshes(sandbox) == 10


def test_two_sign_ins_that_end_each_others_token_at_once_make_no_storm(sandbox):
    sandbox.settings = replace(sandbox.settings, second_sign_in="ends-access")
    client = registered(sandbox)
    sessions = [signed_in(sandbox, client=client) for _ in range(2)]

    def calls(session) -> list[httpx.Response]:
        return [session.client().get(CREDITS) for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        answers = [future.result(60) for future in [pool.submit(calls, session) for session in sessions]]
    # a call that lost the race twice gets the endpoint's own 401; a sign-in is never given up for it
    assert {response.status_code for both in answers for response in both} <= {200, 401}
    assert refreshes(sandbox) <= 40
    assert all(session.client().get(CREDITS).status_code == 200 for session in sessions)


def test_a_second_sign_in_that_ends_the_first_altogether_tells_the_first(sandbox):
    sandbox.settings = replace(sandbox.settings, second_sign_in="ends-all")
    client = registered(sandbox)
    first, second = signed_in(sandbox, client=client), signed_in(sandbox, client=client)
    with pytest.raises(LookupError, match="has ended"):
        first.client().get(CREDITS)
    assert second.credits() == 627.13
