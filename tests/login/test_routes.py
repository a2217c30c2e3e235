"""By which route a link comes back: the page's findings, early, late, refused, or none."""

from __future__ import annotations

import json
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from ic_notebook.errors import SignInCancelled
from ic_notebook.login.links import NOT_BACK_TO
from ic_notebook.login.states import LoginState
from ic_notebook.redirect.rendezvous import find
from ic_notebook.redirect.routes import Findings

pytestmark = pytest.mark.anyio

S = LoginState
BASE = "/user/ann/"
ORIGIN = "http://127.0.0.1:8888"
HUB = "https://hub.example"
LONG = 60.0


def found(*reached: str, origin: str = ORIGIN) -> Findings:
    return Findings.of(
        {"tried": [{"name": name, "ok": True} for name in reached], "origin": origin, "base_url": BASE}
    )


def redirect_uri(attempt) -> str:
    return parse_qs(urlsplit(attempt.url).query)["redirect_uri"][0]


async def told(attempt, until):
    """Once the page can know of the listener."""
    await until(lambda: attempt.login.port is not None and attempt.states)
    return attempt


async def test_a_link_waits_for_what_the_page_finds_out(start, until, paths):
    attempt = await told(start(prove_within=LONG), until)
    assert paths() == []
    attempt.login.found(found("extension"))
    await attempt.reach()
    assert redirect_uri(attempt) == f"{ORIGIN}{BASE}ic-notebook/callback"
    assert attempt.login.one_click


@pytest.mark.parametrize("reached", [("loopback",), ("loopback", "extension")])
async def test_on_one_computer_it_comes_straight_back(start, until, reached):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found(*reached))
    await attempt.reach()
    assert redirect_uri(attempt) == f"http://127.0.0.1:{attempt.login.port}/callback"
    await attempt.answer()
    await attempt.run


async def test_a_page_that_says_nothing_costs_its_time_and_then_a_paste(start):
    began = time.monotonic()
    attempt = await start(prove_within=0.2).reach()
    assert time.monotonic() - began >= 0.2
    assert not attempt.login.one_click
    assert attempt.login.listening
    assert redirect_uri(attempt) == f"http://127.0.0.1:{attempt.login.port}/callback"


async def test_a_page_that_reaches_nothing_is_not_waited_for_any_longer(start, until):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found())
    await attempt.reach()
    assert not attempt.login.one_click


async def test_a_better_way_found_late_is_taken_as_long_as_nobody_has_opened_the_link(start, until, paths):
    attempt = await start(prove_within=0.01).reach()
    first = attempt.url
    attempt.login.found(found("extension"))
    await until(lambda: attempt.login.state is S.READY and attempt.url != first)
    assert redirect_uri(attempt) == f"{ORIGIN}{BASE}ic-notebook/callback"
    assert paths() == ["register", "register"]
    second = attempt.url
    attempt.login.found(found("extension", "loopback"))
    await until(lambda: attempt.login.state is S.READY and attempt.url != second)
    assert attempt.login.route.name == "loopback"


async def test_a_link_that_was_opened_stays(start):
    attempt = await start(prove_within=0.01).reach()
    attempt.login.opened()
    url = attempt.url
    attempt.login.found(found("extension"))
    assert (attempt.login.state, attempt.url) == (S.WAITING, url)


async def test_a_worse_way_found_late_changes_nothing(start, until):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found("loopback"))
    await attempt.reach()
    url = attempt.url
    attempt.login.found(found("extension"))
    assert (attempt.login.state, attempt.url) == (S.READY, url)


async def test_a_service_that_refuses_a_servers_address_is_answered_by_a_paste(start, until, turn, paths):
    turn(https_redirect_uris=False)
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found("extension", origin=HUB))
    await attempt.reach()
    assert urlsplit(redirect_uri(attempt)).hostname == "127.0.0.1"
    assert attempt.login.notice == NOT_BACK_TO.format(host="hub.example")
    assert not attempt.login.one_click
    assert paths() == ["register", "register"]
    attempt.login.paste(await attempt.address())
    await attempt.run


async def test_with_an_https_address_that_is_taken_the_client_says_that_it_is_a_web_client(
    start, until, sandbox
):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found("extension", origin=HUB))
    await attempt.reach()
    (client_id,) = parse_qs(urlsplit(attempt.url).query)["client_id"]
    assert sandbox.store.client(client_id).metadata["application_type"] == "web"
    attempt.login.paste(await attempt.address())
    await attempt.run


async def test_each_way_has_a_client_of_its_own_which_is_registered_once(start, until, paths):
    for _ in range(2):
        for way in ("loopback", "extension"):
            attempt = await told(start(prove_within=LONG), until)
            attempt.login.found(found(way))
            await attempt.reach()
            attempt.login.cancel()
            with pytest.raises(SignInCancelled):
                await attempt.run
            attempt.login.close()
    assert paths() == ["register", "register"]


