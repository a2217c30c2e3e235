"""Whole logins against the sandbox: the browser's way, the pasted way, and every way in which they end."""

from __future__ import annotations

import asyncio
import itertools
import logging
import subprocess
import sys

import pytest

from ic_notebook.errors import (
    AuthorizationResponseError,
    ICNotebookError,
    OAuthError,
    ServiceUnavailable,
    SignInCancelled,
    SignInDeclined,
    SignInTimeout,
    StorageError,
    UnexpectedAnswer,
)
from ic_notebook.login.login import Login
from ic_notebook.login.states import OVER, TRANSITIONS, LoginState
from ic_notebook.redirect.listener import Listener
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.session import Session
from ic_notebook.storage.clients import ClientStore
from ic_notebook.transport import Transport

pytestmark = pytest.mark.anyio

S = LoginState
TOKEN = "/public/v1/oauth/token/"


# -- the table


def test_every_state_has_its_row_and_every_end_is_reached():
    assert set(TRANSITIONS) == set(S)
    assert set(S) - {S.NEW} == set(itertools.chain.from_iterable(TRANSITIONS.values()))
    assert {S.CONNECTED, S.FAILED, S.RELEASED} == OVER
    assert all(S.FAILED in following for state, following in TRANSITIONS.items() if state not in OVER)


@pytest.mark.parametrize(("before", "after"), [(a, b) for a in S for b in S if b not in TRANSITIONS[a]])
async def test_a_move_that_is_not_in_the_table_is_refused(options, before, after):
    login = Login(options)
    login.state = before
    with pytest.raises(RuntimeError):
        login._move(after)
    assert login.state is before


# -- approved, declined, wrong


async def test_an_approved_login_connects_with_two_requests_and_the_next_with_one(start, paths, sandbox):
    first = await start().reach()
    page = await first.answer()
    session = await first.run

    assert (page.status_code, "Connected" in page.text, page.url.path) == (200, True, "/callback")
    assert isinstance(session, Session)
    assert first.states == [S.PREPARING, S.READY, S.FINISHING, S.CONNECTED]
    assert paths() == ["register", "token"]

    sandbox.requests.clear()
    second = await start().reach()
    await second.answer()
    await second.run
    assert paths() == ["token"]
    checks = [request for request in sandbox.requests if request.path.endswith("/authorize/")]
    assert [request.status for request in checks] == [302, 302]


async def test_a_new_process_registers_nothing(options, start, paths, sandbox, turn):
    first = await start().reach()
    await first.answer()
    await first.run
    sandbox.requests.clear()
    turn(auto_approve=True)
    script = f"""
import asyncio, pathlib, urllib.request
from ic_notebook.login.login import Login
from ic_notebook.login.options import LoginOptions
from ic_notebook.storage.clients import ClientStore
async def main():
    clients = ClientStore(pathlib.Path({str(options.clients.path)!r}), machine="here")
    login = Login(LoginOptions(base_url={options.base_url!r}, ports={options.ports!r}, clients=clients))
    run = asyncio.create_task(login.run())
    while login.request is None: await asyncio.sleep(0.01)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({{}}))
    page = await asyncio.to_thread(lambda: opener.open(login.request.url).read())
    await run
    login.close()
    print(b"Connected" in page)
asyncio.run(main())
"""
    first.login.close()
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script], capture_output=True, timeout=30, check=False
    )

    assert ended.stdout.strip() == b"True", ended.stderr.decode()
    assert paths() == ["token"]


async def test_a_person_who_opens_the_link_is_waited_for(start):
    attempt = await start().reach()
    attempt.login.opened()
    attempt.login.opened()
    await attempt.reach(S.WAITING)
    await attempt.answer()
    await attempt.run

    assert attempt.states == [S.PREPARING, S.READY, S.WAITING, S.FINISHING, S.CONNECTED]


async def test_a_denied_login_is_declined_in_words(start, paths):
    attempt = await start().reach()
    page = await attempt.answer("deny")
    with pytest.raises(SignInDeclined, match="choose Approve"):
        await attempt.run

    assert "Access was declined" in page.text
    assert attempt.states[-1] is S.FAILED
    assert paths() == ["register"]


async def test_a_wrong_state_first_and_the_right_one_after_it_connects(start, with_state):
    attempt = await start().reach()
    address = await attempt.address()
    wrong = await attempt.get(with_state(address, "another"))
    assert attempt.login.state is S.READY
    right = await attempt.get(address)
    await attempt.run

    assert (wrong.status_code, right.status_code) == (400, 200)


