"""What a session makes of answers that the service was not seen to give, but may."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.sessions.stored_tokens import StoredTokens
from tests.sessions.people import CREDITS, Clock, impatient

pytestmark = pytest.mark.anyio

BASE_URL = "https://api.example.com"


def answering(status: int, **body) -> Session:
    """A session whose service gives this one answer to whatever it is asked."""
    content = json.dumps(body["json"]) if "json" in body else body.get("text", "")

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, stream=httpx.ByteStream(content.encode()), headers=body.get("headers"))

    return session_over(httpx.MockTransport(answer), clock=Clock())


def session_over(http: httpx.MockTransport, *, clock: Clock) -> Session:
    transport = impatient(http=http)
    tokens = TokenSet(
        access_token=Secret("ACCESS-1"),
        refresh_token=Secret("REFRESH-1"),
        lifetime=3600.0,
        obtained_at=clock(),
        client_id="c",
    )
    server = service_metadata(BASE_URL)
    source = StoredTokens(server, tokens, transport=transport, clock=clock, monotonic=lambda: 0.0)
    return Session(server, source, transport=transport)


@pytest.mark.parametrize(
    ("answer", "number"), [(7, 7.0), (0, 0.0), ("10.00", 10.0), (627.13, 627.13), (-1, -1.0)], ids=repr
)
def test_credits_may_be_a_number_or_a_text_of_one(answer, number):
    assert answering(200, json={"credits_available": answer}).credits() == number


@pytest.mark.parametrize(
    "answer", [None, "many", [1], {}, "NaN", "inf", 10**400], ids=lambda value: repr(value)[:12]
)
def test_credits_that_are_no_number_are_refused(answer):
    with pytest.raises(ic.UnexpectedAnswer, match="no number"):
        answering(200, json={"credits_available": answer}).credits()


@pytest.mark.parametrize("text", ["", "<h1>Sign in to this hotel</h1>", "[]", "7"])
def test_an_answer_that_is_no_json_object_is_refused(text):
    with pytest.raises(ic.UnexpectedAnswer, match="JSON object"):
        answering(200, text=text).credits()


@pytest.mark.parametrize("call", ["credits", "apps"])
def test_a_403_says_what_the_service_said(call):
    with pytest.raises(ic.UnexpectedAnswer, match="Not for this account"):
        getattr(answering(403, json={"detail": "Not for this account."}), call)()


@pytest.mark.parametrize("call", ["credits", "apps"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_service_that_cannot_answer_is_unavailable(call, status):
    with pytest.raises(ic.ServiceUnavailable) as caught:
        getattr(answering(status, text="PRIVATE"), call)()
    assert caught.value.status_code == status
    assert "PRIVATE" not in str(caught.value)


def test_a_server_without_a_list_of_apps_says_so_and_disconnect_only_forgets():
    from dataclasses import replace

    session = answering(200)
    session._server = replace(session._server, connected_apps_endpoint=None)
    with pytest.raises(ic.ConfigurationError, match="announces no list"):
        session.apps()
    assert not session.disconnect().confirmed
    assert session.state is SessionState.DISCONNECTED


class Service:
    """An API whose token has ended, and a token endpoint that refuses with one error."""

    def __init__(self, error: str, status: int) -> None:
        self.error, self.status, self.asked = error, status, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token/"):
            self.asked += 1
            content = json.dumps({"error": self.error}).encode()
            return httpx.Response(self.status, stream=httpx.ByteStream(content))
        return httpx.Response(401, stream=httpx.ByteStream(b""))


async def call(session: Session, kind: str, service: Service) -> httpx.Response:
    http = httpx.MockTransport(service)
    if kind == "sync":
        with session.client(transport=http) as client:
            return await asyncio.to_thread(client.get, CREDITS)
    async with session.async_client(transport=http) as client:
        return await client.get(CREDITS)


@pytest.mark.parametrize(
    ("error", "status"), [("invalid_grant", 400), ("invalid_client", 401), ("unauthorized_client", 400)]
)
async def test_an_error_that_ends_the_grant_ends_the_session(kind, error, status):
    service = Service(error, status)
    session = session_over(httpx.MockTransport(service), clock=Clock())
    with pytest.raises(ic.SignInRequired):
        await call(session, kind, service)
    assert session.state is SessionState.ENDED
    assert service.asked == 1


@pytest.mark.parametrize("error", ["invalid_request", "temporarily_unavailable", "server_error", "slow_down"])
async def test_any_other_error_of_a_refresh_is_told_and_the_session_stands(kind, error):
    service = Service(error, 400)
    session = session_over(httpx.MockTransport(service), clock=Clock())
    with pytest.raises(ic.OAuthError, match=error):
        await call(session, kind, service)
    assert session.state is SessionState.CONNECTED
    assert service.asked == 1
