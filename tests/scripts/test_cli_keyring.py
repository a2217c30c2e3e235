"""Signed in once on the command line, for every program of this user: through a real GNOME Keyring."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ic_notebook.sandbox import RunningSandbox
from tests.scripts.processes import WITHIN, environment
from tests.sizes import needs_time
from tests.storage.secret_service import needs_secret_service, unlocked_keyring

pytestmark = needs_secret_service

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def keyring(tmp_path_factory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("keyring")
    with unlocked_keyring(folder) as env:
        yield env


@pytest.fixture
def sandbox(new_sandbox) -> RunningSandbox:
    """A server that no other test has signed in at, so that the keyring holds nothing for it."""
    return new_sandbox(auto_approve=True)


@pytest.fixture
def browser(tmp_path: Path) -> str:
    script = tmp_path / "browser"
    script.write_text(
        "#!/bin/sh\nexec python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' \"$1\"\n"
    )
    script.chmod(0o700)
    return str(script)


@pytest.fixture
def run(keyring, sandbox, browser) -> Run:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        program = ["-m", "ic_notebook"] if not arguments or arguments[0] != "-c" else []
        return subprocess.run(
            [sys.executable, "-W", "error", *program, *arguments],
            env=keyring
            | {"PYTHONPATH": str(Path.cwd()), "BROWSER": browser, "IC_BASE_URL": sandbox.url}
            | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )

    return run


def test_one_sign_in_serves_every_program_until_it_is_disconnected(run, sandbox):
    connected = run("connect", "--timeout", "20")
    assert connected.returncode == 0, connected.stderr
    assert connected.stdout == f"Connected to {sandbox.url}: 627.13 credits.\n"
    assert "The sign-in is remembered in" in connected.stderr

    status = run("status", "--json")
    assert status.returncode == 0
    told = json.loads(status.stdout)
    assert (told["connected"], told["profile"], told["base_url"]) == (True, "default", sandbox.url)
    assert told["registered_as"].startswith("ic_notebook on ")

    script = "import ic_notebook as ic; print(ic.client().get('/public/v1/accounts/credits/').status_code)"
    assert run("-c", script).stdout == "200\n"
    token = run("token").stdout.strip()
    assert token
    assert token not in run("status").stdout

    again = run("connect", "--timeout", "1", BROWSER="true")
    assert again.returncode == 0, again.stderr

    rows = json.loads(run("apps", "--json").stdout)
    assert [row["own"] for row in rows].count(True) == 1
    ended = run("disconnect")
    assert (ended.returncode, ended.stdout) == (
        0,
        "Disconnected. The service confirmed it: no token of this app works any more.\n",
    )
    for command in ("status", "apps", "token", "disconnect", "forget"):
        assert run(command).returncode == 3
    assert "ic-notebook connect" in run("apps").stderr


@needs_time
def test_profiles_stand_side_by_side(run):
    for profile in ("agency-a", "agency-b"):
        assert run("connect", "--profile", profile, "--timeout", "20").returncode == 0
    tokens = {profile: run("token", "--profile", profile).stdout for profile in ("agency-a", "agency-b")}
    assert len(set(tokens.values())) == 2
    assert run("token", IC_PROFILE="agency-b").stdout == tokens["agency-b"]
    assert run("status").returncode == 3
    assert "(profile agency-a)" in run("status", "--profile", "agency-a").stdout

    assert run("forget", "--profile", "agency-a").returncode == 0
    assert run("status", "--profile", "agency-a").returncode == 3
    assert run("status", "--profile", "agency-b").returncode == 0


def test_an_environment_token_is_meant_where_no_profile_is_named_and_is_never_stored(run, sandbox):
    assert run("connect", "--profile", "agency-a", "--timeout", "20").returncode == 0
    key = sandbox.store.issue_token()
    assert run("token", IC_ACCESS_TOKEN=f"Bearer {key}").stdout == f"{key}\n"
    assert run("token", "--profile", "agency-a", IC_ACCESS_TOKEN=key).stdout != f"{key}\n"
    for command in ("disconnect", "forget"):
        assert "IC_ACCESS_TOKEN" in run(command, IC_ACCESS_TOKEN=key).stderr
    assert run("status").returncode == 3


def test_a_discovered_server_is_found_again_by_discovery(run):
    assert run("connect", "--discover", "--timeout", "20").returncode == 0
    status = run("status", "--discover")
    assert status.returncode == 0, status.stderr
    assert run("disconnect", "--discover").returncode == 0


def test_a_stored_sign_in_that_has_died_is_replaced_by_connecting_again(run, sandbox):
    assert run("connect", "--timeout", "20").returncode == 0
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    assert run("connect", "--timeout", "20").returncode == 0
    assert run("apps").returncode == 0


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 65, "é"])
def test_a_profile_that_cannot_be_one_is_refused(run, name):
    refused = run("status", "--profile", name)
    assert refused.returncode == 1
    assert "A profile's name" in refused.stderr


def test_without_a_keyring_connect_says_what_to_do_before_anybody_is_asked(tmp_path, sandbox, browser):
    refused = subprocess.run(
        [sys.executable, "-W", "error", "-m", "ic_notebook", "connect"],
        env=environment(tmp_path, IC_BASE_URL=sandbox.url, BROWSER=browser),
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert refused.returncode == 1
    assert "keyring" in refused.stderr
    assert "memory" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert sandbox.requests == []
