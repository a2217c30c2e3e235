"""RFC 7009: what is asked, and what a refusal means."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest

from ic_notebook.errors import OAuthError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.flow import Repeat, repeat_of
from ic_notebook.oauth.revocation import revoke_tokens
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from tests.oauth.flows import answered, message_of, sent_by

ENDPOINT = "https://auth.example.com/revoke"
BOTH = TokenSet(access_token=Secret("ACCESS"), refresh_token=Secret("REFRESH"), client_id="c1")
ACCESS_ONLY = TokenSet(access_token=Secret("ACCESS"), client_id="c1")


@pytest.mark.parametrize(
    ("tokens", "token", "hint"),
    [(BOTH, "REFRESH", "refresh_token"), (ACCESS_ONLY, "ACCESS", "access_token")],
)
def test_the_refresh_token_is_revoked_else_the_access_token(tokens: TokenSet, token: str, hint: str) -> None:
    request = sent_by(revoke_tokens(ENDPOINT, tokens))
    assert (request.method, str(request.url)) == ("POST", ENDPOINT)
    assert parse_qs(request.content.decode()) == {
        "token": [token],
        "token_type_hint": [hint],
        "client_id": ["c1"],
    }


def test_a_revocation_whose_answer_was_lost_is_asked_for_again() -> None:
    # RFC 7009 §2.2: a token that has ended already is a success as well.
    assert repeat_of(sent_by(revoke_tokens(ENDPOINT, BOTH))) is Repeat.IF_LOST


def test_a_success_is_one_whatever_it_says() -> None:
    assert answered(revoke_tokens(ENDPOINT, BOTH), httpx.Response(200, content=b"<ok/>")) is None


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(400, json={"error": "invalid_client", "error_description": "REFRESH"}), OAuthError),
        (httpx.Response(400, json={"error": "unsupported_token_type"}), OAuthError),
        (httpx.Response(401, json={"error": "invalid_client"}), OAuthError),
        (httpx.Response(404, text="<html>REFRESH"), UnexpectedAnswer),
        (httpx.Response(302, headers={"location": "https://auth.example.com/?t=REFRESH"}), UnexpectedAnswer),
        (httpx.Response(503, content=b"REFRESH"), ServiceUnavailable),
        (httpx.Response(429, headers={"retry-after": "5"}), ServiceUnavailable),
    ],
)
def test_a_refusal_is_told_without_the_token(response: httpx.Response, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        answered(revoke_tokens(ENDPOINT, BOTH), response)
    assert "REFRESH" not in message_of(caught.value)
