"""Which storage is meant, which sign-in is found in it, and that nobody is asked for what is there."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import keyring
import keyring.backends.fail
import pytest

import ic_notebook as ic
from tests.sessions.people import CREDITS, approve, forget_everybody, seen
from tests.sessions.vaults import Vault
from tests.storage.keyrings import ModelKeyring


def no_browser(url: str) -> None:
    raise AssertionError("a browser was asked for")


def browser(url: str) -> None:
    threading.Thread(target=approve, args=(url,), daemon=True).start()


@pytest.fixture(autouse=True)
def here(monkeypatch, sandbox) -> None:
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_PROFILE", "test")
    sandbox.requests.clear()


@pytest.fixture
def system_keyring():
    before = keyring.get_keyring()
    model = ModelKeyring()
    keyring.set_keyring(model)
    yield model
    keyring.set_keyring(before)


@pytest.fixture
def no_keyring():
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    yield
    keyring.set_keyring(before)


def test_a_sign_in_kept_in_the_keyring_is_there_in_the_next_process_without_a_click(sandbox, system_keyring):
    session = ic.connect(storage="keyring", open_url=browser, timeout=20)
    assert session.status.kept.startswith("remembered in ")
    forget_everybody()
    assert ic.status().connected
    assert ic.client().get(CREDITS).status_code == 200
    forget_everybody()
    sandbox.requests.clear()
    assert ic.connect(open_url=no_browser).status.profile == "test"
    assert seen(sandbox) == ["GET credits 200"]


def test_what_the_keyring_holds_is_not_looked_for_where_memory_was_asked_for(
    sandbox, system_keyring, monkeypatch
):
    kept = ic.connect(storage="keyring", open_url=browser, timeout=20)
    for again in (False, True):
        if again:
            forget_everybody()
        session = ic.connect(storage="memory", open_url=browser, timeout=20)
        assert session.access_token() != kept.access_token()
        assert session.store is None
    forget_everybody()
    monkeypatch.setenv("IC_STORAGE", "memory")
    with pytest.raises(ic.SignInRequired):
        ic.session()


def test_connecting_with_the_keyring_keeps_a_session_that_was_in_memory(sandbox, system_keyring):
    session = ic.connect(open_url=browser, timeout=20)
    assert session.store is None
    assert ic.connect(storage="keyring", open_url=no_browser) is session
    assert session.store is not None
    forget_everybody()
    assert ic.session().credits() == 627.13


def test_a_stored_sign_in_that_is_dead_is_replaced(sandbox, system_keyring):
    ic.connect(storage="keyring", open_url=browser, timeout=20)
    forget_everybody()
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    again = ic.connect(storage="keyring", open_url=browser, timeout=20)
    assert again.credits() == 627.13
    forget_everybody()
    assert ic.session().credits() == 627.13


def test_ic_storage_makes_the_keyring_the_default(system_keyring, monkeypatch):
    monkeypatch.setenv("IC_STORAGE", "keyring")
    assert ic.connect(open_url=browser, timeout=20).store is not None


def test_without_a_keyring_what_names_it_raises_before_anybody_is_asked(sandbox, no_keyring):
    with pytest.raises(ic.ConfigurationError, match="keyring"):
        ic.connect(storage="keyring", open_url=no_browser)
    assert sandbox.requests == []


def test_without_a_keyring_ic_storage_goes_on_in_memory_and_says_so(no_keyring, monkeypatch, caplog):
    monkeypatch.setenv("IC_STORAGE", "keyring")
    session = ic.connect(open_url=browser, timeout=20)
    assert session.store is None
    assert "ends with this process" in caplog.text
    assert session.status.kept == "this process only"


def test_an_object_keeps_the_sign_in_and_gives_it_back(sandbox):
    vault = Vault()
    session = ic.connect(storage=vault, open_url=browser, timeout=20)
    assert session.status.kept == "remembered in Vault"
    forget_everybody()
    again = ic.connect(storage=vault, open_url=no_browser)
    assert again.credits() == 627.13
    sandbox.store.end_access_tokens()
    assert again.credits() == 627.13
    assert vault.text is not None
    again.forget()
    assert vault.text is None


@pytest.mark.parametrize("storage", ["disk", 7, object(), {"load": 1}], ids=["disk", "7", "object", "dict"])
def test_what_is_no_storage_is_refused(storage):
    with pytest.raises(ic.ConfigurationError, match="load, save and delete"):
        ic.connect(storage=storage, open_url=no_browser)


def test_an_object_that_fails_is_named_and_nothing_of_its_words_is_shown():
    vault = Vault()

    def broken(name: str) -> None:
        raise RuntimeError("the password is hunter2")

    vault.before = broken
    with pytest.raises(ic.StorageError, match=r"The storage \(Vault\) failed \(RuntimeError\)") as failure:
        ic.connect(storage=vault, open_url=no_browser)
    assert "hunter2" not in str(failure.value)


@pytest.mark.parametrize("value", ["disk", "key ring"])
def test_an_ic_storage_that_is_none_is_refused(monkeypatch, value):
    monkeypatch.setenv("IC_STORAGE", value)
    with pytest.raises(ic.ConfigurationError, match="IC_STORAGE"):
        ic.connect(open_url=no_browser)


def test_two_profiles_are_two_accounts_in_one_process(sandbox):
    first = ic.connect(profile="agency-a", open_url=browser, timeout=20)
    second = ic.connect(profile="agency-b", open_url=browser, timeout=20)
    assert ic.session(profile="agency-a") is first
    assert ic.session(profile="agency-b") is second
    assert ic.session() is second
    assert ic.client(profile="agency-a") is first.client()
    assert first.access_token() != second.access_token()
    assert "(profile agency-a)" in repr(ic.status(profile="agency-a"))
    ic.forget(profile="agency-b")
    assert ic.client(profile="agency-a").get(CREDITS).status_code == 200
    with pytest.raises(ic.SignInRequired):
        ic.session(profile="agency-b")


def test_an_environment_token_belongs_to_no_profile(sandbox, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", sandbox.store.issue_token())
    assert ic.session().is_from_environment
    with pytest.raises(ic.SignInRequired):
        ic.session(profile="agency-a")
    named = ic.connect(profile="agency-a", open_url=browser, timeout=20)
    assert not named.is_from_environment


@pytest.mark.parametrize("profile", ["", " ", "a/b", "../a", "a" * 65, "-a", "\u00e9", 7], ids=str)
def test_a_name_that_no_profile_can_have_is_refused(profile):
    for function in (ic.session, ic.status, ic.client, ic.apps):
        with pytest.raises(ic.ConfigurationError, match="A profile's name"):
            function(profile=profile)


def test_voila_adopts_nothing_and_keeps_nothing(system_keyring, monkeypatch):
    ic.connect(storage="keyring", open_url=browser, timeout=20)
    forget_everybody()
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    with pytest.raises(ic.SignInRequired):
        ic.session()
    with pytest.raises(ic.ConfigurationError, match="several people"):
        ic.connect(storage="keyring", open_url=no_browser)


def test_a_keyring_that_was_never_used_is_not_even_imported(tmp_path):
    script = """
import sys, ic_notebook as ic
try:
    ic.session()
except ic.SignInRequired:
    print("keyring" in sys.modules)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd()), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ended.stdout == "False\n"


def test_a_new_client_is_registered_and_signs_in_anew_on_request(sandbox):
    first = ic.connect(open_url=browser, timeout=20)
    sandbox.requests.clear()
    second = ic.connect(new_client=True, open_url=browser, timeout=20)
    assert second is not first
    assert seen(sandbox).count("POST register 201") == 1
    assert second.credits() == 627.13


@pytest.mark.anyio
async def test_connect_async_finds_what_the_keyring_holds(system_keyring):
    ic.connect(storage="keyring", open_url=browser, timeout=20)
    forget_everybody()
    session = await ic.connect_async(open_url=no_browser)
    assert session.store is not None
