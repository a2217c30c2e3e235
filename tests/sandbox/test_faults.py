"""5xx as HTML, and the record of requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ic_notebook.sandbox import Faults

pytestmark = pytest.mark.anyio

CREDITS = "/public/v1/accounts/credits/"
TOKEN = "/public/v1/oauth/token/"


async def test_the_next_requests_get_a_5xx_page_and_then_none(open_sandbox):
    sandbox = open_sandbox(faults=Faults(count=2, status=502))
    token = sandbox.store.issue_token()
    responses = [await sandbox.call(token) for _ in range(3)]
    assert [response.status_code for response in responses] == [502, 502, 200]
    assert responses[0].headers["content-type"].startswith("text/html")
    assert "<h1>" in responses[0].text


async def test_only_the_chosen_paths_fail(open_sandbox):
    sandbox = open_sandbox(faults=Faults(count=1, paths=(TOKEN,)))
    client = await sandbox.register()
    assert await sandbox.alive(sandbox.store.issue_token())
    assert (await sandbox.refresh(client["client_id"], "x")).status_code == 503
    assert (await sandbox.refresh(client["client_id"], "x")).status_code == 400


async def test_a_fraction_is_spread_evenly(open_sandbox):
    sandbox = open_sandbox(faults=Faults(fraction=0.1))
    token = sandbox.store.issue_token()
    statuses = [(await sandbox.call(token)).status_code for _ in range(20)]
    assert statuses == ([200] * 9 + [503]) * 2


async def test_faults_can_be_switched_on_and_off_while_it_runs(sandbox):
    token = sandbox.store.issue_token()
    for _twice in range(2):
        sandbox.settings = replace(sandbox.settings, faults=Faults(count=1))
        assert (await sandbox.call(token)).status_code == 503
        assert (await sandbox.call(token)).status_code == 200
    sandbox.settings = replace(sandbox.settings, faults=Faults(fraction=1))
    assert (await sandbox.call(token)).status_code == 503
    sandbox.settings = replace(sandbox.settings, faults=Faults())
    assert (await sandbox.call(token)).status_code == 200


async def test_turning_another_switch_does_not_begin_the_count_again(open_sandbox):
    sandbox = open_sandbox(faults=Faults(count=1))
    token = sandbox.store.issue_token()
    assert (await sandbox.call(token)).status_code == 503
    sandbox.settings = replace(sandbox.settings, rate_limit=0)
    assert (await sandbox.call(token)).status_code == 200


@pytest.mark.parametrize(("stage", "old_token_lives"), [("before", True), ("after", False)])
async def test_a_refresh_can_fail_before_it_happened_or_lose_its_answer(sandbox, stage, old_token_lives):
    client_id = (await sandbox.register())["client_id"]
    tokens = await sandbox.sign_in(client_id)
    sandbox.settings = replace(sandbox.settings, faults=Faults(count=1, stage=stage))
    assert (await sandbox.refresh(client_id, tokens["refresh_token"])).status_code == 503
    assert await sandbox.alive(tokens["access_token"]) is old_token_lives


async def test_every_request_is_recorded_without_its_query(open_sandbox):
    sandbox = open_sandbox(faults=Faults(count=1, paths=(CREDITS,)))
    await sandbox.call(sandbox.store.issue_token())
    await sandbox.http.get("/nowhere?code=secret")
    assert sandbox.app.state.requests == [("GET", CREDITS, 503), ("GET", "/nowhere", 404)]


async def test_the_record_does_not_grow_without_bound(sandbox, monkeypatch):
    monkeypatch.setattr("ic_notebook.sandbox.middleware.KEPT", 4)
    for _request in range(5):
        await sandbox.http.get("/nowhere")
    assert len(sandbox.app.state.requests) == 3


async def test_a_defect_is_recorded_as_500(sandbox, monkeypatch):
    token = sandbox.store.issue_token()
    monkeypatch.setattr(sandbox.app.state, "limiter", None)
    with pytest.raises(AttributeError):
        await sandbox.call(token)
    assert sandbox.app.state.requests[-1].status == 500
