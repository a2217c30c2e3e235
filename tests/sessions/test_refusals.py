"""What a refused call says: one readable line for each of the service's error shapes, and never a 5xx body."""

from __future__ import annotations

import pickle

import httpx
import pytest

import ic_notebook as ic
from tests.sessions.pacing import Passing
from tests.sessions.people import signed_in

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def session(shared_sandbox):
    return signed_in(shared_sandbox)


SHAPES = {
    "detail": ({"detail": "No such handle."}, "No such handle"),
    "message": ({"message": "No such handle."}, "No such handle"),
    "error, text": ({"error": "No such handle."}, "No such handle"),
    "error, list": ({"error": ["No such handle.", "Nor platform."]}, "No such handle.; Nor platform"),
    "error, object": ({"error": {"message": "No such handle."}}, "No such handle"),
    "error, object of fields": ({"error": {"handle": ["Unknown."]}}, "handle: Unknown"),
    "fields": ({"handle": ["This field is required."]}, "handle: This field is required"),
    "response_meta": ({"response_meta": {"error_message": "No such handle."}}, "No such handle"),
    "a bare list": (["No such handle."], "No such handle"),
}


def answering(status: int, **body) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _request: httpx.Response(status, **body))


async def refusal(caller, session, transport, path="/public/v1/discovery/") -> ic.APIError:
    response = await caller(session, transport=transport, pace=Passing().pace).request("POST", path)
    with pytest.raises(ic.APIError) as caught:
        response.raise_for_status()
    return caught.value


@pytest.mark.parametrize("shape", SHAPES)
async def test_each_shape_of_an_error_gives_one_readable_line(session, caller, shape):
    body, words = SHAPES[shape]
    error = await refusal(caller, session, answering(400, json=body))
    assert str(error) == f"POST /public/v1/discovery/: 400 Bad Request: {words}. Check what the call sends."
    assert error.status_code == 400
    assert words in error.reason


async def test_it_is_also_what_httpx_raises(session, caller):
    error = await refusal(caller, session, answering(404, json={"detail": "Not found."}))
    assert isinstance(error, httpx.HTTPStatusError)
    assert error.response.status_code == 404
    assert error.request.url.path == "/public/v1/discovery/"
    assert "end with a slash" in str(error)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599])
@pytest.mark.parametrize(
    "body", [{"json": {"detail": "PRIVATE"}}, {"html": "<h1>PRIVATE</h1>"}], ids=["json", "html"]
)
async def test_the_body_of_a_5xx_is_never_shown(session, caller, status, body):
    error = await refusal(caller, session, answering(status, **body))
    assert "PRIVATE" not in f"{error} {error!r} {error.reason}"
    assert "try again later" in str(error)
    assert "  " not in str(error)
    assert " ." not in str(error)


@pytest.mark.parametrize("status", [300, 302, 400, 401, 402, 403, 404, 409, 418, 422, 429])
@pytest.mark.parametrize("body", [{}, {"text": "not JSON"}, {"json": 7}], ids=["none", "text", "number"])
async def test_a_refusal_without_words_still_says_what_and_where(session, caller, status, body):
    error = await refusal(caller, session, answering(status, **body))
    assert str(error).startswith(f"POST /public/v1/discovery/: {status} ")
    assert error.reason is None
    assert "\n" not in str(error)


async def test_line_breaks_and_directions_of_the_service_do_not_reach_the_screen(session, caller):
    body = {"detail": "One\nline\u202e only\x1b[31m." + "x" * 1000}
    error = await refusal(caller, session, answering(400, json=body), path="/a%0Ab/")
    assert len(str(error)) < 400
    assert str(error).isprintable()


async def test_a_token_that_the_service_echoes_is_not_shown(session, caller):
    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"detail": f"Bad token {request.headers['authorization']}"})

    error = await refusal(caller, session, httpx.MockTransport(echo))
    assert session.access_token() not in f"{error} {error!r} {vars(error)!r}"


async def test_a_token_in_the_reason_phrase_or_the_path_is_not_shown(session, caller):
    token = session.access_token()

    def echo(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, extensions={"reason_phrase": f"Bad {token}".encode()})

    error = await refusal(caller, session, httpx.MockTransport(echo), path=f"/{token}/")
    assert str(error) == "POST /…/: 400 Bad …. Check what the call sends."


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b'"deep"' + b"]" * 100_000,
        b'{"detail": ' * 1_000 + b'"deep"' + b"}" * 1_000,
        b'{"detail": "' + b"x" * 5_000_000 + b'"}',
        b'{"detail": ' + b"9" * 10_000 + b"}",
        b'{"detail": "\\ud800\\u0000\\u001b[2J"}',
        b"\xff\xfe{",
        b'{"detail": NaN}',
    ],
    ids=["deep lists", "deep objects", "huge", "huge number", "controls", "no text", "not a number"],
)
async def test_a_hostile_body_leaves_one_short_line(session, caller, content):
    error = await refusal(caller, session, answering(400, content=content))
    assert str(error).isprintable()
    assert len(str(error)) < 400
    assert str(error).startswith("POST /public/v1/discovery/: 400 Bad Request")


async def test_a_limit_that_is_reached_says_what_the_service_says_and_when_to_come_back(session, caller):
    body = {"json": {"detail": "Request was throttled."}, "headers": {"retry-after": "300"}}
    error = await refusal(caller, session, answering(429, **body))
    assert str(error) == (
        "POST /public/v1/discovery/: 429 Too Many Requests: Request was throttled. "
        "The account's limit of calls a minute is reached. Try again in 5 min."
    )


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("GET /public/v1/nothing/", "404 Not Found. Check the path"),
        ("POST /public/v1/accounts/credits/", "405 Method Not Allowed"),
        ("DELETE /public/v1/oauth/apps/999/", "404 Not Found. Check the path"),
    ],
)
async def test_the_sandbox_is_understood(session, caller, call, words):
    answer = await caller(session).request(*call.split())
    with pytest.raises(ic.APIError) as caught:
        answer.raise_for_status()
    assert str(caught.value).startswith(f"{call}: {words}")


async def test_a_status_alone_never_raises_and_a_success_gives_the_response(session, caller):
    client = caller(session)
    assert (await client.get("/public/v1/nothing/")).status_code == 404
    response = await client.get()
    assert response.raise_for_status() is response


async def test_a_refused_stream_is_explained_though_it_was_not_read(session, kind):
    if kind == "sync":
        with (
            session.client().stream("GET", "/public/v1/nothing/") as response,
            pytest.raises(ic.APIError, match="404"),
        ):
            response.raise_for_status()
    else:
        async with session.async_client() as client, client.stream("GET", "/public/v1/nothing/") as response:
            with pytest.raises(ic.APIError, match="404"):
                response.raise_for_status()


async def test_a_pickled_refusal_keeps_its_words_and_leaves_the_token_behind(session, caller):
    error = await refusal(caller, session, answering(400, json={"detail": "No."}))
    pickled = pickle.dumps(error)
    assert session.access_token().encode() not in pickled
    again = pickle.loads(pickled)
    assert isinstance(again, ic.APIError)
    assert (str(again), again.status_code, again.reason) == (str(error), 400, "No.")
