"""A real JupyterLab in a real Chromium.

A test asks for ``notebook`` and drives it::

    def test_click_connects(notebook):
        notebook.open("%load_ext ic_notebook", "1 + 1")
        notebook.run(0)
        notebook.output(0).get_by_role("link", name="Connect").click()
        assert notebook.run(1) == "2"

``jupyterlab`` is the server behind it (its folder, its address, its log at DEBUG); ``start_jupyterlab`` starts
another with an environment of its own, ``notebook.open(..., server=that)`` uses it.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Error,
    Locator,
    Page,
    Playwright,
    TimeoutError,  # noqa: A004 - Playwright's own
    expect,
    sync_playwright,
)

from ic_notebook.sandbox import SandboxSettings, serve_in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ic_notebook.sandbox import RunningSandbox

FEATURES_OFF = [
    # Each window's address bar is two more pages to it, which take the processor as long as the test's own.
    *("WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
    # What Playwright turns off, whose list this one replaces.
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades"),
    *("HttpsFirstBalancedModeAutoEnable", "LensOverlay", "MediaRouter", "NetworkTimeServiceQuerying"),
    *("OptimizationHints", "PaintHolding", "PreconnectToSearch", "ThirdPartyStoragePartitioning"),
]
CHROMIUM_FLAGS = [
    f"--disable-features={','.join(FEATURES_OFF)}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SYSTEM_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NEWS_OFF = {"fetchNews": "false", "checkForUpdates": False}
KERNEL_IS_IDLE = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.session?.kernel;
  return context?.isReady && kernel?.connectionStatus === 'connected' && kernel.status === 'idle';
}"""
ASK_KERNEL = """async ([code, expression]) => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const request = {code, silent: false, store_history: false, allow_stdin: false};
  if (expression) request.user_expressions = {answer: `__import__("json").dumps(${expression})`};
  const {content} = await kernel.requestExecute(request).done;
  if (content.status !== 'ok') return {error: `${content.ename}: ${content.evalue}`};
  const answer = content.user_expressions?.answer;
  if (answer && answer.status !== 'ok') return {error: `${answer.ename}: ${answer.evalue}`};
  return {repr: answer?.data['text/plain'] ?? null};
}"""
END_SESSION = """async () => {
  const session = window.jupyterapp?.shell.currentWidget?.sessionContext?.session;
  const base = JSON.parse(document.getElementById('jupyter-config-data').textContent).baseUrl;
  const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] ?? '';
  if (session) await fetch(`${base}api/sessions/${session.id}`, {method: 'DELETE', headers: {'X-XSRFToken': xsrf}});
}"""
PATIENCE = 40_000
"""Milliseconds: a page of a busy computer is slow, and only what fails waits so long."""
expect.set_options(timeout=PATIENCE / 2)
HAS_ROOM = """() => {
  const shell = window.jupyterapp?.shell;
  return Boolean(shell) && ![...shell.widgets('main')].some(widget => widget.sessionContext) && !document.querySelector('.jp-Dialog');
}"""
OPEN_DOCUMENT = "async path => { await window.jupyterapp.commands.execute('docmanager:open', {path}); }"
CLOSE_DOCUMENT = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.sessionContext.shutdown();
  panel.context.model.dirty = false;
  panel.dispose();
}"""


# -- the browser


def executable(playwright: Playwright) -> str | None:
    """The system's Chromium or Chrome, None for Playwright's own; neither: skipped, under ``CI`` failed."""
    system = next(filter(None, map(shutil.which, SYSTEM_BROWSERS)), None)
    if not system and not Path(playwright.chromium.executable_path).exists():
        reason = f"no browser: install Chromium or Chrome ({', '.join(SYSTEM_BROWSERS)}), or run: playwright install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return system


def launch(playwright: Playwright, *flags: str) -> Browser:
    """A browser that keeps nothing."""
    return playwright.chromium.launch(executable_path=executable(playwright), args=[*CHROMIUM_FLAGS, *flags])


def persistent(playwright: Playwright, folder: Path) -> BrowserContext:
    """A browser that keeps what browsers keep, in this folder."""
    return playwright.chromium.launch_persistent_context(
        str(folder), executable_path=executable(playwright), args=CHROMIUM_FLAGS
    )


@pytest.fixture(scope="session")
def playwright_loop() -> Iterator[tuple[Playwright, asyncio.AbstractEventLoop]]:
    """Playwright, and its event loop, which counts as running only while a browser test runs.

    Playwright leaves its loop marked as running between calls, and then no test of this process could use
    ``asyncio.run``.
    """
    manager = sync_playwright()
    playwright = manager.start()
    loop = asyncio.get_running_loop()
    asyncio._set_running_loop(None)
    yield playwright, loop
    asyncio._set_running_loop(loop)
    playwright.stop()
    asyncio._set_running_loop(None)


@contextlib.contextmanager
def marked_as_running(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    asyncio._set_running_loop(loop)
    try:
        yield
    finally:
        asyncio._set_running_loop(None)


@pytest.fixture(autouse=True)
def _playwright_may_run(playwright_loop) -> Iterator[None]:
    with marked_as_running(playwright_loop[1]):
        yield


@pytest.fixture(scope="session")
def browser(playwright_loop) -> Iterator[Browser]:
    """Chromium, one a worker."""
    playwright, loop = playwright_loop
    with marked_as_running(loop):
        browser = launch(playwright)
    yield browser
    with marked_as_running(loop):
        browser.close()


@pytest.fixture(scope="session")
def browser_context(browser: Browser, playwright_loop) -> Iterator[BrowserContext]:
    """One profile for all tests of a worker (JupyterLab's files stay in its cache)."""
    with marked_as_running(playwright_loop[1]):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(PATIENCE)
    yield context
    with marked_as_running(playwright_loop[1]):
        context.close()


# -- the server


@dataclass(frozen=True)
class JupyterLab:
    """A running server: its address (with the slash), the folder of its notebooks, its log at DEBUG."""

    url: str
    root: Path
    log: Path
    process: subprocess.Popen


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment_of_its_own(folder: Path) -> dict[str, str]:
    """The caller's environment without what belongs to the test run or to the caller's own sign-ins."""
    foreign = ("COV_", "COVERAGE_", "DBUS_", "IC_", "PYTEST_", "JUPYTER", "IPYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    settings = (
        folder / "config/lab/user-settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    )
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(NEWS_OFF))
    return {
        **kept,
        "HOME": str(folder / "home"),
        "XDG_CONFIG_HOME": str(folder / "home/.config"),
        "XDG_DATA_HOME": str(folder / "home/.local/share"),
        "XDG_STATE_HOME": str(folder / "home/.local/state"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "config/lab/user-settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "config/lab/workspaces"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
    }


def wait_until_it_answers(server: JupyterLab) -> None:
    local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError), local.open(server.url + "api", timeout=5):
            return
        time.sleep(0.05)
    pytest.fail(f"JupyterLab did not start:\n{server.log.read_text()[-4000:]}")


def stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(20)


@contextlib.contextmanager
def running_jupyterlab(
    folder: Path, environment: dict[str, str], options: tuple[str, ...], *, base_url: str = "/"
) -> Iterator[JupyterLab]:
    for name in ("home", "notebooks"):
        (folder / name).mkdir()
    port = free_port()
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True"),
        *("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--log-level=DEBUG"),
        *(f"--ServerApp.root_dir={folder / 'notebooks'}", f"--ServerApp.base_url={base_url}", *options),
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    log = folder / "jupyterlab.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**environment_of_its_own(folder), **environment},
        )
    server = JupyterLab(f"http://127.0.0.1:{port}{base_url}", folder / "notebooks", log, process)
    try:
        wait_until_it_answers(server)
        yield server
    finally:
        stop(process)


