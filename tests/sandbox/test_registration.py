"""RFC 7591, with the redirect URIs of RFC 6749 §3.1.2 and RFC 8252."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.anyio

REGISTER = "/public/v1/oauth/register/"
NATIVE = {
    "client_name": "A notebook",
    "redirect_uris": ["http://127.0.0.1:8765/callback", "http://[::1]:8765/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "none",
    "scope": "all",
    "application_type": "native",
    "software_id": "ic-notebook",
    "client_uri": "https://example.com/",
}


async def test_registration_answers_201_with_the_registered_metadata_echoed(sandbox, clock):
    response = await sandbox.http.post(REGISTER, json=NATIVE)
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body.pop("client_id")
    assert body.pop("client_id_issued_at") == clock.now
    assert body == NATIVE


async def test_each_registration_is_a_client_of_its_own(sandbox):
    first, second = await sandbox.register(), await sandbox.register()
    assert first["client_id"] != second["client_id"]
    assert sorted(sandbox.store.clients()) == sorted([first["client_id"], second["client_id"]])


async def test_what_is_left_out_gets_the_defaults_of_the_rfc(sandbox):
    response = await sandbox.http.post(REGISTER, json={"redirect_uris": ["https://example.com/cb"]})
    body = response.json()
    assert body["grant_types"] == ["authorization_code"]
    assert body["response_types"] == ["code"]
    assert body["token_endpoint_auth_method"] == "none"
    assert "scope" not in body
    assert "client_secret" not in body


async def test_metadata_that_is_not_understood_is_ignored(sandbox):
    body = await sandbox.register(
        jwks={"keys": 5}, software_statement="x", favourite_colour="blue", tos_uri=None
    )
    assert not {"jwks", "software_statement", "favourite_colour", "tos_uri"} & body.keys()


@pytest.mark.parametrize(
    ("asked", "registered"), [("all", "all"), ("read all write", "all"), ("read write", ""), ("", "")]
)
async def test_unknown_scopes_are_dropped_silently(sandbox, asked, registered):
    assert (await sandbox.register(scope=asked))["scope"] == registered


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1/cb",
        "http://127.0.0.1:1/cb?a=b",
        "http://[::1]:8000/cb",
        "http://localhost:8000",
        "https://hub.example.org/user/someone/ic-notebook/callback",
        "https://localhost/cb",
    ],
)
async def test_https_anywhere_and_http_on_loopback_are_registered(sandbox, uri):
    assert (await sandbox.register(redirect_uris=[uri]))["redirect_uris"] == [uri]


@pytest.mark.parametrize(
    "uris",
    [
        None,
        [],
        "http://127.0.0.1/cb",
        [5],
        ["http://127.0.0.1/cb", None],
        [""],
        ["/callback"],
        ["127.0.0.1:8000/cb"],
        ["http://example.com/cb"],
        ["http://127.0.0.1.example.com/cb"],
        ["http://127.0.0.2/cb"],
        ["http://localhost@example.com/cb"],
        ["https://someone:secret@example.com/cb"],
        ["https://example.com/cb#fragment"],
        ["https://example.com/cb#"],
        ["https:///cb"],
        ["https://"],
        ["com.example.app:/cb"],
        ["javascript:alert(1)"],
        ["data:text/html,hello"],
        ["ftp://127.0.0.1/cb"],
        ["http://127.0.0.1:99999/cb"],
        ["http://127.0.0.1:port/cb"],
        ["http://127.0.0.1:0/cb"],
        ["http://127.0.0.1\n/cb"],
        ["http://127.0.0.1/c b"],
        ["http://127.0.0.1\\@example.com/cb"],
        ["http://[::1/cb"],
        ["https://exämple.com/cb"],
        ["https://example.com/good", "http://example.com/bad"],
    ],
)
async def test_missing_or_unsafe_redirect_uris_are_refused(sandbox, uris):
    response = await sandbox.http.post(REGISTER, json={"redirect_uris": uris, "scope": "all"})
    assert (response.status_code, response.json()) == (400, {"error": "invalid_redirect_uri"})
    assert sandbox.store.clients() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"redirect_uris=http://127.0.0.1/cb",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff{}",
        b"[" * 100_000,
        b'{"redirect_uris": ["http://127.0.0.1/cb"], "client_name": "\\ud800"}',
    ],
)
async def test_a_body_that_is_not_a_json_object_is_refused(sandbox, body):
    response = await sandbox.http.post(REGISTER, content=body)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_client_metadata"})
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "wrong",
    [
        {"client_name": 5},
        {"client_name": ["A"]},
        {"scope": ["all"]},
        {"grant_types": "authorization_code"},
        {"grant_types": ["refresh_token"]},
        {"grant_types": ["authorization_code", "client_credentials"]},
        {"response_types": ["token"]},
        {"response_types": [{}]},
        {"application_type": "toaster"},
        {"client_uri": "not a uri"},
        {"contacts": "someone"},
    ],
)
async def test_metadata_that_cannot_be_served_is_refused(sandbox, wrong):
    body = {"redirect_uris": ["http://127.0.0.1/cb"]} | wrong
    response = await sandbox.http.post(REGISTER, json=body)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_client_metadata"})


async def test_errors_describe_themselves_on_request(open_sandbox):
    sandbox = open_sandbox(error_descriptions=True)
    response = await sandbox.http.post(REGISTER, json={"redirect_uris": ["http://example.com/cb"]})
    assert response.json().keys() == {"error", "error_description"}


async def test_https_redirect_uris_can_be_refused(open_sandbox):
    sandbox = open_sandbox(https_redirect_uris=False)
    response = await sandbox.http.post(REGISTER, json={"redirect_uris": ["https://hub.example.org/cb"]})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri")
    assert await sandbox.register()


async def test_registration_can_answer_200(open_sandbox):
    sandbox = open_sandbox(registration_status=200)
    assert (await sandbox.http.post(REGISTER, json=NATIVE)).status_code == 200


async def test_registration_can_answer_with_nothing_but_the_client_id(open_sandbox):
    sandbox = open_sandbox(without=frozenset({"metadata"}))
    assert (await sandbox.register()).keys() == {"client_id"}


async def test_a_client_secret_can_come_back_and_may_be_ignored_or_sent(open_sandbox):
    sandbox = open_sandbox(client_secret=True)
    client = await sandbox.register()
    assert client["client_secret"]
    assert client["client_secret_expires_at"] == 0
    await sandbox.sign_in(client["client_id"])
    for secret, status in ((client["client_secret"], 200), ("wrong", 400)):
        code = await sandbox.code(client["client_id"])
        response = await sandbox.exchange(client["client_id"], code, client_secret=secret)
        assert response.status_code == status
    assert response.json() == {"error": "invalid_client"}
    assert client["client_secret"] not in json.dumps(str(sandbox.store.client(client["client_id"])))


async def test_where_nobody_can_register_a_client_made_by_hand_signs_in(open_sandbox):
    sandbox = open_sandbox(registration=False)
    refused = await sandbox.http.post(REGISTER, json=NATIVE)
    metadata = (await sandbox.http.get("/.well-known/oauth-authorization-server")).json()
    assert (refused.status_code, refused.json()) == (404, {"detail": "Not found."})
    assert "registration_endpoint" not in metadata

    client_id = sandbox.store.seed_client(["http://127.0.0.1:8765/callback"], client_id="by-hand")
    tokens = await sandbox.sign_in(client_id)
    assert client_id == "by-hand"
    assert await sandbox.alive(tokens["access_token"])
