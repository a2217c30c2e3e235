from __future__ import annotations

import json
import math
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from ic_notebook.errors import ICNotebookError, OAuthError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.flow import Flow, Repeat, repeat_of
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import exchange_code, refresh
from tests.oauth.flows import SERVER, answered, authorization_request, message_of, sent_by

OLD = TokenSet(
    access_token=Secret("OLD-ACCESS"),
    refresh_token=Secret("OLD-REFRESH"),
    lifetime=60,
    obtained_at=5,
    scope="all",
    client_id="client-1",
)
FULL = {
    "access_token": "NEW-ACCESS",
    "refresh_token": "NEW-REFRESH",
    "token_type": "Bearer",
    "expires_in": 3600,
    "scope": "all",
}


def exchange(**options: Any) -> Flow[TokenSet]:
    response = AuthorizationResponse(code=Secret("THE-CODE"))
    return exchange_code(response, to=authorization_request(), now=100.0, **options)


def renew(**options: Any) -> Flow[TokenSet]:
    return refresh(SERVER, OLD, now=100.0, **options)


def exchanged(answer: object, status: int = 200) -> TokenSet:
    tokens: TokenSet = answered(exchange(), httpx.Response(status, content=json.dumps(answer)))
    return tokens


def test_code_is_exchanged_by_a_form_that_is_never_repeated() -> None:
    request = sent_by(exchange())
    assert (request.method, str(request.url)) == ("POST", SERVER.token_endpoint)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in request.headers
    assert repeat_of(request) is Repeat.NEVER
    assert parse_qs(request.content.decode(), strict_parsing=True) == {
        "grant_type": ["authorization_code"],
        "code": ["THE-CODE"],
        "code_verifier": ["V" * 43],
        "client_id": ["client-1"],
        "redirect_uri": ["http://127.0.0.1:8765/callback"],
    }


def test_refresh_is_a_form_without_scope_that_is_repeated_where_its_answer_was_lost() -> None:
    request = sent_by(renew())
    assert repeat_of(request) is Repeat.IF_LOST
    assert parse_qs(request.content.decode(), strict_parsing=True) == {
        "grant_type": ["refresh_token"],
        "refresh_token": ["OLD-REFRESH"],
        "client_id": ["client-1"],
    }


def test_both_grants_are_written_as_json_where_asked() -> None:
    for flow, names in (
        (exchange(encoding="json"), {"grant_type", "code", "code_verifier", "client_id", "redirect_uri"}),
        (renew(encoding="json"), {"grant_type", "refresh_token", "client_id"}),
    ):
        request = sent_by(flow)
        assert request.headers["content-type"] == "application/json"
        assert set(json.loads(request.content)) == names


def test_full_answer_gives_a_full_token_set() -> None:
    assert exchanged(FULL) == TokenSet(
        access_token=Secret("NEW-ACCESS"),
        refresh_token=Secret("NEW-REFRESH"),
        lifetime=3600.0,
        obtained_at=100.0,
        scope="all",
        client_id="client-1",
        issuer=SERVER.issuer,
        signed_in_at=100.0,
    )


def test_access_token_alone_is_enough() -> None:
    tokens = exchanged({"access_token": "NEW-ACCESS"})
    assert tokens == TokenSet(
        access_token=Secret("NEW-ACCESS"),
        obtained_at=100.0,
        client_id="client-1",
        issuer=SERVER.issuer,
        signed_in_at=100.0,
    )
    assert not tokens.expired(age=1e12)
    assert tokens.due_at_age == math.inf


@pytest.mark.parametrize("absent", ["refresh_token", "token_type", "expires_in", "scope"])
def test_each_optional_field_may_be_absent_or_null(absent: str) -> None:
    without = exchanged({name: value for name, value in FULL.items() if name != absent})
    assert without.access_token == "NEW-ACCESS"
    assert exchanged(FULL | {absent: None}) == without


def test_rotated_refresh_token_replaces_the_old_one() -> None:
    tokens = answered(renew(), httpx.Response(200, json=FULL))
    assert tokens.refresh_token == "NEW-REFRESH"
    assert isinstance(tokens.refresh_token, Secret)


@pytest.mark.parametrize("sent", [{}, {"refresh_token": None}, {"refresh_token": ""}, {"refresh_token": 5}])
def test_old_refresh_token_and_scope_are_kept_where_no_new_ones_are_sent(sent: dict[str, Any]) -> None:
    tokens = answered(renew(), httpx.Response(200, json={"access_token": "NEW-ACCESS"} | sent))
    assert tokens.access_token == "NEW-ACCESS"
    assert tokens.refresh_token == "OLD-REFRESH"
    assert tokens.scope == "all"
    assert tokens.client_id == "client-1"
    assert tokens.lifetime is None


@pytest.mark.parametrize(
    ("value", "lifetime"),
    [
        ("3600", 3600.0),
        ("1.5", 1.5),
        ("3600.9", 3600.9),
        (" 60 ", 60.0),
        ('"3600"', 3600.0),
        ("1e3", 1000.0),
        ('"soon"', None),
        ('""', None),
        ("0", None),
        ("-1", None),
        ('"-5"', None),
        ("NaN", None),
        ('"nan"', None),
        ("Infinity", None),
        ('"inf"', None),
        ("1e999", None),
        ("1" + "0" * 400, None),
        ("99999999999999", 315_360_000.0),
        ("true", None),
        ("false", None),
        ("null", None),
        ("[3600]", None),
        ('{"s": 1}', None),
    ],
)
def test_lifetime_is_read_where_it_makes_sense_and_else_unknown(value: str, lifetime: float | None) -> None:
    response = httpx.Response(200, content=f'{{"access_token": "a", "expires_in": {value}}}')
    assert answered(exchange(), response).lifetime == lifetime


