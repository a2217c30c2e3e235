"""The person's own secrets: of every sign-in that is kept, of the environment, and where there are none."""

from __future__ import annotations

import base64
import json
import threading

import keyring
import keyring.backends.fail
import pytest
from keyring.errors import KeyringLocked

from ic_notebook.scan.known import known_secrets
from ic_notebook.storage import choice
from tests.scan.conftest import SERVICE, notebook, written
from tests.scan.samples import KEY

ACCESS = "Zt4-kQ_9vXw2Lr7nBc8Md3"
REFRESH = "y7Hs5Fp1Ja6Ge0UoWqKi9Xc3"
OTHER = "u2Nb8Vc4Xz6Lk0Jh7Gf5Ds1"


def test_access_and_refresh_token_of_every_named_profile_are_found(tree, keep, scan):
    keep(ACCESS, REFRESH)
    keep(OTHER, profile="agency-a")
    (tree / "a.txt").write_text(f"{ACCESS}\n{REFRESH}\n{OTHER}\n")
    code, out, _ = scan(tree, "--profile", "agency-a")
    assert code == 1
    assert [line.split(": ", 1)[1] for line in out.splitlines()] == [
        "line 1: the access token of the stored sign-in (profile default)",
        "line 2: the refresh token of the stored sign-in (profile default)",
        "line 3: the access token of the stored sign-in (profile agency-a)",
    ]


def test_a_profile_that_is_not_named_is_told_of(tree, keep, scan, monkeypatch):
    keep(OTHER, profile="agency-a")
    (tree / "a.txt").write_text(OTHER)
    code, _, err = scan(tree)
    assert code == 0
    assert "--profile NAME" in err
    monkeypatch.setenv("IC_PROFILE", "agency-a")
    code, _, err = scan(tree)
    assert code == 1
    assert "--profile NAME looks" not in err


def test_the_environments_token_is_found_in_every_encoding(tree, scan, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", f"Bearer {ACCESS}")
    written(
        tree / "a.ipynb", notebook(f'"{base64.b64encode(b"ab" + ACCESS.encode()).decode()}"', f'"{ACCESS}"')
    )
    code, out, _ = scan(tree / "a.ipynb")
    assert code == 1
    assert [line.split(": ", 1)[1] for line in out.splitlines()] == [
        "cell 1, source: the token in IC_ACCESS_TOKEN, in base64",
        "cell 2, source: the token in IC_ACCESS_TOKEN",
    ]


def test_a_short_or_impossible_token_in_the_environment_is_said_and_not_looked_for(tree, scan, monkeypatch):
    (tree / "a.txt").write_text("test two words")
    for token, words in [("test", "too short"), ("two words", "IC_ACCESS_TOKEN holds something")]:
        monkeypatch.setenv("IC_ACCESS_TOKEN", token)
        code, _, err = scan(tree)
        assert code == 0
        assert words in err
        assert "two words" not in err


def test_a_keyring_that_nobody_has_kept_anything_in_is_not_touched(tree, scan, system_keyring, monkeypatch):
    def touched(*_: object) -> None:
        raise AssertionError("the keyring was called")

    for method in ("get_password", "set_password", "delete_password"):
        monkeypatch.setattr(system_keyring, method, touched)
    code, _, err = scan(tree)
    assert code == 0
    assert "Nothing was found." in err


def test_memory_storage_keeps_out_of_the_keyring(tree, keep, scan, monkeypatch):
    keep(ACCESS)
    monkeypatch.setenv("IC_STORAGE", "memory")
    (tree / "a.txt").write_text(ACCESS)
    assert scan(tree)[0] == 0


def test_a_locked_keyring_is_one_line_and_the_scan_goes_on(tree, keep, scan, system_keyring, monkeypatch):
    keep(ACCESS)
    keep(OTHER, profile="agency-a")

    def locked(*_: object) -> None:
        raise KeyringLocked("no")

    monkeypatch.setattr(system_keyring, "get_password", locked)
    (tree / "a.py").write_text(f'api_key = "{KEY}"')
    code, out, err = scan(tree, "--profile", "agency-a")
    assert code == 1
    assert out.count("\n") == 1
    assert err.count("The scan goes on without the stored sign-in.") == 1


def test_no_keyring_any_more_is_one_line_and_the_scan_goes_on(tree, keep, scan):
    keep(ACCESS)
    keyring.set_keyring(keyring.backends.fail.Keyring())
    code, _, err = scan(tree)
    assert code == 0
    assert err.count("The scan goes on without the stored sign-in.") == 1


def test_a_keyring_that_never_answers_does_not_hang_it(tree, keep, scan, system_keyring, monkeypatch):
    keep(ACCESS)
    monkeypatch.setattr(choice._keyring_calls, "_deadline", 0.5)
    unlocked = threading.Event()
    monkeypatch.setattr(system_keyring, "get_password", lambda *_: unlocked.wait(30) and None)
    try:
        code, _, err = scan(tree)
        late = choice._keyring_calls.under_way
    finally:
        unlocked.set()
    assert code == 0
    assert "does not answer" in err
    assert late is not None
    late.exception(10)


def test_damaged_entries_are_one_line(tree, keep, scan, system_keyring, monkeypatch):
    keep(ACCESS)
    monkeypatch.setattr(system_keyring, "get_password", lambda *_: json.dumps({"format": 99}))
    code, _, err = scan(tree)
    assert code == 0
    assert "The stored sign-in is damaged. Connect again. The scan goes on without" in err


def test_no_secret_shows_in_what_is_known(keep):
    keep(ACCESS, REFRESH)
    secrets, notes = known_secrets(SERVICE, ["default"])
    assert len(secrets) == 2
    assert notes == []
    assert ACCESS not in repr(secrets)
    assert REFRESH not in repr(secrets)


@pytest.mark.parametrize("name", ["", "../x", "a b"])
def test_a_profile_that_cannot_be_one_is_refused(tree, scan, name):
    code, _, err = scan(tree, "--profile", name)
    assert code == 2
    assert "A profile's name" in err
