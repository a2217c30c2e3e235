"""The classic Notebook (nbclassic): the panel, and the link without a widget."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.frontends.people import CREDITS, LOAD, address_after_approving, connect, photograph
from tests.frontends.servers import AS_ROOT, running, write_notebook
from tests.sizes import LONG

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not LONG, reason="one of the long tests: make test-long"),
]

# A widget that is displayed before the page knows of widgets is not drawn.
READY = """() => {
  const kernel = window.Jupyter?.notebook?.kernel;
  return kernel?.is_connected() && kernel.info_reply.status === 'ok' && 'jupyter.widget' in kernel.comm_manager.targets;
}"""


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as running_sandbox:
        yield running_sandbox


@pytest.fixture(scope="module")
def server(tmp_path_factory, sandbox):
    folder = tmp_path_factory.mktemp("nbclassic")
    options = ("--no-browser", "--ip=127.0.0.1", "--port=PORT", "--IdentityProvider.token=", *AS_ROOT)
    with running(folder, "nbclassic", *options, ready="api", IC_BASE_URL=sandbox.url) as server:
        yield server


class Classic:
    """A notebook in the classic page."""

    def __init__(self, page, server, name: str, *cells: str) -> None:
        self.page, self.path = page, server.root / f"{name}.ipynb"
        write_notebook(self.path, *cells)
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(f"{server.url}nbclassic/notebooks/{name}.ipynb")
        page.wait_for_function(READY, timeout=40_000)

    def start(self, index: int) -> None:
        self.page.evaluate("index => Jupyter.notebook.execute_cells([index])", index)

    def output(self, index: int):
        return self.page.locator(".code_cell").nth(index).locator(".output_wrapper")

    def wait(self, index: int) -> str:
        prompt = self.page.locator(".code_cell").nth(index).locator(".input_prompt")
        expect(prompt).to_contain_text("[")
        expect(prompt).not_to_contain_text("*", timeout=30_000)
        return self.output(index).inner_text()

    def run(self, index: int) -> str:
        self.start(index)
        return self.wait(index)

    def save(self) -> str:
        self.page.evaluate("() => Jupyter.notebook.save_notebook()")
        return self.path.read_text()


@pytest.fixture
def notebook(browser, server, request):
    contexts = []

    def open_notebook(*cells: str) -> Classic:
        contexts.append(browser.new_context(viewport={"width": 1100, "height": 700}))
        return Classic(contexts[-1].new_page(), server, request.node.name, *cells)

    yield open_notebook
    for context in contexts:
        context.close()


def test_one_click_and_an_approval_connect_every_cell(notebook, tmp_path):
    classic = notebook(LOAD, CREDITS)
    classic.run(0)
    panel = classic.output(0).locator(".ic-notebook")
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    photograph(classic.page, tmp_path, "ready")
    connect(panel)
    photograph(classic.page, tmp_path, "connected")
    assert "627.13" in classic.run(1)
    assert not classic.errors


def test_a_pasted_answer_connects_and_the_saved_notebook_holds_neither_it_nor_the_link(
    notebook, sandbox, tmp_path
):
    classic = notebook(LOAD, "%ic_connect --paste", CREDITS)
    classic.run(0)
    classic.start(1)
    classic.start(2)
    link = classic.output(1).get_by_role("link", name="Connect to influencers.club")
    state = parse_qs(urlsplit(link.get_attribute("href")).query)["state"][0]
    photograph(classic.page, tmp_path, "link")
    address = address_after_approving(link, sandbox)
    classic.output(1).locator("input").fill(address)
    classic.output(1).locator("input").press("Enter")
    assert "627.13" in classic.wait(2)
    expect(classic.output(1).get_by_text("Connected (this kernel only)")).to_be_visible()
    photograph(classic.page, tmp_path, "connected")
    saved = json.dumps(json.loads(classic.save()))
    assert "Connected (this kernel only)" in saved
    for secret in (parse_qs(urlsplit(address).query)["code"][0], state):
        assert secret not in saved
    assert not classic.errors
