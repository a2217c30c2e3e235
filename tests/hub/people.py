"""What a person does at a Hub and in a notebook there, and what their browser sends meanwhile."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from ic_notebook.oauth.loopback import is_loopback
from tests.browser.conftest import JupyterLab, Notebook
from tests.browser.test_routes import redirect_uri
from tests.browser.test_sign_in import CREDITS, LOAD, approve, says, tab
from tests.hub.hubs import PASSWORD, Hub

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator, Page

UNTIL_TOLD = "import pathlib, time\nwhile not pathlib.Path('go').exists():\n    time.sleep(0.1)\n'rested'"
"""A cell that blocks its kernel until there is a file `go` beside the notebook."""


def log_in(context: BrowserContext, hub: Hub, user: str) -> Page:
    """Log in at the Hub, which begins to start the person's server."""
    page = context.new_page()
    page.goto(f"{hub.url}hub/login")
    page.fill("#username_input", user)
    page.fill("#password_input", PASSWORD)
    page.click("#login_submit")
    return page


def wait_for_server(page: Page, user: str, name: str = "") -> None:
    """Wait until the Hub has started a server and the person is let in; the page is then closed."""
    page.wait_for_url(
        f"**/user/{user}/{f'{name}/' if name else ''}lab**", timeout=60_000, wait_until="domcontentloaded"
    )
    page.close()


def server_of(hub: Hub, user: str, name: str = "", *, base: str | None = None) -> JupyterLab:
    """A person's server at the Hub, as the tests of JupyterLab see one."""
    url = f"{base or hub.url}user/{user}/{f'{name}/' if name else ''}"
    return JupyterLab(url, hub.homes / user, hub.log, hub.process)


class Traffic:
    """What a browser sends: where to on this computer, and with which secrets."""

    def __init__(self, context: BrowserContext) -> None:
        self.redirects: list[str] = []
        context.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        if "/callback?" in url:
            self.redirects.append(url)

    @property
    def secrets(self) -> set[str]:
        """The codes and states of all redirects so far."""
        queries = [parse_qs(urlsplit(url).query) for url in self.redirects]
        return {value for query in queries for name in ("code", "state") for value in query.get(name, [])}


def watch_loopback(page: Page) -> list[str]:
    """What this page asks of this computer by a loopback name; filled while it does."""
    asked: list[str] = []

    def note(url: str) -> None:
        if is_loopback(urlsplit(url).hostname):
            asked.append(url)

    page.on("request", lambda request: note(request.url))
    return asked


@contextmanager
def blocked(notebook: Notebook, index: int) -> Iterator[None]:
    """A cell blocks the kernel from beginning to end of what is done inside."""
    notebook.start(index)
    yield
    expect(notebook.prompt(index)).to_have_text("[*]:")
    (notebook.server.root / "go").touch()
    assert "rested" in notebook.wait(index)
    (notebook.server.root / "go").unlink()


def connects_with_one_click_while_a_cell_blocks(notebook: Notebook, server: JupyterLab) -> None:
    notebook.open(LOAD, UNTIL_TOLD, CREDITS, server=server).run(0)
    panel = ready(notebook)
    assert redirect_uri(panel) == f"{server.url}ic-notebook/callback"
    with blocked(notebook, 1):
        with tab(notebook, panel) as page:
            approve(page)
            expect(page.get_by_role("heading")).to_have_text("Connected")
            assert page.url == f"{server.url}ic-notebook/callback"
        says(panel, "Connected")
    assert "627.13" in notebook.run(2)


def ready(notebook: Notebook) -> Locator:
    """The panel, once it has a link."""
    panel = notebook.panel(0)
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    return panel
