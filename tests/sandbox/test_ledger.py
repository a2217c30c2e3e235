"""The count of refreshes: each names the access token that it was asked for in place of."""

from __future__ import annotations

from collections import Counter

import pytest

from ic_notebook.sandbox import SandboxSettings, create_app
from ic_notebook.sandbox.database import hashed

pytestmark = pytest.mark.anyio


async def refreshed(sandbox, client_id, tokens):
    response = await sandbox.refresh(client_id, tokens["refresh_token"])
    assert response.status_code == 200
    return {"refresh_token": tokens["refresh_token"]} | response.json()


@pytest.mark.parametrize("rotation", [True, False])
async def test_each_refresh_names_what_it_replaced_and_its_age(open_sandbox, clock, rotation):
    sandbox = open_sandbox(rotation=rotation)
    client_id = (await sandbox.register())["client_id"]
    first = await sandbox.sign_in(client_id)
    assert sandbox.store.refreshes() == []
    clock.now += 5
    second = await refreshed(sandbox, client_id, first)
    clock.now += 7
    await refreshed(sandbox, client_id, second)

    one, two = sandbox.store.refreshes()
    assert (one.access_token, one.refresh_token) == (
        hashed(first["access_token"]),
        hashed(first["refresh_token"]),
    )
    assert (two.access_token, two.refresh_token) == (
        hashed(second["access_token"]),
        hashed(second["refresh_token"]),
    )
    assert (one.age, two.age, two.at, one.family == two.family) == (5, 7, clock.now, True)


async def test_a_second_refresh_of_one_token_shows_in_the_count(open_sandbox):
    sandbox = open_sandbox(refresh_grace=10)
    client_id = (await sandbox.register())["client_id"]
    first = await sandbox.sign_in(client_id)
    await refreshed(sandbox, client_id, first)
    await refreshed(sandbox, client_id, first)

    assert Counter(one.access_token for one in sandbox.store.refreshes()) == {
        hashed(first["access_token"]): 2
    }


async def test_without_rotation_a_needless_refresh_shows_by_the_age(open_sandbox, clock):
    sandbox = open_sandbox(rotation=False)
    client_id = (await sandbox.register())["client_id"]
    first = await sandbox.sign_in(client_id)
    clock.now += 5
    await refreshed(sandbox, client_id, first)
    await refreshed(sandbox, client_id, first)

    assert [one.age for one in sandbox.store.refreshes()] == [5, 0]


async def test_what_is_refused_is_not_counted(sandbox):
    client_id = (await sandbox.register())["client_id"]
    first = await sandbox.sign_in(client_id)
    await refreshed(sandbox, client_id, first)
    await sandbox.refresh(client_id, first["refresh_token"])
    await sandbox.refresh(client_id, "unknown")

    assert len(sandbox.store.refreshes()) == 1


async def test_another_process_reads_the_count_from_the_file(open_sandbox, tmp_path):
    path = str(tmp_path / "sandbox.db")
    sandbox = open_sandbox(database=path)
    client_id = (await sandbox.register())["client_id"]
    first = await sandbox.sign_in(client_id)
    await refreshed(sandbox, client_id, first)
    reader = create_app(SandboxSettings(database=path)).state.store
    try:
        assert reader.refreshes() == sandbox.store.refreshes()
    finally:
        reader.close()