async def test_a_code_is_exchanged_once(start, paths):
    attempt = await start().reach()
    address = await attempt.address()
    pages = await asyncio.gather(*(attempt.get(address) for _ in range(5)))
    attempt.login.paste(address)
    await attempt.run
    attempt.login.paste(address)
    await attempt.get(address)

    assert sorted(page.status_code for page in pages) == [200, 410, 410, 410, 410]
    assert paths() == ["register", "token"]


async def test_a_code_is_exchanged_once_by_paste_and_redirect_together(start, paths, turn):
    turn(token_delay=0.1)
    attempt = await start().reach()
    address = await attempt.address()
    attempt.login.paste(address)
    page = await attempt.get(address)
    await attempt.run

    assert page.status_code == 410
    assert paths() == ["register", "token"]


# -- pasted


@pytest.mark.parametrize(
    "form",
    [
        lambda address: address,
        lambda address: f'  "{address}"\n',
        lambda address: address.partition("?")[2],
        lambda address: "?" + address.partition("?")[2],
        lambda address: address.partition("code=")[2].partition("&")[0],
        lambda address: address[:60] + "\n" + address[60:],
        lambda address: address.replace("127.0.0.1", "localhost"),
    ],
    ids=["address", "quoted", "query", "?query", "code", "broken by a terminal", "localhost"],
)
async def test_a_pasted_answer_connects(start, form):
    attempt = await start().reach()
    attempt.login.opened()
    attempt.login.paste(form(await attempt.address()))
    await attempt.run

    assert attempt.login.state is S.CONNECTED
    assert attempt.login.problem is None


async def test_what_cannot_be_an_answer_is_explained_and_can_be_pasted_again(start, with_state):
    attempt = await start().reach()
    address = await attempt.address()
    wrong = [
        "",
        "   ",
        "https://evil.example/callback?code=c&state=s",
        "not a code",
        with_state(address, "another"),
        attempt.url,
        address.partition("?")[0],
        "x" * 100_000,
        "\ud800",
        f"{address.partition('?')[0]}?error=access_denied&state={attempt.login.request.state}",
        f"{address.partition('?')[0]}?error=server_error&state={attempt.login.request.state}",
    ]
    problems = []
    for text in wrong:
        attempt.login.paste(text)
        problems.append(attempt.login.problem)
        assert attempt.login.state is S.READY
    attempt.login.paste(address)
    await attempt.run

    assert all(problems)
    assert attempt.login.problem is None
    assert not [problem for problem in problems if str(attempt.login.request.state) in problem]


async def test_a_paste_before_there_is_a_link_or_after_the_end_is_nothing(start):
    attempt = start()
    attempt.login.paste("https://evil.example/?code=c&state=s")
    assert attempt.login.problem is None
    await attempt.reach()
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await attempt.run
    attempt.login.paste("anything")

    assert attempt.login.problem is None


# -- cancelled, timed out, released


@pytest.mark.parametrize("state", [S.PREPARING, S.READY, S.WAITING])
async def test_a_login_can_be_cancelled(start, state):
    attempt = start()
    while attempt.login.state is S.NEW:
        await asyncio.sleep(0)
    if state is not S.PREPARING:
        await attempt.reach()
    if state is S.WAITING:
        attempt.login.opened()
    assert attempt.login.state is state
    attempt.login.cancel()
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await attempt.run
    attempt.login.cancel()

    assert attempt.login.state is S.FAILED
    attempt.login.close()
    await asyncio.sleep(0)
    again = await Listener.open(attempt.login.respond, ports=attempt.login.options.ports)
    assert again.port == attempt.login.options.ports[0]
    again.close()


async def test_a_cancel_that_comes_together_with_the_registration_counts(start, server):
    answer = server.handle_async_request

    async def answer_and_cancel(request):
        response = await answer(request)
        attempt.login.cancel()
        return response

    server.handle_async_request = answer_and_cancel
    attempt = start(transport=Transport(http=server))
    with pytest.raises(SignInCancelled):
        await asyncio.wait_for(attempt.run, 5)

    assert attempt.states == [S.PREPARING, S.FAILED]


async def test_cancel_before_it_runs_is_nothing(options):
    login = Login(options)
    login.cancel()
    assert login.state is S.NEW


async def test_a_code_that_is_on_its_way_is_not_called_back(start, turn):
    turn(token_delay=0.2)
    attempt = await start().reach()
    attempt.login.paste(await attempt.address())
    await attempt.reach(S.FINISHING)
    attempt.login.cancel()
    await attempt.run

    assert attempt.login.state is S.CONNECTED


