"""The discovery call: its shape, its pages, and what it costs."""

from __future__ import annotations

import pytest

from ic_notebook.sandbox.catalogue import CREATORS

pytestmark = pytest.mark.anyio

DISCOVERY = "/public/v1/discovery/"
CREDITS = "/public/v1/accounts/credits/"


def asked(*, platform: str = "instagram", limit: int = 1, page: int = 0, **others) -> dict:
    return {
        "platform": platform,
        "paging": {"limit": limit, "page": page},
        "sort": {"sort_by": "relevancy", "sort_order": "desc"},
        "filters": None,
    } | others


async def post(sandbox, body, token: str | None = None):
    headers = {"Authorization": f"Bearer {token or sandbox.store.issue_token()}"}
    kind = {"content": body} if isinstance(body, bytes) else {"json": body}
    return await sandbox.http.post(DISCOVERY, headers=headers, **kind)


async def test_the_cheapest_call_has_the_services_shape_and_costs_a_hundredth(sandbox):
    token = sandbox.store.issue_token()
    answer = (await post(sandbox, asked(), token)).json()
    assert answer.keys() == {"total", "limit", "credits_left", "accounts"}
    assert (answer["total"], answer["limit"], answer["credits_left"]) == (1234, 1, "627.12")
    (account,) = answer["accounts"]
    assert account.keys() == {"user_id", "profile"}
    assert account["profile"].keys() >= {"username", "full_name", "followers"}
    left = (await sandbox.call(token, CREDITS)).json()
    assert left == {"credits_available": 627.12, "credits_used": 0.01}


async def test_pages_hold_every_creator_once_and_those_behind_the_last_are_empty_and_free(sandbox):
    token = sandbox.store.issue_token()
    pages = [(await post(sandbox, asked(limit=50, page=page), token)).json() for page in range(26)]
    assert [len(page["accounts"]) for page in pages] == [50] * 24 + [34, 0]
    ids = [account["user_id"] for page in pages for account in page["accounts"]]
    assert len(set(ids)) == len(ids) == CREATORS["instagram"]
    assert pages[-2]["credits_left"] == pages[-1]["credits_left"] == f"{627.13 - 12.34:.2f}"


async def test_creators_are_the_same_in_every_run_and_others_on_another_platform(open_sandbox):
    answers = [
        (await post(open_sandbox(), asked(limit=3, platform=platform))).json()["accounts"]
        for platform in ("youtube", "youtube", "tiktok")
    ]
    assert answers[0] == answers[1] != answers[2]


async def test_the_other_order_begins_at_the_end(sandbox):
    rising = asked(limit=2, sort={"sort_by": "relevancy", "sort_order": "asc"})
    falling = asked(limit=2, page=616)
    ids = [
        [account["user_id"] for account in (await post(sandbox, body)).json()["accounts"]]
        for body in (rising, falling)
    ]
    assert ids[0] == ids[1][::-1]


async def test_unknown_filters_are_ignored_and_billed(sandbox):
    answer = (await post(sandbox, asked(limit=10, filters={"no_such_filter": 7}))).json()
    assert (answer["total"], answer["credits_left"]) == (1234, "627.03")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        asked(limit=0),
        asked(limit=51),
        asked(limit=True),
        asked(limit=1.5),
        asked(page=-1),
        asked(platform="nowhere"),
        asked(platform=["instagram"]),
        asked(paging=[]) | {"paging": [1]},
    ],
)
async def test_what_cannot_be_is_400_and_free(sandbox, body):
    refused = await post(sandbox, body)
    assert (refused.status_code, refused.json().keys()) == (400, {"detail"})
    assert sandbox.store.credits.used("Sandbox account") == 0


async def test_what_the_account_cannot_pay_is_402_and_takes_nothing(sandbox):
    sandbox.store.credits.grant("Sandbox account", 9)
    assert (await post(sandbox, asked(limit=10))).status_code == 402
    assert (await post(sandbox, asked(limit=9))).json()["credits_left"] == "0.00"


async def test_it_is_a_call_as_any_other(sandbox, open_sandbox):
    assert (await sandbox.http.post(DISCOVERY, json=asked())).status_code == 401
    assert (await post(sandbox, asked(), sandbox.store.issue_token(scope=""))).status_code == 403
    strict = open_sandbox(rate_limit=1)
    statuses = [(await post(strict, asked(), strict.store.issue_token())).status_code for _ in range(2)]
    assert statuses == [200, 429]
