"""RFC 7009, where it is switched on."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.anyio

REVOKE = "/public/v1/oauth/revoke/"
METADATA = "/.well-known/oauth-authorization-server"
REFRESH = {"token_type_hint": "refresh_token"}
ACCESS = {"token_type_hint": "access_token"}


@pytest.fixture
async def revoking(open_sandbox):
    return open_sandbox(revocation=True)


@pytest.fixture
async def client_id(revoking):
    return (await revoking.register())["client_id"]


async def revoke(sandbox, client_id, token, /, **others):
    form = {"token": token, "client_id": client_id} | others
    return await sandbox.http.post(REVOKE, data={k: v for k, v in form.items() if v is not None})


@pytest.mark.parametrize("hint", [{}, REFRESH, ACCESS, {"token_type_hint": "of_another_profile"}])
async def test_a_revoked_refresh_token_ends_its_sign_in_and_no_other(revoking, client_id, hint):
    mine, other = await revoking.sign_in(client_id), await revoking.sign_in(client_id)
    response = await revoke(revoking, client_id, mine["refresh_token"], **hint)

    assert response.status_code == 200
    assert not await revoking.alive(mine["access_token"])
    assert (await revoking.refresh(client_id, mine["refresh_token"])).json() == {"error": "invalid_grant"}
    assert await revoking.alive(other["access_token"])


@pytest.mark.parametrize("hint", [{}, REFRESH, ACCESS, {"token_type_hint": "of_another_profile"}])
async def test_a_revoked_access_token_ends_alone(revoking, client_id, hint):
    tokens = await revoking.sign_in(client_id)
    assert (await revoke(revoking, client_id, tokens["access_token"], **hint)).status_code == 200

    assert not await revoking.alive(tokens["access_token"])
    assert (await revoking.refresh(client_id, tokens["refresh_token"])).status_code == 200


async def test_a_token_that_is_not_known_or_has_ended_is_a_success(revoking, client_id):
    tokens = await revoking.sign_in(client_id)
    for token in ("never-there", tokens["refresh_token"], tokens["refresh_token"]):
        assert (await revoke(revoking, client_id, token)).status_code == 200


async def test_the_token_of_another_client_is_refused_and_lives(revoking, client_id):
    tokens = await revoking.sign_in(client_id)
    stranger = (await revoking.register())["client_id"]
    assert (await revoke(revoking, stranger, tokens["refresh_token"])).status_code == 400
    assert await revoking.alive(tokens["access_token"])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": None}, "invalid_client"),
        ({"token": None}, "invalid_request"),
    ],
)
async def test_a_request_that_is_none_is_refused(revoking, client_id, change, error):
    tokens = await revoking.sign_in(client_id)
    response = await revoke(revoking, client_id, tokens["refresh_token"], **change)
    assert (response.status_code, response.json()) == (400, {"error": error})
    assert await revoking.alive(tokens["access_token"])


@pytest.mark.parametrize(
    "body",
    [
        {"json": {"token": "t", "client_id": "c"}},
        {"content": b"token=t&token=u", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        {"content": b"token=t"},
    ],
)
async def test_anything_but_a_form_with_each_parameter_once_is_refused(revoking, body):
    response = await revoking.http.post(REVOKE, **body)
    assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})


async def test_the_metadata_announces_it(revoking):
    metadata = (await revoking.http.get(METADATA)).json()
    assert metadata["revocation_endpoint"] == f"http://127.0.0.1:8000{REVOKE}"
    assert metadata["revocation_endpoint_auth_methods_supported"] == ["none"]


async def test_it_is_unknown_where_it_is_not_switched_on(sandbox):
    assert (await revoke(sandbox, "c", "t")).status_code == 404
    assert "revocation_endpoint" not in (await sandbox.http.get(METADATA)).json()
