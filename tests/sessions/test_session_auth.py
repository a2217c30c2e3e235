"""SessionAuth, by decisions 3 and 4 of the design: one rule for the sync and the async client."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.token_source import NOT_RENEWABLE, REST
from tests.sessions.people import CREDITS, TOKEN, Clock, impatient, refreshes, seen, signed_in

pytestmark = pytest.mark.anyio


def turn(sandbox, **switches) -> None:
    sandbox.settings = dataclasses.replace(sandbox.settings, **switches)


async def test_a_request_carries_the_access_token(sandbox, caller):
    response = await caller(signed_in(sandbox)).get()
    assert response.status_code == 200
    assert seen(sandbox) == ["GET credits 200"]


async def test_a_token_is_renewed_ahead_of_its_end(sandbox, caller):
    clock = Clock()
    client = caller(signed_in(sandbox, clock=clock))
    clock.now += 3600 - 61
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 0
    clock.now += 2
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 200", "POST token 200", "GET credits 200"]
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 1


async def test_the_monotonic_clock_tells_the_age_where_the_wall_clock_was_set_back(sandbox, caller):
    wall, monotonic = Clock(), Clock()
    client = caller(signed_in(sandbox, clock=wall, monotonic=monotonic))
    wall.now -= 86_400
    monotonic.now += 3600
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["POST token 200", "GET credits 200"]


async def test_the_leeway_shrinks_with_the_lifetime(sandbox, caller):
    turn(sandbox, access_token_lifetime=20)
    clock = Clock()
    client = caller(signed_in(sandbox, clock=clock))
    clock.now += 17
    await client.get()
    assert refreshes(sandbox) == 0
    clock.now += 1.5
    await client.get()
    assert refreshes(sandbox) == 1


async def test_a_401_is_answered_by_one_refresh_and_the_same_request_again(sandbox, caller):
    client = caller(signed_in(sandbox))
    sandbox.store.end_access_tokens()
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 200", "GET credits 200"]


async def test_a_refresh_token_that_does_not_rotate_is_used_again(sandbox, caller):
    turn(sandbox, rotation=False, without=frozenset({"scope"}))
    client = caller(signed_in(sandbox))
    for _ in range(2):
        sandbox.store.end_access_tokens()
        assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 2


def renewing_once(session, sandbox, *, and_then=lambda: None):
    """A hook by which somebody else renews the token while the first request is on its way."""
    done = []

    def hook(_request: httpx.Request) -> None:
        if not done:
            done.append(True)
            session._source.renew(session._source.current()).result(10)
            and_then()

    return hook


async def test_a_newer_token_is_adopted_without_a_refresh(sandbox, caller):
    session = signed_in(sandbox)
    client = caller(session, before_send=renewing_once(session, sandbox))
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["POST token 200", "GET credits 401", "GET credits 200"]


async def test_an_adopted_token_that_is_refused_too_is_renewed_and_that_is_the_third_send(sandbox, caller):
    session = signed_in(sandbox)
    hook = renewing_once(session, sandbox, and_then=sandbox.store.end_access_tokens)
    client = caller(session, before_send=hook)
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == [
        "POST token 200",
        "GET credits 401",
        "GET credits 401",
        "POST token 200",
        "GET credits 200",
    ]


class Refusing:
    """An endpoint that answers 401 whatever the token is; the sandbox has none."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.tokens.append(request.headers["authorization"])
        return httpx.Response(401, json={"detail": "Not for you."})


async def test_a_401_right_after_this_calls_own_refresh_is_returned(sandbox, caller):
    endpoint = Refusing()
    response = await caller(signed_in(sandbox), transport=httpx.MockTransport(endpoint)).get()
    assert response.status_code == 401
    assert len(endpoint.tokens) == len(set(endpoint.tokens)) == 2
    assert refreshes(sandbox) == 1


async def test_a_401_after_a_refresh_ahead_of_the_end_is_returned_without_another(sandbox, caller):
    clock, endpoint = Clock(), Refusing()
    client = caller(signed_in(sandbox, clock=clock), transport=httpx.MockTransport(endpoint))
    clock.now += 3600
    assert (await client.get()).status_code == 401
    assert len(endpoint.tokens) == 1
    assert refreshes(sandbox) == 1


async def test_a_grant_that_is_gone_raises_sign_in_required_then_and_ever_after(sandbox, caller):
    session = signed_in(sandbox)
    client = caller(session)
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    with pytest.raises(ic.SignInRequired, match=r"has ended.*Connect again"):
        await client.get()
    assert session.state is SessionState.ENDED
    assert seen(sandbox) == ["GET credits 401", "POST token 400"]
    with pytest.raises(ic.SignInRequired, match="has ended"):
        await client.get()
    assert len(sandbox.requests) == 2


