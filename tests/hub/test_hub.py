"""People at a JupyterHub: each connects with one click, and nobody gets anything of anybody else's."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect

from ic_notebook.redirect import pages
from tests.browser.conftest import Notebook, marked_as_running, notebooks_of
from tests.browser.test_sign_in import LOAD, approve, says, tab
from tests.hub.hubs import USERS, Hub, running_hub
from tests.hub.people import (
    Traffic,
    connects_with_one_click_while_a_cell_blocks,
    log_in,
    ready,
    server_of,
    wait_for_server,
    watch_loopback,
)
from tests.leaks.life import KEEP, KINDS, Life, searched
from tests.sizes import LONG

pytestmark = pytest.mark.browser

long = pytest.mark.skipif(not LONG, reason="with IC_TEST_LONG=1")


@pytest.fixture(scope="module")
def hub(tmp_path_factory, sandbox, port):
    with running_hub(tmp_path_factory.mktemp("hub"), {"IC_BASE_URL": sandbox.url}, port=port) as running:
        yield running


class Seat:
    """One person at the Hub: their browser, their server, what their browser sends."""

    def __init__(self, context: BrowserContext, hub: Hub, user: str) -> None:
        self.context, self.hub, self.user, self.server = context, hub, user, server_of(hub, user)
        self.traffic = Traffic(context)
        self.door = log_in(context, hub, user)


@pytest.fixture(scope="module")
def seats(person, hub, playwright_loop) -> dict[str, Seat]:
    """Both people; their servers start side by side."""
    with marked_as_running(playwright_loop[1]):
        both = {user: Seat(person(), hub, user) for user in USERS}
        for seat in both.values():
            wait_for_server(seat.door, seat.user)
    return both


@pytest.fixture
def ann(seats) -> Seat:
    return seats["ann"]


@pytest.fixture
def ben(seats) -> Seat:
    return seats["ben"]


@pytest.fixture
def notebook_at(request) -> Iterator[Callable[..., Notebook]]:
    """``notebook_at(seat)``: a notebook to open at a person's own server."""
    with contextlib.ExitStack() as stack:

        def one_more(seat: Seat) -> Notebook:
            return stack.enter_context(notebooks_of(seat.context, seat.server, request.node.name))()

        yield one_more


def test_two_people_each_connect_with_one_click_while_a_cell_blocks_and_the_logs_keep_no_secret(
    hub, seats, notebook_at, tmp_path, record_property
):
    life = Life(tmp_path / "kept", hub.log.parent)
    for seat in seats.values():
        notebook = notebook_at(seat)
        asked = watch_loopback(notebook.page)
        connects_with_one_click_while_a_cell_blocks(notebook, seat.server)
        assert asked == []
        notebook.kernel(f"{KEEP}\n_keep({str(life._kept)!r})\ndel _keep")
        notebook.save()
    sent = set().union(*(seat.traffic.secrets for seat in seats.values()))
    assert len(sent) == 4
    life.codes += sorted(sent - set(life.secrets.values()))
    assert life.kinds == KINDS
    log = hub.log.read_text()
    for user in ("ann", "ben"):
        assert f"/user/{user}/ic-notebook/callback" in log
    for one in ("JupyterHub", "ServerApp"):
        assert re.search(rf"\[D [^\]]* {one}\b", log), f"{one} logs at DEBUG"
    assert searched("JupyterHub, extension", life.secrets, life.places, record_property) == []


@long
def test_a_page_from_the_hub_could_not_reach_this_computer_without_asking(sandbox, ann, notebook_at):
    """What the tests above rest on: for the browser, the Hub is out on the internet."""
    page = notebook_at(ann).open(LOAD).page
    reach = "url => fetch(url, {mode: 'no-cors'}).then(() => 'reached', () => 'refused')"
    assert page.evaluate(reach, sandbox.url) == "refused"
    there = ann.context.new_page()
    there.goto(sandbox.url)
    assert there.evaluate(reach, sandbox.url) == "reached"
    there.close()


@long
def test_a_second_server_of_the_same_person_connects_by_its_own_address(hub, ann, notebook_at):
    page = ann.context.new_page()
    page.goto(f"{hub.url}hub/spawn/ann/second", wait_until="commit")
    wait_for_server(page, "ann", "second")
    first, second = notebook_at(ann), notebook_at(ann)
    first.open(LOAD).run(0)
    ready(first)
    connects_with_one_click_while_a_cell_blocks(second, server_of(hub, "ann", "second"))
    with tab(first, first.panel(0)) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text("Connected")
    says(first.panel(0), "Connected")


