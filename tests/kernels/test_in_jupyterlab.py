"""The generations in a real JupyterLab, which alone knows where a widget's messages go: as a person sees them."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import expect

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.conftest import (
    _playwright_may_run,  # noqa: F401 - a fixture
    browser,  # noqa: F401 - a fixture
    browser_context,  # noqa: F401 - a fixture
    notebook,  # noqa: F401 - a fixture
    notebooks,  # noqa: F401 - a fixture
    playwright_loop,  # noqa: F401 - a fixture
    start_jupyterlab,  # noqa: F401 - a fixture
)
from tests.kernels.generations import GENERATIONS, ROOT, python_of
from tests.sizes import needs_time

pytestmark = [pytest.mark.browser, needs_time]

TRIED = GENERATIONS
CONNECT = "import ic_notebook as ic\nic.connect(timeout=60)\nprint('went on')"
STATUS = "print(ic.status().connected)"


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread() as running:
        yield running


@pytest.fixture(scope="module")
def jupyterlab(start_jupyterlab, sandbox, tmp_path_factory):  # noqa: F811 - the fixture
    """One server with a kernel of each generation."""
    specs = tmp_path_factory.mktemp("specs")
    for generation in TRIED:
        spec = specs / "kernels" / f"generation-{generation}" / "kernel.json"
        spec.parent.mkdir(parents=True)
        command = [python_of(generation), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        kernel = {"argv": command, "display_name": generation, "language": "python"}
        spec.write_text(json.dumps(kernel | {"env": {"PYTHONPATH": str(ROOT)}}))
    return start_jupyterlab({"IC_BASE_URL": sandbox.url, "JUPYTER_PATH": str(specs)})


@pytest.fixture(params=TRIED)
def on_kernel(notebook, jupyterlab, request):  # noqa: F811 - the fixtures
    """`on_kernel(cells)`: a notebook whose page finds no door past a busy kernel."""

    def opened(*cells):
        notebook.page.route("**/door", lambda route: route.abort())
        return notebook.open(*cells, server=jupyterlab, kernel=f"generation-{request.param}")

    return request.param, opened


def run_all(notebook):  # noqa: F811 - the fixture's value
    notebook.page.evaluate("() => void window.jupyterapp.commands.execute('notebook:run-all-cells')")


def test_run_all_goes_on_once_connected(on_kernel, sandbox):
    _, opened = on_kernel
    sandbox.settings = SandboxSettings(auto_approve=True)
    notebook = opened(CONNECT, STATUS)  # noqa: F811
    run_all(notebook)
    panel = notebook.panel(0)
    expect(panel).to_contain_text("This cell waits until you have connected.")
    with notebook.page.context.expect_page() as tab:
        panel.get_by_role("link", name="Connect", exact=True).click()
    expect(tab.value.get_by_role("heading", name="Connected")).to_be_visible()
    assert "went on" in notebook.wait(0)
    assert notebook.wait(1) == "True"
    for index, prompt in enumerate(["[1]:", "[2]:"]):
        expect(notebook.prompt(index)).to_have_text(prompt)


def test_a_cell_that_waits_can_be_stopped_from_the_panel_or_says_how(on_kernel, sandbox):
    generation, opened = on_kernel
    sandbox.settings = SandboxSettings()
    notebook = opened(CONNECT, STATUS)  # noqa: F811
    run_all(notebook)
    panel = notebook.panel(0)
    with notebook.page.context.expect_page():
        panel.get_by_role("link", name="Connect", exact=True).click()
    if generation.startswith("6."):
        expect(panel.get_by_role("textbox", name="Address of the last page")).to_be_visible()
        expect(notebook.page.get_by_role("button", name=f"{generation} | Busy")).to_be_visible()
        panel.get_by_role("button", name="Cancel").click()
        assert "SignInCancelled" in notebook.wait(0)
    else:
        expect(panel).to_contain_text("interrupt the kernel")
        expect(panel.get_by_role("button", name="Cancel")).to_have_count(0)
        notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
        assert "KeyboardInterrupt" in notebook.wait(0)
    assert notebook.wait(1) == ""
    expect(notebook.prompt(1)).to_have_text("[ ]:")