async def test_a_dropped_client_ends_the_sign_in(sandbox, caller):
    session = signed_in(sandbox)
    sandbox.store.end_client(session._source.current().client_id)
    with pytest.raises(ic.SignInRequired):
        await caller(session).get()
    assert session.state is SessionState.ENDED


async def test_a_refused_token_that_nothing_can_renew_raises_and_ends_by_a_call_that_all_may_make(
    sandbox, caller
):
    turn(sandbox, without=frozenset({"refresh_token"}))
    session = signed_in(sandbox)
    client = caller(session)
    assert (await client.get()).status_code == 200
    sandbox.store.end_access_tokens()
    for _ in range(2):
        with pytest.raises(ic.SignInRequired, match="Connect again"):
            await client.get()
    # An endpoint may refuse for its own reasons; the credits of the account it cannot.
    assert session.state is SessionState.CONNECTED
    with pytest.raises(ic.SignInRequired, match="Connect again"):
        session.credits()
    assert session.state is SessionState.ENDED
    assert not session.status.connected
    assert session.status.problem == NOT_RENEWABLE


async def test_a_token_that_nothing_can_renew_ends_the_sign_in_when_its_time_is_over(sandbox, caller):
    turn(sandbox, without=frozenset({"refresh_token"}), access_token_lifetime=100)
    clock = Clock()
    session = signed_in(sandbox, clock=clock)
    clock.now += 101
    sandbox.store.end_access_tokens()
    with pytest.raises(ic.SignInRequired, match="Connect again"):
        await caller(session).get()
    assert session.state is SessionState.ENDED


async def test_a_session_that_is_forgotten_during_a_call_raises_instead_of_the_401(sandbox, caller):
    session = signed_in(sandbox)

    def forgotten(_request: httpx.Request) -> None:
        if session.state is SessionState.CONNECTED:
            sandbox.store.end_access_tokens()
            session.forget()

    with pytest.raises(ic.SignInRequired, match="Nobody is signed in"):
        await caller(session, before_send=forgotten).get()


async def test_a_refresh_that_the_network_loses_lets_a_living_token_go_on(sandbox, caller):
    clock = Clock()
    client = caller(signed_in(sandbox, clock=clock, transport=impatient()))
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600 - 30
    assert (await client.get()).status_code == 200
    assert seen(sandbox)[-1] == "GET credits 200"


async def test_a_renewal_that_failed_does_not_hold_up_the_next_call_while_the_token_lives(sandbox, caller):
    clock, monotonic = Clock(), Clock()
    session = signed_in(sandbox, clock=clock, monotonic=monotonic, transport=impatient())
    client = caller(session)
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600 - 30
    for _ in range(2):
        assert (await client.get()).status_code == 200
    one_refresh = 4  # sends, since its answer was lost each time
    assert refreshes(sandbox) == one_refresh
    turn(sandbox, faults=Faults())
    monotonic.now += REST
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == one_refresh + 1


async def test_an_odd_answer_to_a_refresh_lets_a_living_token_go_on(sandbox, caller):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient(http=httpx.MockTransport(captive_portal)))
    clock.now += 3600 - 30
    assert (await caller(session).get()).status_code == 200
    assert session.access_token()
    clock.now += 30
    with pytest.raises(ic.UnexpectedAnswer):
        await caller(session).get()


def captive_portal(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, stream=httpx.ByteStream(b"<h1>Accept the terms of this hotel</h1>"))


async def test_a_token_that_has_ended_and_cannot_be_renewed_raises_service_unavailable(sandbox, caller):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient())
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    clock.now += 3600
    with pytest.raises(ic.ServiceUnavailable):
        await caller(session).get()
    assert "GET credits 200" not in seen(sandbox)
    assert session.state is SessionState.CONNECTED
    turn(sandbox, faults=Faults())
    assert (await caller(session).get()).status_code == 200


async def test_a_call_whose_refresh_failed_does_not_try_a_second_one_on_a_401(sandbox, caller):
    clock = Clock()
    session = signed_in(sandbox, clock=clock, transport=impatient())
    turn(sandbox, faults=Faults(fraction=1, paths=(TOKEN,)))
    sandbox.store.end_access_tokens()
    clock.now += 3600 - 30
    with pytest.raises(ic.ServiceUnavailable):
        await caller(session).get()
    one_refresh = 4  # sends, since its answer was lost each time
    assert refreshes(sandbox) == one_refresh


async def test_a_refresh_whose_answer_was_lost_is_sent_again(sandbox, caller):
    turn(sandbox, refresh_grace=60)
    client = caller(signed_in(sandbox, transport=impatient()))
    sandbox.store.end_access_tokens()
    turn(sandbox, faults=Faults(count=1, paths=(TOKEN,), stage="after"))
    assert (await client.get()).status_code == 200
    assert seen(sandbox) == ["GET credits 401", "POST token 503", "POST token 200", "GET credits 200"]


