"""Codes that go astray: one of another sign-in that is put into ours, and one of ours that somebody steals."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ic_notebook.errors import OAuthError
from ic_notebook.login.states import LoginState
from ic_notebook.oauth.authorization import AuthorizationRequest
from tests.login.conftest import TOKEN

pytestmark = pytest.mark.anyio


def code_in(address: str) -> str:
    return parse_qs(urlsplit(address).query)["code"][0]


def same_program(request: AuthorizationRequest) -> AuthorizationRequest:
    """Another sign-in of the same client, as anybody can begin one: what it is registered as is no secret."""
    return AuthorizationRequest.new(
        request.server, client_id=request.client_id, redirect_uri=request.redirect_uri, scope=request.scope
    )


@pytest.mark.parametrize("way", ["redirect", "paste"])
async def test_a_code_of_another_sign_in_signs_nobody_in_even_with_the_right_state(start, browser, way):
    attempt = await start().reach()
    request = attempt.login.request
    theirs = code_in(await asyncio.to_thread(browser.address, same_program(request).url))
    injected = f"{request.redirect_uri}?code={theirs}&state={request.state}"
    if way == "redirect":
        await attempt.get(injected)
    else:
        attempt.login.paste(injected)
    with pytest.raises(OAuthError, match=r"not valid any more\. Connect again") as refusal:
        await attempt.run

    assert refusal.value.error == "invalid_grant"
    assert attempt.login.state is LoginState.FAILED


async def test_a_stolen_code_gets_no_token_without_the_verifier_and_still_connects_its_owner(start, sandbox):
    attempt = await start().reach()
    request = attempt.login.request
    address = await attempt.address()
    in_the_link = parse_qs(urlsplit(request.url).query)
    form = {
        "grant_type": "authorization_code",
        "code": code_in(address),
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
    }
    tries = [
        {},
        {"code_verifier": in_the_link["code_challenge"][0]},
        {"code_verifier": in_the_link["state"][0]},
        {"code_verifier": str(same_program(request).code_verifier)},
    ]
    async with httpx.AsyncClient(base_url=sandbox.url, trust_env=False) as thief:
        answers = [await thief.post(TOKEN, data=form | guess) for guess in tries]

    assert [answer.status_code for answer in answers] == [400] * len(tries)
    assert not any("access_token" in answer.text for answer in answers)
    await attempt.get(address)
    await attempt.run
    assert attempt.login.state is LoginState.CONNECTED
