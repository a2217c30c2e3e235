"""JupyterLab: the link without a widget, and what stands where a widget is not shown."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
from playwright.sync_api import expect

from ic_notebook.jupyter.panel import FALLBACK
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.frontends.people import CREDITS, address_after_approving, approve, photograph
from tests.sizes import LONG

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not LONG, reason="one of the long tests: make test-long"),
]

PASTE = "%load_ext ic_notebook\n%ic_connect --paste"
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as running_sandbox:
        yield running_sandbox


@pytest.fixture(scope="module")
def lab(start_jupyterlab, sandbox):
    return start_jupyterlab({"IC_BASE_URL": sandbox.url})


def test_run_all_waits_for_a_pasted_answer_and_the_saved_notebook_holds_neither_it_nor_the_link(
    notebook, lab, sandbox, tmp_path
):
    notebook.open(PASTE, CREDITS, server=lab)
    notebook.theme("JupyterLab Dark")
    notebook.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")
    link = notebook.output(0).get_by_role("link", name="Connect to influencers.club")
    state = parse_qs(urlsplit(link.get_attribute("href")).query)["state"][0]
    photograph(notebook.page, tmp_path, "link-dark")
    address = address_after_approving(link, sandbox)
    box = notebook.output(0).locator("input").last
    box.fill(address)
    box.press("Enter")
    assert "627.13" in notebook.wait(1)
    expect(notebook.output(0).get_by_text("Connected (this kernel only)")).to_be_visible()
    photograph(notebook.page, tmp_path, "connected-dark")
    code = parse_qs(urlsplit(address).query)["code"][0]
    saved = json.dumps(notebook.save())
    assert "Connected (this kernel only)" in saved
    for secret in (code, state):
        assert secret not in saved
        assert secret not in lab.log.read_text()


def test_a_browser_that_reaches_the_kernel_needs_no_paste(notebook, lab):
    notebook.open(PASTE, CREDITS, server=lab)
    notebook.start(0)
    approve(notebook.output(0).get_by_role("link", name="Connect to influencers.club"))
    expect(notebook.output(0).get_by_text("Connected. Press Enter in the box below")).to_be_visible()
    notebook.output(0).locator("input").last.press("Enter")
    notebook.wait(0)
    assert "627.13" in notebook.run(1)


def test_a_notebook_of_somebody_else_names_the_way_without_a_widget(notebook, lab, tmp_path):
    shown = {"text/plain": FALLBACK, WIDGET: {"model_id": "gone", "version_major": 2, "version_minor": 0}}
    cell = nbformat.v4.new_code_cell(
        "%load_ext ic_notebook", outputs=[nbformat.v4.new_output("display_data", data=shown)]
    )
    notebook.open("None", server=lab)
    nbformat.write(
        nbformat.v4.new_notebook(cells=[cell], metadata=notebook.save()["metadata"]), notebook.path
    )
    notebook.reload()
    expect(notebook.output(0).get_by_text("run %ic_connect --paste")).to_be_visible()
    photograph(notebook.page, tmp_path, "fallback")
