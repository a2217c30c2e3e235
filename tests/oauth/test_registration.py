from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ic_notebook.errors import (
    ConfigurationError,
    ICNotebookError,
    OAuthError,
    ServiceUnavailable,
    UnexpectedAnswer,
)
from ic_notebook.oauth.flow import Repeat, repeat_of
from ic_notebook.oauth.registration import ClientInformation, ClientMetadata, register
from tests.oauth.flows import answered, message_of, sent_by

ENDPOINT = "https://as.example/register/"
CLIENT = ClientMetadata(
    client_name="ic_notebook on host", redirect_uris=("http://127.0.0.1:1/callback",), scope="all"
)
REGISTERED = ClientInformation(
    client_id="client-1", client_name=CLIENT.client_name, redirect_uris=CLIENT.redirect_uris, scope="all"
)


def registered(response: httpx.Response) -> ClientInformation:
    client: ClientInformation = answered(register(ENDPOINT, CLIENT), response)
    return client


def test_request_describes_a_public_client_that_uses_codes_and_refresh_tokens() -> None:
    request = sent_by(register(ENDPOINT, CLIENT))
    assert (request.method, str(request.url)) == ("POST", ENDPOINT)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert repeat_of(request) is Repeat.IF_REFUSED
    assert json.loads(request.content) == {
        "client_name": "ic_notebook on host",
        "redirect_uris": ["http://127.0.0.1:1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "all",
    }


def test_scope_is_left_out_where_none_is_asked_for_and_a_route_is_a_web_client() -> None:
    client = ClientMetadata(
        client_name="x", redirect_uris=("https://hub.example/cb",), application_type="web"
    )
    body = json.loads(sent_by(register(ENDPOINT, client)).content)
    assert "scope" not in body
    assert body["application_type"] == "web"


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    "more",
    [
        {},
        CLIENT.to_json(),
        {"client_secret": "S3CRET", "client_secret_expires_at": 0, "registration_access_token": "S3CRET"},
        {"redirect_uris": None, "scope": ["x"], "client_name": 5},
    ],
)
def test_client_id_is_all_that_is_read(status: int, more: dict[str, Any]) -> None:
    client = registered(httpx.Response(status, json={"client_id": "client-1", **more}))
    assert client == REGISTERED
    assert "S3CRET" not in repr(client)


@pytest.mark.parametrize(
    "client_id", [None, "", 12, True, [], {}, "a b", "a\nb", "\u202e", "é", "\ud800", "x" * 20_000]
)
def test_success_without_a_usable_client_id_is_refused(client_id: object) -> None:
    body = json.dumps({"client_id": client_id})
    with pytest.raises(UnexpectedAnswer, match="no usable client_id"):
        registered(httpx.Response(201, content=body))


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (
            httpx.Response(400, json={"error": "invalid_redirect_uri", "error_description": "https only"}),
            OAuthError,
            "refused with invalid_redirect_uri: https only",
        ),
        (
            httpx.Response(400, json={"error": "invalid_client_metadata"}),
            OAuthError,
            "invalid_client_metadata.",
        ),
        (
            httpx.Response(400, json={"redirect_uris": ["Not a URL."]}),
            UnexpectedAnswer,
            "redirect_uris: Not a URL",
        ),
        (httpx.Response(403, text="<html>blocked"), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(404, text="<html>"), ConfigurationError, "Check IC_BASE_URL"),
        (httpx.Response(404, json={"detail": "Not found."}), ConfigurationError, "lets no program register"),
        (httpx.Response(405), ConfigurationError, "lets no program register"),
        (httpx.Response(401, json={"error": "invalid_token"}), ConfigurationError, "connect with client_id="),
        (httpx.Response(401), ConfigurationError, "the redirect URI http://127.0.0.1:1/callback,"),
        (httpx.Response(301, headers={"location": "https://evil.example"}), UnexpectedAnswer, "redirect"),
        (httpx.Response(204), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(200, text="<html>"), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(200, json=["client-1"]), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(429), ServiceUnavailable, "in a minute"),
        (httpx.Response(429, headers={"retry-after": "7"}), ServiceUnavailable, "in 7 s"),
        (httpx.Response(500, text="Traceback: S3CRET"), ServiceUnavailable, "a fault of its own"),
        (httpx.Response(503, json={"error": "S3CRET"}), ServiceUnavailable, "503"),
    ],
)
def test_refusal_says_what_happened(
    response: httpx.Response, error: type[ICNotebookError], words: str
) -> None:
    with pytest.raises(error, match=words) as refusal:
        registered(response)
    assert type(refusal.value) is error
    assert "as.example" in str(refusal.value)
    assert "S3CRET" not in message_of(refusal.value)
