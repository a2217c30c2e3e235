"""What is pickled in place of a session, its auth and its clients: a handle, and never a token."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys

import cloudpickle
import dill
import httpx
import pytest

from ic_notebook.errors import SignInRequired
from ic_notebook.sessions.auth import SessionAuth
from ic_notebook.sessions.client import SessionClient
from ic_notebook.sessions.current import current
from ic_notebook.sessions.token_source import StaticToken
from tests.sessions.people import CREDITS, forget_everybody, seen, signed_in

PARTS = {
    "session": lambda session: session,
    "auth": lambda session: session.auth,
    "client": lambda session: session.client(),
    "client-with-options": lambda session: session.client(timeout=7),
    "async-client": lambda session: session.async_client(timeout=7),
}
every = pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)


@every
@pytest.mark.parametrize("pickler", [pickle, cloudpickle, dill], ids=lambda module: module.__name__)
def test_a_pickle_holds_no_token(sandbox, part, pickler):
    session = signed_in(sandbox)
    tokens = session._source.current()
    pickled = pickler.dumps(part(session))
    assert tokens.access_token.encode() not in pickled
    assert tokens.refresh_token.encode() not in pickled
    assert len(pickled) < 400


def test_where_the_sign_in_is_a_handle_is_the_session_itself(sandbox):
    session = signed_in(sandbox)
    current.add(session)
    assert pickle.loads(pickle.dumps(session)) is session
    assert pickle.loads(pickle.dumps(session.client())) is session.client()
    made = pickle.loads(pickle.dumps(session.client(timeout=7)))
    assert (type(made), made.timeout) == (SessionClient, httpx.Timeout(7))
    assert made.get(CREDITS).status_code == 200
    assert pickle.loads(pickle.dumps(session.async_client(timeout=7))).timeout == httpx.Timeout(7)
    assert pickle.loads(pickle.dumps(session.auth)) is session.auth
    made.close()


def test_an_environments_session_is_found_where_the_variable_is_set_and_nobody_elses(sandbox, monkeypatch):
    kept = pickle.dumps(signed_in(sandbox))
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    monkeypatch.setenv("IC_ACCESS_TOKEN", sandbox.store.issue_token())
    pickled = pickle.dumps(current.meant())
    assert pickle.loads(pickled) is current.meant()
    assert pickle.loads(kept) is not current.meant()
    monkeypatch.delenv("IC_ACCESS_TOKEN")
    assert "elsewhere" in repr(pickle.loads(pickled))


@pytest.mark.parametrize(
    "use",
    [
        lambda session: session.client().get(CREDITS),
        lambda session: session.access_token(),
        lambda session: session.apps(),
        lambda session: httpx.get(session.base_url + CREDITS, auth=session.auth),
    ],
)
def test_elsewhere_it_says_what_it_is_and_what_to_do_and_sends_nothing(sandbox, use):
    pickled = pickle.dumps(signed_in(sandbox))
    forget_everybody()
    session = pickle.loads(pickled)
    with pytest.raises(SignInRequired, match="it holds no token") as refusal:
        use(session)
    assert "ic_notebook.cluster.share(client)" in str(refusal.value)
    assert repr(session).startswith(f"<Session elsewhere, {sandbox.url}: This is the handle")
    assert "cluster.share" in repr(session.status)
    assert seen(sandbox) == []


def test_in_a_process_that_knows_nothing_of_it_a_client_tells_the_same(sandbox, tmp_path):
    pickled = pickle.dumps(signed_in(sandbox).client())
    script = f"import pickle; pickle.loads({pickled!r}).get('/x')"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "SignInRequired: This is the handle of a sign-in" in done.stderr


def test_what_belongs_to_no_session_is_not_pickled():
    auth = SessionAuth(StaticToken("t", origin="a test"), base_url="https://api.example.com")
    with pytest.raises(TypeError, match="is not copied"):
        pickle.dumps(auth)
    with SessionClient() as client, pytest.raises(TypeError, match="of no session"):
        pickle.dumps(client)
