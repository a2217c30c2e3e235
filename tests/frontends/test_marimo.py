"""marimo: the panel and the waiting cell in its editor; and `marimo run`, where nobody signs in."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from ic_notebook.redirect.doors import Door
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from ic_notebook.signed_in import ONE_FOR_ALL
from tests.frontends.people import approve, connect, photograph, says
from tests.frontends.servers import running, signed_in_keyring
from tests.sizes import LONG
from tests.storage.secret_service import needs_secret_service

pytestmark = pytest.mark.browser
long = pytest.mark.skipif(not LONG, reason="one of the long tests: make test-long")

OPTIONS = ("--headless", "--no-token", "--host", "127.0.0.1", "--port", "PORT")
IMPORTS = "import ic_notebook as ic\nimport marimo as mo"
SAYS = """
def said(ask):
    try:
        return str(ask()).strip("<>")
    except ic.ICNotebookError as error:
        return f"{type(error).__name__}: {error}"
"""
ON_A_THREAD = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    told = pool.submit(said, ic.session).result()
mo.md(told)
"""


def write_app(path: Path, *cells: tuple[str, str, str]) -> None:
    """A notebook of marimo. Each cell: the names that it takes, its code, the names that it gives."""
    parts = ["import marimo\n\napp = marimo.App()\n"]
    for takes, code, gives in cells:
        body = "\n".join(f"    {line}" for line in code.strip().splitlines())
        start = "async def" if "await " in code else "def"
        parts.append(f"@app.cell\n{start} _({takes}):\n{body}\n    return ({gives})\n")
    path.write_text("\n\n".join(parts))


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def server(tmp_path, sandbox):
    """``server("edit", *cells, NAME=value)``: marimo on one notebook, as a context manager."""

    def start(mode: str, *cells: tuple[str, str, str], **variables: str):
        sandbox.requests.clear()
        (tmp_path / mode / "notebooks").mkdir(parents=True)
        write_app(tmp_path / mode / "notebooks/app.py", ("", IMPORTS, "ic, mo,"), *cells)
        variables = {"IC_BASE_URL": sandbox.url, **variables}
        return running(tmp_path / mode, "marimo", mode, "app.py", *OPTIONS, ready="health", **variables)

    return start


@pytest.fixture
def editor(browser):
    """``editor(server)``: the page of `marimo edit`, all of whose cells have been started."""
    contexts = []

    def open_page(server, **options):
        contexts.append(browser.new_context(viewport={"width": 1100, "height": 700}, **options))
        page = contexts[-1].new_page()
        page.goto(server.url)
        page.get_by_test_id("cell-actions-button").first.wait_for(timeout=30_000)
        page.get_by_test_id("run-button").last.click()
        return page

    yield open_page
    for context in contexts:
        context.close()


def test_run_refuses_each_visitor_with_one_sentence_and_asks_for_nothing(server, sandbox, browser, tmp_path):
    asks = "mo.vstack([mo.md(said(ic.session)), mo.md(said(ic.connect)), mo.md(said(ic.panel)), mo.md(said(connect_elsewhere))])"
    elsewhere = "def connect_elsewhere():\n    return ic.connect(open_url=print)\n"
    cells = (
        ("ic", SAYS, "said,"),
        ("ic, mo, said", ON_A_THREAD, ""),
        ("ic, mo, said", elsewhere + asks, ""),
    )
    with server("run", *cells) as app:
        pages = [browser.new_context().new_page() for _ in range(2)]
        for page in pages:
            page.goto(app.url)
            sentence = ONE_FOR_ALL.replace("`", "")
            expect(page.get_by_text(sentence)).to_have_count(5, timeout=40_000)
            expect(page.get_by_text(f"SignInRequired: {sentence}")).to_have_count(2)
            expect(page.get_by_text(f"NobodyThere: {sentence}")).to_have_count(3)
        photograph(pages[0], tmp_path, "run")
        for page in pages:
            page.context.close()
    assert sandbox.requests == []


def test_the_page_is_told_its_door_in_plain_strings_and_numbers():
    # marimo writes a string of another class as an empty object.
    assert {type(part) for part in Door().to_page(1).values()} == {str, int}


@long
@needs_secret_service
def test_run_adopts_no_sign_in_of_the_keyring_which_the_editor_does(
    server, sandbox, browser, editor, tmp_path
):
    shown = (
        ("ic", SAYS, "said,"),
        ("ic, mo, said", ON_A_THREAD, ""),
        ("ic, mo, said", "mo.md(said(ic.session))", ""),
    )
    with signed_in_keyring(tmp_path / "keyring") as variables:
        with server("run", *shown, **variables) as app:
            page = browser.new_page()
            page.goto(app.url)
            expect(page.get_by_text("SignInRequired: marimo run serves all its visitors")).to_have_count(2)
            page.close()
        with server("edit", *shown, **variables) as app:
            expect(editor(app).get_by_text("Session connected")).to_have_count(2, timeout=40_000)


