"""Answers that are a 5xx page, late or lost, and the record of requests."""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import pairwise

import httpx
import pytest

from ic_notebook.sandbox import Faults, SandboxSettings, serve_in_thread

pytestmark = pytest.mark.anyio

APPS = "/public/v1/oauth/apps/"
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


# -- kinds of fault, on a real connection


@pytest.fixture
def served():
    with (
        serve_in_thread(SandboxSettings(rate_limit=0)) as sandbox,
        httpx.Client(base_url=sandbox.url, trust_env=False) as http,
    ):
        http.headers["Authorization"] = f"Bearer {sandbox.store.issue_token()}"
        yield sandbox, http


@pytest.mark.parametrize("stage", ["before", "after"])
async def test_a_connection_can_be_closed_without_an_answer(served, stage):
    sandbox, http = served
    app_id = sandbox.store.seed_app("Another")
    sandbox.settings = replace(sandbox.settings, faults=Faults(kind="dropped", count=1, stage=stage))
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        http.delete(f"{APPS}{app_id}/")

    assert sandbox.requests == [("DELETE", f"{APPS}{app_id}/", 0)]
    assert len(sandbox.store.apps()) == (1 if stage == "before" else 0)
    assert http.get(CREDITS).status_code == 200


async def test_a_dropped_upload_is_dropped_too(served):
    sandbox, http = served
    sandbox.settings = replace(sandbox.settings, faults=Faults(kind="dropped", count=1, paths=(TOKEN,)))
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)):
        http.post(TOKEN, content=b"x" * 1_000_000)

    assert http.get(CREDITS).status_code == 200


@pytest.mark.parametrize(("stage", "carried_out"), [("before", False), ("after", True)])
async def test_an_answer_can_come_late(served, stage, carried_out):
    sandbox, http = served
    app_id = sandbox.store.seed_app("Another")
    sandbox.settings = replace(
        sandbox.settings, faults=Faults(kind="delayed", delay=30.0, count=1, stage=stage)
    )
    with pytest.raises(httpx.ReadTimeout):
        http.delete(f"{APPS}{app_id}/", timeout=0.3)
    assert (sandbox.store.apps() == []) is carried_out

    sandbox.settings = replace(
        sandbox.settings, faults=Faults(kind="delayed", delay=0.1, count=1, stage=stage)
    )
    began = time.monotonic()
    assert http.get(CREDITS).status_code == 200
    assert time.monotonic() - began >= 0.1


async def test_a_drop_where_no_connection_can_be_closed_is_an_error(open_sandbox):
    sandbox = open_sandbox(faults=Faults(kind="dropped", count=1))
    with pytest.raises(ConnectionAbortedError):
        await sandbox.call(sandbox.store.issue_token())


# -- several at once, and by chance


async def test_of_several_faults_the_first_that_strikes_is_the_one(open_sandbox):
    sandbox = open_sandbox(
        faults=(
            Faults(count=1, status=500),
            Faults(fraction=0.5, status=502),
            Faults(count=1, status=503),
        )
    )
    token = sandbox.store.issue_token()
    statuses = [(await sandbox.call(token)).status_code for _ in range(6)]
    assert statuses == [500, 503, 502, 200, 502, 200]


async def test_no_faults_are_an_empty_tuple(open_sandbox):
    sandbox = open_sandbox(faults=())
    assert await sandbox.alive(sandbox.store.issue_token())


async def statuses_of(sandbox, faults, *, calls):
    sandbox.settings = replace(sandbox.settings, rate_limit=0, faults=faults)
    token = sandbox.store.issue_token()
    return [(await sandbox.call(token)).status_code for _ in range(calls)]


async def test_a_share_drawn_by_chance_is_no_pattern_and_the_same_for_the_same_seed(sandbox):
    one = await statuses_of(sandbox, Faults(fraction=0.2, seed=1), calls=300)
    again = await statuses_of(sandbox, Faults(fraction=0.2, seed=1), calls=300)
    other = await statuses_of(sandbox, Faults(fraction=0.2, seed=2), calls=300)

    assert one == again != other
    assert 30 <= one.count(503) <= 90
    gaps = {b - a for a, b in pairwise([i for i, status in enumerate(one) if status == 503])}
    assert len(gaps) > 3
