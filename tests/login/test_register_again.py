"""Registering again: a person saw an error page in the browser, of which the notebook never hears."""

from __future__ import annotations

import asyncio

import pytest

from ic_notebook.errors import ConfigurationError, OAuthError, SignInCancelled, SignInTimeout
from ic_notebook.login.options import LoginOptions
from ic_notebook.login.states import LoginState
from ic_notebook.sandbox import Faults

pytestmark = pytest.mark.anyio

S = LoginState
REGISTER = "/public/v1/oauth/register/"


async def again(attempt, until):
    """Register again; the old request."""
    old = attempt.login.request
    attempt.login.register_again()
    assert attempt.login.state is S.PREPARING
    await until(lambda: attempt.login.state is S.READY)
    return old


@pytest.mark.parametrize("opened", [False, True])
async def test_the_new_link_has_a_new_client_and_connects(start, until, paths, options, opened):
    attempt = await start().reach()
    listener = attempt.login._listener
    if opened:
        attempt.login.opened()
    old = await again(attempt, until)
    new = attempt.login.request

    assert new.client_id != old.client_id
    assert new.state != old.state
    assert new.code_verifier != old.code_verifier
    assert (new.redirect_uri, attempt.login._listener) == (old.redirect_uri, listener)
    page = await attempt.answer()
    await attempt.run

    assert "Connected" in page.text
    assert paths() == ["register", "register", "token"]
    assert options.clients.find(options.base_url, stored_uris(options)).client.client_id == new.client_id
    before = [S.PREPARING, S.READY] + [S.WAITING] * opened
    assert attempt.states == [*before, S.PREPARING, S.READY, S.FINISHING, S.CONNECTED]


def stored_uris(options) -> tuple[str, ...]:
    return tuple(f"http://127.0.0.1:{port}/callback" for port in options.ports)


async def test_the_old_link_answers_no_more(start, until):
    attempt = await start().reach()
    old_address = await attempt.address()
    await again(attempt, until)
    page = await attempt.get(old_address)
    attempt.login.paste(old_address)

    assert page.status_code == 400
    assert "another sign-in" in attempt.login.problem
    assert attempt.login.state is S.READY
    await attempt.answer()
    await attempt.run


async def test_a_second_time_does_nothing_but_say_so(start, until, paths):
    attempt = await start().reach()
    await again(attempt, until)
    new = attempt.login.request
    attempt.login.register_again()

    assert attempt.login.state is S.READY
    assert attempt.login.request is new
    assert "registered again already" in attempt.login.notice
    assert paths() == ["register", "register"]


async def test_a_call_while_it_registers_is_nothing(start, until, paths):
    attempt = await start().reach()
    attempt.login.register_again()
    attempt.login.register_again()
    await until(lambda: attempt.login.state is S.READY)

    assert attempt.login.notice is None
    assert paths() == ["register", "register"]


async def test_a_registration_that_fails_is_told_and_the_old_link_still_connects(start, until, turn, paths):
    attempt = await start().reach()
    old = attempt.login.request
    turn(faults=Faults(fraction=1.0, paths=(REGISTER,), status=500))
    await again(attempt, until)

    assert "500" in attempt.login.problem
    assert "The link that you have stays" in attempt.login.problem
    assert attempt.login.request is old
    await attempt.answer()
    await attempt.run
    assert attempt.login.state is S.CONNECTED


async def test_after_a_failure_it_can_be_tried_once_more(start, until, turn):
    attempt = await start().reach()
    turn(faults=Faults(fraction=1.0, paths=(REGISTER,), status=500))
    old = await again(attempt, until)
    turn(faults=())
    await again(attempt, until)

    assert attempt.login.problem is None
    assert attempt.login.request.client_id != old.client_id


@pytest.mark.parametrize("sandbox", ["own"], indirect=True)
async def test_the_answer_to_the_old_link_that_comes_meanwhile_is_taken_at_once(start, turn):
    attempt = await start().reach()
    address = await attempt.address()
    turn(faults=Faults(kind="delayed", delay=30.0, fraction=1.0, paths=(REGISTER,)))
    attempt.login.register_again()
    await asyncio.sleep(0.05)
    page = await attempt.get(address)
    await asyncio.wait_for(attempt.run, 5)

    assert "Connected" in page.text
    assert attempt.states[-4:] == [S.PREPARING, S.READY, S.FINISHING, S.CONNECTED]