async def test_the_jupyter_server_finds_it_by_its_state_and_by_its_key_until_it_is_over(
    start, until, tmp_path
):
    folder = tmp_path / "runtime"
    folder.mkdir()
    attempt = await told(start(prove_within=LONG, folder=folder), until)
    assert find(folder, attempt.login.door.key) == attempt.login.port
    attempt.login.found(found("extension"))
    await attempt.reach()
    assert find(folder, attempt.login.request.state) == attempt.login.port
    attempt.login.cancel()
    with pytest.raises(SignInCancelled):
        await attempt.run
    # A browser that comes late is told that this is over.
    assert find(folder, attempt.login.request.state) == attempt.login.port
    attempt.login.close()
    assert list(folder.iterdir()) == []


async def test_a_folder_that_cannot_be_written_stops_no_sign_in(start, until, tmp_path):
    attempt = await told(start(prove_within=LONG, folder=tmp_path / "missing"), until)
    attempt.login.found(found("loopback"))
    await attempt.reach()
    await attempt.answer()
    await attempt.run


async def test_with_every_port_taken_the_jupyter_server_still_finds_it(start, until, options, tmp_path):
    import contextlib
    import socket

    with contextlib.ExitStack() as taken:
        for port in options.ports:
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
        attempt = await told(start(prove_within=LONG, folder=tmp_path), until)
        assert attempt.login.port not in {None, *options.ports}
        assert not attempt.login.listening
        attempt.login.found(found("loopback", "extension"))
        await attempt.reach()
        assert attempt.login.route.name == "extension"
        assert attempt.login.one_click


def at_door(attempt, kind: str, **parts) -> bool:
    message = {"type": kind, "key": attempt.login.door.key, "origin": ORIGIN, **parts}
    return attempt.login.at_door(json.dumps(message).encode(), ORIGIN) == attempt.login.door.answer


async def test_what_a_person_does_is_heard_at_the_door(start, until):
    attempt = await told(start(prove_within=LONG), until)
    assert at_door(attempt, "probe")
    assert at_door(attempt, "routes", tried=[{"name": "loopback", "ok": True}], base_url=BASE)
    await attempt.reach()
    assert at_door(attempt, "opened")
    assert attempt.login.state is S.WAITING
    assert at_door(attempt, "paste", text="nonsense")
    assert attempt.login.problem is not None
    assert at_door(attempt, "paste", text=await attempt.address())
    await attempt.run


async def test_a_cancel_and_a_new_client_are_heard_at_the_door(start, until, paths):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found("loopback"))
    await attempt.reach()
    url = attempt.url
    assert at_door(attempt, "opened")
    assert at_door(attempt, "register")
    await until(lambda: attempt.login.state is S.READY and attempt.url != url)
    assert paths() == ["register", "register"]
    assert at_door(attempt, "cancel")
    with pytest.raises(SignInCancelled):
        await attempt.run


@pytest.mark.parametrize("kind", ["probe", "routes", "opened", "cancel", "register", "paste", "answer"])
async def test_nobody_else_is_heard_at_the_door(start, until, kind):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found("loopback"))
    await attempt.reach()
    states, said = list(attempt.states), f"code={'c' * 40}&state={attempt.login.request.state}"
    for guess in ("guessed", "", str(attempt.login.door.key)[:-1], str(attempt.login.request.state)):
        message = json.dumps({"type": kind, "key": guess, "origin": ORIGIN, "text": said}).encode()
        assert attempt.login.at_door(message, ORIGIN) is None
    assert (attempt.states, attempt.login.problem) == (states, None)
    assert not attempt.run.done()


@pytest.mark.parametrize(
    "parts", [{"type": "revoke"}, {"type": None}, {"type": "paste", "text": 1}, {"type": []}]
)
async def test_what_the_door_does_not_know_changes_nothing(start, until, parts):
    attempt = await told(start(prove_within=LONG), until)
    attempt.login.found(found("loopback"))
    await attempt.reach()
    states = list(attempt.states)
    message = {"key": attempt.login.door.key, "origin": ORIGIN, **parts}
    attempt.login.at_door(json.dumps(message).encode(), ORIGIN)
    assert attempt.states == states


async def test_a_hosted_proxy_sends_the_browser_on_to_the_consent_page(start, until):
    attempt = await told(start(prove_within=LONG), until)
    findings = {"tried": [{"name": "hosted", "ok": True}], "hosted": "https://p.host.example"}
    attempt.login.found(Findings.of(findings))
    await attempt.reach()
    assert attempt.login.url == f"https://p.host.example/start/{attempt.login.door.start}"
    assert attempt.login.started(attempt.login.door.start) == attempt.url
    assert attempt.login.started("guessed") is None
    assert redirect_uri(attempt) == "https://p.host.example/callback"
    assert "p.host.example" in attempt.login._listener.hosts
