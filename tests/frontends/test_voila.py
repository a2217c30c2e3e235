"""Voila, with two visitors: each has a kernel and a sign-in of their own, kept in memory."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.frontends.people import connect, photograph
from tests.frontends.servers import running, signed_in_keyring, write_notebook
from tests.sizes import LONG
from tests.storage.secret_service import needs_secret_service

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not LONG, reason="one of the long tests: make test-long"),
]

CELLS = (
    "import ic_notebook as ic\nic.panel()",
    "try:\n    ic.connect()\nexcept ic.NobodyThere as error:\n    print(error)",
    """
import ipywidgets
button, answer = ipywidgets.Button(description="Credits"), ipywidgets.Label()
def look(_):
    try:
        answer.value = f"{ic.session().credits()} left, {ic.status().kept}"
    except ic.SignInRequired as error:
        answer.value = str(error)
button.on_click(look)
ipywidgets.VBox([button, answer])
""",
)


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as running_sandbox:
        yield running_sandbox


def voila(folder: Path, **variables: str):
    """Voila on the notebook of these cells, as a context manager."""
    (folder / "notebooks").mkdir(parents=True)
    write_notebook(folder / "notebooks/app.ipynb", *CELLS)
    options = ("--no-browser", "--Voila.ip=127.0.0.1", "--port=PORT", "--debug")
    return running(folder, "voila", "app.ipynb", *options, ready="voila/static/voila.js", **variables)


@pytest.fixture(scope="module")
def server(tmp_path_factory, sandbox):
    with voila(tmp_path_factory.mktemp("voila") / "server", IC_BASE_URL=sandbox.url) as server:
        yield server


@pytest.fixture
def visitors(browser, server):
    """Two people, each with a browser of their own that shows the page."""
    contexts = [browser.new_context(viewport={"width": 900, "height": 600}) for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for page in pages:
        page.goto(server.url, timeout=60_000)
        expect(page.locator(".ic-notebook")).to_be_visible(timeout=40_000)
    yield pages
    for context in contexts:
        context.close()


def test_each_visitor_signs_in_for_themselves(visitors, sandbox, tmp_path):
    one, other = visitors
    panels = [page.locator(".ic-notebook") for page in visitors]
    connect(panels[0])
    photograph(one, tmp_path, "one")
    expect(panels[1].get_by_role("link", name="Connect", exact=True)).to_be_visible()
    other.get_by_role("button", name="Credits").click()
    expect(other.get_by_text("Nobody is signed in.")).to_be_visible()
    photograph(other, tmp_path, "other")
    connect(panels[1])
    one.close()
    other.get_by_role("button", name="Credits").click()
    expect(other.get_by_text("627.13 left, this kernel only")).to_be_visible()


def test_nothing_is_offered_that_the_next_visitor_would_see(visitors):
    for page in visitors:
        expect(page.locator(".ic-notebook").get_by_role("link", name="Connect", exact=True)).to_be_visible()
        expect(page.get_by_text("Remember on this computer")).to_be_hidden()
        expect(page.get_by_text("In Voila the page is there only when the cells have run")).to_be_visible()


@needs_secret_service
def test_a_sign_in_of_the_keyring_is_no_visitors(browser, tmp_path):
    with (
        signed_in_keyring(tmp_path / "keyring") as variables,
        voila(tmp_path / "server", **variables) as server,
    ):
        page = browser.new_page()
        page.goto(server.url, timeout=60_000)
        panel = page.locator(".ic-notebook")
        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible(timeout=40_000)
        page.get_by_role("button", name="Credits").click()
        expect(page.get_by_text("Nobody is signed in.")).to_be_visible()
        page.close()