@long
def test_run_uses_the_token_of_the_environment(server, sandbox, browser):
    token = sandbox.store.issue_token()
    with server(
        "run", ("ic, mo", "mo.md(f'{ic.connect().credits()} left')", ""), IC_ACCESS_TOKEN=token
    ) as app:
        page = browser.new_page()
        page.goto(app.url)
        expect(page.get_by_text("627.13 left")).to_be_visible(timeout=40_000)
        page.close()


@long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_editor_shows_the_panel_which_connects_every_cell(server, sandbox, editor, tmp_path, scheme):
    cells = (
        ("ic", "ic.panel()", ""),
        ("mo", "look = mo.ui.run_button(label='Credits')\nlook", "look,"),
        ("ic, look, mo", "mo.md(f'{ic.session().credits()} left') if look.value else None", ""),
    )
    with server("edit", *cells) as app:
        if scheme == "dark":
            settings = tmp_path / "edit/home/.config/marimo/marimo.toml"
            settings.parent.mkdir(parents=True, exist_ok=True)
            settings.write_text('[display]\ntheme = "dark"\n')
        page = editor(app, color_scheme=scheme)
        panel = page.locator(".ic-notebook")
        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
        photograph(page, tmp_path, f"ready-{scheme}")
        connect(panel)
        photograph(page, tmp_path, f"connected-{scheme}")
        # marimo keeps what cells have shown beside the notebook.
        kept = [path.read_text() for path in tmp_path.rglob("__marimo__/session/*.json")]
        assert not [text for text in kept if "state=" in text or "code=" in text]
        page.get_by_role("button", name="Credits").click()
        expect(page.get_by_text("627.13 left")).to_be_visible()
        panel.get_by_role("button", name="Apps").click()
        expect(panel.get_by_text("this one")).to_be_visible()
        panel.get_by_role("button", name="Disconnect").first.click()
        panel.get_by_role("button", name="Yes").click()
        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
        # The page tries the door once for each attempt, not without end.
        knocks = []
        page.on(
            "request", lambda request: knocks.append(request.url) if request.url.endswith("/door") else None
        )
        page.wait_for_timeout(1500)
        assert len(knocks) < 5


@long
@pytest.mark.parametrize("call", ["ic.connect(timeout=60)", "await ic.connect_async(timeout=60)"])
def test_a_waiting_cell_of_the_editor_goes_on_when_connected(server, editor, tmp_path, call):
    cells = (
        ("ic", f"session = {call}", "session,"),
        ("mo, session", "mo.md(f'{session.credits()} left')", ""),
    )
    with server("edit", *cells) as app:
        page = editor(app)
        panel = page.locator(".ic-notebook")
        expect(panel.get_by_text("This cell waits until you have connected.")).to_be_visible(timeout=40_000)
        photograph(page, tmp_path, "waits")
        approve(panel.get_by_role("link", name="Connect", exact=True))
        expect(page.get_by_text("627.13 left")).to_be_visible()
        says(panel, "Connected")


@long
def test_an_interrupt_ends_a_waiting_cell_of_the_editor(server, editor, tmp_path):
    cells = (("ic", "session = ic.connect(timeout=60)", "session,"), ("mo", "mo.md('the next cell')", ""))
    with server("edit", *cells) as app:
        page = editor(app)
        expect(page.locator(".ic-notebook").get_by_text("This cell waits")).to_be_visible(timeout=40_000)
        page.get_by_test_id("interrupt-button").click()
        expect(page.get_by_text("This cell was interrupted")).to_be_visible()
        photograph(page, tmp_path, "interrupted")


@long
def test_an_export_with_nobody_there_ends_at_once(tmp_path, sandbox):
    write_app(
        tmp_path / "app.py",
        ("", IMPORTS, "ic, mo,"),
        ("ic", SAYS, "said,"),
        ("ic, mo, said", "mo.md(said(ic.connect))", ""),
    )
    started_at = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "marimo", "export", "html", "app.py", "-o", "app.html"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "IC_BASE_URL": sandbox.url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "NobodyThere: Nobody can be asked to approve here" in (tmp_path / "app.html").read_text()
    assert time.monotonic() - started_at < 20
