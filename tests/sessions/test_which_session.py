"""Which session is meant: the one connected last, else that of IC_ACCESS_TOKEN, else nobody's."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.background import background
from ic_notebook.sessions import current as current_module
from ic_notebook.sessions.current import current
from tests.sessions.people import CREDITS, approve, seen, signed_in
from tests.sessions.vaults import Vault, shared


def no_browser(url: str) -> None:
    raise AssertionError("a browser was asked for")


def browser(url: str) -> None:
    threading.Thread(target=approve, args=(url,), daemon=True).start()


def connected(sandbox) -> ic.Session:
    session = signed_in(sandbox)
    current.add(session)
    return session


def key(sandbox, monkeypatch, *, prefix: str = "") -> str:
    token = sandbox.store.issue_token()
    monkeypatch.setenv("IC_ACCESS_TOKEN", f"{prefix}{token}")
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    return token


def test_nobody_is_meant_before_anybody_connects():
    with pytest.raises(ic.SignInRequired, match=r"Nobody is signed in.*ic_notebook\.connect\(\)"):
        ic.session()
    assert repr(ic.status()).startswith("Not connected to https://api-dashboard.influencers.club.")


@pytest.mark.parametrize(
    "function",
    [ic.client, ic.async_client, ic.apps, ic.disconnect, ic.forget, lambda: ic.revoke("1"), ic.session],
    ids=["client", "async_client", "apps", "disconnect", "forget", "revoke", "session"],
)
def test_every_function_says_that_nobody_is_signed_in(function):
    with pytest.raises(ic.SignInRequired, match="Connect first"):
        function()


def test_the_one_connected_last_is_meant(sandbox, new_sandbox):
    first, second = connected(sandbox), connected(new_sandbox())
    assert ic.session() is second
    current.add(first)
    assert ic.session() is first
    assert ic.client() is first.client()
    assert ic.status().base_url == sandbox.url


def test_the_one_connected_last_comes_before_the_environments(sandbox, monkeypatch):
    key(sandbox, monkeypatch)
    session = connected(sandbox)
    assert ic.session() is session
    session.forget()
    assert ic.session().is_from_environment


def test_the_environments_comes_before_nobody_and_is_one(sandbox, monkeypatch):
    key(sandbox, monkeypatch)
    assert ic.session() is ic.session()
    assert ic.session().is_from_environment
    assert ic.session().credits() == 627.13
    monkeypatch.delenv("IC_ACCESS_TOKEN")
    with pytest.raises(ic.SignInRequired):
        ic.session()


def test_another_token_or_api_in_the_environment_makes_another_session(sandbox, new_sandbox, monkeypatch):
    key(sandbox, monkeypatch)
    first = ic.session()
    key(sandbox, monkeypatch)
    second = ic.session()
    other = new_sandbox()
    monkeypatch.setenv("IC_BASE_URL", other.url)
    assert len({first, second, ic.session()}) == 3
    assert ic.session().base_url == other.url


def test_a_session_that_the_service_ended_gives_way_and_says_why(sandbox):
    session = connected(sandbox)
    sandbox.store.end_client(session._source.current().client_id)
    with pytest.raises(ic.SignInRequired):
        session.credits()
    with pytest.raises(ic.SignInRequired, match="has ended"):
        ic.session()


def test_connect_returns_a_live_session_at_once(sandbox):
    session = connected(sandbox)
    assert ic.connect(base_url=sandbox.url, open_url=no_browser) is session
    assert ic.connect(base_url=f"{sandbox.url}/", open_url=no_browser) is session
    assert sandbox.requests == []


def test_connect_makes_a_live_session_of_another_api_the_one_that_is_meant(sandbox, new_sandbox):
    first, _second = connected(sandbox), connected(new_sandbox())
    for _ in range(3):
        assert ic.connect(base_url=sandbox.url, open_url=no_browser) is first
    assert ic.session() is first
    assert len(first._watchers) == 1


def test_connect_returns_the_environments_session(sandbox, monkeypatch):
    key(sandbox, monkeypatch)
    assert ic.connect(open_url=no_browser) is ic.session()
    assert ic.session().is_from_environment


def test_the_environments_token_is_not_used_for_another_api(sandbox, new_sandbox, monkeypatch):
    token = key(sandbox, monkeypatch)
    other = new_sandbox()
    session = ic.connect(base_url=other.url, open_url=browser, timeout=20)
    assert not session.is_from_environment
    assert session.access_token() != token
    assert session.base_url == other.url
    with pytest.raises(ic.ForeignOrigin):
        current.find(sandbox.url).client().get(f"{other.url}{CREDITS}")


def test_connect_signs_in_anew_where_the_session_has_ended(sandbox):
    session = connected(sandbox)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    with pytest.raises(ic.SignInRequired):
        session.credits()
    again = ic.connect(base_url=sandbox.url, open_url=browser, timeout=20)
    assert again is not session
    assert again is ic.session()
    assert again.credits() == 627.13


def test_connect_signs_in_anew_where_an_ended_token_cannot_be_renewed(new_sandbox):
    sandbox = new_sandbox(without=frozenset({"refresh_token"}))
    session = connected(sandbox)
    sandbox.store.end_access_tokens()
    with pytest.raises(ic.SignInRequired):
        session.credits()
    again = ic.connect(base_url=sandbox.url, open_url=browser, timeout=20)
    assert again.credits() == 627.13


def test_connect_signs_in_anew_after_forget(sandbox):
    connected(sandbox).forget()
    assert ic.connect(base_url=sandbox.url, open_url=browser, timeout=20).credits() == 627.13


@pytest.mark.parametrize("prefix", ["Bearer ", "bearer ", "  BEARER   "])
def test_a_pasted_bearer_in_front_of_the_token_is_dropped(sandbox, monkeypatch, prefix):
    token = key(sandbox, monkeypatch, prefix=prefix)
    assert ic.session().access_token() == token
    assert ic.client().get(CREDITS).status_code == 200


@pytest.mark.parametrize("value", ["two words", "line\nbreak", "schl\u00fcssel"])
def test_what_cannot_be_a_token_is_refused_by_name_without_showing_it(monkeypatch, value):
    monkeypatch.setenv("IC_ACCESS_TOKEN", value)
    with pytest.raises(ic.ConfigurationError, match="IC_ACCESS_TOKEN") as caught:
        ic.session()
    assert value not in str(caught.value)


def test_a_refused_environment_token_is_never_renewed_and_names_the_variable(sandbox, monkeypatch):
    key(sandbox, monkeypatch)
    sandbox.store.end_access_tokens()
    sandbox.requests.clear()
    for call in (ic.session().credits, lambda: ic.client().get(CREDITS), ic.apps):
        with pytest.raises(ic.SignInRequired, match="IC_ACCESS_TOKEN"):
            call()
    assert {line for line in seen(sandbox) if "token" in line} == set()


@pytest.mark.parametrize("end", [ic.disconnect, ic.forget])
def test_an_environment_token_is_neither_disconnected_nor_forgotten(sandbox, monkeypatch, end):
    key(sandbox, monkeypatch)
    sandbox.requests.clear()
    with pytest.raises(ic.ConfigurationError, match="IC_ACCESS_TOKEN"):
        end()
    assert sandbox.requests == []
    assert ic.session().credits() == 627.13


def test_an_environment_token_is_written_nowhere(sandbox, monkeypatch, tmp_path):
    key(sandbox, monkeypatch)
    ic.connect(open_url=no_browser).credits()
    assert ic.apps().own is None
    assert list(tmp_path.rglob("*")) == []
    assert "from the environment" in repr(ic.status())


def test_panels_and_others_are_told_of_every_change(sandbox):
    told = []
    current.watch(lambda: told.append(len(told)))
    session = connected(sandbox)
    assert len(told) == 1
    session.forget()
    assert len(told) == 2


def test_async_client_of_the_module_is_the_meant_sessions(sandbox):
    connected(sandbox)
    client = ic.async_client(timeout=7)
    assert client.timeout == httpx.Timeout(7)
    assert client.auth is ic.session().auth


def test_threads_that_begin_at_once_share_one_look_into_the_store(sandbox, tmp_path, monkeypatch):
    vault = Vault()
    background().run(signed_in(sandbox).keep, shared(vault, sandbox.url, tmp_path))
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setattr(current_module, "looked_in", lambda *_: shared(vault, sandbox.url, tmp_path))
    vault.before = lambda name: time.sleep(0.2)
    vault.calls.clear()
    together = threading.Barrier(16)

    def call(_: int) -> int:
        together.wait(10)
        return ic.client().get(CREDITS).status_code

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(call, range(16))) == {200}
    assert vault.calls == ["load"]
