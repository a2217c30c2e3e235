"""What the environment says: the variables, and whether a person is there."""

from __future__ import annotations

import io
import sys
import types
import webbrowser

import pytest

from ic_notebook import environment
from ic_notebook.errors import ConfigurationError
from ic_notebook.oauth.metadata import SERVICE


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def somewhere(monkeypatch):
    """``somewhere(terminal=True, browser=False, ci="1", allow_stdin=None)``: where this process seems to run."""

    def put(*, terminal=False, browser=False, ci=None, allow_stdin=None, parent=None):
        monkeypatch.setattr(sys, "stdin", Terminal() if terminal else io.StringIO())
        monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
        monkeypatch.setattr(environment, "has_browser", lambda: browser)
        monkeypatch.delenv("CI", raising=False)
        if ci is not None:
            monkeypatch.setenv("CI", ci)
        request = parent if parent is not None else {"content": {"allow_stdin": allow_stdin}}
        kernel = types.SimpleNamespace(get_parent=lambda: request)
        in_kernel = allow_stdin is not None or parent is not None
        monkeypatch.setattr(environment, "_kernel", lambda: kernel if in_kernel else None)

    return put


# -- the variables


@pytest.mark.parametrize(
    ("given", "variable", "expected"),
    [
        (None, None, SERVICE),
        (None, "", SERVICE),
        (None, "  ", SERVICE),
        ("", None, SERVICE),
        (None, "https://a.example/", "https://a.example"),
        (None, " https://A.example/x/ ", "https://a.example/x"),
        ("https://b.example", "https://a.example", "https://b.example"),
        ("http://127.0.0.1:8000", None, "http://127.0.0.1:8000"),
        ("http://localhost:8000/", "nonsense", "http://localhost:8000"),
    ],
)
def test_the_base_url_is_what_is_given_else_the_variable_else_the_service(
    monkeypatch, given, variable, expected
):
    if variable is not None:
        monkeypatch.setenv("IC_BASE_URL", variable)

    assert environment.base_url(given) == expected


@pytest.mark.parametrize(
    "value",
    [
        "http://a.example",
        "a.example",
        "ftp://a.example",
        "https://",
        "https://user:pw@a.example",
        "//a.example",
        "https://a.example?x=1",
        "https://a.example#x",
        "https://a b.example",
        "http://127.0.0.1.evil.example",
    ],
)
@pytest.mark.parametrize("by_variable", [True, False])
def test_a_base_url_that_a_token_must_not_go_to_is_refused(monkeypatch, value, by_variable):
    if by_variable:
        monkeypatch.setenv("IC_BASE_URL", value)
    with pytest.raises(ConfigurationError, match="IC_BASE_URL"):
        environment.base_url(None if by_variable else value)


@pytest.mark.parametrize(
    ("value", "token"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("abc", "abc"),
        (" abc\n", "abc"),
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("BEARER   abc ", "abc"),
        ("Bearer\tabc", "abc"),
        ("Bearer", None),
        ("Bearer ", None),
        ("bearer-of-news", "bearer-of-news"),
        ("Bearerabc", "Bearerabc"),
        ("a.b-c_d~e+f/g=", "a.b-c_d~e+f/g="),
    ],
)
def test_the_access_token_is_taken_without_what_was_pasted_around_it(monkeypatch, value, token):
    if value is not None:
        monkeypatch.setenv("IC_ACCESS_TOKEN", value)

    assert environment.access_token() == token


@pytest.mark.parametrize(
    "value", ["two words", "a\nb", "tökén", "Bearer two words", "abc\u200b", "x" * 20_000]
)
def test_what_cannot_be_a_token_is_refused_and_not_shown(monkeypatch, value):
    monkeypatch.setenv("IC_ACCESS_TOKEN", value)
    with pytest.raises(ConfigurationError, match="IC_ACCESS_TOKEN") as caught:
        environment.access_token()

    assert value not in str(caught.value)


# -- whether somebody is there


@pytest.mark.parametrize(
    ("place", "there"),
    [
        ({}, False),
        ({"terminal": True}, True),
        ({"browser": True}, True),
        ({"terminal": True, "browser": True}, True),
        ({"terminal": True, "browser": True, "ci": "true"}, False),
        ({"terminal": True, "ci": "1"}, False),
        ({"terminal": True, "ci": "woodpecker"}, False),
        ({"terminal": True, "ci": ""}, True),
        ({"terminal": True, "ci": "0"}, True),
        ({"terminal": True, "ci": "False"}, True),
        ({"allow_stdin": True}, True),
        ({"allow_stdin": True, "ci": "1"}, True),
        ({"allow_stdin": False}, False),
        ({"allow_stdin": False, "terminal": True, "browser": True}, False),
        ({"parent": {}}, True),
        ({"parent": {"content": {}}}, True),
    ],
    ids=str,
)
def test_somebody_is_there(somewhere, place, there):
    somewhere(**place)

    assert environment.somebody_is_there() is there


@pytest.mark.parametrize("stream", [None, io.BytesIO()])
@pytest.mark.parametrize("name", ["stdin", "stderr"])
def test_a_missing_or_closed_stream_is_no_terminal(monkeypatch, somewhere, stream, name):
    somewhere(terminal=True)
    if stream is not None:
        stream.close()
    monkeypatch.setattr(sys, name, stream)

    assert environment.has_terminal() is False


@pytest.mark.parametrize(
    ("variables", "name", "there"),
    [
        ({}, "firefox", False),
        ({"DISPLAY": ":0"}, "firefox", True),
        ({"WAYLAND_DISPLAY": "w"}, "xdg-open", True),
        ({"BROWSER": "firefox"}, "firefox", True),
        ({"BROWSER": "lynx"}, "lynx", False),
        ({"BROWSER": "/usr/bin/w3m %s"}, "/usr/bin/w3m", False),
        ({"DISPLAY": ":0"}, "www-browser", False),
        ({"DISPLAY": ":0"}, None, False),
    ],
)
def test_a_graphical_browser_of_this_computer(monkeypatch, variables, name, there):
    monkeypatch.setattr(sys, "platform", "linux")
    for variable in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)

    def get():
        if name is None:
            raise webbrowser.Error("could not locate runnable browser")
        return types.SimpleNamespace(name=name)

    monkeypatch.setattr(webbrowser, "get", get)

    assert environment.has_browser() is there


def test_a_plain_process_is_no_notebook():
    assert environment.in_notebook() is False
