"""The authorization request and response: RFC 6749 §4.1, RFC 7636, RFC 8252, RFC 9207."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest

pytestmark = pytest.mark.anyio

AUTHORIZE = "/public/v1/oauth/authorize/"
LOOPBACK = "http://127.0.0.1:8765/callback"
ISSUER = "http://127.0.0.1:8000"


@pytest.fixture
async def client_id(sandbox):
    return (await sandbox.register())["client_id"]


async def test_a_valid_request_is_redirected_to_the_consent_page(sandbox, client_id):
    response = await sandbox.authorize(client_id)
    assert response.status_code == 302
    assert response.headers["location"].startswith("/consent/")
    assert response.headers["cache-control"] == "no-store"
    assert (await sandbox.http.get(response.headers["location"])).status_code == 200


async def test_approval_returns_a_code_and_the_state_as_it_was(sandbox, client_id, returned):
    state = 'a b&c=d?"<é>'
    answer = await sandbox.answer(client_id, state=state)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(LOOPBACK + "?")
    assert returned(answer).keys() == {"code", "state"}
    assert returned(answer)["state"] == state


async def test_denial_returns_access_denied(sandbox, client_id, returned):
    parameters = returned(await sandbox.answer(client_id, "deny"))
    assert (parameters["error"], parameters["state"]) == ("access_denied", "st-1")
    assert "code" not in parameters
    assert sandbox.store.apps() == []


async def test_without_a_state_none_comes_back(sandbox, client_id, returned):
    assert returned(await sandbox.answer(client_id, state=None)).keys() == {"code"}


async def test_the_query_of_a_redirect_uri_is_kept(sandbox, returned):
    client = await sandbox.register(redirect_uris=["https://hub.example.org/cb?user=one"])
    answer = await sandbox.answer(client["client_id"], redirect_uri="https://hub.example.org/cb?user=one")
    assert returned(answer).keys() == {"user", "code", "state"}


async def test_the_only_registered_redirect_uri_may_be_left_out(sandbox, client_id):
    answer = await sandbox.answer(client_id, redirect_uri=None)
    assert answer.headers["location"].startswith(LOOPBACK + "?code=")


async def test_one_of_several_redirect_uris_must_be_named(sandbox):
    client = await sandbox.register(redirect_uris=[LOOPBACK, "http://localhost/cb"])
    response = await sandbox.authorize(client["client_id"], redirect_uri=None)
    assert (response.status_code, "location" in response.headers) == (400, False)


@pytest.mark.parametrize("client_id", [None, "", "nobody", "'; DROP TABLE clients; --"])
async def test_an_unknown_client_gets_a_page_and_no_redirect(sandbox, client_id):
    response = await sandbox.authorize(client_id)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/html")
    assert "location" not in response.headers


@pytest.mark.parametrize("prompt", [None, "none"])
async def test_a_dead_client_gets_a_page_and_no_redirect(sandbox, client_id, prompt):
    sandbox.store.end_client(client_id)
    response = await sandbox.authorize(client_id, prompt=prompt)
    assert (response.status_code, "location" in response.headers) == (400, False)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:8765/callback/",
        "http://127.0.0.1:8765/Callback",
        "http://127.0.0.1:8765/callback?x=1",
        "http://127.0.0.1:8765/callback#x",
        "http://127.0.0.1:8765/callback%2f..",
        "http://localhost:8765/callback",
        "http://[::1]:8765/callback",
        "https://127.0.0.1:8765/callback",
        "http://127.0.0.1:8765@example.com/callback",
        "http://127.0.0.1:99999/callback",
        "http://127.0.0.1:0/callback",
        "http://example.com/callback",
        'http://example.com/"\\é',
        "//127.0.0.1:8765/callback",
        "https://hub.example.org:8443/cb",
        "https://hub.example.org/cb/",
        "https://HUB.example.org/cb",
    ],
)
async def test_another_redirect_uri_gets_a_page_and_no_redirect(sandbox, uri):
    client = await sandbox.register(redirect_uris=[LOOPBACK, "https://hub.example.org/cb"])
    response = await sandbox.authorize(client["client_id"], redirect_uri=uri)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/html")
    assert "location" not in response.headers


@pytest.mark.parametrize(
    ("registered", "asked"),
    [
        ("http://127.0.0.1:8765/cb", "http://127.0.0.1:51234/cb"),
        ("http://127.0.0.1/cb?a=b", "http://127.0.0.1:51234/cb?a=b"),
        ("http://[::1]:8765/cb", "http://[::1]:51234/cb"),
        ("http://localhost:8765/cb", "http://localhost/cb"),
    ],
)
async def test_the_port_of_a_loopback_redirect_uri_is_free_unless_it_is_to_be_exact(
    sandbox, registered, asked
):
    client = await sandbox.register(redirect_uris=[registered])
    response = await sandbox.answer(client["client_id"], redirect_uri=asked)
    assert response.headers["location"].startswith(asked)
    sandbox.settings = replace(sandbox.settings, exact_loopback_port=True)
    assert (await sandbox.authorize(client["client_id"], redirect_uri=asked)).status_code == 400
    assert (await sandbox.authorize(client["client_id"], redirect_uri=registered)).status_code == 302


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": '"\\é'}, "unsupported_response_type"),
        ({"prompt": "none"}, "consent_required"),
    ],
)
async def test_other_errors_go_back_to_the_client_with_its_state(
    sandbox, client_id, returned, parameters, error
):
    response = await sandbox.authorize(client_id, **parameters)
    assert response.status_code == 302
    assert response.headers["location"].startswith(LOOPBACK + "?")
    assert (returned(response)["error"], returned(response)["state"]) == (error, "st-1")


@pytest.mark.parametrize(
    "name", ["state", "scope", "response_type", "code_challenge", "code_challenge_method"]
)
async def test_a_repeated_parameter_goes_back_as_invalid_request(sandbox, client_id, returned, name):
    parameters = sandbox.authorization_parameters(client_id)
    query = urlencode([*parameters.items(), (name, parameters[name])])
    response = await sandbox.http.get(f"{AUTHORIZE}?{query}")
    assert returned(response)["error"] == "invalid_request"


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
async def test_a_repeated_client_or_redirect_uri_gets_a_page(sandbox, client_id, name):
    parameters = sandbox.authorization_parameters(client_id)
    query = urlencode([*parameters.items(), (name, parameters[name])])
    response = await sandbox.http.get(f"{AUTHORIZE}?{query}")
    assert (response.status_code, "location" in response.headers) == (400, False)


async def test_an_unknown_parameter_is_ignored(sandbox, client_id):
    assert (await sandbox.authorize(client_id, resource="https://example.com", x="y")).status_code == 302


async def test_auto_approve_answers_with_the_code_at_once(open_sandbox, returned):
    sandbox = open_sandbox(auto_approve=True)
    client = await sandbox.register()
    response = await sandbox.authorize(client["client_id"])
    assert response.status_code == 302
    code = returned(response)["code"]
    assert (await sandbox.exchange(client["client_id"], code)).status_code == 200


async def test_the_check_of_a_client_is_never_approved(open_sandbox, returned):
    sandbox = open_sandbox(auto_approve=True)
    client = await sandbox.register()
    assert (
        returned(await sandbox.authorize(client["client_id"], prompt="none"))["error"] == "consent_required"
    )
    assert sandbox.store.apps() == []


async def test_iss_is_in_every_authorization_response_when_announced(open_sandbox, returned):
    sandbox = open_sandbox(iss=True)
    client_id = (await sandbox.register())["client_id"]
    for response in (
        await sandbox.answer(client_id),
        await sandbox.answer(client_id, "deny"),
        await sandbox.authorize(client_id, code_challenge=None),
        await sandbox.authorize(client_id, prompt="none"),
    ):
        assert returned(response)["iss"] == ISSUER