@pytest.fixture(scope="session")
def start_jupyterlab(tmp_path_factory) -> Iterator[Callable[..., JupyterLab]]:
    """``start_jupyterlab({"NAME": "value"}, base_url="/user/ann/")``: one more server, until the end."""
    with contextlib.ExitStack() as servers:

        def start(
            environment: dict[str, str] | None = None, *options: str, base_url: str = "/"
        ) -> JupyterLab:
            folder = tmp_path_factory.mktemp("jupyterlab")
            server = running_jupyterlab(folder, environment or {}, options, base_url=base_url)
            return servers.enter_context(server)

        yield start


@pytest.fixture(scope="session")
def jupyterlab(start_jupyterlab) -> JupyterLab:
    """The server that tests share, one a worker: ``.url``, ``.root`` (its notebooks), ``.log`` (a file, at DEBUG)."""
    return start_jupyterlab()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[RunningSandbox]:
    """A sandbox that tests share, one a worker."""
    with serve_in_thread(SandboxSettings()) as running:
        yield running


@pytest.fixture(scope="session")
def lab(start_jupyterlab, sandbox) -> JupyterLab:
    """JupyterLab whose kernels use the sandbox, one a worker."""
    return start_jupyterlab({"IC_BASE_URL": sandbox.url})


@pytest.fixture
def sandbox_as_new(sandbox: RunningSandbox) -> Iterator[None]:
    """The sandbox with its defaults and nothing counted yet; what the test registered is ended."""
    sandbox.settings = SandboxSettings()
    sandbox.requests.clear()
    yield
    for client_id in sandbox.store.clients():
        sandbox.store.end_client(client_id)


