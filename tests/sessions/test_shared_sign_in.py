"""Several processes on one stored sign-in: one refresh for all, and nobody logs anybody out.

Each session here has a store of its own on the same vault, as processes have; `tests/load` starts real ones.
"""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Callable

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.background import background
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.sandbox import Faults, RunningSandbox
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.sessions.token_source import CUT_SHORT, ENDED
from tests.sessions.people import CREDITS, Clock, impatient, refreshes, seen, signed_in
from tests.sessions.vaults import Vault, shared

pytestmark = pytest.mark.anyio


def turn(sandbox, **switches) -> None:
    sandbox.settings = dataclasses.replace(sandbox.settings, **switches)


class Watched(httpx.HTTPTransport):
    """Tells of each send before it happens."""

    def __init__(self, before_send: Callable[[httpx.Request], None]) -> None:
        super().__init__()
        self._before_send = before_send

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._before_send(request)
        return super().handle_request(request)


@pytest.fixture
def vault() -> Vault:
    return Vault()


@pytest.fixture
def join(sandbox: RunningSandbox, vault: Vault, tmp_path) -> Callable[..., Session]:
    """Another process's session of the sign-in that the vault holds."""

    def join(**options) -> Session:
        store = shared(vault, sandbox.url, tmp_path, deadline=options.pop("deadline", 5.0))
        session = background().run(
            Session.stored, service_metadata(sandbox.url), store, transport=impatient(**options)
        )
        assert session is not None
        return session

    return join


@pytest.fixture
def first(sandbox, vault, tmp_path) -> Session:
    """The session of who signed in, kept in the vault."""
    session = signed_in(sandbox, transport=impatient())
    background().run(session.keep, shared(vault, sandbox.url, tmp_path))
    vault.calls.clear()
    return session


def test_what_one_keeps_another_has_with_its_name_and_time(first, join):
    second = join()
    assert second.client().get(CREDITS).status_code == 200
    assert second.status == first.status
    assert second.status.kept == "remembered in Vault"
    assert second.status.registered_as == "ic_notebook on a test"


def test_a_warm_request_calls_the_storage_not_once(first, vault):
    client = first.client()
    for _ in range(5):
        assert client.get(CREDITS).status_code == 200
    assert vault.calls == []


@pytest.mark.parametrize("rotation", [True, False])
async def test_what_one_renews_the_others_adopt_without_a_refresh(sandbox, first, join, caller, rotation):
    turn(sandbox, rotation=rotation)
    second = join()
    sandbox.store.end_access_tokens()
    assert (await caller(first).get()).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]
    # The marker tells before the old token is even tried.
    sandbox.requests.clear()
    assert (await caller(second).get()).status_code == 200
    assert seen(sandbox) == ["GET credits 200"]


