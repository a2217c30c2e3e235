"""The last page where no listener is known to its server: it gives its address to a panel of its origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Page, expect

from ic_notebook.redirect import pages
from tests.browser.conftest import (  # noqa: F401 - fixtures
    _playwright_may_run,
    browser,
    browser_context,
    playwright_loop,
)

pytestmark = pytest.mark.browser

QUERY = "?code=the-code&state=the-state"
LISTEN = """([name, taking]) => {
  window.heard = [];
  window.channel = new BroadcastChannel(name);
  channel.onmessage = ({data}) => { heard.push(data); if (taking && data.query) channel.postMessage({taken: true}); };
  channel.postMessage({listening: true});
}"""
COUNT_VIOLATIONS = (
    "violated = []; addEventListener('securitypolicyviolation', e => violated.push(e.effectiveDirective))"
)


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        if self.path.startswith("/callback"):
            for name, value in pages.HAND_OVER_HEADERS:
                self.send_header(name, value)
        self.end_headers()
        if self.path.startswith("/callback"):
            self.wfile.write(pages.NOBODY_WAITS.to_bytes(hands_over=True))

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join(10)


@pytest.fixture
def tabs(browser_context, origin) -> Iterator:  # noqa: F811 - the fixture
    """``tabs(path)``: one more tab at this origin."""
    opened: list[Page] = []

    def one_more(path: str) -> Page:
        page = browser_context.new_page()
        page.add_init_script(COUNT_VIOLATIONS)
        page.goto(origin + path)
        opened.append(page)
        return page

    yield one_more
    assert [page.evaluate("window.violated") for page in opened if "/callback" in page.url] in ([[]], [])
    for page in opened:
        page.close()


def shows(page: Page, wanted: pages.Page) -> None:
    expect(page.get_by_role("heading")).to_have_text(wanted.heading)
    expect(page.locator("main > p").first).to_have_text(wanted.text)
    expect(page).to_have_title(wanted.heading)
    assert page.locator("main").get_attribute("class") == wanted.tone


def test_a_panel_that_listens_is_given_the_address_which_then_leaves_the_address_bar(tabs, origin):
    panel = tabs("/lab")
    panel.evaluate(LISTEN, ["ic-notebook the-state", True])
    page = tabs("/callback" + QUERY)
    shows(page, pages.HANDED_OVER)
    assert page.url == f"{origin}/callback"
    assert panel.evaluate("heard") == [{"query": QUERY}]


def test_a_panel_that_comes_later_is_given_it_then(tabs):
    page = tabs("/callback" + QUERY)
    shows(page, pages.NOBODY_WAITS)
    assert page.url.endswith(QUERY)
    tabs("/lab").evaluate(LISTEN, ["ic-notebook the-state", True])
    shows(page, pages.HANDED_OVER)


def test_a_panel_of_another_sign_in_hears_nothing(tabs):
    panel = tabs("/lab")
    panel.evaluate(LISTEN, ["ic-notebook another-state", True])
    page = tabs("/callback" + QUERY)
    shows(page, pages.NOBODY_WAITS)
    assert panel.evaluate("heard") == []


def test_what_has_not_been_taken_stays_to_be_copied(tabs):
    tabs("/lab").evaluate(LISTEN, ["ic-notebook the-state", False])
    page = tabs("/callback" + QUERY)
    shows(page, pages.NOBODY_WAITS)
    assert page.url.endswith(QUERY)


@pytest.mark.parametrize("query", ["", "?", "?code=the-code"])
def test_an_address_without_an_answer_says_so(tabs, query):
    panel = tabs("/lab")
    panel.evaluate(LISTEN, ["ic-notebook null", True])
    shows(tabs("/callback" + query), pages.LOST)
    assert panel.evaluate("heard") == []
