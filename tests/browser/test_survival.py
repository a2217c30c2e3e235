"""What a sign-in outlives between the click and the redirect, in a real JupyterLab, and what is left where it does not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from playwright.sync_api import expect

from ic_notebook.redirect.rendezvous import PREFIX
from tests.browser.test_routes import no_loopback
from tests.browser.test_sign_in import LOAD, approve, says, tab
from tests.sizes import needs_time

if TYPE_CHECKING:
    pass

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("sandbox_as_new")]

TIMED = "import ic_notebook as ic\nic.connect(timeout=3)"
RESTART = "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
SHUT_DOWN = "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()"
OVER = "This sign-in is over"


def port_of(panel) -> int:
    link = panel.get_by_role("link", name="Connect", exact=True)
    redirect_uri = parse_qs(urlsplit(link.get_attribute("href")).query)["redirect_uri"][0]
    return urlsplit(redirect_uri).port


def somebody_listens(port: int) -> bool:
    return any(
        c.laddr.port == port and c.status == psutil.CONN_LISTEN for c in psutil.net_connections("tcp4")
    )


def heading(page, words: str) -> None:
    expect(page.get_by_role("heading", name=words)).to_be_visible()


@needs_time
def test_the_page_is_loaded_anew_while_the_person_approves(notebook, lab):
    notebook.open(LOAD, server=lab).run(0)
    notebook.save()
    with tab(notebook, notebook.panel(0)) as page:
        notebook.reload()
        says(notebook.panel(0), "Approve in the other tab")
        approve(page)
        heading(page, "Connected")
    says(notebook.panel(0), "Connected")


@needs_time
def test_a_second_tab_of_the_notebook_shows_the_same(notebook, lab):
    notebook.open(LOAD, server=lab).run(0)
    notebook.save()
    second = notebook.page.context.new_page()
    second.goto(notebook.page.url.partition("?")[0])
    panel = second.locator(".ic-notebook")
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible(timeout=30_000)
    with tab(notebook, notebook.panel(0)) as page:
        expect(panel).to_contain_text("Approve in the other tab")
        approve(page)
    for shown in (notebook.panel(0), panel):
        says(shown, "Connected")


def test_a_double_click_opens_two_tabs_of_one_sign_in(notebook, lab, sandbox):
    notebook.open(LOAD, server=lab).run(0)
    link = notebook.panel(0).get_by_role("link", name="Connect", exact=True)
    before = set(notebook.page.context.pages)
    link.evaluate("node => { node.click(); node.click(); }")
    pages = [page for page in notebook.page.context.pages if page not in before]
    deadline = time.monotonic() + 10
    while len(pages) < 2 and time.monotonic() < deadline:
        notebook.page.wait_for_timeout(50)
        pages = [page for page in notebook.page.context.pages if page not in before]
    first, second = pages
    approve(first)
    heading(first, "Connected")
    approve(second)
    heading(second, OVER)
    says(notebook.panel(0), "Connected")
    assert sum(request.path.endswith("/token/") for request in sandbox.requests) == 1


@needs_time
def test_a_redirect_after_the_timeout_finds_that_it_is_over(notebook, lab):
    notebook.open(TIMED, server=lab)
    notebook.start(0)
    with tab(notebook, notebook.panel(0)) as page:
        assert "SignInTimeout" in notebook.wait(0)
        approve(page)
        heading(page, OVER)
    expect(notebook.panel(0).get_by_role("link", name="Connect", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    "end", [RESTART, pytest.param(SHUT_DOWN, marks=needs_time)], ids=["restarted", "shut down"]
)
def test_a_kernel_that_ends_meanwhile_leaves_no_port_and_no_file(notebook, lab, sandbox, end):
    notebook.open(LOAD, server=lab).run(0)
    port = port_of(notebook.panel(0))
    runtime = lab.root.parent / "runtime"
    assert list(runtime.glob(f"{PREFIX}*"))
    with tab(notebook, notebook.panel(0)) as page:
        notebook.page.evaluate(end)
        deadline = time.monotonic() + 15
        while somebody_listens(port) and time.monotonic() < deadline:
            notebook.page.wait_for_timeout(100)
        approve(page)
    assert not somebody_listens(port)
    assert not list(runtime.glob(f"{PREFIX}*"))
    if end == SHUT_DOWN:
        notebook.panel(0).get_by_role("button", name="Connect", exact=True).click()
    expect(notebook.panel(0)).to_contain_text("not connected to a running kernel", timeout=15_000)
    assert not any(request.path.endswith("/token/") for request in sandbox.requests)


@needs_time
def test_a_kernel_that_sleeps_meanwhile_is_noticed_and_goes_on_when_it_wakes(notebook, lab):
    notebook.open(LOAD, server=lab).run(0)
    process = psutil.Process(notebook.kernel(read="__import__('os').getpid()"))
    with tab(notebook, notebook.panel(0)) as page:
        says(notebook.panel(0), "Approve in the other tab")
        process.suspend()
        try:
            notebook.page.evaluate("() => window.dispatchEvent(new Event('focus'))")  # the person comes back
            expect(notebook.panel(0)).to_contain_text("not connected to a running kernel", timeout=15_000)
        finally:
            process.resume()
        approve(page)
        heading(page, "Connected")
    says(notebook.panel(0), "Connected")


@needs_time
def test_a_kernel_that_was_restarted_is_named_by_the_page_of_the_jupyter_server(notebook, lab):
    no_loopback(notebook)
    notebook.open(LOAD, server=lab).run(0)
    with tab(notebook, notebook.panel(0)) as page:
        notebook.page.evaluate(RESTART)
        notebook.wait_for_kernel()
        approve(page)
        heading(page, "One more step")
        expect(page.get_by_text("connect again")).to_be_visible()
    notebook.run(0)
    with tab(notebook, notebook.panel(0)) as page:
        approve(page)
        heading(page, "Connected")
    says(notebook.panel(0), "Connected")