async def test_cancelled_together_with_the_answer_ends_in_one_way(start):
    attempt = await start().reach()
    attempt.login.paste(await attempt.address())
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await attempt.run

    assert attempt.login.state is S.FAILED


async def test_a_cancelled_login_tells_the_browser_that_it_is_over(start):
    attempt = await start().reach()
    address = await attempt.address()
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await attempt.run
    page = await attempt.get(address)

    assert (page.status_code, "This sign-in is over" in page.text) == (410, True)


async def test_a_link_that_nobody_opens_is_released(start):
    attempt = start(release_after=0.1)
    with pytest.raises(SignInTimeout):
        await attempt.run

    assert attempt.states == [S.PREPARING, S.READY, S.RELEASED]


async def test_a_link_that_was_opened_and_not_answered_has_timed_out(start):
    attempt = start(release_after=0.2)
    await attempt.reach()
    attempt.login.opened()
    with pytest.raises(SignInTimeout, match="Nobody approved"):
        await attempt.run

    assert attempt.states == [S.PREPARING, S.READY, S.WAITING, S.FAILED]


async def test_an_answer_to_a_link_that_nobody_was_seen_to_open_counts(start):
    attempt = await start().reach()
    await attempt.answer()
    await attempt.run

    assert S.WAITING not in attempt.states


# -- the server fails


async def test_a_server_that_is_down_is_named(start, free_ports):
    (port,) = free_ports(1)
    attempt = start(base_url=f"http://127.0.0.1:{port}")
    with pytest.raises(ServiceUnavailable, match=f"No connection to 127.0.0.1:{port}"):
        await attempt.run

    assert attempt.states == [S.PREPARING, S.FAILED]
    assert attempt.login.request is None


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("stage", ["before", "after"])
async def test_a_token_endpoint_that_fails_gets_the_code_once(start, turn, paths, status, stage):
    turn(faults=Faults(fraction=1.0, paths=(TOKEN,), status=status, stage=stage))
    attempt = await start().reach()
    page = await attempt.answer()
    with pytest.raises(ServiceUnavailable, match=str(status)):
        await attempt.run

    assert "Not connected" in page.text
    assert attempt.login.state is S.FAILED
    assert paths() == ["register", "token"]


async def test_an_answer_that_is_lost_does_not_send_the_code_again(start, turn, paths, until):
    turn(token_delay=0.5)
    attempt = await start(transport=Transport(timeout=0.2)).reach()
    address = await attempt.address()
    page = await attempt.get(address)
    with pytest.raises(ServiceUnavailable) as caught:
        await attempt.run
    await attempt.get(address)
    # The server writes a request down when it answers.
    await until(lambda: "token" in paths())

    assert caught.value.answer_lost
    assert "Not connected" in page.text
    assert paths() == ["register", "token"]


async def test_a_pasted_code_that_the_server_does_not_know_can_be_pasted_over(start, until):
    attempt = await start().reach()
    address = await attempt.address()
    attempt.login.paste("made-up-code")
    await until(lambda: attempt.login.problem)

    assert "The service knows no such code" in attempt.login.problem
    assert attempt.login.state is S.WAITING
    attempt.login.paste(address)
    await attempt.run
    assert attempt.login.state is S.CONNECTED


async def test_a_used_up_code_with_the_right_state_ends_the_attempt_in_words(start, turn, browser):
    attempt = await start().reach()
    attempt.login.paste(f"code=made-up-code&state={attempt.login.request.state}")
    with pytest.raises(OAuthError, match=r"not valid any more. Connect again") as caught:
        await attempt.run

    assert caught.value.error == "invalid_grant"
    assert attempt.login.state is S.FAILED


async def test_a_word_that_went_astray_is_no_code_and_can_be_pasted_over(start, paths):
    attempt = await start().reach()
    attempt.login.paste("done")

    assert "There is no code in that" in attempt.login.problem
    assert attempt.login.state is S.READY
    assert paths() == ["register"]


async def test_a_client_that_is_unknown_at_the_token_endpoint_is_registered_anew_next_time(
    start, sandbox, paths
):
    first = await start().reach()
    address = await first.address()
    client_id = first.login.request.client_id
    sandbox.store.end_client(client_id)
    page = await first.get(address)
    with pytest.raises(OAuthError, match="invalid_client"):
        await first.run
    assert "Not connected" in page.text

    sandbox.requests.clear()
    second = await start().reach()
    await second.answer()
    await second.run
    assert second.login.request.client_id != client_id
    assert paths() == ["register", "token"]