async def test_all_who_are_refused_at_once_share_one_refresh(sandbox, first, join):
    sessions = [first, *(join() for _ in range(5))]
    sandbox.store.end_access_tokens()
    answers = await asyncio.gather(
        *(asyncio.to_thread(one.client().get, CREDITS) for one in sessions for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert refreshes(sandbox) == 1


async def test_a_refused_token_is_looked_up_even_where_the_marker_was_lost(
    sandbox, first, join, caller, tmp_path
):
    second = join()
    sandbox.store.end_access_tokens()
    assert (await caller(first).get()).status_code == 200
    for marker in tmp_path.glob("*.changed"):
        marker.unlink()
    second._source._stamp = second.store.stamp()
    sandbox.requests.clear()
    assert (await caller(second).get()).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "GET credits 200"]


async def test_an_endpoint_that_answers_401_for_its_own_reasons_costs_one_refresh_a_token_and_no_session(
    sandbox, first, join
):
    second, tokens = join(), []

    def refuse(request: httpx.Request) -> httpx.Response:
        tokens.append(request.headers["authorization"])
        return httpx.Response(401)

    with first.client(transport=httpx.MockTransport(refuse)) as client:
        for calls in (1, 2, 3):
            assert client.get("/public/v1/theirs/").status_code == 401
            assert refreshes(sandbox) == calls
    # Sent, refused, refreshed, sent, and given back: two sends a call, the last token of one is the next's first.
    assert len(tokens) == 6
    assert len(set(tokens)) == 4
    assert first.state is second.state is SessionState.CONNECTED
    assert second.client().get(CREDITS).status_code == 200


def test_forgetting_in_one_is_seen_by_the_other_at_its_next_call_and_look(sandbox, first, join, vault):
    second, third = join(), join()
    first.forget()
    assert vault.text is None
    sandbox.requests.clear()
    with pytest.raises(ic.SignInRequired, match="another notebook"):
        second.client().get(CREDITS)
    assert seen(sandbox) == []
    background().run(third.look)
    assert third.state is second.state is SessionState.ENDED
    assert str(third.status.problem) == ENDED


def test_revoked_at_the_service_each_is_told_once_and_the_store_is_empty(sandbox, first, join, vault):
    second = join()
    sandbox.store.end_client(first._source.current().client_id)
    sandbox.requests.clear()
    for session in (first, second):
        for _ in range(2):
            with pytest.raises(ic.SignInRequired, match="has ended"):
                session.client().get(CREDITS)
    assert seen(sandbox).count("POST token 400") + seen(sandbox).count("POST token 401") == 1
    assert vault.text is None


def test_a_sign_in_that_another_has_just_saved_is_adopted_and_not_erased(
    sandbox, first, join, vault, tmp_path
):
    second = join()
    anew = signed_in(sandbox)
    sandbox.store.end_client(first._source.current().client_id)
    background().run(anew.keep, shared(vault, sandbox.url, tmp_path))
    for session in (first, second, anew):
        assert session.client().get(CREDITS).status_code == 200
    assert vault.text is not None


def test_an_ended_grant_erases_nothing_that_was_saved_during_the_refresh(sandbox, first, vault, tmp_path):
    """Somebody who does not hold our lock (another machine, a hand) stores a sign-in while ours is refused."""
    anew = signed_in(sandbox)
    before = vault.text
    sandbox.store.end_client(first._source.current().client_id)
    text = dataclasses.replace(anew._source.current(), client_name="x").to_json()

    def save_meanwhile(name: str) -> None:
        if name == "load" and vault.text == before and vault.calls.count("load") >= 2:
            vault.text = text

    vault.before = save_meanwhile
    assert first.client().get(CREDITS).status_code == 200
    assert vault.text == text


async def test_a_storage_that_cannot_be_read_holds_up_no_call_while_the_token_lives(
    sandbox, first, join, vault, caller
):
    second = join()
    background().run(first._source.store.load)
    first._source.store.changed()

    def broken(name: str) -> None:
        raise OSError("locked")

    vault.before = broken
    vault.calls.clear()
    client = caller(second)
    for _ in range(3):
        assert (await client.get()).status_code == 200
    assert vault.calls == ["load"]


async def test_a_storage_that_cannot_be_read_is_named_when_the_token_is_refused(
    sandbox, first, vault, caller
):
    sandbox.store.end_access_tokens()

    def broken(name: str) -> None:
        raise OSError("locked")

    vault.before = broken
    with pytest.raises(ic.StorageError, match="The vault failed"):
        await caller(first).get()
    assert refreshes(sandbox) == 0
    vault.before = lambda name: None
    assert (await caller(first).get()).status_code == 200


def test_a_renewal_that_cannot_be_saved_works_here_and_is_saved_when_it_can_be(
    sandbox, first, join, vault, caplog
):
    def broken(name: str) -> None:
        if name == "save":
            raise OSError("full")

    vault.before = broken
    sandbox.store.end_access_tokens()
    assert first.client().get(CREDITS).status_code == 200
    assert "kept in this process" in caplog.text
    assert first.client().get(CREDITS).status_code == 200
    assert vault.calls.count("save") == 1
    vault.before = lambda name: None
    first._source._rest_until = 0.0
    assert first.client().get(CREDITS).status_code == 200
    assert join().client().get(CREDITS).status_code == 200
    assert refreshes(sandbox) == 1


@pytest.mark.parametrize("grace", [60.0, 0.0])
def test_a_renewal_that_was_cut_short_works_with_grace_and_is_named_without(sandbox, first, join, grace):
    """As if the process had died between the server's answer and the save."""
    turn(sandbox, refresh_grace=grace)
    dead = join()

    class Died(BaseException):
        pass

    async def die(*_: object) -> None:
        raise Died

    dead._source._saved = die
    sandbox.store.end_access_tokens()
    with pytest.raises(Died):
        dead.client().get(CREDITS)
    if grace:
        assert first.client().get(CREDITS).status_code == 200
    else:
        with pytest.raises(ic.SignInRequired) as told:
            first.client().get(CREDITS)
        assert str(told.value) == CUT_SHORT


def test_an_answer_lost_on_the_way_is_asked_for_again_with_grace(sandbox, first):
    turn(sandbox, refresh_grace=60.0)
    sandbox.store.end_access_tokens()
    _lose_token_answers(sandbox, count=1)
    assert first.client().get(CREDITS).status_code == 200


def test_an_answer_lost_on_the_way_costs_the_sign_in_without_grace_and_says_so(sandbox, first, join):
    second = join()
    sandbox.store.end_access_tokens()
    _lose_token_answers(sandbox, count=1)
    with pytest.raises(ic.SignInRequired) as told:
        first.client().get(CREDITS)
    assert str(told.value) == CUT_SHORT
    with pytest.raises(ic.SignInRequired):
        second.client().get(CREDITS)


def _lose_token_answers(sandbox, *, count: int) -> None:
    turn(sandbox, faults=Faults(count=count, paths=("/public/v1/oauth/token/",), stage="after"))


def test_family_revocation_on_reuse_never_happens_among_those_who_share(sandbox, first, join):
    turn(sandbox, revoke_family_on_reuse=True)
    sessions = [first, *(join() for _ in range(3))]
    for _ in range(3):
        sandbox.store.end_access_tokens()
        threads = [threading.Thread(target=one.client().get, args=(CREDITS,)) for one in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert {one.client().get(CREDITS).status_code for one in sessions} == {200}
    assert refreshes(sandbox) == 3


def test_a_stored_sign_in_of_another_server_is_refused(sandbox, first, vault, tmp_path):
    foreign = shared(vault, "https://api.example.com", tmp_path)
    with pytest.raises(ic.StorageError, match="not one of this server"):
        background().run(foreign.load)


def test_a_laptop_that_slept_through_three_lifetimes_makes_one_refresh(sandbox, vault, tmp_path):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient())
    background().run(session.keep, shared(vault, sandbox.url, tmp_path))
    clock.now += 3 * 3600
    sandbox.store.end_access_tokens()
    assert [session.client().get(CREDITS).status_code for _ in range(3)] == [200] * 3
    assert refreshes(sandbox) == 1


@pytest.mark.parametrize("off", [600.0, -600.0])
def test_a_clock_ten_minutes_off_costs_at_most_one_refresh(sandbox, vault, tmp_path, off):
    clock = Clock()
    clock.now += off
    session = signed_in(sandbox, clock=clock, monotonic=lambda: 0.0, transport=impatient())
    background().run(session.keep, shared(vault, sandbox.url, tmp_path))
    # … and is put right afterwards.
    clock.now -= off
    assert [session.client().get(CREDITS).status_code for _ in range(3)] == [200] * 3
    assert refreshes(sandbox) <= 1


def test_a_token_whose_time_was_over_before_it_was_saved_is_not_taken_for_refused(sandbox, vault, tmp_path):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, monotonic=clock, transport=impatient())
    background().run(session.keep, shared(vault, sandbox.url, tmp_path))
    sandbox.store.end_access_tokens()
    saves = iter([True])

    def slowly(name: str) -> None:
        if name == "save" and next(saves, False):
            clock.now += 3600
            sandbox.store.end_access_tokens()

    vault.before = slowly
    assert session.client().get(CREDITS).status_code == 200
    assert refreshes(sandbox) == 2


