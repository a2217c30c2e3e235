"""RFC 7009: what is asked, and what a refusal means."""

from __future__ import annotations

from urllib.parse import parse_qs

import httpx
import pytest

from ic_notebook.errors import OAuthError, ServiceUnavailable
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


def test_a_success_is_one_whatever_it_says() -> None:
    assert answered(revoke_tokens(ENDPOINT, BOTH), httpx.Response(200, content=b"<ok/>")) is None


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(400, json={"error": "invalid_client", "error_description": "REFRESH"}), OAuthError),
        (httpx.Response(503, content=b"REFRESH"), ServiceUnavailable),
    ],
)
def test_a_refusal_is_told_without_the_token(response: httpx.Response, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        answered(revoke_tokens(ENDPOINT, BOTH), response)
    assert "REFRESH" not in message_of(caught.value)
