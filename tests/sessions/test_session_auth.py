"""A session's own clients, sync and async, by decisions 3 and 4 of the design; `test_three_clients` has the rule."""

from __future__ import annotations

import dataclasses
import io

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.token_source import NOT_RENEWABLE, REST
from tests.sessions.people import TOKEN, Clock, impatient, refreshes, seen, signed_in

pytestmark = pytest.mark.anyio


def turn(sandbox, **switches) -> None:
    sandbox.settings = dataclasses.replace(sandbox.settings, **switches)


async def test_a_request_carries_the_access_token(sandbox, caller):
    response = await caller(signed_in(sandbox)).get()
    assert response.status_code == 200
    assert seen(sandbox) == ["GET credits 200"]


async def test_a_token_is_renewed_ahead_of_its_end(sandbox, caller):
    clock = Clock()
    client = caller(signed_in(sandbox, clock=clock))
    clock.now += 3600 - 61
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 0
    clock.now += 2
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 200", "POST token 200", "GET credits 200"]
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 1


async def test_the_monotonic_clock_tells_the_age_where_the_wall_clock_was_set_back(sandbox, caller):
    wall, monotonic = Clock(), Clock()
    client = caller(signed_in(sandbox, clock=wall, monotonic=monotonic))
    wall.now -= 86_400
    monotonic.now += 3600
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["POST token 200", "GET credits 200"]


async def test_the_leeway_shrinks_with_the_lifetime(sandbox, caller):
    turn(sandbox, access_token_lifetime=20)
    clock = Clock()
    client = caller(signed_in(sandbox, clock=clock))
    clock.now += 17
    await client.get()
    assert refreshes(sandbox) == 0
    clock.now += 1.5
    await client.get()
    assert refreshes(sandbox) == 1


async def test_a_401_is_answered_by_one_refresh_and_the_same_request_again(sandbox, caller):
    client = caller(signed_in(sandbox))
    sandbox.store.end_access_tokens()
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]


async def test_a_refresh_token_that_does_not_rotate_is_used_again(sandbox, caller):
    turn(sandbox, rotation=False, without=frozenset({"scope"}))
    client = caller(signed_in(sandbox))
    for _ in range(2):
        sandbox.store.end_access_tokens()
        assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 2


def renewing_once(session, sandbox, *, and_then=lambda: None):
    """A hook by which somebody else renews the token while the first request is on its way."""
    done = []

    def hook(_request: httpx.Request) -> None:
        if not done:
            done.append(True)
            session._source.replace(session._source.current()).result(10)
            and_then()

    return hook


async def test_a_grant_that_is_gone_raises_sign_in_required_then_and_ever_after(sandbox, caller):
    session = signed_in(sandbox)
    client = caller(session)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    with pytest.raises(ic.SignInRequired, match=r"has ended.*Connect again"):
        await client.get()
    assert session.state is SessionState.ENDED
    assert seen(sandbox) == ["GET credits 401", "POST token 400"]
    with pytest.raises(ic.SignInRequired, match="has ended"):
        await client.get()
    assert len(sandbox.requests) == 2


async def test_a_dropped_client_ends_the_sign_in(sandbox, caller):
    session = signed_in(sandbox)
    sandbox.store.end_client(session._source.current().client_id)
    with pytest.raises(ic.SignInRequired):
        await caller(session).get()
    assert session.state is SessionState.ENDED


async def test_a_refused_token_that_nothing_can_renew_raises_and_ends_by_a_call_that_all_may_make(
    sandbox, caller
):
    turn(sandbox, without=frozenset({"refresh_token"}))
    session = signed_in(sandbox)
    client = caller(session)
    assert (await client.get()).status_code == 200
    sandbox.store.end_access_tokens()
    for _ in range(2):
        with pytest.raises(ic.SignInRequired, match="Connect again"):
            await client.get()
    # An endpoint may refuse for its own reasons; the credits of the account it cannot.
    assert session.state is SessionState.CONNECTED
    with pytest.raises(ic.SignInRequired, match="Connect again"):
        session.credits()
    assert session.state is SessionState.ENDED
    assert not session.status.connected
    assert session.status.problem == NOT_RENEWABLE


