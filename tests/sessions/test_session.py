"""Session: its clients, what it says of itself, and what it refuses."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import gc
import logging
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from tests.sessions.people import CREDITS, TOKEN, Caller, Clock, impatient, refreshes, seen, signed_in

pytestmark = pytest.mark.anyio


def test_client_is_one_per_session(sandbox):
    session, other = signed_in(sandbox), signed_in(sandbox)
    assert session.client() is session.client()
    assert session.client() is not other.client()


def test_a_client_that_was_closed_is_replaced(sandbox):
    session = signed_in(sandbox)
    with session.client() as client:
        assert client.get(CREDITS).status_code == 200
    assert session.client() is not client
    assert session.client().get(CREDITS).status_code == 200


def test_a_client_with_options_is_new_and_the_callers(sandbox):
    session = signed_in(sandbox)
    with session.client(timeout=3.0) as one, session.client(timeout=3.0) as another:
        assert one is not another
        assert one is not session.client()
        assert one.timeout == httpx.Timeout(3.0)
        assert one.get(CREDITS).json()["credits_available"] == 627.13


def test_a_client_outlives_every_other_mention_of_its_session(sandbox):
    client = signed_in(sandbox).client()
    gc.collect()
    assert client.get(CREDITS).status_code == 200


def test_a_crowd_of_threads_keeps_its_connections(new_sandbox, caplog):
    sandbox = new_sandbox(faults=Faults(kind="delayed", fraction=1, delay=0.1, paths=(CREDITS,)))
    client = signed_in(sandbox).client()
    with caplog.at_level(logging.DEBUG, "httpcore.connection"), ThreadPoolExecutor(32) as pool:
        codes = {response.status_code for response in pool.map(client.get, [CREDITS] * 160)}
    assert codes == {200}
    made = [message for message in caplog.messages if message.startswith("connect_tcp.complete")]
    # One thread may begin another call before its connection is seen to be free.
    assert 25 <= len(made) <= 40


async def test_an_async_client_is_always_new(sandbox):
    session = signed_in(sandbox)
    async with session.async_client() as one, session.async_client() as another:
        assert one is not another
        assert (await one.get(CREDITS)).status_code == 200


def test_an_async_client_works_on_loop_after_loop(sandbox):
    session = signed_in(sandbox)

    async def once() -> int:
        async with session.async_client() as client:
            return (await client.get(CREDITS)).status_code

    assert [asyncio.run(once()) for _ in range(2)] == [200, 200]


async def test_a_client_has_time_limits_and_asks_for_json(sandbox, caller, kind):
    session = signed_in(sandbox)
    client = Caller(session, kind)
    assert client.http.timeout == httpx.Timeout(30, connect=10)
    assert client.http.headers["accept"] == "application/json"
    assert str(client.http.base_url).rstrip("/") == sandbox.url
    await client.close()


async def test_an_auth_given_by_mistake_does_not_take_the_sessions_place(sandbox, caller):
    assert (await caller(signed_in(sandbox), auth=("somebody", "else")).get()).status_code == 200


async def test_proxy_variables_are_ignored_for_this_computer(sandbox, caller, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    session = signed_in(sandbox)
    sandbox.store.end_access_tokens()
    assert (await caller(session).get()).status_code == 200
    assert await asyncio.to_thread(session.credits) == 627.13


@pytest.mark.parametrize(
    ("base_url", "ignored"),
    [
        ("http://127.0.0.1:9", True),
        ("http://127.0.0.2:9", True),
        ("http://localhost:9", True),
        ("http://[0:0:0:0:0:0:0:1]:9", True),
        ("https://api.example.com", False),
    ],
)
def test_no_spelling_of_this_computer_sends_the_token_to_a_proxy(monkeypatch, base_url, ignored):
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    session = Session.from_environment(service_metadata(base_url), "key")
    with session.client(timeout=1) as client, pytest.raises(httpx.ConnectError):
        client.get("/")
    assert client.trust_env is not ignored


@pytest.mark.parametrize("kind", ["client", "async_client"])
def test_proxy_variables_that_cannot_be_used_are_named(monkeypatch, kind):
    monkeypatch.setenv("HTTPS_PROXY", "foo://nowhere")
    session = Session.from_environment(service_metadata(), "key")
    with pytest.raises(ic.ConfigurationError, match="HTTPS_PROXY"):
        getattr(session, kind)()


def test_access_token_gives_a_plain_token_that_works(sandbox):
    session = signed_in(sandbox)
    token = session.access_token()
    assert type(token) is str
    assert repr(token) == f"'{token}'"
    answer = httpx.get(
        f"{sandbox.url}{CREDITS}", headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )
    assert answer.status_code == 200


def test_access_token_is_renewed_when_it_is_due(sandbox):
    clock = Clock()
    session = signed_in(sandbox, clock=clock)
    first = session.access_token()
    assert refreshes(sandbox) == 0
    clock.now += 3600
    assert session.access_token() != first
    assert refreshes(sandbox) == 1


def test_access_token_is_given_while_it_lives_though_it_cannot_be_renewed(sandbox):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient())
    sandbox.settings = dataclasses.replace(sandbox.settings, faults=Faults(fraction=1, paths=(TOKEN,)))
    first = session.access_token()
    clock.now += 3600 - 30
    assert session.access_token() == first
    clock.now += 30
    with pytest.raises(ic.ServiceUnavailable):
        session.access_token()


def test_credits_are_those_of_the_account(sandbox):
    session = signed_in(sandbox)
    assert session.credits() == 627.13
    assert seen(sandbox) == ["GET credits 200"]


def test_status_is_readable_and_makes_no_call(sandbox):
    session = signed_in(sandbox)
    status = session.status
    assert status.connected
    assert status.registered_as == "ic_notebook on a test"
    first, *others = repr(status).splitlines()
    assert first == f"Connected to {sandbox.url}"
    assert [line.split()[0] for line in others] == ["kept", "since", "registered"]
    assert "this process only" in repr(status)
    assert sandbox.requests == []


def test_status_after_the_end_says_how_to_connect(sandbox):
    session = signed_in(sandbox)
    session.forget()
    assert not session.status.connected
    assert repr(session.status) == (
        f"Not connected to {sandbox.url}. "
        "Connect: %ic_connect in a notebook, ic_notebook.connect() elsewhere."
    )


def test_repr_and_str_hold_no_secret(sandbox):
    session = signed_in(sandbox)
    tokens = session._source.current()
    assert repr(session) == str(session) == f"<Session connected, {sandbox.url}>"
    assert repr(session.auth) == f"<SessionAuth for {sandbox.url}>"
    texts = [f"{value!r} {value!s} {value:}" for value in (session, session.auth, session.status)]
    texts += [
        repr(tokens),
        str(tokens),
        repr(vars(session)),
        repr(vars(session._source)),
        repr(vars(session.auth)),
    ]
    texts += [repr(session.client()), repr(vars(session.client()))]
    for text in texts:
        assert tokens.access_token not in text
        assert tokens.refresh_token not in text


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_session_is_not_copied(sandbox, duplicate):
    with pytest.raises(TypeError, match=r"is not copied; call ic_notebook\.session\(\)"):
        duplicate(signed_in(sandbox))


def test_watchers_hear_each_end_once(sandbox):
    session, heard = signed_in(sandbox), []
    stop = session.watch(lambda: heard.append(session.state))
    session.forget()
    session.forget()
    stop()
    stop()
    assert heard == [SessionState.DISCONNECTED]
