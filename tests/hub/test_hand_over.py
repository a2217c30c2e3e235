"""A kernel out of its Jupyter server's reach: the last page hands its address to the panel, or a person does."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ic_notebook.redirect import pages
from tests.browser.conftest import notebooks_of
from tests.browser.test_routes import no_loopback, redirect_uri
from tests.browser.test_sign_in import CREDITS, LOAD, approve, says, tab
from tests.hub.gateways import can_be_elsewhere, running_gateway
from tests.hub.people import Traffic, ready
from tests.sizes import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

long = pytest.mark.skipif(not LONG, reason="with IC_TEST_LONG=1")


@pytest.fixture(scope="module")
def gateways(tmp_path_factory, sandbox) -> Iterator:
    """``gateways(elsewhere=…)``; they end after the Jupyter servers, which `lab` is asked for after this."""
    with ExitStack() as ends:
        yield lambda **where: ends.enter_context(
            running_gateway(tmp_path_factory.mktemp("gateway"), sandbox.url, **where)
        )


@pytest.fixture(scope="module")
def servers(gateways, tmp_path_factory) -> Iterator:
    """``servers(gateway)``: a JupyterLab whose kernels are behind it; ends before the gateway does."""
    from tests.browser.conftest import running_jupyterlab

    with ExitStack() as ends:
        yield lambda gateway: ends.enter_context(
            running_jupyterlab(tmp_path_factory.mktemp("jupyterlab"), {}, (f"--gateway-url={gateway}",))
        )


@pytest.fixture(scope="module")
def lab(gateways, servers):
    return servers(gateways())


@pytest.fixture(scope="module")
def context(person, playwright_loop):
    from tests.browser.conftest import marked_as_running

    with marked_as_running(playwright_loop[1]):
        return person()


@pytest.fixture
def notebook(context, lab, request):
    """A notebook whose kernel is on another computer, as far as its page can tell."""
    with notebooks_of(context, lab, request.node.name) as one_more:
        notebook = one_more()
        no_loopback(notebook)
        yield notebook


def goes_through_the_page(notebook, lab) -> None:
    traffic = Traffic(notebook.page.context)
    notebook.open(LOAD, CREDITS, server=lab).run(0)
    panel = ready(notebook)
    assert redirect_uri(panel) == f"{lab.url}ic-notebook/callback"
    with tab(notebook, panel) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text(pages.HANDED_OVER.heading)
        assert page.url == f"{lab.url}ic-notebook/callback"
    says(panel, "Connected")
    assert "627.13" in notebook.run(1)
    log = lab.log.read_text()
    assert "/ic-notebook/callback" in log
    assert len(traffic.secrets) == 2
    assert not [secret for secret in traffic.secrets if secret in log]


def test_the_last_page_hands_over_to_the_panel_with_one_click(notebook, lab):
    goes_through_the_page(notebook, lab)


@long
@pytest.mark.skipif(
    LONG and not can_be_elsewhere(), reason="makes a network namespace: needs root, unshare and ip"
)
def test_so_it_does_where_the_kernel_is_in_another_network(context, gateways, servers, request):
    lab = servers(gateways(elsewhere=True))
    with notebooks_of(context, lab, request.node.name) as one_more:
        goes_through_the_page(one_more(), lab)


@long
def test_declined_is_handed_over_as_well(notebook, lab):
    notebook.open(LOAD, server=lab).run(0)
    panel = ready(notebook)
    with tab(notebook, panel) as page:
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("heading")).to_have_text(pages.HANDED_OVER.heading)
    says(panel, "Not connected: access was declined")


@long
def test_a_panel_whose_output_is_cleared_meanwhile_still_passes_it_on(notebook, lab):
    notebook.open(LOAD, CREDITS, server=lab).run(0)
    panel = ready(notebook)
    with tab(notebook, panel) as page:
        notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        expect(panel).to_have_count(0)
        approve(page)
        expect(page.get_by_role("heading")).to_have_text(pages.HANDED_OVER.heading)
    assert "627.13" in notebook.run(1)


@long
def test_a_panel_that_comes_later_takes_it_from_the_last_page_that_still_stands_there(notebook, lab):
    page = approved_without_a_panel(notebook, lab)
    reopened(notebook)
    expect(page.get_by_role("heading")).to_have_text(pages.HANDED_OVER.heading)
    says(notebook.panel(0), "Connected")


@long
def test_with_the_panel_gone_the_last_pages_address_is_pasted_into_a_new_one(notebook, lab, tmp_path):
    page = approved_without_a_panel(notebook, lab)
    page.screenshot(path=tmp_path / "one_more_step.png")
    address = page.url
    page.close()
    reopened(notebook)
    panel = notebook.panel(0)
    says(panel, "Approve in the other tab")
    panel.get_by_role("button", name="Paste its address").click()
    expect(panel.get_by_text("Copy the address of the last page and paste it here.")).to_be_visible()
    panel.screenshot(path=tmp_path / "new_panel.png")
    field = panel.get_by_role("textbox")
    field.fill(address)
    field.press("Enter")
    says(panel, "Connected")


def approved_without_a_panel(notebook, lab):
    """The last page, which comes when the notebook's page is closed already."""
    notebook.open(LOAD, server=lab).run(0)
    panel = ready(notebook)
    with tab(notebook, panel) as page:
        says(panel, "Approve in the other tab")
        notebook.save()
        notebook.page.goto("about:blank")
        approve(page)
    expect(page.get_by_role("heading")).to_have_text(pages.NOBODY_WAITS.heading)
    assert "code=" in page.url
    return page


def reopened(notebook) -> None:
    notebook.page.goto(f"{notebook.server.url}lab/tree/{notebook.path.name}")
    notebook.wait_for_kernel()
    notebook.run(0)