async def test_a_token_that_nothing_can_renew_ends_the_sign_in_when_its_time_is_over(sandbox, caller):
    turn(sandbox, without=frozenset({"refresh_token"}), access_token_lifetime=100)
    clock = Clock()
    session = signed_in(sandbox, clock=clock)
    clock.now += 101
    sandbox.store.end_access_tokens()
    with pytest.raises(ic.SignInRequired, match="Connect again"):
        await caller(session).get()
    assert session.state is SessionState.ENDED


async def test_a_session_that_is_forgotten_during_a_call_raises_instead_of_the_401(sandbox, caller):
    session = signed_in(sandbox)

    def forgotten(_request: httpx.Request) -> None:
        if session.state is SessionState.CONNECTED:
            sandbox.store.end_access_tokens()
            session.forget()

    with pytest.raises(ic.SignInRequired, match="Nobody is signed in"):
        await caller(session, before_send=forgotten).get()


async def test_a_refresh_that_the_network_loses_lets_a_living_token_go_on(sandbox, caller):
    clock = Clock()
    client = caller(signed_in(sandbox, clock=clock, transport=impatient()))
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600 - 30
    assert (await client.get()).status_code == 200
    assert seen(sandbox)[-1] == "GET credits 200"


async def test_a_renewal_that_failed_does_not_hold_up_the_next_call_while_the_token_lives(sandbox, caller):
    clock, monotonic = Clock(), Clock()
    session = signed_in(sandbox, clock=clock, monotonic=monotonic, transport=impatient())
    client = caller(session)
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600 - 30
    for _ in range(2):
        assert (await client.get()).status_code == 200
    one_refresh = 4  # sends, since its answer was lost each time
    assert refreshes(sandbox) == one_refresh
    turn(sandbox, faults=Faults())
    monotonic.now += REST
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == one_refresh + 1


async def test_an_odd_answer_to_a_refresh_lets_a_living_token_go_on(sandbox, caller):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient(http=httpx.MockTransport(captive_portal)))
    clock.now += 3600 - 30
    assert (await caller(session).get()).status_code == 200
    assert session.access_token()
    clock.now += 30
    with pytest.raises(ic.UnexpectedAnswer):
        await caller(session).get()


def captive_portal(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"<h1>Accept the terms of this hotel</h1>"))


async def test_a_token_that_has_ended_and_cannot_be_renewed_raises_service_unavailable(sandbox, caller):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient())
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600
    with pytest.raises(ic.ServiceUnavailable):
        await caller(session).get()
    assert "GET credits 200" not in seen(sandbox)
    assert session.state is SessionState.CONNECTED
    turn(sandbox, faults=Faults())
    assert (await caller(session).get()).status_code == 200


async def test_a_refresh_whose_answer_was_lost_is_sent_again(sandbox, caller):
    turn(sandbox, refresh_grace=60)
    client = caller(signed_in(sandbox, transport=impatient()))
    sandbox.store.end_access_tokens()
    turn(sandbox, faults=Faults(count=1, paths=(TOKEN,), stage="after"))
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 503", "POST token 200", "GET credits 200"]


async def slowly():
    yield b"octets"


async def test_a_multipart_form_is_not_resent_but_the_token_is_renewed(sandbox, caller):
    client = caller(signed_in(sandbox))
    sandbox.store.end_access_tokens()
    with pytest.raises(ic.NotResent, match="Send the request again"):
        await client.get(files={"upload": io.BytesIO(b"octets")})
    assert seen(sandbox) == ["GET credits 401", "POST token 200"]
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 1


async def test_a_body_that_cannot_be_read_twice_is_not_resent_with_an_adopted_token_either(
    sandbox, caller, kind
):
    session = signed_in(sandbox)
    client = caller(session, before_send=renewing_once(session, sandbox))
    with pytest.raises(ic.NotResent):
        await client.get(**({"content": iter([b"x"])} if kind == "sync" else {"content": slowly()}))
    assert (await client.get()).status_code == 200


async def test_a_client_with_another_base_url_sends_no_token_there(sandbox, caller):
    with pytest.raises(ic.ForeignOrigin):
        await caller(signed_in(sandbox), base_url="https://example.com").get()
