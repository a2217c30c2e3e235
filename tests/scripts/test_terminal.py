"""connect() in a real terminal without a browser: the link, and the pasted answer."""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.scripts.processes import ADDRESS, Terminal
from tests.sessions.people import approved_location

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal is POSIX's")

SCRIPT = "import ic_notebook as ic; session = ic.connect(timeout=30); print('credits', session.credits())"


@pytest.fixture
def terminal(tmp_path, sandbox):
    with Terminal("-c", SCRIPT, home=tmp_path, IC_BASE_URL=sandbox.url) as terminal:
        yield terminal


def asked(terminal: Terminal) -> str:
    """The last address of the browser, for the link that the terminal shows."""
    url = terminal.until(ADDRESS.pattern)
    terminal.until("paste it here and press Enter")
    return approved_location(url)


def code_of(location: str) -> str:
    return parse_qs(urlsplit(location).query)["code"][0]


@pytest.mark.parametrize(
    "answer",
    [
        lambda location: location,
        lambda location: f'  "{location}"  ',
        lambda location: urlsplit(location).query,
        code_of,
    ],
    ids=["whole address", "quoted", "query", "code"],
)
def test_a_pasted_answer_signs_in(terminal, answer):
    location = asked(terminal)
    terminal.type(f"{answer(location)}\n")
    terminal.until(r"credits 627\.13")
    assert terminal.ends() == 0
    assert "Open this page in a browser" in terminal.shown


def test_a_wrong_answer_is_explained_and_the_right_one_still_taken(terminal):
    location = asked(terminal)
    terminal.type("that is not it\n")
    terminal.until("There is no code in that")
    terminal.type(f"{location.replace('state=', 'state=x')}\n")
    terminal.until("state differs")
    terminal.type(f"{location}\n")
    terminal.until(r"credits 627\.13")
    assert terminal.ends() == 0
    assert terminal.shown.count("There is no code in that") == 1
    assert terminal.shown.count("its state differs") == 1


def test_the_same_wrong_answer_is_answered_each_time(terminal):
    asked(terminal)
    for times in (1, 2, 3):
        terminal.type("that is not it\n")
        terminal.until(rf"(?s)(There is no code in that.*){{{times}}}")


def test_an_empty_line_changes_nothing(terminal):
    location = asked(terminal)
    terminal.type(f"\n\n{location}\n")
    terminal.until(r"credits 627\.13")
    assert terminal.ends() == 0


def test_a_closed_input_leaves_the_other_way_open(terminal, sandbox):
    url = terminal.until(ADDRESS.pattern)
    terminal.until("press Enter")
    terminal.type("\x04")
    from tests.scripts.processes import approve

    approve(url)
    terminal.until(r"credits 627\.13")
    assert terminal.ends() == 0


def test_what_is_typed_after_the_sign_in_is_the_scripts_own(tmp_path, sandbox):
    script = SCRIPT + "; print('hello', input('Name? '))"
    with Terminal("-c", script, home=tmp_path, IC_BASE_URL=sandbox.url) as terminal:
        terminal.type(f"{asked(terminal)}\n")
        terminal.until(r"Name\? ")
        terminal.type("Ada\n")
        terminal.until("hello Ada")
        assert terminal.ends() == 0


def test_interrupted_by_ctrl_c_the_command_ends_at_once_with_130(tmp_path, sandbox):
    command = ["-m", "ic_notebook", "connect", "--storage", "memory"]
    with Terminal(*command, home=tmp_path, IC_BASE_URL=sandbox.url) as terminal:
        asked(terminal)
        terminal.type("\x03")
        assert terminal.ends() == 130
        assert "Interrupted. Nothing is left behind." in terminal.shown
        assert "Traceback" not in terminal.shown


def test_interrupted_by_ctrl_c_a_script_gets_keyboard_interrupt(tmp_path, sandbox):
    script = """
import ic_notebook as ic
try:
    ic.connect()
except KeyboardInterrupt:
    print("interrupted", ic.status().connected)
"""
    with Terminal("-c", script, home=tmp_path, IC_BASE_URL=sandbox.url) as terminal:
        asked(terminal)
        terminal.type("\x03")
        terminal.until("interrupted False")
        assert terminal.ends() == 0


def test_the_command_connect_shows_the_credits_and_never_the_token(tmp_path, sandbox):
    command = ["-m", "ic_notebook", "connect", "--storage", "memory"]
    with Terminal(*command, home=tmp_path, IC_BASE_URL=sandbox.url) as terminal:
        location = asked(terminal)
        terminal.type(f"{code_of(location)}\n")
        terminal.until(rf"Connected to {sandbox.url}: 627\.13 credits\.")
        assert terminal.ends() == 0
        assert "keeps no token" in terminal.shown


def test_the_command_token_refuses_a_terminal_unless_told_to(tmp_path, sandbox):
    token = sandbox.store.issue_token()
    given = {"IC_BASE_URL": sandbox.url, "IC_ACCESS_TOKEN": token}
    with Terminal("-m", "ic_notebook", "token", home=tmp_path, **given) as terminal:
        assert terminal.ends() == 1
        assert "--show" in terminal.shown
        assert token not in terminal.shown
    with Terminal("-m", "ic_notebook", "token", "--show", home=tmp_path, **given) as terminal:
        assert terminal.ends() == 0
        assert terminal.shown == f"{token}\n"