@pytest.mark.parametrize(
    ("scope", "read"),
    [
        ("all", "all"),
        ("b  a", "b a"),
        (["a", "b"], "a b"),
        (["a", 5, None], "a"),
        (5, None),
        ({"a": 1}, None),
        (" ".join(f"scope:{n}" for n in range(500)), " ".join(f"scope:{n}" for n in range(500))),
    ],
)
def test_scope_is_read_as_text_or_list_and_not_cut(scope: object, read: str | None) -> None:
    assert exchanged(FULL | {"scope": scope}).scope == read


@pytest.mark.parametrize("scope", ["", "  ", [], [""], [5]])
def test_empty_scope_is_explained(scope: object) -> None:
    with pytest.raises(OAuthError, match="granted no scope") as refusal:
        exchanged(FULL | {"scope": scope})
    assert refusal.value.error == "invalid_scope"
    assert "NEW-ACCESS" not in message_of(refusal.value)


@pytest.mark.parametrize("token_type", ["bearer", "BEARER", "Bearer"])
def test_bearer_is_bearer_in_any_case(token_type: str) -> None:
    assert exchanged(FULL | {"token_type": token_type}).access_token == "NEW-ACCESS"


@pytest.mark.parametrize("token_type", ["DPoP", "mac", "", 5, ["Bearer"]])
def test_token_of_another_type_is_not_used(token_type: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="another type"):
        exchanged(FULL | {"token_type": token_type})


@pytest.mark.parametrize(
    "token",
    [None, "", " ", "a b", "a\r\nX-Evil: 1", "tok\u200ben", "tökén", "\ud800", 5, True, ["a"], "x" * 20_000],
)
def test_token_that_cannot_stand_in_a_header_is_not_used(token: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="no usable access_token"):
        exchanged(FULL | {"access_token": token})
    assert exchanged(FULL | {"refresh_token": token}).refresh_token is None


@pytest.mark.parametrize("grant", ["exchange", "renew"])
@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (httpx.Response(400, json={"error": "invalid_grant"}), OAuthError, "refused with invalid_grant."),
        (
            httpx.Response(401, json={"error": "invalid_client", "error_description": "Who\u202eare you?"}),
            OAuthError,
            "refused with invalid_client: Who are you?",
        ),
        (httpx.Response(400, json={"error": "x" * 500}), UnexpectedAnswer, "answered 400"),
        (httpx.Response(400, json={"error": {"a": 1}}), UnexpectedAnswer, "answered 400"),
        (httpx.Response(400, json={"error": ["gone"]}), UnexpectedAnswer, "answered 400: gone"),
        (httpx.Response(400, json=["gone"]), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(403, text="<html>Access denied by Acme proxy"), UnexpectedAnswer, "no proxy"),
        (httpx.Response(200, text="<html>Log in to the guest network"), UnexpectedAnswer, "login page"),
        (httpx.Response(200, content=b"\xff\xfe\x00"), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(200, content=b"[" * 100_000), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(200, content=b'{"a": 1' + b"0" * 5000 + b"}"), UnexpectedAnswer, "answer"),
        (httpx.Response(302, headers={"location": "/login"}), UnexpectedAnswer, "not followed"),
        (httpx.Response(429, headers={"retry-after": "3"}), ServiceUnavailable, "in 3 s"),
        (httpx.Response(502, text="<html>Bad gateway"), ServiceUnavailable, "502"),
    ],
)
def test_refusal_says_what_happened_and_shows_no_body(
    grant: str, response: httpx.Response, error: type[ICNotebookError], words: str
) -> None:
    flow = exchange() if grant == "exchange" else renew()
    with pytest.raises(error, match=words) as refusal:
        answered(flow, response)
    assert type(refusal.value) is error
    assert "<html>" not in message_of(refusal.value)
    assert str(refusal.value).startswith(
        "Finishing the sign-in:" if grant == "exchange" else "Renewing the sign-in:"
    )


def test_fault_of_the_server_may_have_been_carried_out_and_a_429_was_not() -> None:
    for status, lost in ((429, False), (500, True), (502, True)):
        with pytest.raises(ServiceUnavailable) as refusal:
            answered(exchange(), httpx.Response(status, headers={"retry-after": "9"}))
        assert (refusal.value.answer_lost, refusal.value.status_code) == (lost, status)
        assert refusal.value.retry_after == 9.0


def test_token_ends_with_its_lifetime_and_is_due_a_little_before() -> None:
    hour = TokenSet(access_token=Secret("a"), lifetime=3600)
    assert hour.due_at_age == 3540
    assert not hour.expired(age=3599)
    assert hour.expired(age=3600)
    short = TokenSet(access_token=Secret("a"), lifetime=10)
    assert short.due_at_age == 9


def test_no_scope_is_accepted_where_none_was_asked_for() -> None:
    flow = exchange_code(
        AuthorizationResponse(code=Secret("THE-CODE")), to=authorization_request(scope=None), now=0.0
    )
    assert answered(flow, httpx.Response(200, json={**FULL, "scope": ""})).scope == ""


def test_a_refresh_that_grants_no_scope_still_keeps_the_new_tokens() -> None:
    tokens = answered(renew(), httpx.Response(200, json={**FULL, "scope": ""}))
    assert tokens.refresh_token == "NEW-REFRESH"