async def test_a_sandbox_that_has_forgotten_its_clients_gets_a_new_one_unseen(start, sandbox, paths):
    first = await start().reach()
    await first.answer()
    await first.run
    sandbox.store.end_client(first.login.request.client_id)
    sandbox.requests.clear()
    second = await start().reach()
    page = await second.answer()
    await second.run

    assert "Connected" in page.text
    assert second.login.notice is None
    assert paths() == ["register", "token"]


async def test_a_fault_of_our_own_fails_the_login_and_tells_the_browser(start, monkeypatch):
    def broken(*_arguments, **_options):
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr(Session, "signed_in", broken)
    attempt = await start().reach()
    page = await attempt.answer()
    with pytest.raises(ZeroDivisionError):
        await attempt.run

    assert attempt.login.state is S.FAILED
    assert "A fault of ic_notebook itself (ZeroDivisionError)" in page.text
    assert "a secret" not in page.text


# -- where it is kept, what is asked for


async def test_a_store_that_cannot_be_written_costs_a_warning_and_no_sign_in(start, tmp_path, caplog, paths):
    (tmp_path / "file").write_text("in the way")
    attempt = await start(clients=ClientStore(tmp_path / "file" / "clients.json", machine="here")).reach()
    await attempt.answer()
    await attempt.run

    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings
    assert all("file" in record.getMessage() for record in warnings)
    assert issubclass(StorageError, ICNotebookError)


@pytest.mark.parametrize("iss", [True, False])
@pytest.mark.parametrize("way", ["redirect", "paste"])
async def test_a_discovered_server_connects(start, turn, sandbox, iss, way):
    turn(iss=iss)
    attempt = await start(discover=True).reach()
    address = await attempt.address()
    assert ("iss=" in address) is iss
    if way == "redirect":
        assert (await attempt.get(address)).status_code == 200
    else:
        attempt.login.paste(address)
    await attempt.run

    assert attempt.login.request.server.announced
    assert "scope=all" in attempt.url
    assert ("GET", "/.well-known/oauth-authorization-server", 200) in sandbox.requests


@pytest.mark.parametrize("change", ["missing", "foreign"])
async def test_an_answer_of_another_issuer_never_ends_the_wait(start, turn, change):
    turn(iss=True)
    attempt = await start(discover=True).reach()
    address = await attempt.address()
    without = "&".join(part for part in address.split("&") if not part.startswith("iss="))
    wrong = without if change == "missing" else f"{without}&iss=https%3A%2F%2Fevil.example"
    assert (await attempt.get(wrong)).status_code == 400
    attempt.login.paste(wrong)
    assert "another server" in attempt.login.problem
    await attempt.get(address)
    await attempt.run


async def test_discovery_that_fails_is_explained(start, sandbox, turn):
    turn(faults=Faults(fraction=1.0, paths=("/.well-known/",), status=500))
    attempt = start(discover=True)
    with pytest.raises((UnexpectedAnswer, ServiceUnavailable)):
        await attempt.run

    assert attempt.states == [S.PREPARING, S.FAILED]


@pytest.mark.parametrize(
    ("scope", "asked"), [(None, "scope=all"), ("all", "scope=all"), ("a b", "scope=a+b")]
)
async def test_the_scope_is_asked_for_at_registration_and_authorization(start, scope, asked):
    attempt = await start(scope=scope).reach()

    assert asked in attempt.url


async def test_a_scope_that_nothing_is_granted_of_fails_in_words(start):
    attempt = await start(scope="unknown").reach()
    await attempt.answer()
    with pytest.raises((OAuthError, AuthorizationResponseError), match="scope"):
        await attempt.run


async def test_without_a_scope_in_the_answer_it_connects(start, turn):
    turn(without=frozenset({"scope", "expires_in", "refresh_token", "metadata"}))
    attempt = await start().reach()
    await attempt.answer()
    await attempt.run

    assert attempt.login.state is S.CONNECTED


@pytest.mark.parametrize(
    "settings", [{"exact_loopback_port": True}, {"registration_status": 200}, {"client_secret": True}]
)
async def test_what_the_service_leaves_open_is_taken_either_way(start, turn, settings):
    turn(**settings)
    attempt = await start().reach()
    await attempt.answer()
    await attempt.run

    assert attempt.login.state is S.CONNECTED
