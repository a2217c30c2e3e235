"""Jupyter Notebook 7: the panel, and the link without a widget."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import TimeoutError, expect  # noqa: A004 - Playwright's own

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.conftest import KERNEL_IS_IDLE, Notebook
from tests.frontends.people import CREDITS, LOAD, address_after_approving, approve, connect, photograph
from tests.frontends.servers import AS_ROOT, running, write_notebook
from tests.sizes import needs_time

pytestmark = pytest.mark.browser


class Notebook7(Notebook):
    """A notebook in Notebook 7, whose page is JupyterLab's in another frame."""

    def open(self, *cells: str) -> Notebook7:
        write_notebook(self.path, *cells)
        self.page.goto(f"{self._server.url}notebooks/{self.path.name}")
        try:
            self.page.wait_for_function(KERNEL_IS_IDLE, timeout=15_000)
        except TimeoutError:
            # Once in seventeen starts, on a busy machine, the page came up without its kernel.
            self.reload()
        return self


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as running_sandbox:
        yield running_sandbox


@pytest.fixture(scope="module")
def server(tmp_path_factory, sandbox):
    folder = tmp_path_factory.mktemp("notebook")
    options = ("--no-browser", "--ip=127.0.0.1", "--port=PORT", "--IdentityProvider.token=", *AS_ROOT)
    app = ("--JupyterNotebookApp.expose_app_in_browser=True", "--log-level=DEBUG")
    with running(folder, "notebook", *options, *app, ready="api", IC_BASE_URL=sandbox.url) as server:
        yield server


@pytest.fixture
def notebook(browser_context, server, request):
    notebook = Notebook7(browser_context, server, request.node.name)
    yield notebook
    notebook.close()
    # Notebook 7 throws one of its own when it starts beside JupyterLab's extensions; a widget's is from a blob.
    assert not [error for error in notebook.page_errors if "blob:" in error]


def test_one_click_and_an_approval_connect_every_cell(notebook, tmp_path):
    notebook.open(LOAD, CREDITS)
    notebook.run(0)
    panel = notebook.panel(0)
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    photograph(notebook.page, tmp_path, "ready")
    connect(panel)
    photograph(notebook.page, tmp_path, "connected")
    assert "627.13" in notebook.run(1)


def test_a_pasted_answer_connects_and_the_saved_notebook_holds_neither_it_nor_the_link(
    notebook, server, sandbox, tmp_path
):
    notebook.open(LOAD, "%ic_connect --paste", CREDITS)
    notebook.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    link = notebook.output(1).get_by_role("link", name="Connect to influencers.club")
    state = parse_qs(urlsplit(link.get_attribute("href")).query)["state"][0]
    box = notebook.output(1).locator("input").last
    photograph(notebook.page, tmp_path, "link")
    address = address_after_approving(link, sandbox)
    box.fill("not it")
    box.press("Enter")
    expect(notebook.output(1).get_by_text("There is no code in that")).to_be_visible()
    photograph(notebook.page, tmp_path, "wrong")
    box.fill(address)
    photograph(notebook.page, tmp_path, "pasted")
    box.press("Enter")
    assert "627.13" in notebook.wait(2)
    expect(notebook.output(1).get_by_text("Connected (this kernel only)")).to_be_visible()
    photograph(notebook.page, tmp_path, "connected")
    code = parse_qs(urlsplit(address).query)["code"][0]
    saved, log = json.dumps(notebook.save()), server.log.read_text()
    assert "Connected (this kernel only)" in saved
    for secret in (code, state):
        assert secret not in saved
        assert secret not in log


@needs_time
def test_a_browser_that_reaches_the_kernel_needs_no_paste(notebook, tmp_path):
    notebook.open(LOAD, "%ic_connect --paste", CREDITS)
    notebook.run(0)
    notebook.start(1)
    approve(notebook.output(1).get_by_role("link", name="Connect to influencers.club"))
    expect(notebook.output(1).get_by_text("Connected. Press Enter in the box below")).to_be_visible()
    photograph(notebook.page, tmp_path, "enter")
    notebook.output(1).locator("input").press("Enter")
    notebook.wait(1)
    assert "627.13" in notebook.run(2)


@needs_time
def test_an_interrupt_leaves_no_link_and_the_next_cell_runs(notebook, tmp_path):
    notebook.open(LOAD, "%ic_connect --paste", "1 + 1")
    notebook.run(0)
    notebook.start(1)
    expect(notebook.output(1).locator("input")).to_be_visible()
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    assert "SignInCancelled: The wait was stopped, and nobody is signed in." in notebook.wait(1)
    expect(notebook.output(1).get_by_role("link")).to_have_count(0)
    assert notebook.run(2) == "2"
    photograph(notebook.page, tmp_path, "interrupted")
