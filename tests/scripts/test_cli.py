"""The command line: its exit codes, what a script reads, what a person reads."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from ic_notebook.cli import main
from ic_notebook.sandbox import Faults
from tests.scripts.processes import WITHIN, environment, run

COMMANDS = [
    "connect",
    "status",
    "apps",
    "revoke",
    "disconnect",
    "forget",
    "token",
    "scan",
    "sandbox",
    "demo",
]


@pytest.fixture
def key(sandbox, monkeypatch) -> str:
    """An API key in the environment, as an unattended run has it."""
    token = sandbox.store.issue_token()
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_ACCESS_TOKEN", token)
    return token


def exit_code(*arguments: str) -> int:
    try:
        return main(arguments)
    except SystemExit as exit_:
        return exit_.code


@pytest.mark.parametrize("arguments", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_is_readable(capsys, arguments, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert exit_code(*arguments) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("usage: ic-notebook")
    assert "==SUPPRESS==" not in said.out
    assert max(map(len, said.out.splitlines())) <= 100


def test_help_lists_every_command_and_the_exit_codes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    exit_code("--help")
    said = capsys.readouterr().out
    for words in (*COMMANDS, "IC_ACCESS_TOKEN", "130 interrupted"):
        assert words in said


def test_version_is_the_packages(capsys):
    import ic_notebook

    assert exit_code("--version") == 0
    assert capsys.readouterr().out == f"ic-notebook {ic_notebook.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["revoke"],
        ["revoke", "1", "2"],
        ["apps", "extra"],
        ["token", "--json"],
        ["connect", "--timeout", "soon"],
        ["connect", "--timeout", "-1"],
        ["connect", "--timeout", "0"],
        ["connect", "--timeout", "nan"],
        ["connect", "--timeout", "inf"],
        ["sandbox", "--delete-status", "500"],
        ["sandbox", "--access-token-lifetime", "0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2_and_says_why(capsys, arguments):
    assert exit_code(*arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "ic-notebook" in said.err
    assert "_seconds" not in said.err


@pytest.mark.parametrize("command", [["apps"], ["apps", "--json"], ["revoke", "1"], ["token"]], ids=" ".join)
def test_nobody_signed_in_is_3_and_names_the_variable(capsys, command):
    assert exit_code(*command) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert "IC_ACCESS_TOKEN" in said.err


def test_status_of_nobody_is_3_and_still_an_answer(capsys):
    assert exit_code("status") == 3
    assert capsys.readouterr().out.startswith(
        "Not connected to https://api-dashboard.influencers.club. Nobody is signed in."
    )
    assert exit_code("status", "--json") == 3
    assert json.loads(capsys.readouterr().out) == {
        "connected": False,
        "base_url": "https://api-dashboard.influencers.club",
        "profile": "default",
        "kept": None,
        "since": None,
        "registered_as": None,
    }


def test_a_refused_key_is_3(capsys, key, sandbox):
    sandbox.store.end_access_tokens()
    assert exit_code("apps") == 3
    assert "IC_ACCESS_TOKEN" in capsys.readouterr().err


def test_a_key_that_cannot_be_one_is_1(capsys, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", "two words")
    for command in ("status", "apps", "token"):
        assert exit_code(command) == 1
    assert "two words" not in capsys.readouterr().err


def test_status_with_a_key_says_connected(capsys, key, sandbox):
    assert exit_code("status") == 0
    assert capsys.readouterr().out.startswith(f"Connected to {sandbox.url}\n")
    assert exit_code("status", "--json") == 0
    assert json.loads(capsys.readouterr().out)["connected"] is True


def test_apps_are_listed_with_a_key(capsys, key, sandbox):
    app_id = sandbox.store.seed_app("Old laptop", created=1_700_000_000)
    assert exit_code("apps") == 0
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["App", "Connected", "Id"]
    assert row.split() == ["Old", "laptop", *row.split()[2:5], str(app_id)]
    assert exit_code("apps", "--json") == 0
    (app,) = json.loads(capsys.readouterr().out)
    assert set(app) == {"id", "name", "client_id", "created", "own"}
    assert (app["id"], app["name"], app["own"]) == (str(app_id), "Old laptop", False)
    assert app["created"] == "2023-11-14T22:13:20+00:00"


def test_no_apps_are_an_empty_list(capsys, key):
    assert exit_code("apps", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert exit_code("apps") == 0
    assert capsys.readouterr().out == "No app is connected.\n"


def test_revoke_disconnects_the_app(capsys, key, sandbox):
    app_id = sandbox.store.seed_app("Old laptop")
    assert exit_code("revoke", str(app_id)) == 0
    assert capsys.readouterr().out == "Disconnected.\n"
    assert sandbox.store.apps() == []


@pytest.mark.parametrize("app_id", ["987654", "", ".."])
def test_revoke_of_no_app_is_1(capsys, key, app_id):
    assert exit_code("revoke", app_id) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("ic-notebook: ")


def test_a_service_with_a_fault_is_1_in_one_line(capsys, key, sandbox):
    sandbox.settings = sandbox.settings.__class__(faults=Faults(fraction=1, status=500))
    assert exit_code("apps") == 1
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_token_goes_to_a_pipe(tmp_path, key, sandbox):
    done = run(
        "-m", "ic_notebook", "token", home=tmp_path, IC_BASE_URL=sandbox.url, IC_ACCESS_TOKEN=f"Bearer {key}"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{key}\n", "")


def test_a_reader_that_has_gone_is_1_without_a_traceback(tmp_path, key, sandbox):
    process = subprocess.Popen(
        [sys.executable, "-m", "ic_notebook", "token"],
        env=environment(tmp_path, IC_BASE_URL=sandbox.url, IC_ACCESS_TOKEN=key),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdout.close()
        errors = process.stderr.read()
    assert process.wait(WITHIN) == 1
    assert errors == b""


def test_connect_where_nobody_is_there_is_1(tmp_path, sandbox):
    done = run("-m", "ic_notebook", "connect", home=tmp_path, IC_BASE_URL=sandbox.url)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "IC_ACCESS_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_connect_with_a_browser_prints_the_credits_and_no_token(tmp_path, sandbox):
    browser = tmp_path / "browser"
    browser.write_text(
        "#!/bin/sh\nexec python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' \"$1\"\n"
    )
    browser.chmod(0o700)
    arguments = [
        "connect",
        "--base-url",
        f"{sandbox.url}/",
        "--discover",
        "--timeout",
        "20",
        "--storage",
        "memory",
    ]
    done = run("-m", "ic_notebook", *arguments, home=tmp_path, BROWSER=str(browser))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"Connected to {sandbox.url}: 627.13 credits.\n"
    assert "keeps no token" in done.stderr
    assert [path.name for path in (tmp_path / "config").rglob("*.json")] == ["clients.json"]


def test_connect_with_a_key_shows_the_credits_and_ends_no_sign_in(capsys, key, sandbox):
    assert exit_code("connect") == 0
    said = capsys.readouterr()
    assert said.out == f"Connected to {sandbox.url}: 627.13 credits.\n"
    assert said.err == "The sign-in is from the environment, not renewed here.\n"


def test_connect_that_nobody_answers_is_1(tmp_path, sandbox):
    arguments = ["connect", "--timeout", "0.5", "--storage", "memory"]
    done = run("-m", "ic_notebook", *arguments, home=tmp_path, BROWSER="true", IC_BASE_URL=sandbox.url)
    assert done.returncode == 1
    assert "Nobody approved" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_sandbox_says_ready_and_ends_on_ctrl_c(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "ic_notebook", "sandbox", "--port", "0", "--auto-approve"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        ready = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=WITHIN)
    assert ready.startswith("ready http://127.0.0.1:")
    assert (process.returncode, output, errors) == (0, "", "")


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_what_needs_an_extra_says_which(capsys, monkeypatch, command):
    monkeypatch.setattr("ic_notebook.cli._installed", lambda *_: False)
    assert exit_code(command) == 1
    assert f"pip install 'ic-notebook[{command}]'" in capsys.readouterr().err


def test_demo_without_its_notebook_says_where_to_run_it(capsys):
    assert exit_code("demo", "no/such.ipynb") == 1
    assert "clone" in capsys.readouterr().err