class Echo:
    """Refuses the first request, then keeps what is sent; the sandbox has no call that takes a body."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        return httpx.Response(401 if len(self.bodies) == 1 else 200)


@pytest.mark.parametrize(
    "body",
    [{"json": {"a": 1}}, {"data": {"a": "1"}}, {"content": b"octets"}, {"content": "text"}, {"content": b""}],
    ids=["json", "form", "bytes", "text", "empty"],
)
async def test_a_body_that_can_be_read_twice_is_sent_again_in_full(sandbox, caller, body):
    endpoint = Echo()
    client = caller(signed_in(sandbox), transport=httpx.MockTransport(endpoint))
    assert (await client.request("POST", "/public/v1/discovery/", **body)).status_code == 200
    first, second = endpoint.bodies
    assert first == second


def one_time_body(what: str, kind: str, path):
    path.write_bytes(b"octets")
    if what == "multipart":
        return {"files": {"upload": path.open("rb")}}
    if what == "file":
        return {"content": path.open("rb")} if kind == "sync" else {"content": slowly()}
    return {"content": iter([b"octets"])} if kind == "sync" else {"content": slowly()}


async def slowly():
    yield b"octets"


@pytest.mark.parametrize("what", ["generator", "file", "multipart"])
async def test_a_body_that_cannot_be_read_twice_is_not_resent_but_the_token_is_renewed(
    sandbox, caller, kind, tmp_path, what
):
    client = caller(signed_in(sandbox))
    sandbox.store.end_access_tokens()
    body = one_time_body(what, kind, tmp_path / "upload")
    with pytest.raises(ic.NotResent, match="Send the request again"):
        await client.get(**body)
    for value in body.values():
        for file in value.values() if isinstance(value, dict) else [value]:
            getattr(file, "close", lambda: None)()
    assert seen(sandbox) == ["GET credits 401", "POST token 200"]
    assert (await client.get()).status_code == 200
    assert refreshes(sandbox) == 1


async def test_a_body_that_cannot_be_read_twice_is_not_resent_with_an_adopted_token_either(
    sandbox, caller, kind
):
    session = signed_in(sandbox)
    client = caller(session, before_send=renewing_once(session, sandbox))
    with pytest.raises(ic.NotResent):
        await client.get(**({"content": iter([b"x"])} if kind == "sync" else {"content": slowly()}))
    assert (await client.get()).status_code == 200


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
async def test_the_token_goes_to_no_other_origin(sandbox, caller, url):
    url = url.format(port=httpx.URL(sandbox.url).port)
    endpoint = Refusing()
    with pytest.raises(ic.ForeignOrigin, match=rf"{sandbox.url} alone.*client of your own"):
        await caller(signed_in(sandbox), transport=httpx.MockTransport(endpoint)).get(url)
    assert endpoint.tokens == []


async def test_a_client_with_another_base_url_sends_no_token_there(sandbox, caller):
    with pytest.raises(ic.ForeignOrigin):
        await caller(signed_in(sandbox), base_url="https://example.com").get()


async def test_a_redirect_to_another_origin_carries_no_token_and_its_401_is_its_own(sandbox, caller):
    arrived = []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        if request.url.host == "example.com":
            arrived.append(request.headers.get("authorization"))
            return httpx.Response(401)
        return httpx.Response(302, headers={"location": "https://example.com/"})

    session = signed_in(sandbox)
    client = caller(session, transport=httpx.MockTransport(elsewhere), follow_redirects=True)
    assert (await client.get()).status_code == 401
    assert arrived == [None]
    assert refreshes(sandbox) == 0


async def test_a_redirect_within_the_origin_keeps_the_token(sandbox, caller):
    arrived = []

    def within(request: httpx.Request) -> httpx.Response:
        arrived.append(request.headers.get("authorization"))
        return (
            httpx.Response(302, headers={"location": "/b/"})
            if request.url.path == "/a/"
            else httpx.Response(200)
        )

    client = caller(signed_in(sandbox), transport=httpx.MockTransport(within), follow_redirects=True)
    assert (await client.get("/a/")).status_code == 200
    assert len(arrived) == 2
    assert arrived[0] == arrived[1]


async def test_session_auth_works_in_a_client_of_ones_own(sandbox, kind):
    auth = signed_in(sandbox).auth
    sandbox.store.end_access_tokens()
    if kind == "sync":
        with httpx.Client(auth=auth, base_url=sandbox.url, trust_env=False) as client:
            assert client.get(CREDITS).status_code == 200
    else:
        async with httpx.AsyncClient(auth=auth, base_url=sandbox.url, trust_env=False) as client:
            assert (await client.get(CREDITS)).status_code == 200


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_session_auth_is_not_copied(sandbox, duplicate):
    with pytest.raises(TypeError, match="is not copied"):
        duplicate(signed_in(sandbox).auth)
