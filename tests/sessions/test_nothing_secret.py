"""A whole life of a session, and no token, code, verifier or state in anything that is shown or logged."""

from __future__ import annotations

import io
import logging
import re
import sys
import threading
import traceback

import pytest
from IPython.core.ultratb import VerboseTB

import ic_notebook as ic
from ic_notebook import sign_in
from ic_notebook.oauth.secret import Secret
from ic_notebook.sandbox import Faults
from tests.sessions.people import CREDITS, TOKEN, approve


@pytest.fixture
def log():
    """Everything that every logger says at DEBUG."""
    written, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def secrets(monkeypatch):
    """Every secret that the client comes to know, as it makes it one."""
    known: set[str] = set()

    def noted(cls: type[Secret], value: object = "") -> Secret:
        # the check of a stored client has a state and a verifier that nothing else ever uses
        if not any(frame.f_code.co_name == "client_is_unknown" for frame, _ in traceback.walk_stack(None)):
            known.add(str(value))
        return str.__new__(cls, value)

    monkeypatch.setattr(Secret, "__new__", noted)
    return known


def verbose(error: BaseException) -> str:
    """As `%xmode Verbose` prints it, with the values in each frame."""
    text = VerboseTB(include_vars=True).text(type(error), error, error.__traceback__)
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def raised(call) -> BaseException:
    try:
        call()
    except ic.ICNotebookError as error:
        return error
    except Exception as error:
        return error
    raise AssertionError("it was to raise")


def test_a_whole_life_shows_no_secret(new_sandbox, log, secrets, capfd):
    sandbox = new_sandbox()
    open_url = lambda url: threading.Thread(target=approve, args=(url,), daemon=True).start()  # noqa: E731
    shown: list[str] = []
    session = ic.connect(base_url=sandbox.url, open_url=open_url, timeout=20)
    face = sign_in.sign_in(sign_in.LoginOptions(base_url=sandbox.url))
    request = face.login.request
    shown += [
        repr(x) for x in (session, face, vars(face), face.login, vars(face.login), request, session._source)
    ]
    shown += [repr(vars(session)), repr(vars(session._source)), repr(session._source.current())]

    assert session.client().get(CREDITS).status_code == 200
    sandbox.store.end_access_tokens()
    response = session.client().get(CREDITS)
    shown += [repr(response), repr(response.request), repr(response.request.headers), repr(session.apps())]
    shown += [verbose(raised(session.client().get("/nothing/").raise_for_status))]
    shown += [verbose(raised(lambda: session.client().get("https://example.com/")))]
    shown += [verbose(raised(lambda: session.revoke("")))]
    shown += [verbose(raised(lambda: session.client().get(CREDITS, headers={b"x": b"a\x00b"})))]

    sandbox.store.end_access_tokens()
    shown += [verbose(raised(lambda: session.client().get(CREDITS, content=iter([b"x"]))))]
    sandbox.settings = sandbox.settings.__class__(
        auto_approve=True, rate_limit=0, faults=Faults(fraction=1, paths=("/public/v1/oauth/apps/",))
    )
    session._transport._sleep = _at_once
    shown += [verbose(raised(session.apps))]
    sandbox.settings = sandbox.settings.__class__(auto_approve=True, rate_limit=0)

    first, second = session, None
    assert first.disconnect().confirmed
    second = ic.connect(base_url=sandbox.url, open_url=open_url, timeout=20)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    shown += [verbose(raised(second.credits)), verbose(raised(lambda: second.client().get(CREDITS)))]
    shown += [verbose(raised(second.access_token)), verbose(raised(ic.session))]

    # verifier and state of both sign-ins, both codes, at least four access and refresh tokens
    assert len({s for s in secrets if len(s) > 15}) >= 12
    assert any(path == TOKEN for _, path, _ in sandbox.requests)
    everything = {"log": log.getvalue(), "shown": "\n".join(shown), "out": "".join(capfd.readouterr())}
    assert "httpcore" in everything["log"]
    for where, text in everything.items():
        for secret in secrets:
            if len(secret) > 15:
                assert secret not in text, (
                    f"{where}: …{text[max(0, text.find(secret) - 300) : text.find(secret)]}"
                )


async def _at_once(_seconds: float) -> None:
    pass


def test_a_failed_sign_in_shows_no_secret(new_sandbox, log, secrets, capfd):
    sandbox = new_sandbox()

    def approve_then_lose(url: str) -> None:
        sandbox.settings = sandbox.settings.__class__(
            auto_approve=True, faults=Faults(fraction=1, paths=(TOKEN,), stage="after")
        )
        threading.Thread(target=approve, args=(url,), daemon=True).start()

    error = raised(lambda: ic.connect(base_url=sandbox.url, open_url=approve_then_lose, timeout=20))
    assert isinstance(error, ic.ServiceUnavailable)
    text = verbose(error) + log.getvalue() + "".join(capfd.readouterr())
    assert len(secrets) >= 3
    assert [secret for secret in secrets if len(secret) > 15 and secret in text] == []


def test_a_static_token_is_not_shown(sandbox, monkeypatch, log):
    token = sandbox.store.issue_token()
    monkeypatch.setenv("IC_ACCESS_TOKEN", token)
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    session = ic.session()
    assert session.credits() == 627.13
    sandbox.store.end_access_tokens()
    texts = [
        verbose(raised(session.credits)),
        verbose(raised(lambda: ic.client().get(CREDITS))),
        log.getvalue(),
    ]
    texts += [repr(vars(session)), repr(vars(session._source)), repr(ic.status()), repr(sys.exc_info())]
    for text in texts:
        assert token not in text
