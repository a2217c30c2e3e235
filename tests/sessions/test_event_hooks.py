"""What a person's own httpx event hooks see: their calls, signed; never a code or a refresh token."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.sessions.people import CREDITS, TOKEN, signed_in

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", ["sync", "async", "the shared one"])
async def test_a_hook_sees_the_calls_of_its_own_client_and_no_token_request(sandbox, kind):
    requests: list[httpx.Request] = []
    responses: list[Any] = []
    session = signed_in(sandbox)
    before = session._source.current()
    sandbox.store.end_access_tokens()
    if kind == "async":

        async def saw(request: httpx.Request) -> None:
            requests.append(request)

        async def heard(response: httpx.Response) -> None:
            responses.append(response)

        async with session.async_client(event_hooks={"request": [saw], "response": [heard]}) as client:
            answer = await client.get(CREDITS)
    else:
        client = session.client(timeout=7) if kind == "sync" else session.client()
        client.event_hooks = {"request": [requests.append], "response": [responses.append]}
        answer = client.get(CREDITS)
        client.close()
    after = session._source.current()

    assert answer.status_code == 200
    assert sum(request.path == TOKEN for request in sandbox.requests) == 1
    assert after.refresh_token != before.refresh_token
    assert {request.url.path for request in requests} == {CREDITS}
    assert {response.request.url.path for response in responses} == {CREDITS}
    # The header is the call's own: whoever hangs a hook on a client can read it, as any code of this kernel can.
    assert requests[-1].headers["authorization"] == f"Bearer {after.access_token}"
    shown = repr([(each, each.headers, vars(each)) for each in (*requests, *(r.request for r in responses))])
    for secret in (before.access_token, before.refresh_token, after.access_token, after.refresh_token):
        assert str(secret) not in shown
