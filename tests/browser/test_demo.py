"""`ic-notebook demo`, as a newcomer sees it: the quickstart opens, connects, and lists the seeded apps."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import environment_of_its_own

pytestmark = pytest.mark.browser

QUICKSTART = Path(__file__).parents[2] / "notebooks/quickstart.ipynb"
ADDRESS = re.compile(r"(http://127\.0\.0\.1:\d+/lab/tree/quickstart\.ipynb\?token=\w+)")


@pytest.fixture
def demo(tmp_path):
    """The address that the demo prints; it runs on a copy of the quickstart, and is interrupted at the end."""
    notebook = tmp_path / "notebooks/quickstart.ipynb"
    notebook.parent.mkdir()
    shutil.copy(QUICKSTART, notebook)
    (tmp_path / "home").mkdir()
    command = [sys.executable, "-m", "ic_notebook", "demo", str(notebook), "--no-browser"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment_of_its_own(tmp_path),
    )
    assert process.stdout is not None
    try:
        yield next(found[1] for line in process.stdout if (found := ADDRESS.search(line)))
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(20) == 0, rest
        assert "Traceback" not in rest
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_the_demo_opens_the_quickstart_and_connects(demo, browser_context):
    page = browser_context.new_page()
    page.goto(demo)
    cells = page.locator(".jp-Notebook .jp-CodeCell")

    def run(index: int) -> str:
        cells.nth(index).locator(".cm-content").click()
        page.keyboard.press("Control+Enter")
        expect(cells.nth(index).locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[\d+\]:"))
        return "\n".join(cells.nth(index).locator(".jp-OutputArea-output").all_inner_texts())

    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=40_000)
    run(0)
    panel = cells.nth(0).locator(".ic-notebook")
    with browser_context.expect_page() as opened:
        panel.get_by_role("link", name="Connect", exact=True).click()
    opened.value.get_by_role("button", name="Approve").click()
    expect(panel.locator("b").first).to_have_text("Connected")
    assert "627.13" in run(1)
    apps = run(2)
    assert "Claude" in apps
    assert "this one" in apps
    opened.value.close()
    page.close()


def test_the_demo_without_its_notebook_says_where_to_run_it(tmp_path):
    command = [sys.executable, "-m", "ic_notebook", "demo", "none.ipynb"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 1
    assert "Run this in a clone of the project" in ran.stderr
