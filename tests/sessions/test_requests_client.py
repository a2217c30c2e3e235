"""What the requests library adds to the rule of `test_three_clients`: hooks, histories, cookies, netrc, timeouts."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import urllib3
from IPython.core.ultratb import VerboseTB

import ic_notebook as ic
from ic_notebook.sessions import requests_auth
from ic_notebook.sessions.auth import SessionAuth
from tests.sessions.doors import Answer, Door, door
from tests.sessions.people import CREDITS, Clock, refreshes, seen, signed_in
from tests.sessions.test_refresh_outlives_its_caller import stale


@pytest.fixture
def api() -> Iterator[Door]:
    with door() as opened:
        yield opened


@pytest.fixture
def http() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


def auth_at(api: Door, session: ic.Session) -> SessionAuth:
    return SessionAuth(session._source, base_url=api.url)


def refusing_first(api: Door, **headers: str):
    """Refuses the first request, and answers the others."""
    api.answer = lambda _seen: Answer(401, headers, b"once") if len(api.seen) == 1 else Answer()


def token_of(session: ic.Session) -> str:
    return str(session._source.current().access_token)


def test_a_single_call_needs_no_session_of_requests(sandbox):
    auth = signed_in(sandbox).auth
    sandbox.store.end_access_tokens()
    assert requests.get(sandbox.url + CREDITS, auth=auth, timeout=20).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]


def test_the_history_holds_each_refusal_with_the_request_as_it_was_sent(sandbox, api, http):
    session = signed_in(sandbox)
    old = token_of(session)

    def answer(_seen) -> Answer:
        if len(api.seen) == 1:
            session._source.replace(session._source.current()).result(10)
        return Answer(401, body=b"%d" % len(api.seen)) if len(api.seen) < 3 else Answer()

    api.answer = answer
    response = http.get(api.url, auth=auth_at(api, session), timeout=20)
    assert response.status_code == 200
    assert [one.text for one in response.history] == ["1", "2"]
    sent = [one.request.headers["Authorization"] for one in [*response.history, response]]
    assert sent == api.tokens
    assert sent[0] == f"Bearer {old}"
    assert response.elapsed.total_seconds() > 0


def test_the_request_is_sent_again_on_the_same_connection(sandbox, api, http):
    refusing_first(api)
    assert http.get(api.url, auth=auth_at(api, signed_in(sandbox)), timeout=20).status_code == 200
    assert len(api.seen) == 2
    assert len({one.connection for one in api.seen}) == 1


def test_hooks_of_ones_own_see_the_last_answer(sandbox, api, http):
    refusing_first(api)
    statuses = []
    note = lambda response, **_: statuses.append(response.status_code)  # noqa: E731
    http.get(api.url, auth=auth_at(api, signed_in(sandbox)), hooks={"response": note}, timeout=20)
    assert statuses == [200]


def test_a_cookie_that_a_refusal_sets_goes_with_the_repeat_and_stays(sandbox, api, http):
    refusing_first(api, **{"Set-Cookie": "seat=7; Path=/"})
    http.cookies.set("old", "1")
    assert http.get(api.url, auth=auth_at(api, signed_in(sandbox)), timeout=20).status_code == 200
    assert api.seen[0].cookie == "old=1"
    assert set(api.seen[1].cookie.split("; ")) == {"old=1", "seat=7"}
    assert http.cookies["seat"] == "7"


def test_a_cookie_header_of_ones_own_is_sent_again_as_it_was(sandbox, api, http):
    refusing_first(api, **{"Set-Cookie": "seat=7; Path=/"})
    http.get(api.url, headers={"Cookie": "mine=1"}, auth=auth_at(api, signed_in(sandbox)), timeout=20)
    assert [one.cookie for one in api.seen] == ["mine=1", "mine=1"]


def test_a_netrc_file_does_not_take_the_place_of_the_token(sandbox, http, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    probe = requests.Request("GET", sandbox.url + CREDITS)
    assert http.prepare_request(probe).headers["Authorization"].startswith("Basic ")
    http.auth = signed_in(sandbox).auth
    assert http.get(sandbox.url + CREDITS, timeout=20).status_code == 200


def test_a_request_that_was_prepared_once_can_be_sent_for_as_long_as_the_sign_in_lasts(sandbox, http):
    clock = Clock()
    http.auth = signed_in(sandbox, clock=clock).auth
    clock.now += 3600
    prepared = http.prepare_request(requests.Request("GET", sandbox.url + CREDITS))
    for number in (1, 1, 2, 3):
        if number > 1:
            sandbox.store.end_access_tokens()
        assert http.send(prepared, timeout=20).status_code == 200
        assert refreshes(sandbox) == number


@pytest.mark.parametrize(
    "timeout",
    [0.2, (5, 0.2), urllib3.Timeout(connect=5, read=0.2), urllib3.Timeout(total=0.2)],
    ids=["number", "pair", "read", "total"],
)
def test_the_time_limit_of_a_call_may_be_given_in_every_way_that_requests_takes(sandbox, http, timeout):
    session = signed_in(sandbox)
    sandbox.store.end_access_tokens()
    sandbox.settings = dataclasses.replace(sandbox.settings, token_delay=0.8)
    with pytest.raises(ic.ServiceUnavailable, match=r"limit of 0\.2 s"):
        http.get(sandbox.url + CREDITS, auth=session.auth, timeout=timeout)
    assert session.credits() == 627.13
    assert refreshes(sandbox) == 1


def test_a_slow_renewal_ahead_of_the_end_is_waited_for_again_within_the_calls_own_limit(
    sandbox, http, monkeypatch
):
    monkeypatch.setattr(requests_auth, "AHEAD", 0.1)
    clock = Clock()
    session = signed_in(sandbox, clock=clock)
    sandbox.settings = dataclasses.replace(sandbox.settings, token_delay=0.6)
    clock.now += 3600
    assert http.get(sandbox.url + CREDITS, auth=session.auth, timeout=20).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]


def test_threads_that_share_a_session_of_requests_have_one_refresh(sandbox, http):
    http.auth = signed_in(sandbox).auth
    sandbox.store.end_access_tokens()
    ready = threading.Barrier(8)

    def call(_number: int) -> int:
        ready.wait(10)
        return http.get(sandbox.url + CREDITS, timeout=20).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(call, range(8))) == [200] * 8
    assert refreshes(sandbox) == 1


def test_headers_that_are_printed_and_responses_that_are_pickled_hold_no_token(sandbox, api, http):
    refusing_first(api)
    session = signed_in(sandbox)
    old = token_of(session)
    response = http.get(api.url, auth=auth_at(api, session), timeout=20)
    shown = repr(response.request.headers) + repr(response.history[0].request.headers)
    shown += str(vars(response.request))
    assert old not in shown
    assert token_of(session) not in shown
    pickled = pickle.dumps(response)
    assert not [token for token in (old, token_of(session)) if token.encode() in pickled]
    again = pickle.loads(pickled)
    assert (again.status_code, again.request.url) == (200, api.url + "/")
    assert copy.deepcopy(response).status_code == 200
    assert response.request.headers["Authorization"] == f"Bearer {token_of(session)}"


def test_an_answer_in_whose_place_an_error_is_raised_gives_its_connection_back(sandbox, http, monkeypatch):
    monkeypatch.setenv("IC_ACCESS_TOKEN", sandbox.store.issue_token())
    monkeypatch.setenv("IC_BASE_URL", sandbox.url)
    auth, answers = ic.session().auth, []
    sandbox.store.end_access_tokens()
    send = http.get_adapter(sandbox.url).send
    monkeypatch.setattr(
        http.get_adapter(sandbox.url),
        "send",
        lambda *given, **options: answers.append(send(*given, **options)) or answers[-1],
    )
    with pytest.raises(ic.SignInRequired, match="IC_ACCESS_TOKEN"):
        http.get(sandbox.url + CREDITS, auth=auth, timeout=20)
    (answer,) = answers
    assert answer.raw.closed


def test_our_own_errors_name_no_token_even_in_a_verbose_traceback(sandbox, http):
    session = signed_in(sandbox)
    tokens = {token_of(session)}
    raised = []
    for content, url in ((iter([b"x"]), sandbox.url + CREDITS), (None, "https://example.com/")):
        sandbox.store.end_access_tokens()
        with pytest.raises(ic.ICNotebookError) as error:
            http.get(url, data=content, auth=session.auth, timeout=20)
        raised.append(error.value)
        tokens.add(token_of(session))
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    with pytest.raises(ic.SignInRequired) as error:
        http.get(sandbox.url + CREDITS, auth=session.auth, timeout=20)
    for failure in [*raised, error.value]:
        assert len(failure._render_traceback_()) == 1
        text = VerboseTB(include_vars=True).text(type(failure), failure, failure.__traceback__)
        text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        assert not [token for token in tokens if token in text]


INTERRUPTED = """
import requests, httpx2
def interrupt():
    while not session._source._flights:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
url, auth = os.environ["IC_BASE_URL"] + "/public/v1/accounts/credits/", session.auth
def call():
    {call}
sys.stdin.readline()
threading.Thread(target=interrupt).start()
try:
    call()
except KeyboardInterrupt:
    print("interrupted", session._source.current() is first)
print(call())
"""


@pytest.mark.parametrize("library", ["requests", "httpx2"])
def test_a_refresh_goes_on_when_its_caller_is_interrupted(sandbox, tmp_path, library):
    script = INTERRUPTED.format(call=f"return {library}.get(url, auth=auth).status_code")
    assert stale(script, sandbox, tmp_path, delay=0.5) == ["interrupted True", "200"]
    assert refreshes(sandbox) == 1