@long
def test_another_persons_browser_at_the_callback_gets_nothing_and_changes_nothing(hub, ann, ben, notebook_at):
    notebook = notebook_at(ann).open(LOAD)
    notebook.run(0)
    panel = ready(notebook)
    state = parse_qs(urlsplit(panel.get_by_role("link", name="Connect").get_attribute("href")).query)[
        "state"
    ][0]
    with tab(notebook, panel) as page:
        theirs = ben.context.new_page()
        answer = theirs.goto(f"{ann.server.url}ic-notebook/callback?code=of-somebody-else&state={state}")
        assert answer.status == 403
        expect(theirs.get_by_role("heading")).to_have_text(pages.NOT_LOGGED_IN.heading)
        assert "/hub/" not in theirs.url
        theirs.close()
        says(panel, "Approve in the other tab")
        approve(page)
        expect(page.get_by_role("heading")).to_have_text("Connected")
    says(panel, "Connected")
    log = hub.log.read_text()
    assert state not in log
    assert "of-somebody-else" not in log


@long
def test_a_browser_whose_login_is_gone_gets_our_page_and_goes_on_after_logging_in(
    hub, person, notebook_at, tmp_path
):
    """The cookies end between the click and the approval, as they do overnight."""
    seat = Seat(person(), hub, "ann")
    wait_for_server(seat.door, "ann")
    notebook = notebook_at(seat).open(LOAD)
    notebook.run(0)
    panel = ready(notebook)
    with tab(notebook, panel) as page:
        seat.context.clear_cookies()
        approve(page)
        expect(page.get_by_role("heading")).to_have_text(pages.NOT_LOGGED_IN.heading)
        assert "next=" not in page.url
        page.screenshot(path=tmp_path / "login_gone.png")
        secrets = seat.traffic.secrets
        assert len(secrets) == 2
        assert not [secret for secret in secrets if secret in hub.log.read_text()]
        wait_for_server(log_in(seat.context, hub, "ann"), "ann")
        page.reload()
        expect(page.get_by_role("heading")).to_have_text("Connected")
    says(panel, "Connected")
    assert not [secret for secret in secrets if secret in hub.log.read_text()]


STOP = """async user => {
  const token = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)[1];
  const ask = (path, method) => fetch(`${user}${path}?_xsrf=${token}`, {method});
  do await ask('/server', 'DELETE'); while ((await (await ask('', 'GET')).json()).servers[''] !== undefined);
}"""


@long
def test_a_code_that_came_when_the_server_was_stopped_is_of_no_use_to_who_reads_the_hubs_log(
    seats, sandbox, notebook_at, tmp_path, record_property
):
    """The redirect then ends at the Hub, which may log it; the verifier went with the kernel."""
    ben = seats["ben"]
    life = Life(tmp_path / "kept", ben.hub.log.parent)
    home = ben.context.new_page()
    home.goto(f"{ben.hub.url}hub/home")
    notebook = notebook_at(ben)
    notebook.open(LOAD, server=ben.server).run(0)
    panel = ready(notebook)
    link = parse_qs(urlsplit(panel.get_by_role("link", name="Connect").get_attribute("href")).query)
    with tab(notebook, panel) as page:
        notebook.kernel(f"{KEEP}\n_keep({str(life._kept)!r})\ndel _keep")
        home.evaluate(STOP, f"{ben.hub.url}hub/api/users/ben")
        with page.expect_request(lambda request: "/callback?" in request.url) as redirect:
            approve(page)
        page.wait_for_url("**/hub/user/ben/ic-notebook/callback?**")
    home.close()
    life.codes += parse_qs(urlsplit(redirect.value.url).query)["code"]
    hits = searched("JupyterHub, server stopped", life.secrets, life.places, record_property)
    assert {hit.place for hit in hits} <= {"hub.log"}
    assert {hit.secret.rstrip("-0123456789 ") for hit in hits} <= {"code", "state"}
    form = {"grant_type": "authorization_code", "code": life.codes[0], "code_verifier": "v" * 43}
    form |= {name: link[name][0] for name in ("client_id", "redirect_uri")}
    refused = httpx.post(f"{sandbox.url}/public/v1/oauth/token/", data=form, trust_env=False)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
