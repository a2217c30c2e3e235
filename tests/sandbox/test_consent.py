"""The page on which a person decides."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace

import pytest

pytestmark = pytest.mark.anyio

OVER = "click Connect again"


@pytest.fixture
async def client_id(sandbox):
    return (await sandbox.register())["client_id"]


async def consent_url(sandbox, client_id, **parameters):
    return (await sandbox.authorize(client_id, **parameters)).headers["location"]


def csrf_token(page):
    return re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]


async def test_the_page_says_who_asks_for_what_on_whose_account_and_where_it_leads(sandbox, client_id):
    page = await sandbox.http.get(await consent_url(sandbox, client_id))
    for words in ("A notebook", "Sandbox account", "Full access", "127.0.0.1:8765", "this computer"):
        assert words in page.text
    assert re.findall(r'name="decision" value="(\w+)"', page.text) == ["approve", "deny"]


async def test_the_page_names_the_host_of_an_https_redirect_uri(sandbox):
    client = await sandbox.register(redirect_uris=["https://hub.example.org/cb"])
    url = await consent_url(sandbox, client["client_id"], redirect_uri="https://hub.example.org/cb")
    page = await sandbox.http.get(url)
    assert "hub.example.org" in page.text
    assert "this computer" not in page.text


async def test_a_request_without_a_known_scope_is_said_to_get_nothing(sandbox, client_id):
    page = await sandbox.http.get(await consent_url(sandbox, client_id, scope="read"))
    assert "Full access" not in page.text
    assert "refused" in page.text


async def test_the_account_of_the_settings_is_the_one_acted_for(open_sandbox):
    sandbox = open_sandbox(account="Team <two>")
    client = await sandbox.register()
    page = await sandbox.http.get(await consent_url(sandbox, client["client_id"]))
    assert "Team &lt;two&gt;" in page.text
    await sandbox.sign_in(client["client_id"])
    assert [app.name for app in sandbox.store.apps("Team <two>")] == ["A notebook"]


async def test_names_are_escaped(sandbox):
    client = await sandbox.register(client_name='<script>alert(1)</script>"&')
    page = await sandbox.http.get(await consent_url(sandbox, client["client_id"]))
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


async def test_a_client_without_a_name_is_shown_by_its_id(sandbox):
    client = await sandbox.register(client_name=None)
    page = await sandbox.http.get(await consent_url(sandbox, client["client_id"]))
    assert client["client_id"] in page.text


@pytest.mark.parametrize("page", ["consent", "over", "unknown client"])
async def test_every_page_is_neither_framed_cached_nor_referred_from(sandbox, client_id, page):
    url = {"consent": await consent_url(sandbox, client_id), "over": "/consent/none"}.get(page)
    response = await (sandbox.http.get(url) if url else sandbox.authorize("nobody"))
    policy = response.headers["content-security-policy"]
    style = re.search(r"<style>(.*?)</style>", response.text, re.DOTALL)[1]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" in policy
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert "style=" not in response.text
    assert "<script" not in response.text


async def test_an_answer_is_taken_once(sandbox, client_id):
    url = await consent_url(sandbox, client_id)
    form = {"csrf_token": csrf_token(await sandbox.http.get(url)), "decision": "approve"}
    assert (await sandbox.http.post(url, data=form)).status_code == 303
    for again in (await sandbox.http.post(url, data=form), await sandbox.http.get(url)):
        assert again.status_code == 410
        assert OVER in again.text
        assert "location" not in again.headers


async def test_the_page_can_be_reloaded_before_it_is_answered(sandbox, client_id):
    url = await consent_url(sandbox, client_id)
    await sandbox.http.get(url)
    form = {"csrf_token": csrf_token(await sandbox.http.get(url)), "decision": "deny"}
    assert (await sandbox.http.post(url, data=form)).status_code == 303


@pytest.mark.parametrize("id_", ["none", "' OR 1=1 --", "%00"])
async def test_an_unknown_consent_says_to_click_connect_again(sandbox, id_):
    for response in (
        await sandbox.http.get(f"/consent/{id_}"),
        await sandbox.http.post(f"/consent/{id_}", data={"decision": "approve"}),
    ):
        assert response.status_code == 410
        assert OVER in response.text


async def test_a_consent_expires(sandbox, client_id, clock):
    url = await consent_url(sandbox, client_id)
    form = {"csrf_token": csrf_token(await sandbox.http.get(url)), "decision": "approve"}
    clock.now += 600
    assert (await sandbox.http.get(url)).status_code == 410
    assert (await sandbox.http.post(url, data=form)).status_code == 410


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({"csrf_token": ""}, {}),
        ({"csrf_token": "é"}, {}),
        ({"csrf_token": "wrong"}, {}),
        ({"decision": ""}, {}),
        ({"decision": "maybe"}, {}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ],
)
async def test_an_answer_that_is_not_the_pages_own_is_refused_and_uses_nothing_up(
    sandbox, client_id, change, headers
):
    url = await consent_url(sandbox, client_id)
    form = {"csrf_token": csrf_token(await sandbox.http.get(url)), "decision": "approve"}
    refused = await sandbox.http.post(url, data=form | change, headers=headers)
    assert (refused.status_code, "location" in refused.headers) == (403, False)
    assert (await sandbox.http.post(url, data=form)).status_code == 303


async def test_the_token_of_one_page_does_not_answer_another(sandbox, client_id):
    first, second = await consent_url(sandbox, client_id), await consent_url(sandbox, client_id)
    form = {"csrf_token": csrf_token(await sandbox.http.get(first)), "decision": "approve"}
    assert (await sandbox.http.post(second, data=form)).status_code == 403


async def test_a_client_that_died_while_the_page_was_open_gets_no_code(sandbox, client_id):
    url = await consent_url(sandbox, client_id)
    form = {"csrf_token": csrf_token(await sandbox.http.get(url)), "decision": "approve"}
    sandbox.store.end_client(client_id)
    assert (await sandbox.http.get(url)).status_code == 400
    assert (await sandbox.http.post(url, data=form)).status_code == 400


async def test_a_redirect_uri_refused_meanwhile_is_not_followed(sandbox, client_id):
    url = await consent_url(sandbox, client_id, redirect_uri="http://127.0.0.1:5/callback")
    form = {"csrf_token": csrf_token(await sandbox.http.get(url)), "decision": "approve"}
    sandbox.settings = replace(sandbox.settings, exact_loopback_port=True)
    assert (await sandbox.http.post(url, data=form)).status_code == 400


@pytest.mark.parametrize("body", [b"", b"\xff", b"decision=%ff", b"decision=approve"])
async def test_a_body_that_is_no_answer_is_refused(sandbox, client_id, body):
    url = await consent_url(sandbox, client_id)
    refused = await sandbox.http.post(url, content=body)
    assert (refused.status_code, "location" in refused.headers) == (403, False)