def test_a_token_that_another_has_renewed_before_it_was_used_is_not_taken_for_refused(sandbox, first, join):
    second, sent = join(), []

    def overtake(request: httpx.Request) -> None:
        sent.append(request.headers["authorization"])
        if len(sent) == 2:
            sandbox.store.end_access_tokens()
            assert second.client().get(CREDITS).status_code == 200

    sandbox.store.end_access_tokens()
    with first.client(transport=Watched(overtake)) as client:
        assert client.get(CREDITS).status_code == 200
    assert len(set(sent)) == len(sent) == 3
    assert refreshes(sandbox) == 2


def test_nobody_sends_a_token_that_is_being_replaced(sandbox, first, vault):
    """Of many callers one is refused; those who come while the token is renewed wait for the new one."""
    refused, go_on = threading.Event(), threading.Event()

    def hold(name: str) -> None:
        if name == "save":
            refused.set()
            assert go_on.wait(20)

    vault.before = hold
    sandbox.store.end_access_tokens()
    client, answers = first.client(), []
    threads = [threading.Thread(target=lambda: answers.append(client.get(CREDITS))) for _ in range(9)]
    threads[0].start()
    assert refused.wait(20)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert [answer.status_code for answer in answers] == [200] * 9
    assert seen(sandbox).count("GET credits 401") == refreshes(sandbox) == 1


def test_keeping_twice_and_forgetting_leaves_nothing(sandbox, first, vault, tmp_path):
    background().run(first.keep, shared(vault, sandbox.url, tmp_path))
    first.forget()
    assert vault.text is None
    assert not list(tmp_path.glob("*.renewing"))


def test_what_is_kept_during_a_refresh_is_what_the_refresh_gives(sandbox, vault, tmp_path):
    session = signed_in(sandbox, transport=impatient())
    turn(sandbox, token_delay=0.5)
    sandbox.store.end_access_tokens()
    calling = threading.Thread(target=session.client().get, args=(CREDITS,))
    calling.start()
    while not session._source._flights:
        calling.join(0.005)
    background().run(session.keep, shared(vault, sandbox.url, tmp_path))
    calling.join(20)
    assert vault.load() == session._source.current()
    assert refreshes(sandbox) == 1


def test_the_source_names_no_secret(first):
    assert isinstance(first._source, StoredTokens)
    assert str(first._source.current().access_token) not in repr(vars(first._source))
