"""One auth object for httpx and httpx2, sync and async, and for requests: the same rule, the real libraries."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import dataclasses
import re
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator

import httpx
import httpx2
import pytest

import ic_notebook as ic
from ic_notebook.background import background
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.auth import auth_class
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from tests.sessions.doors import KINDS, Answer, AnyClient, Door, door
from tests.sessions.people import CREDITS, TOKEN, Clock, impatient, refreshes, seen, signed_in
from tests.sessions.vaults import Vault, shared

pytestmark = pytest.mark.anyio


def turn(sandbox, **switches) -> None:
    sandbox.settings = dataclasses.replace(sandbox.settings, **switches)


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
async def client_of(anyio_backend, kind) -> AsyncIterator[Callable[..., AnyClient]]:
    """Gives a client of each library; closed at the end."""
    made: list[AnyClient] = []

    def make(auth, **options) -> AnyClient:
        made.append(AnyClient(kind, auth, **options))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def api() -> Iterator[Door]:
    """The session's origin, where a test needs other answers than the sandbox's."""
    with door() as opened:
        yield opened


@pytest.fixture
def elsewhere() -> Iterator[Door]:
    """Another origin: another port of the same host."""
    with door() as opened:
        yield opened


def auth_at(api: Door, session: Session):
    """The session's auth as if the API were there; its tokens are still the sandbox's."""
    return auth_class()(session._source, base_url=api.url)


async def test_a_request_carries_the_access_token(sandbox, client_of):
    assert (await client_of(signed_in(sandbox).auth).get(sandbox.url + CREDITS)).status_code == 200
    assert seen(sandbox) == ["GET credits 200"]


async def test_a_token_is_renewed_ahead_of_its_end(sandbox, client_of):
    clock = Clock()
    client = client_of(signed_in(sandbox, clock=clock).auth)
    clock.now += 3600 - 61
    assert (await client.get(sandbox.url + CREDITS)).status_code == 200
    clock.now += 2
    for _ in range(2):
        assert (await client.get(sandbox.url + CREDITS)).status_code == 200
    assert seen(sandbox) == ["GET credits 200", "POST token 200", "GET credits 200", "GET credits 200"]


async def test_a_401_is_answered_by_one_refresh_and_the_same_request_again(sandbox, client_of):
    client = client_of(signed_in(sandbox).auth)
    sandbox.store.end_access_tokens()
    assert (await client.get(sandbox.url + CREDITS)).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]


async def test_a_token_that_another_process_has_stored_is_adopted_ahead_of_the_request(
    sandbox, client_of, tmp_path
):
    vault, session = Vault(), signed_in(sandbox)
    background().run(session.keep, shared(vault, sandbox.url, tmp_path))
    other = background().run(
        Session.stored, service_metadata(sandbox.url), shared(vault, sandbox.url, tmp_path)
    )
    other._source.replace(other._source.current()).result(10)
    sandbox.requests.clear()
    assert (await client_of(session.auth).get(sandbox.url + CREDITS)).status_code == 200
    assert seen(sandbox) == ["GET credits 200"]


def renew(session: Session) -> None:
    session._source.replace(session._source.current()).result(10)


async def test_a_token_renewed_while_a_request_is_under_way_is_adopted_without_a_refresh(
    sandbox, client_of, api
):
    session = signed_in(sandbox)

    def answer(_seen) -> Answer:
        if len(api.seen) == 1:
            renew(session)
            return Answer(401)
        return Answer()

    api.answer = answer
    assert (await client_of(auth_at(api, session)).get(api.url)).status_code == 200
    assert len(set(api.tokens)) == 2
    assert refreshes(sandbox) == 1


async def test_an_adopted_token_that_is_refused_too_is_renewed_and_that_is_the_third_send(
    sandbox, client_of, api
):
    session = signed_in(sandbox)

    def answer(_seen) -> Answer:
        if len(api.seen) == 1:
            renew(session)
        return Answer(401)

    api.answer = answer
    assert (await client_of(auth_at(api, session)).get(api.url)).status_code == 401
    assert len(api.tokens) == len(set(api.tokens)) == 3
    assert refreshes(sandbox) == 2


async def test_an_endpoints_own_401_costs_one_refresh_and_can_be_read(sandbox, client_of, api):
    api.answer = lambda _seen: Answer(401, body=b"Not for you.")
    session = signed_in(sandbox)
    response = await client_of(auth_at(api, session)).get(api.url)
    assert (response.status_code, response.text) == (401, "Not for you.")
    assert len(api.tokens) == len(set(api.tokens)) == 2
    assert refreshes(sandbox) == 1
    assert session.state is SessionState.CONNECTED


async def test_a_401_after_a_refresh_ahead_of_the_end_is_returned_without_another(sandbox, client_of, api):
    api.answer = lambda _seen: Answer(401)
    clock = Clock()
    client = client_of(auth_at(api, signed_in(sandbox, clock=clock)))
    clock.now += 3600
    assert (await client.get(api.url)).status_code == 401
    assert len(api.tokens) == refreshes(sandbox) == 1


async def test_a_grant_that_is_gone_raises_one_line_that_holds_no_token(sandbox, client_of):
    session = signed_in(sandbox)
    token = str(session._source.current().access_token)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    client = client_of(session.auth)
    for _ in range(2):
        with pytest.raises(ic.SignInRequired, match=r"has ended.*Connect again") as ended:
            await client.get(sandbox.url + CREDITS)
        (line,) = ended.value._render_traceback_()
        assert "\n" not in line
        assert token not in line + "".join(traceback.format_exception(ended.value))
    assert seen(sandbox) == ["GET credits 401", "POST token 400"]


async def test_a_refresh_that_the_network_loses_lets_a_living_token_go_on(sandbox, client_of):
    clock = Clock()
    client = client_of(signed_in(sandbox, clock=clock, transport=impatient()).auth)
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600 - 30
    assert (await client.get(sandbox.url + CREDITS)).status_code == 200
    clock.now += 30
    with pytest.raises(ic.ServiceUnavailable):
        await client.get(sandbox.url + CREDITS)


async def test_a_call_whose_refresh_failed_does_not_try_a_second_one_on_a_401(sandbox, client_of):
    clock = Clock()
    client = client_of(signed_in(sandbox, clock=clock, transport=impatient()).auth)
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    sandbox.store.end_access_tokens()
    clock.now += 3600 - 30
    with pytest.raises(ic.ServiceUnavailable):
        await client.get(sandbox.url + CREDITS)
    one_refresh = 4  # sends, since its answer was lost each time
    assert refreshes(sandbox) == one_refresh


@pytest.mark.parametrize(
    "body",
    [{"json": {"a": 1}}, {"data": {"a": "1"}}, {"content": b"octets"}, {"content": "text"}, {"content": b""}],
    ids=["json", "form", "bytes", "text", "empty"],
)
async def test_a_body_that_can_be_read_twice_is_sent_again_in_full(sandbox, client_of, api, body):
    api.answer = lambda _seen: Answer(401 if len(api.seen) == 1 else 200)
    client = client_of(auth_at(api, signed_in(sandbox)))
    assert (await client.request("POST", api.url, **body)).status_code == 200
    first, second = api.seen
    assert first.body == second.body
    assert first.body or body == {"content": b""}


async def slowly():
    yield b"octets"


@pytest.mark.parametrize("what", ["generator", "file"])
async def test_a_body_that_cannot_be_read_twice_is_not_resent_but_the_token_is_renewed(
    new_sandbox, client_of, kind, tmp_path, what
):
    sandbox = new_sandbox()
    client = client_of(signed_in(sandbox).auth)
    sandbox.store.end_access_tokens()
    (tmp_path / "upload").write_bytes(b"octets")
    with (tmp_path / "upload").open("rb") as file:
        body = slowly() if client.is_async else file if what == "file" else iter([b"octets"])
        with pytest.raises(ic.NotResent, match="Send the request again"):
            await client.get(sandbox.url + CREDITS, content=body)
        assert kind != "requests" or file.tell() == 0
    assert seen(sandbox) == ["GET credits 401", "POST token 200"]
    assert (await client.get(sandbox.url + CREDITS)).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/",
        "http://localhost:{port}" + CREDITS,
        "http://127.0.0.1:1" + CREDITS,
        "https://127.0.0.1:{port}" + CREDITS,
        "http://127.0.0.1.example.com:{port}" + CREDITS,
        "http://127.0.0.1:{port}@example.com" + CREDITS,
    ],
)
async def test_the_token_goes_to_no_other_origin(sandbox, client_of, url):
    url = url.format(port=httpx.URL(sandbox.url).port)
    with pytest.raises(ic.ForeignOrigin, match=rf"{sandbox.url} alone.*client of your own") as foreign:
        await client_of(signed_in(sandbox).auth).get(url)
    assert len(foreign.value._render_traceback_()) == 1
    assert sandbox.requests == []


@pytest.mark.parametrize(
    "url",
    [
        r"{ours}\@example.com/",
        "{ours}#@example.com/",
        "{ours}?@example.com",
        "HTTP{rest}/",
        "http://u:p@{host}/",
    ],
)
async def test_an_odd_address_that_is_let_through_leads_to_our_origin(sandbox, client_of, api, url):
    host = api.url.partition("//")[2]
    url = url.format(ours=api.url, rest=api.url.removeprefix("http"), host=host)
    with contextlib.suppress(ic.ForeignOrigin, httpx.InvalidURL, httpx2.InvalidURL, ValueError):
        assert (await client_of(auth_at(api, signed_in(sandbox))).get(url)).status_code == 200
        assert len(api.seen) == 1


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_to_another_origin_carries_no_token_and_its_401_is_its_own(
    sandbox, client_of, api, elsewhere, status
):
    api.answer = lambda _seen: Answer(status, {"Location": elsewhere.url + "/there"})
    elsewhere.answer = lambda _seen: Answer(401)
    client = client_of(auth_at(api, signed_in(sandbox)))
    assert (await client.get(api.url)).status_code == 401
    assert elsewhere.tokens == [None]
    assert len(api.seen) == 1
    assert refreshes(sandbox) == 0


async def test_a_401_that_has_seen_no_token_is_no_reason_to_renew_it(sandbox, client_of, api, elsewhere):
    api.answer = lambda seen: (
        Answer(401) if seen.path == "/back" else Answer(302, {"Location": elsewhere.url})
    )
    elsewhere.answer = lambda _seen: Answer(302, {"Location": api.url + "/back"})
    client = client_of(auth_at(api, signed_in(sandbox)))
    assert (await client.get(api.url)).status_code == 401
    assert api.tokens[1:] == [None]
    assert refreshes(sandbox) == 0


async def test_a_redirect_within_the_origin_carries_the_token_that_a_refresh_gave(sandbox, client_of, api):
    def answer(seen) -> Answer:
        if len(api.seen) == 1:
            return Answer(401)
        return Answer() if seen.path == "/b" else Answer(302, {"Location": "/b"})

    api.answer = answer
    assert (await client_of(auth_at(api, signed_in(sandbox))).get(api.url + "/a")).status_code == 200
    assert [one.path for one in api.seen] == ["/a", "/a", "/b"]
    first, second, third = api.tokens
    assert first != second == third
    assert refreshes(sandbox) == 1


async def test_a_call_has_one_refresh_even_where_a_redirect_leads_to_another_401(sandbox, client_of, api):
    refusals = iter([True])
    api.answer = lambda seen: (
        Answer(401) if seen.path == "/b" or next(refusals, False) else Answer(302, {"Location": "/b"})
    )
    client = client_of(auth_at(api, signed_in(sandbox)))
    assert (await client.get(api.url + "/a")).status_code == 401
    assert refreshes(sandbox) == 1


async def test_an_answer_can_be_read_piece_by_piece_after_a_refresh(sandbox, client_of, api):
    api.answer = lambda _seen: Answer(401) if len(api.seen) == 1 else Answer(200, body=b"x" * 100_000)
    client = client_of(auth_at(api, signed_in(sandbox)))
    assert await client.streamed(api.url) == (200, b"x" * 100_000, False)
    api.answer = lambda _seen: Answer(401, body=b"Not for you.")
    assert await client.streamed(api.url) == (401, b"Not for you.", False)


def stale_session(sandbox, *, delay: float) -> Session:
    session = signed_in(sandbox)
    sandbox.store.end_access_tokens()
    turn(sandbox, token_delay=delay)
    return session


async def test_a_calls_own_time_limit_bounds_its_wait_for_a_refresh_which_goes_on(sandbox, client_of):
    session = stale_session(sandbox, delay=0.8)
    first = session._source.current()
    with pytest.raises(ic.ServiceUnavailable, match=r"limit of 0\.2 s.*send the call again"):
        await client_of(session.auth, timeout=0.2).get(sandbox.url + CREDITS)
    assert session._source.current() is first
    assert (await client_of(session.auth).get(sandbox.url + CREDITS)).status_code == 200
    assert refreshes(sandbox) == 1


async def test_a_call_without_a_time_limit_waits_for_its_refresh(sandbox, client_of):
    session = stale_session(sandbox, delay=0.5)
    assert (await client_of(session.auth, timeout=None).get(sandbox.url + CREDITS)).status_code == 200
    assert refreshes(sandbox) == 1


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.endswith("async")], indirect=True)
async def test_a_refresh_goes_on_when_its_caller_is_cancelled(sandbox, client_of):
    session = stale_session(sandbox, delay=0.5)
    client = client_of(session.auth)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(client.get(sandbox.url + CREDITS), 0.25)
    assert (await client.get(sandbox.url + CREDITS)).status_code == 200
    assert refreshes(sandbox) == 1


def test_session_auth_is_an_auth_of_every_library_that_has_a_class_for_it(sandbox):
    session = signed_in(sandbox)
    client = session.client()
    auth = session.auth
    assert client.auth is auth
    assert isinstance(auth, httpx.Auth)
    assert isinstance(auth, httpx2.Auth)
    assert auth is session.auth
    assert repr(auth) == f"<SessionAuth for {sandbox.url}>"
    assert re.fullmatch(r"<class '[\w.]+\.SessionAuth'>", repr(type(auth)))
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="is not copied"):
            duplicate(auth)


def test_a_client_that_knows_no_such_auth_is_told_so_and_sends_nothing(sandbox):
    with pytest.raises(TypeError, match="does not know this HTTP client"):
        signed_in(sandbox).auth(httpx.Request("GET", sandbox.url))


ABSENT = """
import importlib.abc, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("httpx2", "requests"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
"""
SESSION = """
import sys, httpx
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.sessions.session import Session
session = Session.from_environment(service_metadata("https://api.example.com"), "t")
"""


@pytest.mark.parametrize(
    "script",
    [
        SESSION + "session.client().close(); assert not {'httpx2', 'requests'} & set(sys.modules)",
        SESSION + "auth = session.auth; assert 'requests' not in sys.modules\n"
        "import httpx2; assert isinstance(auth, httpx2.Auth) and isinstance(auth, httpx.Auth)",
        ABSENT + SESSION + "assert type(session.auth).__mro__[1] is httpx.Auth",
        ABSENT + SESSION + "auth = session.auth; sys.meta_path.pop(0)\n"
        "import httpx2; assert isinstance(session.auth, httpx2.Auth) and isinstance(auth, httpx2.Auth)",
        "import httpx2; httpx2.alias_httpx()\n" + SESSION + "assert isinstance(session.auth, httpx2.Auth)",
    ],
    ids=["not before it is asked for", "imported later", "absent", "installed later", "in place of httpx"],
)
def test_the_other_libraries_are_imported_only_where_they_are_installed_and_the_auth_is_asked_for(script):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=40, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
