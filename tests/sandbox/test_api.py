"""The calls: authentication (RFC 6750), scope, rate limit, the apps."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

pytestmark = pytest.mark.anyio

APPS = "/public/v1/oauth/apps/"
CREDITS = "/public/v1/accounts/credits/"
LANGUAGES = "/public/v1/discovery/classifier/languages/"
AUTHENTICATED = [("GET", CREDITS), ("GET", LANGUAGES), ("GET", APPS), ("DELETE", APPS + "1/")]


async def test_credits_are_numbers(sandbox):
    response = await sandbox.call(sandbox.store.issue_token())
    assert (response.status_code, response.json()) == (200, {"credits_available": 627.13, "credits_used": 0})


async def test_languages_are_a_bare_list(sandbox):
    languages = (await sandbox.call(sandbox.store.issue_token(), LANGUAGES)).json()
    assert languages
    assert all(item.keys() == {"language", "abbreviation"} for item in languages)


@pytest.mark.parametrize(("method", "path"), AUTHENTICATED)
@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (None, "Bearer"),
        ("", "Bearer"),
        ("Bearer", "Bearer"),
        ("Basic Zm9vOmJhcg==", "Bearer"),
        ("Bearer wrong", 'Bearer error="invalid_token"'),
        ("Bearer é", 'Bearer error="invalid_token"'),
    ],
)
async def test_a_call_without_a_good_token_is_401(sandbox, method, path, header, challenge):
    headers = {} if header is None else {"Authorization": header.encode()}
    response = await sandbox.http.request(method, path, headers=headers)
    assert response.status_code == 401
    assert response.json().keys() == {"detail"}
    assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize(("method", "path"), AUTHENTICATED)
async def test_a_token_without_a_scope_is_403_everywhere(sandbox, method, path):
    response = await sandbox.call(sandbox.store.issue_token(scope=""), path, method)
    assert response.status_code == 403
    assert response.json().keys() == {"detail"}


async def test_an_issued_key_lives_until_it_is_ended_or_its_time_is_over(sandbox, clock):
    for_good, for_a_while = sandbox.store.issue_token(), sandbox.store.issue_token(lifetime=60)
    clock.now += 60
    assert await sandbox.alive(for_good)
    assert not await sandbox.alive(for_a_while)
    sandbox.store.end_access_tokens()
    assert not await sandbox.alive(for_good)


async def test_the_store_can_advance_the_clock(sandbox):
    token = sandbox.store.issue_token(lifetime=60)
    sandbox.store.advance(60)
    assert not await sandbox.alive(token)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/public/v1/accounts/credits", 404),
        ("GET", "/public/v1/account/credits", 404),
        ("POST", "/public/v1/oauth/token", 404),
        ("POST", "/public/v1/oauth/revoke/", 404),
        ("DELETE", "/public/v1/oauth/apps/1", 404),
        ("GET", "/.well-known/openid-configuration", 404),
        ("GET", "/public/v1/oauth/token/", 405),
        ("DELETE", "/public/v1/oauth/apps/", 405),
    ],
)
async def test_what_is_unknown_is_404_and_a_wrong_method_405(sandbox, method, path, status):
    response = await sandbox.http.request(method, path)
    assert response.status_code == status
    assert response.json().keys() == {"detail"}
    assert response.headers["cache-control"] == "no-store"


async def test_three_hundred_calls_a_minute_are_the_accounts_across_tokens_and_endpoints(sandbox, clock):
    one, two, other = (sandbox.store.issue_token(account=name) for name in ("A", "A", "B"))
    for number in range(300):
        path = (CREDITS, LANGUAGES, APPS)[number % 3]
        assert (await sandbox.call((one, two)[number % 2], path)).status_code == 200
        clock.now += 0.125
    refused = await sandbox.call(one)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "23")
    assert refused.json().keys() == {"detail"}
    assert await sandbox.alive(other)
    clock.now += 22.5
    assert (await sandbox.call(two)).status_code == 200


async def test_refused_calls_are_not_counted(open_sandbox, clock):
    sandbox = open_sandbox(rate_limit=1)
    token = sandbox.store.issue_token()
    await sandbox.call("wrong")
    assert await sandbox.alive(token)
    clock.now += 59
    assert (await sandbox.call(token)).headers["retry-after"] == "1"
    clock.now += 1
    assert await sandbox.alive(token)


async def test_a_429_may_come_without_retry_after(open_sandbox):
    sandbox = open_sandbox(rate_limit=1, retry_after=False)
    token = sandbox.store.issue_token()
    await sandbox.call(token)
    refused = await sandbox.call(token)
    assert (refused.status_code, "retry-after" in refused.headers) == (429, False)


async def test_the_limit_can_be_lowered_or_lifted_while_it_runs(sandbox):
    token = sandbox.store.issue_token()
    for _call in range(5):
        await sandbox.call(token)
    sandbox.settings = replace(sandbox.settings, rate_limit=2)
    assert (await sandbox.call(token)).status_code == 429
    sandbox.settings = replace(sandbox.settings, rate_limit=0)
    assert (await sandbox.call(token)).status_code == 200


async def test_no_app_is_there_until_one_is_authorized(sandbox):
    assert (await sandbox.call(sandbox.store.issue_token(), APPS)).json() == []


async def test_an_app_is_one_per_account_and_client(sandbox):
    client = await sandbox.register()
    first = await sandbox.sign_in(client["client_id"])
    await sandbox.sign_in(client["client_id"])
    (app,) = (await sandbox.call(first["access_token"], APPS)).json()
    assert app == {
        "id": 1,
        "client_id": client["client_id"],
        "name": "A notebook",
        "scopes": ["all"],
        "created_at": "2023-11-14T22:13:20Z",
    }
    sandbox.settings = replace(sandbox.settings, account="Another")
    other = await sandbox.sign_in(client["client_id"])
    assert [app["id"] for app in (await sandbox.call(other["access_token"], APPS)).json()] == [2]
    assert [app["id"] for app in (await sandbox.call(first["access_token"], APPS)).json()] == [1]


async def test_apps_can_be_seeded(sandbox):
    created = datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)
    seeded = sandbox.store.seed_app(name="Claude", created=created)
    (app,) = (await sandbox.call(sandbox.store.issue_token(), APPS)).json()
    assert (app["id"], app["name"], app["created_at"]) == (seeded, "Claude", "2024-05-06T07:08:09Z")


@pytest.mark.parametrize("field", ["id", "client_id", "name", "created_at", "scopes"])
async def test_a_field_can_be_left_out_of_the_apps(open_sandbox, field):
    sandbox = open_sandbox(without=frozenset({field}))
    sandbox.store.seed_app(name="One")
    (app,) = (await sandbox.call(sandbox.store.issue_token(), APPS)).json()
    assert app.keys() == {"id", "client_id", "name", "created_at", "scopes"} - {field}


async def test_the_list_can_be_under_a_key(open_sandbox):
    sandbox = open_sandbox(app_list="keyed")
    sandbox.store.seed_app(name="One")
    body = (await sandbox.call(sandbox.store.issue_token(), APPS)).json()
    assert body.keys() == {"apps"}
    assert [app["name"] for app in body["apps"]] == ["One"]


async def test_the_list_can_be_in_pages_with_absolute_links(open_sandbox):
    sandbox = open_sandbox(app_list="paginated", app_page_size=2)
    for name in "ABCDE":
        sandbox.store.seed_app(name=name)
    token = sandbox.store.issue_token()
    url, pages = APPS, []
    while url:
        pages.append((await sandbox.call(token, url)).json())
        url = pages[-1]["next"]
    assert pages[0]["next"] == "http://127.0.0.1:8000/public/v1/oauth/apps/?page=2"
    assert pages[2]["previous"] == "http://127.0.0.1:8000/public/v1/oauth/apps/?page=2"
    assert pages[0]["previous"] is None
    assert {page["count"] for page in pages} == {5}
    assert ["".join(app["name"] for app in page["results"]) for page in pages] == ["AB", "CD", "E"]


@pytest.mark.parametrize("page", ["0", "2", "-1", "x", "9" * 30, "²"])
async def test_a_page_that_is_not_there_is_404(open_sandbox, page):
    sandbox = open_sandbox(app_list="paginated")
    response = await sandbox.call(sandbox.store.issue_token(), f"{APPS}?page={page}")
    assert response.status_code == 404


async def test_disconnecting_answers_204_and_deactivates_all_tokens_of_the_app(sandbox):
    client_id, other = [(await sandbox.register())["client_id"] for _ in range(2)]
    first, second = await sandbox.sign_in(client_id), await sandbox.sign_in(client_id)
    pending = await sandbox.code(client_id)
    others = await sandbox.sign_in(other)
    response = await sandbox.call(others["access_token"], APPS + "1/", "DELETE")
    assert (response.status_code, response.content) == (204, b"")
    for tokens in (first, second):
        assert not await sandbox.alive(tokens["access_token"])
        assert (await sandbox.refresh(client_id, tokens["refresh_token"])).json() == {
            "error": "invalid_grant"
        }
    assert (await sandbox.exchange(client_id, pending)).json() == {"error": "invalid_grant"}
    assert [app["client_id"] for app in (await sandbox.call(others["access_token"], APPS)).json()] == [other]
    again = await sandbox.sign_in(client_id)
    assert sandbox.store.apps()[-1].id == 3
    assert await sandbox.alive(again["access_token"])


async def test_an_app_can_disconnect_itself(sandbox):
    tokens = await sandbox.sign_in((await sandbox.register())["client_id"])
    assert (await sandbox.call(tokens["access_token"], APPS + "1/", "DELETE")).status_code == 204
    assert (await sandbox.call(tokens["access_token"], APPS)).status_code == 401


@pytest.mark.parametrize("app_id", ["2", "0", "-1", "one", "1.0", "²", "9" * 40])
async def test_an_app_that_is_not_the_accounts_is_404(sandbox, app_id):
    sandbox.store.seed_app(name="Mine")
    response = await sandbox.call(sandbox.store.issue_token(), f"{APPS}{app_id}/", "DELETE")
    assert (response.status_code, response.json()) == (404, {"detail": "Not found."})
    stranger = sandbox.store.issue_token(account="Another")
    assert (await sandbox.call(stranger, f"{APPS}1/", "DELETE")).status_code == 404
    assert len(sandbox.store.apps()) == 1


@pytest.mark.parametrize("status", [200, 202])
async def test_disconnecting_can_answer_another_status(open_sandbox, status):
    sandbox = open_sandbox(delete_status=status)
    app_id = sandbox.store.seed_app(name="One")
    response = await sandbox.call(sandbox.store.issue_token(), f"{APPS}{app_id}/", "DELETE")
    assert response.status_code == status
    assert sandbox.store.apps() == []
