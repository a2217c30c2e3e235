"""A stored sign-in in a real GNOME Keyring: its tokens are found, and it ends after a yes and not before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ic_notebook.storage.sharing import SharedStore
from tests.scripts.processes import Terminal
from tests.storage.secret_service import locked_keyring, needs_secret_service, unlocked_keyring

pytestmark = needs_secret_service


@pytest.fixture(scope="module")
def keyring(tmp_path_factory):
    with unlocked_keyring(tmp_path_factory.mktemp("keyring")) as env:
        yield env


@pytest.fixture
def sandbox(new_sandbox):
    return new_sandbox(auto_approve=True)


@pytest.fixture
def variables(keyring, sandbox, tmp_path) -> dict[str, str]:
    """Of a person who has signed in with the keyring."""
    browser = tmp_path / "browser"
    browser.write_text(
        "#!/bin/sh\nexec python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' \"$1\"\n"
    )
    browser.chmod(0o700)
    variables = keyring | {"IC_BASE_URL": sandbox.url, "BROWSER": str(browser), "PYTHONPATH": str(Path.cwd())}
    assert run(variables, "connect", "--timeout", "20").returncode == 0
    return variables


def run(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "ic_notebook", *arguments],
        env=variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=35,
        check=False,
    )


@pytest.mark.parametrize(("answer", "ended"), [("n\n", False), ("y\n", True)])
def test_its_token_is_found_and_it_ends_only_after_a_yes(  # noqa: PLR0917
    variables, sandbox, tree, tmp_path, answer, ended
):
    token = run(variables, "token").stdout.strip()
    (tree / "a.py").write_text(f"print('{token}')\n")
    with Terminal(
        "-m", "ic_notebook", "scan", "--fix", "--yes", str(tree), home=tmp_path, **variables
    ) as terminal:
        terminal.until(
            r"End the stored sign-in of profile default at the service now, and forget it here\? \[y/N\]"
        )
        assert len(sandbox.store.apps()) == 1
        terminal.type(answer)
        assert terminal.ends() == 1
    assert "a.py: line 1: the access token of the stored sign-in (profile default)" in terminal.shown
    assert token not in terminal.shown
    assert ("The service confirmed it" in terminal.shown) is ended
    assert (sandbox.store.apps() == []) is ended
    assert run(variables, "status").returncode == (3 if ended else 0)
    assert "REMOVED" in (tree / "a.py").read_text()


def test_without_a_terminal_it_is_never_ended(variables, sandbox, tree):
    token = run(variables, "token").stdout.strip()
    (tree / "a.py").write_text(token)
    done = run(variables, "scan", str(tree), "--fix", "--yes")
    assert done.returncode == 1
    assert "ends with: ic-notebook disconnect --profile default" in done.stderr
    assert token not in done.stdout + done.stderr
    assert len(sandbox.store.apps()) == 1
    assert run(variables, "status").returncode == 0


def test_a_locked_keyring_is_one_line(tmp_path, tree):
    folder = tmp_path / "locked"
    folder.mkdir()
    with locked_keyring(folder) as env:
        variables = env | {"PYTHONPATH": str(Path.cwd())}
        # Nobody has kept anything: the keyring is not asked.
        assert "goes on without" not in run(variables, "scan", str(tree)).stderr
        state = folder / "state" / "ic_notebook"
        state.mkdir(parents=True)
        store = SharedStore(
            None,
            issuer="https://api-dashboard.influencers.club",
            profile="default",
            kept=str,
            calls=None,
            folder=state,
        )
        store.changed()
        done = run(variables, "scan", str(tree))
    assert done.returncode == 0
    assert done.stderr.count("The scan goes on without the stored sign-in.") == 1
