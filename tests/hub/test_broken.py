"""What a person sees, and can do, where a way between browser and kernel is shut: a link in time, and words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from ic_notebook.jupyter.view import INSTALL_BESIDE, RESTART
from ic_notebook.login.links import NOT_BACK_TO
from ic_notebook.redirect import pages
from tests.browser.conftest import marked_as_running, notebooks_of
from tests.browser.test_routes import OUR_DOOR, no_loopback, redirect_uri
from tests.browser.test_sign_in import CREDITS, LOAD, STOP_LISTENING, approve, says, tab
from tests.hub.hubs import HOST
from tests.hub.people import ready, watch_loopback
from tests.sizes import LONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Locator, Route

    from tests.browser.conftest import JupyterLab, Notebook

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not LONG, reason="with IC_TEST_LONG=1")]

ONLY_OURS = "--ServerApp.jpserver_extensions={'jupyter_server_proxy': False}"
NONE = "--ServerApp.jpserver_extensions={'ic_notebook': False, 'jupyter_server_proxy': False}"
BEFORE = "The last page will not load. That is expected: copy its address and paste it here."


@pytest.fixture(scope="module")
def lab(start_jupyterlab, sandbox):
    """A server with our extension, which answers to any name."""
    return start_jupyterlab({"IC_BASE_URL": sandbox.url}, ONLY_OURS, "--ServerApp.allow_remote_access=True")


@pytest.fixture(scope="module")
def bare(start_jupyterlab, sandbox):
    """A server that knows nothing of us, with a kernel of an environment that is not its own besides."""
    server = start_jupyterlab({"IC_BASE_URL": sandbox.url}, NONE)
    kernel_of_another_environment(server)
    return server


def kernel_of_another_environment(server: JupyterLab) -> None:
    """The kernel `elsewhere`, whose Python is not the server's; it has the same packages."""
    folder = server.root.parent / "elsewhere"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "same.pth").write_text(
        f"import site; site.addsitedir({sysconfig.get_paths()['purelib']!r})\n"
    )
    spec = server.root.parent / "data/kernels/elsewhere"
    spec.mkdir(parents=True)
    argv = [str(folder / "bin/python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Elsewhere", "language": "python"})
    )


@pytest.fixture(scope="module")
def context(person, playwright_loop):
    with marked_as_running(playwright_loop[1]):
        context = person()
        # A page that opens nothing by itself: Connect is a link.
        context.add_init_script("window.open = () => { throw new Error('a popup') }")
        return context


@pytest.fixture
def notebook(context, lab, request) -> Iterator[Notebook]:
    with notebooks_of(context, lab, request.node.name) as one_more:
        yield one_more()
    context.unroute_all()


def loaded(notebook: Notebook, server: JupyterLab, **kernel: str) -> tuple[Locator, float]:
    """The panel with its link, and how many seconds after the cell's end it came."""
    notebook.open(LOAD, CREDITS, server=server, **kernel).run(0)
    began = time.monotonic()
    return ready(notebook), time.monotonic() - began


def pastes(notebook: Notebook, panel: Locator, photograph: Path) -> None:
    """The field is open after the click, and takes the address of the page that did not load."""
    assert urlsplit(redirect_uri(panel)).hostname == "127.0.0.1"
    with tab(notebook, panel) as page:
        expect(panel.get_by_text(BEFORE)).to_be_visible()
        expect(panel.get_by_role("textbox")).to_be_visible()
        panel.screenshot(path=photograph, animations="disabled")
        notebook.kernel(STOP_LISTENING)  # the listener is on another computer than the browser
        with page.expect_request(lambda request: "/callback?" in request.url) as answer:
            approve(page)
    field = panel.get_by_role("textbox")
    field.fill(answer.value.url)
    field.press("Enter")
    says(panel, "Connected")
    assert "627.13" in notebook.run(1)


@pytest.mark.parametrize(("kernel", "hint"), [("python3", RESTART), ("elsewhere", INSTALL_BESIDE)])
def test_without_the_extension_the_field_is_open_and_says_how_to_do_without_it(
    notebook, bare, tmp_path, kernel, hint
):
    no_loopback(notebook)
    panel, _ = loaded(notebook, bare, kernel=kernel)
    panel.screenshot(path=tmp_path / "ready.png", animations="disabled")
    with tab(notebook, panel):
        expect(panel.get_by_text(hint)).to_be_visible()
    panel.get_by_role("button", name="Cancel").click()
    ready(notebook)
    pastes(notebook, panel, tmp_path / f"{kernel}.png")


@pytest.mark.parametrize("how", ["answers 500", "hangs"])
def test_with_a_dead_extension_there_is_a_link_within_about_a_second(notebook, lab, tmp_path, how):
    no_loopback(notebook)
    notebook.page.route(OUR_DOOR, lambda route: None if how == "hangs" else route.fulfill(status=500))
    panel, seconds = loaded(notebook, lab)
    assert seconds < 3, seconds
    expect(panel.get_by_text("restart your Jupyter server")).to_have_count(0)
    pastes(notebook, panel, tmp_path / "dead_extension.png")


def behind_a_proxy(context, sandbox, on_callback: Callable[[Route], None]) -> None:
    """What comes back goes through a proxy of this kind."""

    def sent_back(route: Route) -> None:
        # Playwright does not ask about where a redirect goes, but about where a page goes by itself.
        answer = route.fetch(max_redirects=0)
        target = json.dumps(answer.headers["location"])
        route.fulfill(content_type="text/html", body=f"<script>location.replace({target})</script>")

    context.route(
        f"{sandbox.url}/**",
        lambda route: sent_back(route) if route.request.method == "POST" else route.continue_(),
    )
    context.route(re.compile(r".*/ic-notebook/callback\?.*"), on_callback)


def test_a_proxy_that_keeps_the_query_from_the_server_is_gone_around_by_the_page(
    context, notebook, lab, sandbox, tmp_path
):
    no_loopback(notebook)
    behind_a_proxy(context, sandbox, lambda route: route.continue_(url=route.request.url.partition("?")[0]))
    panel, _ = loaded(notebook, lab)
    with tab(notebook, panel) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text(pages.HANDED_OVER.heading)
        page.screenshot(path=tmp_path / "handed_over.png")
    says(panel, "Connected")


def test_a_proxy_that_takes_the_query_from_the_browser_too_is_named(
    context, notebook, lab, sandbox, tmp_path
):
    no_loopback(notebook)
    elsewhere = {"Location": f"{lab.url}ic-notebook/callback"}
    behind_a_proxy(context, sandbox, lambda route: route.fulfill(status=302, headers=elsewhere))
    panel, _ = loaded(notebook, lab)
    with tab(notebook, panel) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text(pages.LOST.heading)
        expect(page.get_by_text(pages.LOST.text)).to_be_visible()
        page.screenshot(path=tmp_path / "lost.png")
    says(panel, "Approve in the other tab")


def test_from_a_name_without_tls_no_leave_is_asked_for_and_the_answer_is_pasted(notebook, lab, tmp_path):
    by_name = replace(lab, url=lab.url.replace("127.0.0.1", HOST))
    asked = watch_loopback(notebook.page)
    panel, _ = loaded(notebook, by_name)
    host = urlsplit(by_name.url).netloc
    expect(panel.get_by_text(NOT_BACK_TO.format(host=host))).to_be_visible()
    pastes(notebook, panel, tmp_path / "without_tls.png")
    assert asked == []
