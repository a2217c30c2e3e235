"""The ways back from the browser, in a real JupyterLab: each proven in the page before it is offered."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.test_sign_in import CREDITS, LOAD, approve, says, tab
from tests.sizes import needs_time

if TYPE_CHECKING:
    pass

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("sandbox_as_new")]

BASE = "/user/ann/"
AUTHORIZE = "/public/v1/oauth/authorize/"
CONNECT = "import ic_notebook as ic\nsession = ic.connect(timeout=30)"
DOOR = re.compile(r"http://127\.0\.0\.1:\d+/door")
OUR_DOOR = re.compile(r".*/ic-notebook/door")


@pytest.fixture(scope="module")
def lab(start_jupyterlab, sandbox):
    """JupyterLab below a path of its own, as a Hub's servers are, with our extension."""
    return start_jupyterlab({"IC_BASE_URL": sandbox.url}, base_url=BASE)


def redirect_uri(panel) -> str:
    link = panel.get_by_role("link", name="Connect", exact=True)
    return parse_qs(urlsplit(link.get_attribute("href")).query)["redirect_uri"][0]


def no_loopback(notebook) -> None:
    """The kernel's own computer is elsewhere, as far as this page can tell."""
    notebook.page.route(DOOR, lambda route: route.abort())


def test_on_one_computer_the_answer_comes_straight_to_the_kernel(notebook, lab):
    notebook.open(LOAD, server=lab).run(0)
    says(notebook.panel(0), "influencers.club")
    assert urlsplit(redirect_uri(notebook.panel(0))).path == "/callback"


def test_from_elsewhere_it_comes_through_the_jupyter_server(notebook, lab, sandbox):
    no_loopback(notebook)
    notebook.open(LOAD, CREDITS, server=lab).run(0)
    panel = notebook.panel(0)
    assert redirect_uri(panel) == f"{lab.url}ic-notebook/callback"
    sandbox.requests.clear()
    with tab(notebook, panel) as page:
        expect(page.get_by_role("button", name="Approve")).to_be_visible()
        # From the click to the consent page the browser asks for nothing of ours.
        assert {request.path for request in sandbox.requests} <= {AUTHORIZE, urlsplit(page.url).path}
        approve(page)
        expect(page.get_by_role("heading")).to_have_text("Connected")
        assert "code=" not in page.url
    says(panel, "Connected")
    assert "credits" in notebook.run(1)
    log = lab.log.read_text()
    assert "/ic-notebook/callback" in log
    assert "code=" not in log


@needs_time
def test_it_comes_while_a_cell_blocks_the_kernel(notebook, lab):
    no_loopback(notebook)
    notebook.open(LOAD, "import time\ntime.sleep(6)\n'rested'", server=lab).run(0)
    panel = notebook.panel(0)
    link = panel.get_by_role("link", name="Connect", exact=True)
    expect(link).to_be_visible()
    notebook.start(1)
    with tab(notebook, panel) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text("Connected")
    expect(notebook.prompt(1)).to_have_text("[*]:")
    says(panel, "Connected")
    assert "rested" in notebook.wait(1)


@needs_time
def test_cancel_in_the_panel_ends_the_cell_that_waits(notebook, lab):
    notebook.open(CONNECT, server=lab)
    notebook.start(0)
    with tab(notebook, notebook.panel(0)):
        notebook.panel(0).get_by_role("button", name="Cancel").click()
    assert "SignInCancelled" in notebook.wait(0, seconds=10)


@pytest.fixture(scope="module")
def proxying(start_jupyterlab, sandbox):
    """JupyterLab without our extension, with jupyter-server-proxy."""
    extensions = {"ic_notebook": False, "jupyter_server_proxy": True}
    return start_jupyterlab(
        {"IC_BASE_URL": sandbox.url}, f"--ServerApp.jpserver_extensions={extensions}", base_url=BASE
    )


@needs_time
def test_without_our_extension_it_comes_through_jupyter_server_proxy(notebook, proxying):
    no_loopback(notebook)
    notebook.open(LOAD, "%ic_status", server=proxying).run(0)
    panel = notebook.panel(0)
    assert re.fullmatch(rf"{proxying.url}proxy/\d+/callback", redirect_uri(panel))
    with tab(notebook, panel) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text("Connected")
    says(panel, "Connected")
    told = "loopback: not reached, extension: not there, server-proxy: works"
    assert told in notebook.run(1)
