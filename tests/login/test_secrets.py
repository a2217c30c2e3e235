"""Nothing of a sign-in that is secret is shown: not by a repr, an exception, a verbose traceback or a log."""

from __future__ import annotations

import logging
import sys

import pytest
from IPython.core.ultratb import VerboseTB

from ic_notebook.background import background
from ic_notebook.sandbox import Faults


class Secrets(set):
    """What must not be shown, gathered while a sign-in goes on."""

    def of(self, login, address: str | None = None) -> Secrets:
        self.update({str(login.request.state), str(login.request.code_verifier)})
        if address is not None:
            self.add(address.partition("code=")[2].partition("&")[0])
        return self

    def of_session(self, session) -> Secrets:
        tokens = session._source.current()
        self.update({str(tokens.access_token), str(tokens.refresh_token)})
        return self

    def found_in(self, text: str) -> list[str]:
        assert len(self) >= 2
        assert all(len(secret) > 10 for secret in self)
        return [secret for secret in self if secret in text]


@pytest.fixture
def everything_logged(caplog):
    """Every line of every logger at DEBUG, also of those that were set to less."""
    caplog.set_level(logging.DEBUG)
    loggers = [logging.getLogger(name) for name in list(logging.root.manager.loggerDict)]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False

    def ours() -> str:
        # The browser of this test runs on another thread, and logs its own addresses.
        records = [record for record in caplog.records if record.threadName.startswith("ic_notebook")]
        return "\n".join(f"{record.getMessage()} {record.args!r} {record.exc_text}" for record in records)

    yield ours
    for logger, level, disabled in before:
        logger.level, logger.disabled = level, disabled


def verbose_traceback(error: BaseException) -> str:
    options = {"theme_name": "nocolor"} if "theme_name" in VerboseTB.__init__.__annotations__ else {}
    try:
        maker = VerboseTB(long_header=True, include_vars=True, **options)
    except TypeError:
        maker = VerboseTB(color_scheme="NoColor", long_header=True, include_vars=True)
    return maker.text(type(error), error, error.__traceback__)


def shown(thing: object) -> str:
    """Its repr and str, and those of everything it holds, as a variable inspector shows them."""
    inside = getattr(thing, "__dict__", {})
    return "\n".join([repr(thing), str(thing), repr(inside), *(repr(value) for value in inside.values())])


def test_a_whole_login_logs_no_secret(face, browser, eventually, everything_logged):
    face.viewed()
    eventually(lambda: face.url)
    address = browser.address(face.url)
    secrets = Secrets().of(face.login, address)
    attempt = face.begin()
    face.paste("https://evil.example/?code=wrong-code-pasted&state=x")
    face.paste(address)
    secrets.of_session(attempt.result(15))
    eventually(lambda: face.credits is not None)

    assert "/oauth/register/" in everything_logged()
    assert "/oauth/token/" in everything_logged()
    assert "/accounts/credits/" in everything_logged()
    assert secrets.found_in(everything_logged()) == []
    assert "wrong-code-pasted" not in everything_logged()


@pytest.mark.parametrize("moment", ["ready", "connected", "failed"])
def test_no_repr_shows_a_secret(face, browser, eventually, turn, moment):
    if moment == "failed":
        turn(faults=Faults(fraction=1.0, paths=("/public/v1/oauth/token/",), status=500))
    attempt = face.begin()
    eventually(lambda: face.url)
    login = face.login
    things = [
        face,
        login,
        login.request,
        login.options,
        login._listener,
        face.options,
        attempt,
        face._sessions,
    ]
    address = browser.address(face.url)
    secrets = Secrets().of(login, address)
    if moment != "ready":
        face.paste(address)
        attempt.exception(15)
        things += [login._answer, login._task, face.failure, attempt]
    if moment == "connected":
        session = attempt.result(15)
        secrets.of_session(session)
        things += [session, session.status, session.auth, session._source, session._source.current()]
        things += [session._source.store, session.client()]
    if login._answer.done():
        things.append(login._answer.result())

    for thing in things:
        assert secrets.found_in(shown(thing)) == [], thing


ENDS = {
    "denied": ("deny", {}),
    "token endpoint down": (
        "approve",
        {"faults": Faults(fraction=1.0, paths=("/public/v1/oauth/token/",), status=500)},
    ),
    "made-up code": ("made-up", {}),
    "cancelled": ("cancel", {}),
}


@pytest.mark.parametrize("end", ENDS)
def test_no_exception_and_no_verbose_traceback_shows_a_secret(face, browser, eventually, turn, end):
    decision, settings = ENDS[end]
    turn(**settings)
    attempt = face.begin()
    eventually(lambda: face.url)
    login, secrets = face.login, Secrets().of(face.login)
    if decision == "cancel":
        face.cancel()
    elif decision == "made-up":
        address = f"{login.request.redirect_uri}?code=a-made-up-code&state={login.request.state}"
        secrets.add("a-made-up-code")
        face.paste(address)
    else:
        address = browser.address(face.url, decision)
        if decision == "approve":
            secrets.of(login, address)
        browser.http.get(address)
    eventually(attempt.done)
    address = decision = None
    error = raised_here(attempt)

    for text in (str(error), repr(error), repr(error.args), repr(vars(error)), verbose_traceback(error)):
        assert secrets.found_in(text) == []
    seen, cause = set(), error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        assert secrets.found_in(f"{cause!r} {cause}") == []
        cause = cause.__cause__ or cause.__context__


def raised_here(attempt) -> BaseException:
    try:
        background().wait(attempt)
    except Exception:
        return sys.exc_info()[1]
    raise AssertionError


def test_clients_json_holds_no_secret(face, browser, eventually, turn):
    turn(client_secret=True)
    attempt = face.begin()
    eventually(lambda: face.url)
    secrets = Secrets().of(face.login, address := browser.address(face.url))
    face.paste(address)
    secrets.of_session(attempt.result(15))
    kept = face.options.clients.path.read_text()

    assert secrets.found_in(kept) == []
    assert "secret" not in kept