# -- a notebook in it


class Notebook:
    """A notebook opened in JupyterLab, driven as a person would, beside a few looks into its kernel.

    ``page`` is Playwright's; what the page throws is kept in ``page_errors`` and fails the test at its end.
    """

    def __init__(
        self, context: BrowserContext, server: JupyterLab, name: str, *, page: Page | None = None
    ) -> None:
        self._server, self._name = server, name
        self.page_errors: list[str] = []
        self._reloaded = False
        self.page = page or context.new_page()
        self.page.on("pageerror", self._note)

    def _note(self, error: Error) -> None:
        self.page_errors.append(f"{error}\n{error.stack or ''}")

    @property
    def path(self) -> Path:
        """The file, as last saved."""
        return self._server.root / f"{self._name}.ipynb"

    @property
    def server(self) -> JupyterLab:
        return self._server

    def open(self, *cells: str, server: JupyterLab | None = None, kernel: str = "python3") -> Notebook:
        """Writes a notebook of these code cells, opens it and waits until its kernel is idle."""
        self._server = server or self._server
        code = [
            {
                "cell_type": "code",
                "id": f"cell-{i}",
                "metadata": {},
                "source": cell,
                "outputs": [],
                "execution_count": None,
            }
            for i, cell in enumerate(cells)
        ]
        spec = {"name": kernel, "display_name": kernel, "language": "python"}
        content = {"cells": code, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}
        self.path.write_text(json.dumps(content))
        self.page.bring_to_front()
        if self.page.url.startswith(f"{self._server.url}lab") and self.page.evaluate(HAS_ROOM):
            self.page.evaluate(OPEN_DOCUMENT, self.path.name)
        else:
            self.page.goto(f"{self._server.url}lab/tree/{self.path.name}?reset")
        try:
            self.wait_for_kernel(timeout=25_000)
        except TimeoutError:
            # JupyterLab can miss the start of a kernel on a busy computer, behind a gateway above all.
            self.reload()
        return self

    def reload(self) -> None:
        """Loads the page anew, as F5 does; the kernel and its session stay. Save first, or outputs are gone."""
        self._reloaded = True
        self.page.reload()
        self.wait_for_kernel()

    def wait_for_kernel(self, *, timeout: float = 40_000) -> None:
        """Waits until the kernel is connected and idle; `timeout` is in milliseconds."""
        self.page.wait_for_function(KERNEL_IS_IDLE, timeout=timeout)

    def cell(self, index: int) -> Locator:
        """The code cell, counted from 0."""
        return self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)

    def start(self, index: int) -> None:
        """Runs a cell (Control+Enter) and does not wait for its end."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        expect(self.prompt(index)).not_to_have_text("[ ]:")

    def wait(self, index: int, *, seconds: float = 30) -> str:
        """Waits until a started cell has ended; the text of its output."""
        expect(self.prompt(index)).not_to_have_text("[*]:", timeout=seconds * 1000)
        return self.text(index)

    def run(self, index: int, *, seconds: float = 30) -> str:
        """Runs a cell to its end; the text of its output."""
        self.start(index)
        return self.wait(index, seconds=seconds)

    def prompt(self, index: int) -> Locator:
        return self.cell(index).locator(".jp-InputPrompt")

    def output(self, index: int) -> Locator:
        """Where a cell's output is."""
        return self.cell(index).locator(".jp-Cell-outputWrapper")

    def panel(self, index: int = 0) -> Locator:
        """The sign-in panel in a cell's output."""
        return self.output(index).locator(".ic-notebook")

    def text(self, index: int) -> str:
        """What a cell's output shows as text."""
        return "\n".join(self.cell(index).locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def kernel(self, code: str = "", *, read: str | None = None):
        """Runs code in the kernel without a cell, then returns the expression ``read`` (through JSON)."""
        answer = self.page.evaluate(ASK_KERNEL, [code, read])
        assert "error" not in answer, answer
        return json.loads(ast.literal_eval(answer["repr"])) if read else None

    def theme(self, name: str) -> None:
        """``JupyterLab Light``, ``JupyterLab Dark``, by JupyterLab's own command."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)

    def save(self) -> dict:
        """Saves the notebook; its content as it is on the disk."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return json.loads(self.path.read_text())

    def close(self) -> None:
        """Ends the kernel's session and closes the page."""
        with contextlib.suppress(Exception):
            self.page.evaluate(END_SESSION)
        self.page.close()

    def leave(self) -> None:
        """Ends the kernel's session and closes the notebook; the page stays, for another."""
        self.page.remove_listener("pageerror", self._note)
        # Where that fails, so has the test, and the next one loads the page anew.
        with contextlib.suppress(Error):
            if not self._reloaded:
                self.page.evaluate(CLOSE_DOCUMENT)
                return
            self.page.evaluate(END_SESSION)
            # JupyterLab restores, late, what was open before.
            self.page.goto("about:blank")


@contextlib.contextmanager
def notebooks_of(
    context: BrowserContext, server: JupyterLab, node_name: str, *, page: Page | None = None
) -> Iterator[Callable[[], Notebook]]:
    """Gives notebooks, each in a page of its own that is closed at the end, or one in `page`, which stays."""
    name = "".join(letter if letter.isalnum() else "_" for letter in node_name)
    made: list[Notebook] = []
    open_before = set(context.pages)

    def one_more() -> Notebook:
        made.append(Notebook(context, server, f"{name}_{len(made)}", page=page))
        return made[-1]

    yield one_more
    for notebook in made:
        notebook.close() if page is None else notebook.leave()
    for tab in set(context.pages) - open_before:
        tab.close()
    thrown = [error for notebook in made for error in notebook.page_errors]
    assert not thrown, "the page threw:\n" + "\n".join(thrown)


@pytest.fixture
def notebooks(browser_context, jupyterlab, request) -> Iterator[Callable[[], Notebook]]:
    """``notebooks()``: one more notebook to open, for a test that needs two.

    At the end of the test their sessions end, the tabs that it opened are closed, and it fails if a page of theirs
    threw an error.
    """
    with notebooks_of(browser_context, jupyterlab, request.node.name) as one_more:
        yield one_more


@pytest.fixture
def notebook(notebooks) -> Notebook:
    """A notebook to open, as `notebooks` gives it."""
    return notebooks()


@pytest.fixture(scope="module")
def kept_page(browser_context, playwright_loop) -> Iterator[Page]:
    with marked_as_running(playwright_loop[1]):
        page = browser_context.new_page()
    yield page
    with marked_as_running(playwright_loop[1]):
        page.close()


@pytest.fixture
def notebook_in_kept_page(browser_context, jupyterlab, kept_page, request) -> Iterator[Notebook]:
    """A notebook to open in a JupyterLab that the tests of a file share: it takes one second, not four.

    For tests that leave the page as it was.
    """
    with notebooks_of(browser_context, jupyterlab, request.node.name, page=kept_page) as one_more:
        yield one_more()


@pytest.fixture(scope="module")
def module_notebook(browser_context, jupyterlab, playwright_loop, request) -> Iterator[Notebook]:
    """One notebook for all tests of a file (opening one takes two seconds). Set it up under `marked_as_running`."""
    with marked_as_running(playwright_loop[1]):
        manager = notebooks_of(browser_context, jupyterlab, Path(request.node.name).stem)
        notebook = manager.__enter__()()
    yield notebook
    with marked_as_running(playwright_loop[1]):
        manager.__exit__(None, None, None)


# -- accessibility


@pytest.fixture(scope="session")
def accessibility_violations() -> Callable[[Locator], list[str]]:
    """``accessibility_violations(locator)``: what axe-core finds inside one element, a line each; empty is good."""
    return find_violations


def find_violations(part: Locator) -> list[str]:
    page = part.page
    if not page.evaluate("() => Boolean(window.axe)"):
        page.evaluate(AXE_SCRIPT)
        # JupyterLab's body has no height of its own, and axe takes all in it as hidden.
        page.add_style_tag(content="body { height: 100vh !important }")
    found = part.evaluate(
        "async node => (await axe.run(node, {resultTypes: ['violations'], preload: false})).violations"
    )
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}".replace("\n", " ")
        for rule in found
        for node in rule["nodes"]
    ]
