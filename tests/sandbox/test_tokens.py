"""The token endpoint with a code: RFC 6749 §4.1.3, §5, RFC 7636 §4.6, RFC 9700."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic

import pytest

pytestmark = pytest.mark.anyio

TOKEN = "/public/v1/oauth/token/"
LOOPBACK = "http://127.0.0.1:8765/callback"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.fixture
async def client_id(sandbox):
    return (await sandbox.register())["client_id"]


async def test_a_code_gets_an_opaque_bearer_token_for_an_hour(sandbox, client_id):
    response = await sandbox.exchange(client_id, await sandbox.code(client_id))
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    body = response.json()
    assert body.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, "all")
    assert body["access_token"].count(".") == 0
    assert await sandbox.alive(body["access_token"])


async def test_json_is_taken_as_well_as_a_form(sandbox, client_id):
    body = {
        "grant_type": "authorization_code",
        "code": await sandbox.code(client_id),
        "code_verifier": VERIFIER,
        "client_id": client_id,
        "redirect_uri": LOOPBACK,
    }
    answer = await sandbox.http.post(TOKEN, json=body)
    assert answer.status_code == 200
    body = {
        "grant_type": "refresh_token",
        "refresh_token": answer.json()["refresh_token"],
        "client_id": client_id,
    }
    assert (await sandbox.http.post(TOKEN, json=body)).status_code == 200


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"code": "wrong"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "short"}, "invalid_request"),
        ({"code_verifier": "é" * 50}, "invalid_request"),
        ({"code_verifier": "x" * 43}, "invalid_grant"),
        ({"code_verifier": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:8766/callback"}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:8765/callback/"}, "invalid_grant"),
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_secret": "made up"}, "invalid_client"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": '"\\é'}, "unsupported_grant_type"),
    ],
)
async def test_a_wrong_token_request_is_400_with_its_code_and_leaves_the_code_good(
    sandbox, client_id, change, error
):
    code = await sandbox.code(client_id)
    refused = await sandbox.exchange(**({"client_id": client_id, "code": code} | change))
    assert (refused.status_code, refused.json()) == (400, {"error": error})
    assert refused.headers["cache-control"] == "no-store"
    assert (await sandbox.exchange(client_id, code)).status_code == 200


async def test_a_code_of_another_client_is_refused(sandbox, client_id):
    other = (await sandbox.register())["client_id"]
    refused = await sandbox.exchange(other, await sandbox.code(client_id))
    assert refused.json() == {"error": "invalid_grant"}


async def test_a_code_asked_for_without_a_redirect_uri_needs_none(sandbox, client_id):
    code = await sandbox.code(client_id, redirect_uri=None)
    assert (await sandbox.exchange(client_id, code, redirect_uri=None)).status_code == 200


async def test_the_port_of_the_token_request_is_that_of_the_authorization_request(sandbox, client_id):
    free = "http://127.0.0.1:51234/callback"
    code = await sandbox.code(client_id, redirect_uri=free)
    assert (await sandbox.exchange(client_id, code)).json() == {"error": "invalid_grant"}
    assert (await sandbox.exchange(client_id, code, redirect_uri=free)).status_code == 200


async def test_a_code_lives_sixty_seconds(sandbox, client_id, clock):
    early, late = await sandbox.code(client_id), await sandbox.code(client_id)
    clock.now += 59.9
    assert (await sandbox.exchange(client_id, early)).status_code == 200
    clock.now += 0.1
    assert (await sandbox.exchange(client_id, late)).json() == {"error": "invalid_grant"}


async def test_a_reused_code_is_refused_and_ends_all_tokens_made_from_it(sandbox, client_id):
    code = await sandbox.code(client_id)
    first = (await sandbox.exchange(client_id, code)).json()
    second = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    assert (await sandbox.exchange(client_id, code)).json() == {"error": "invalid_grant"}
    assert not await sandbox.alive(second["access_token"])
    assert (await sandbox.refresh(client_id, second["refresh_token"])).json() == {"error": "invalid_grant"}


async def test_a_reused_code_leaves_other_sign_ins_alone(sandbox, client_id):
    other = await sandbox.sign_in(client_id)
    code = await sandbox.code(client_id)
    await sandbox.exchange(client_id, code)
    await sandbox.exchange(client_id, code)
    assert await sandbox.alive(other["access_token"])


async def test_a_code_reused_by_another_client_ends_nothing(sandbox, client_id):
    code = await sandbox.code(client_id)
    tokens = (await sandbox.exchange(client_id, code)).json()
    other = (await sandbox.register())["client_id"]
    assert (await sandbox.exchange(other, code)).json() == {"error": "invalid_grant"}
    assert await sandbox.alive(tokens["access_token"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"\xff"),
        ("application/x-www-form-urlencoded", b"grant_type=%ff"),
        ("application/x-www-form-urlencoded", b"grant_type=refresh_token&grant_type=refresh_token"),
        ("application/json", b""),
        ("application/json", b"[]"),
        ("application/json", b'"grant_type"'),
        ("application/json", b"{"),
        ("application/json", b"\xff"),
        ("application/json", b"{" * 50_000),
        ("application/json", b"[" * 100_000),
        ("application/json", b'{"grant_type": ["refresh_token"]}'),
        ("application/json", b'{"grant_type": {"a": "b"}}'),
        ("application/json", b'{"grant_type": "refresh_token", "refresh_token": 5}'),
        ("application/json", b'{"grant_type": "refresh_token", "refresh_token": "\\ud800"}'),
        ("application/json", b'{"grant_type": "refresh_token", "grant_type": "refresh_token"}'),
        ("text/plain", b"grant_type=refresh_token"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("", b"grant_type=refresh_token"),
    ],
)
async def test_a_body_that_is_neither_form_nor_json_object_is_invalid_request(sandbox, content_type, body):
    response = await sandbox.http.post(TOKEN, content=body, headers={"Content-Type": content_type})
    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


async def test_parameters_in_the_uri_are_not_taken(sandbox, client_id):
    response = await sandbox.http.post(
        TOKEN, params={"grant_type": "refresh_token"}, data={"client_id": client_id}
    )
    assert response.json() == {"error": "invalid_request"}


async def test_errors_describe_themselves_on_request(open_sandbox):
    sandbox = open_sandbox(error_descriptions=True)
    client = await sandbox.register()
    refused = await sandbox.exchange(client["client_id"], "wrong")
    assert refused.json().keys() == {"error", "error_description"}


@pytest.mark.parametrize(
    ("registered", "asked", "granted"),
    [
        ("all", "all", "all"),
        ("all", "all unknown", "all"),
        ("all", "unknown", ""),
        ("all", None, ""),
        (None, "all", ""),
        ("unknown", "all", ""),
    ],
)
async def test_the_scope_is_what_was_asked_for_registered_and_known(sandbox, registered, asked, granted):
    client = await sandbox.register(scope=registered)
    tokens = await sandbox.sign_in(client["client_id"], scope=asked)
    assert tokens["scope"] == granted
    refreshed = (await sandbox.refresh(client["client_id"], tokens["refresh_token"])).json()
    assert refreshed["scope"] == granted


@pytest.mark.parametrize("field", ["expires_in", "refresh_token", "scope"])
async def test_a_field_can_be_left_out_of_the_answer(open_sandbox, field):
    sandbox = open_sandbox(without=frozenset({field}))
    client = await sandbox.register()
    tokens = await sandbox.sign_in(client["client_id"])
    assert field not in tokens
    assert len(tokens) == 4
    assert await sandbox.alive(tokens["access_token"])


async def test_a_token_of_unknown_life_ends_all_the_same(open_sandbox, clock):
    sandbox = open_sandbox(without=frozenset({"expires_in"}), access_token_lifetime=10)
    tokens = await sandbox.sign_in((await sandbox.register())["client_id"])
    clock.now += 10
    assert not await sandbox.alive(tokens["access_token"])


async def test_a_client_that_did_not_register_the_refresh_grant_gets_no_refresh_token(sandbox):
    client = await sandbox.register(grant_types=None)
    assert "refresh_token" not in await sandbox.sign_in(client["client_id"])
    refused = await sandbox.refresh(client["client_id"], "x")
    assert refused.json() == {"error": "unauthorized_client"}


@pytest.mark.parametrize(
    ("policy", "access_lives", "refresh_lives"),
    [("keeps", True, True), ("ends-access", False, True), ("ends-all", False, False)],
)
async def test_what_a_second_sign_in_does_to_the_first(open_sandbox, policy, access_lives, refresh_lives):
    sandbox = open_sandbox(second_sign_in=policy)
    client_id = (await sandbox.register())["client_id"]
    other_client = (await sandbox.register())["client_id"]
    others = await sandbox.sign_in(other_client)
    first, second = await sandbox.sign_in(client_id), await sandbox.sign_in(client_id)
    assert await sandbox.alive(second["access_token"])
    assert await sandbox.alive(others["access_token"])
    assert await sandbox.alive(first["access_token"]) is access_lives
    refreshed = await sandbox.refresh(client_id, first["refresh_token"])
    assert (refreshed.status_code == 200) is refresh_lives


async def test_two_sign_ins_can_be_made_to_take_turns(open_sandbox):
    sandbox = open_sandbox(second_sign_in="ends-access")
    client_id = (await sandbox.register())["client_id"]
    first, second = await sandbox.sign_in(client_id), await sandbox.sign_in(client_id)
    refreshed = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    assert await sandbox.alive(refreshed["access_token"])
    assert not await sandbox.alive(second["access_token"])
    assert (await sandbox.refresh(client_id, second["refresh_token"])).status_code == 200


async def test_the_answer_can_be_held_back(sandbox, client_id):
    code = await sandbox.code(client_id)
    sandbox.settings = replace(sandbox.settings, token_delay=0.05)
    began = monotonic()
    assert (await sandbox.exchange(client_id, code)).status_code == 200
    assert monotonic() - began >= 0.05
