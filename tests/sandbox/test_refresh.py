"""Refreshing: RFC 6749 §6 and RFC 9700 §4.14, with what service.md observed."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytestmark = pytest.mark.anyio

INVALID_GRANT = {"error": "invalid_grant"}


@pytest.fixture
async def client_id(sandbox):
    return (await sandbox.register())["client_id"]


async def test_a_refresh_rotates_and_ends_the_previous_access_token_at_once(sandbox, client_id):
    first = await sandbox.sign_in(client_id)
    second = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    assert second.keys() == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
    assert second["refresh_token"] != first["refresh_token"]
    assert not await sandbox.alive(first["access_token"])
    assert await sandbox.alive(second["access_token"])


async def test_a_refresh_ends_no_other_sign_in(sandbox, client_id):
    first, second = await sandbox.sign_in(client_id), await sandbox.sign_in(client_id)
    await sandbox.refresh(client_id, first["refresh_token"])
    assert await sandbox.alive(second["access_token"])


async def test_a_used_refresh_token_is_invalid_grant_and_ends_nothing(sandbox, client_id):
    first = await sandbox.sign_in(client_id)
    second = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    refused = await sandbox.refresh(client_id, first["refresh_token"])
    assert (refused.status_code, refused.json()) == (400, INVALID_GRANT)
    assert await sandbox.alive(second["access_token"])
    assert (await sandbox.refresh(client_id, second["refresh_token"])).status_code == 200


async def test_reuse_can_end_the_whole_sign_in(open_sandbox):
    sandbox = open_sandbox(revoke_family_on_reuse=True)
    client_id = (await sandbox.register())["client_id"]
    other = await sandbox.sign_in(client_id)
    first = await sandbox.sign_in(client_id)
    second = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    assert (await sandbox.refresh(client_id, first["refresh_token"])).json() == INVALID_GRANT
    assert not await sandbox.alive(second["access_token"])
    assert (await sandbox.refresh(client_id, second["refresh_token"])).json() == INVALID_GRANT
    assert await sandbox.alive(other["access_token"])


async def test_without_rotation_the_refresh_token_stays(open_sandbox):
    sandbox = open_sandbox(rotation=False)
    client_id = (await sandbox.register())["client_id"]
    tokens = await sandbox.sign_in(client_id)
    access_token = tokens["access_token"]
    for _again in range(2):
        refreshed = (await sandbox.refresh(client_id, tokens["refresh_token"])).json()
        assert "refresh_token" not in refreshed
        assert not await sandbox.alive(access_token)
        access_token = refreshed["access_token"]
        assert await sandbox.alive(access_token)


async def test_within_the_grace_a_repeated_refresh_token_gets_tokens_and_ends_nothing(open_sandbox, clock):
    sandbox = open_sandbox(refresh_grace=30, revoke_family_on_reuse=True)
    client_id = (await sandbox.register())["client_id"]
    first = await sandbox.sign_in(client_id)
    second = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    clock.now += 30
    third = await sandbox.refresh(client_id, first["refresh_token"])
    assert third.status_code == 200
    assert await sandbox.alive(second["access_token"])
    assert await sandbox.alive(third.json()["access_token"])
    for tokens in (second, third.json()):
        assert (await sandbox.refresh(client_id, tokens["refresh_token"])).status_code == 200
    clock.now += 0.1
    assert (await sandbox.refresh(client_id, first["refresh_token"])).json() == INVALID_GRANT


async def test_no_grace_is_no_grace_even_in_the_same_instant(open_sandbox):
    sandbox = open_sandbox(refresh_grace=0)
    client_id = (await sandbox.register())["client_id"]
    tokens = await sandbox.sign_in(client_id)
    await sandbox.refresh(client_id, tokens["refresh_token"])
    assert (await sandbox.refresh(client_id, tokens["refresh_token"])).json() == INVALID_GRANT


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"refresh_token": "wrong"}, "invalid_grant"),
        ({"refresh_token": ""}, "invalid_request"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"scope": "all more"}, "invalid_scope"),
    ],
)
async def test_a_wrong_refresh_is_refused_and_uses_nothing_up(sandbox, client_id, change, error):
    tokens = await sandbox.sign_in(client_id)
    form = {"client_id": client_id, "refresh_token": tokens["refresh_token"]} | change
    refused = await sandbox.refresh(**form)
    assert (refused.status_code, refused.json()) == (400, {"error": error})
    assert (await sandbox.refresh(client_id, tokens["refresh_token"])).status_code == 200


async def test_a_refresh_token_of_another_client_is_refused_and_ends_nothing(open_sandbox):
    sandbox = open_sandbox(revoke_family_on_reuse=True)
    client_id, other = [(await sandbox.register())["client_id"] for _ in range(2)]
    first = await sandbox.sign_in(client_id)
    second = (await sandbox.refresh(client_id, first["refresh_token"])).json()
    for token in (first["refresh_token"], second["refresh_token"]):
        assert (await sandbox.refresh(other, token)).json() == INVALID_GRANT
    assert await sandbox.alive(second["access_token"])


async def test_an_access_token_does_not_refresh_and_a_refresh_token_does_not_call(sandbox, client_id):
    tokens = await sandbox.sign_in(client_id)
    assert (await sandbox.refresh(client_id, tokens["access_token"])).json() == INVALID_GRANT
    assert not await sandbox.alive(tokens["refresh_token"])


async def test_the_same_scope_may_be_asked_for_again(sandbox, client_id):
    tokens = await sandbox.sign_in(client_id)
    answer = await sandbox.refresh(client_id, tokens["refresh_token"], scope="all")
    assert answer.json()["scope"] == "all"


async def test_an_expired_access_token_is_refreshed(sandbox, client_id, clock):
    tokens = await sandbox.sign_in(client_id)
    clock.now += 3599
    assert await sandbox.alive(tokens["access_token"])
    clock.now += 1
    assert not await sandbox.alive(tokens["access_token"])
    refreshed = (await sandbox.refresh(client_id, tokens["refresh_token"])).json()
    assert await sandbox.alive(refreshed["access_token"])


async def test_the_lifetime_is_a_switch_that_can_be_turned_while_it_runs(sandbox, client_id):
    sandbox.settings = replace(sandbox.settings, access_token_lifetime=7)
    assert (await sandbox.sign_in(client_id))["expires_in"] == 7


async def test_a_dead_client_cannot_refresh(sandbox, client_id):
    tokens = await sandbox.sign_in(client_id)
    sandbox.store.end_client(client_id)
    refused = await sandbox.refresh(client_id, tokens["refresh_token"])
    assert refused.json() == {"error": "invalid_client"}
    assert not await sandbox.alive(tokens["access_token"])


async def test_the_store_ends_access_tokens_or_refresh_tokens(sandbox, client_id):
    tokens = await sandbox.sign_in(client_id)
    sandbox.store.end_access_tokens(client_id)
    assert not await sandbox.alive(tokens["access_token"])
    tokens = (await sandbox.refresh(client_id, tokens["refresh_token"])).json()
    sandbox.store.end_refresh_tokens()
    assert await sandbox.alive(tokens["access_token"])
    assert (await sandbox.refresh(client_id, tokens["refresh_token"])).json() == INVALID_GRANT
