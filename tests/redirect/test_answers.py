"""What a login makes of what comes through its listener: one right answer ends the wait, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ic_notebook.errors import OAuthError, SignInDeclined
from ic_notebook.login import login as logins
from ic_notebook.login.states import LoginState
from ic_notebook.redirect.listener import Listener

pytestmark = pytest.mark.anyio


async def nobody(_query):
    raise AssertionError


WRONG = [
    {},
    {"code": "c"},
    {"state": "s"},
    {"code": "c", "state": ""},
    {"code": "c", "state": "s"},
    {"code": "c", "state": "é\u2028"},
    {"error": "access_denied"},
    {"error": "access_denied", "state": "s"},
    {"error": "server_error", "state": "s" * 43},
    {"code": "c", "state": "x" * 17_000},
    {f"p{i}": "" for i in range(100)},
]


@pytest.mark.parametrize("parameters", WRONG)
async def test_a_wrong_answer_never_ends_the_wait(attempt, parameters):
    page = await attempt.redirected(**parameters)

    assert page.status_code == 400
    assert "belongs to another sign-in" in page.text
    assert attempt.login.state is LoginState.READY
    assert (await attempt.redirected(**attempt.right)).status_code == 200
    await attempt.run


@pytest.mark.parametrize("change", ["short", "long", "case", "twice", "two codes", "no code", "empty code"])
async def test_a_nearly_right_answer_never_ends_the_wait(attempt, change):
    state = str(attempt.login.request.state)
    query = {
        "short": f"code=c&state={state[:-1]}",
        "long": f"code=c&state={state}A",
        "case": f"code=c&state={state.swapcase()}",
        "twice": f"code=c&state={state}&state={state}",
        "two codes": f"code=c&code=d&state={state}",
        "no code": f"state={state}",
        "empty code": f"code=&state={state}",
    }[change]
    page = await attempt.browser.get(f"{attempt.redirect_uri}?{query}")

    assert page.status_code == 400
    assert attempt.login.state is LoginState.READY
    assert attempt.exchanged == []


async def test_the_right_answer_after_many_wrong_ones_connects(attempt):
    wrong = await asyncio.gather(*(attempt.redirected(code=f"c{i}", state="wrong") for i in range(50)))
    right = await attempt.redirected(**attempt.right)
    await attempt.run

    assert {page.status_code for page in wrong} == {400}
    assert (right.status_code, "Connected" in right.text) == (200, True)
    assert len(attempt.exchanged) == 1
    assert b"code=the-code" in attempt.exchanged[0]


async def test_an_answer_is_accepted_once_and_then_the_sign_in_is_over(attempt, eventually):
    attempt.gate.clear()
    first = asyncio.create_task(attempt.redirected(**attempt.right))
    await eventually(lambda: attempt.login.state is LoginState.FINISHING)
    during = [await attempt.redirected(**attempt.right), await attempt.redirected(code="x", state="y")]
    attempt.gate.set()
    await attempt.run
    after = [await attempt.redirected(**attempt.right), await attempt.redirected(code="x", state="y")]

    assert (await first).status_code == 200
    for page in [*during, *after]:
        assert page.status_code == 410
        assert "This sign-in is over" in page.text
    assert len(attempt.exchanged) == 1


async def test_of_answers_that_come_together_one_is_taken(attempt):
    answers = await asyncio.gather(*(attempt.redirected(**attempt.right) for _ in range(20)))
    await attempt.run

    assert sorted(page.status_code for page in answers) == [200] + [410] * 19
    assert len(attempt.exchanged) == 1


async def test_a_slow_token_request_lets_the_page_say_approved(attempt, monkeypatch, eventually):
    monkeypatch.setattr(logins, "PAGE_PATIENCE", 0.02)
    attempt.gate.clear()
    page = await attempt.redirected(**attempt.right)
    attempt.gate.set()
    await attempt.run

    assert (page.status_code, "Approved" in page.text) == (200, True)


async def test_a_declined_answer_ends_the_attempt_and_says_so(attempt):
    state = attempt.right["state"]
    page = await attempt.redirected(error="access_denied", error_description="<b>no</b>", state=state)

    assert (page.status_code, "Access was declined" in page.text) == (200, True)
    with pytest.raises(SignInDeclined):
        await attempt.run
    assert attempt.login.state is LoginState.FAILED
    assert (await attempt.redirected(**attempt.right)).status_code == 410


async def test_the_words_of_an_error_are_escaped_on_the_page(attempt):
    state = attempt.right["state"]
    page = await attempt.redirected(error="<x>", error_description="<script>a</script>", state=state)

    assert "&lt;script&gt;" in page.text
    assert "<script>a" not in page.text
    assert page.text.count("<script>") == 1
    with pytest.raises(OAuthError):
        await attempt.run


async def test_no_page_holds_a_secret(attempt):
    login = attempt.login
    right = attempt.right
    secrets = [right["state"], right["code"], str(login.request.code_verifier), "the-code"]
    shown = [await attempt.redirected(code=right["code"], state="wrong")]
    shown.append(await attempt.redirected(state=right["state"]))
    echo = {"error": "server_error", "error_description": f"{right['state']} {login.request.code_verifier}"}
    shown.append(await attempt.redirected(**echo, state=right["state"]))
    shown.append(await attempt.redirected(**right))
    with pytest.raises(OAuthError) as caught:
        await attempt.run

    for text in [*(page.text for page in shown), *(str(page.headers) for page in shown), str(caught.value)]:
        assert not [secret for secret in secrets if secret in text]


async def test_a_request_while_it_is_prepared_is_not_taken(start):
    attempt = start()
    attempt.gate.clear()
    while attempt.login._listener is None:
        await asyncio.sleep(0)
    port = attempt.login._listener.port
    page = await attempt.browser.get(f"http://127.0.0.1:{port}/callback", params={"code": "c", "state": "s"})
    attempt.gate.set()
    await attempt.ready()

    assert page.status_code == 410


async def test_after_the_linger_the_port_is_free(attempt, monkeypatch):
    monkeypatch.setattr(logins, "LINGER", 0.05)
    await attempt.redirected(**attempt.right)
    await attempt.run
    port = attempt.login._listener.port
    lingering = asyncio.create_task(attempt.login.linger())
    assert await Listener.open(nobody, ports=(port,)) is None
    await asyncio.wait_for(lingering, 5)
    again = await Listener.open(nobody, ports=(port,))

    assert again is not None
    again.close()


async def test_a_linger_that_is_cut_short_frees_the_port(attempt):
    await attempt.redirected(**attempt.right)
    await attempt.run
    lingering = asyncio.create_task(attempt.login.linger())
    await asyncio.sleep(0)
    lingering.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await lingering
    again = await Listener.open(nobody, ports=(attempt.login._listener.port,))

    assert again is not None
    again.close()


async def test_with_all_ports_taken_a_pasted_answer_connects(start, free_ports):
    ports = free_ports(2)
    taken = [await Listener.open(nobody, ports=(port,)) for port in ports]
    attempt = start(ports)
    await attempt.ready()
    assert not attempt.login.listening
    assert attempt.redirect_uri == f"http://127.0.0.1:{ports[0]}/callback"
    attempt.login.paste(f"{attempt.redirect_uri}?code=the-code&state={attempt.right['state']}")
    await attempt.run
    for listener in taken:
        listener.close()

    assert attempt.login.state is LoginState.CONNECTED
    await asyncio.wait_for(attempt.login.linger(), 1)


async def test_the_redirect_uri_is_that_of_the_port_that_is_listened_on(start, free_ports):
    ports = free_ports(3)
    taken = await Listener.open(nobody, ports=ports[:1])
    attempt = start(ports)
    await attempt.ready()
    taken.close()

    assert attempt.redirect_uri == f"http://127.0.0.1:{ports[1]}/callback"
    assert (await attempt.redirected(**attempt.right)).status_code == 200
    await attempt.run


async def test_no_address_of_the_listener_sends_a_browser_anywhere(attempt):
    """An open redirect, or one to the consent page, would hand our state to whoever asks."""
    elsewhere = "https://evil.example/"
    origin = attempt.redirect_uri.removesuffix("/callback")
    for path in (
        *("/start/", f"/start/{elsewhere}", "/start//evil.example/", f"/start/{'A' * 43}"),
        *("//evil.example/", "/start", f"/?next={elsewhere}", f"/{elsewhere}"),
        *(f"/callback?next={elsewhere}", f"/callback?redirect_uri={elsewhere}&error=x"),
    ):
        answer = await attempt.browser.get(origin + path)
        assert "location" not in answer.headers, path
        assert str(attempt.login.request.state) not in answer.text
    assert attempt.login.state is LoginState.READY