async def test_the_answer_that_comes_together_with_it_is_taken(start):
    attempt = await start().reach()
    address = await attempt.address()
    attempt.login.register_again()
    attempt.login.paste(address)
    await attempt.run

    assert attempt.login.state is S.CONNECTED


@pytest.mark.parametrize("sandbox", ["own"], indirect=True)
async def test_it_can_be_cancelled_while_it_registers(start, turn):
    attempt = await start().reach()
    turn(faults=Faults(kind="delayed", delay=30.0, fraction=1.0, paths=(REGISTER,)))
    attempt.login.register_again()
    await asyncio.sleep(0.05)
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await asyncio.wait_for(attempt.run, 5)

    assert attempt.login.state is S.FAILED


async def test_the_new_link_is_waited_for_as_long_as_a_new_one(start, until):
    attempt = await start(release_after=1.0).reach()
    before = attempt.login._patience
    await again(attempt, until)
    assert attempt.login._patience > before
    with pytest.raises(SignInTimeout):
        await attempt.run
    assert attempt.login.state is S.RELEASED


async def test_before_there_is_a_link_and_after_the_end_it_is_nothing(start, paths):
    attempt = start()
    attempt.login.register_again()
    await attempt.reach()
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await attempt.run
    attempt.login.register_again()

    assert attempt.login.state is S.FAILED
    assert paths() == ["register"]


async def test_a_client_that_somebody_else_has_registered_meanwhile_is_used(start, until, paths):
    one, other = await start().reach(), await start().reach()
    await again(one, until)
    await again(other, until)

    assert one.login.request.client_id == other.login.request.client_id
    assert paths() == ["register", "register"]


async def test_a_new_client_can_be_asked_for_from_the_start(start, paths):
    first = await start().reach()
    second = await start(new_client=True).reach()

    assert second.login.request.client_id != first.login.request.client_id
    assert paths() == ["register", "register"]


# -- a client made by hand


async def test_a_client_made_by_hand_connects_where_nobody_can_register(start, turn, sandbox, options, paths):
    turn(registration=False)
    client_id = sandbox.store.seed_client(stored_uris(options))
    attempt = await start(client_id=client_id).reach()
    await attempt.answer()
    await attempt.run

    assert attempt.login.request.client_id == client_id
    assert paths() == ["token"]
    assert not options.clients.path.exists()


@pytest.mark.parametrize("discover", [False, True])
async def test_without_one_such_a_server_says_what_to_do(start, turn, discover):
    turn(registration=False)
    attempt = start(discover=discover)
    with pytest.raises(ConfigurationError, match=r"lets no program register.*client_id="):
        await attempt.run


async def test_one_that_the_server_does_not_know_is_the_servers_to_refuse(start, turn, sandbox, options):
    client_id = sandbox.store.seed_client(stored_uris(options))
    attempt = await start(client_id=client_id).reach()
    address = await attempt.address()
    sandbox.store.end_client(client_id)
    await attempt.get(address)
    with pytest.raises(OAuthError, match="invalid_client"):
        await attempt.run


async def test_a_client_made_by_hand_cannot_be_registered_again(start, sandbox, options, paths):
    attempt = await start(client_id=sandbox.store.seed_client(stored_uris(options))).reach()
    attempt.login.register_again()

    assert attempt.login.state is S.READY
    assert "client_id" in attempt.login.notice
    assert paths() == []


@pytest.mark.parametrize("client_id", ["", " ", "a b", "é", "a\nb", "x" * 20_000, 5])
def test_what_cannot_be_a_client_id_is_refused(client_id):
    with pytest.raises(ConfigurationError, match="client_id"):
        LoginOptions(base_url="https://api.example.com", client_id=client_id)


def test_a_client_made_by_hand_and_a_new_one_are_not_asked_for_together():
    with pytest.raises(ConfigurationError, match="choose one"):
        LoginOptions(base_url="https://api.example.com", client_id="c", new_client=True)
