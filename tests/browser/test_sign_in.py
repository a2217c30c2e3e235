"""The whole way, as a person goes it: JupyterLab, a click, the sandbox's consent page, and back."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.sizes import needs_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("sandbox_as_new")]

LOAD = "%load_ext ic_notebook"
CREDITS = 'import ic_notebook as ic\nic.client().get("/public/v1/accounts/credits/").json()'
STOP_LISTENING = """
from ic_notebook.background import background
from ic_notebook.sign_in import _sign_ins
async def close():
    for sign_in in _sign_ins.values():
        sign_in.login.close()
background().run(close)
"""
REGISTER, TOKEN = "/public/v1/oauth/register/", "/public/v1/oauth/token/"


@pytest.fixture
def notebook(notebook_in_kept_page):
    return notebook_in_kept_page


def paths(sandbox) -> list[str]:
    return [request.path for request in sandbox.requests]


def says(panel: Locator, words: str) -> None:
    expect(panel.locator("b").first).to_have_text(words)


@contextmanager
def tab(notebook, panel: Locator, name: str = "Connect") -> Iterator[Page]:
    """The tab that a click on the strong control opens; then the notebook's again, as a person would."""
    link = panel.get_by_role("link", name=name, exact=True)
    with notebook.page.context.expect_page() as opened:
        link.click()
    yield opened.value
    # A page behind another draws once a second, and so long takes a click there.
    notebook.page.bring_to_front()


def approve(page: Page) -> None:
    page.get_by_role("button", name="Approve").click()


def connect(notebook, panel: Locator, name: str = "Connect") -> Page:
    with tab(notebook, panel, name) as page:
        approve(page)
        expect(page.get_by_role("heading", name="Connected")).to_be_visible()
    says(panel, "Connected")
    return page


def test_one_click_and_an_approval_connect_every_cell(notebook, lab, sandbox):
    notebook.open(LOAD, CREDITS, server=lab)
    notebook.run(0)
    page = connect(notebook, notebook.panel(0))
    assert page.url.endswith("/callback")
    expect(notebook.panel(0).get_by_text("627.13 credits")).to_be_visible()
    assert "627.13" in notebook.run(1)
    assert paths(sandbox).count(REGISTER) == 1
    assert paths(sandbox).count(TOKEN) == 1


def test_declined_is_said_on_both_pages_and_can_be_tried_again(notebook, lab):
    notebook.open(LOAD, server=lab)
    notebook.run(0)
    with tab(notebook, notebook.panel(0)) as page:
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_role("heading", name="Access was declined")).to_be_visible()
    says(notebook.panel(0), "Not connected: access was declined")
    connect(notebook, notebook.panel(0), "Try again")


def test_an_answer_that_cannot_arrive_is_pasted(notebook, lab):
    notebook.open(LOAD, server=lab)
    notebook.run(0)
    panel = notebook.panel(0)
    with tab(notebook, panel) as page:
        notebook.kernel(STOP_LISTENING)
        with page.expect_request(lambda request: "/callback?" in request.url) as answer:
            approve(page)
    address = answer.value.url
    panel.get_by_role("button", name="Paste its address").click()
    field = panel.get_by_role("textbox")
    field.fill(address.replace("state=", "state=x"))
    field.press("Enter")
    expect(panel.locator(".ic-problem")).to_contain_text("another sign-in")
    expect(field).to_have_value("")
    field.fill(f"  '{address}' ")
    field.press("Enter")
    says(panel, "Connected")


def test_a_page_loaded_anew_still_shows_connected(notebook, lab):
    notebook.open(LOAD, server=lab)
    notebook.run(0)
    connect(notebook, notebook.panel(0))
    notebook.save()
    notebook.reload()
    says(notebook.panel(0), "Connected")


@needs_time
def test_two_panels_show_one_truth(notebook, lab, sandbox):
    notebook.open(LOAD, "%ic_connect", server=lab)
    notebook.run(0)
    notebook.run(1)
    connect(notebook, notebook.panel(0))
    says(notebook.panel(1), "Connected")
    assert paths(sandbox).count(REGISTER) == 1
    notebook.panel(1).get_by_role("button", name="Disconnect").click()
    notebook.panel(1).get_by_role("button", name="Yes").click()
    for panel in (notebook.panel(0), notebook.panel(1)):
        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    assert sandbox.store.apps() == []


def test_cancel_ends_the_attempt_and_offers_a_new_link(notebook, lab):
    notebook.open(LOAD, server=lab)
    notebook.run(0)
    panel = notebook.panel(0)
    with tab(notebook, panel) as page:
        panel.get_by_role("button", name="Cancel").click()
        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
        approve(page)
        expect(page.get_by_role("heading", name="This sign-in is over")).to_be_visible()
    connect(notebook, panel)


def test_a_sign_in_completes_while_a_cell_blocks_the_kernel(notebook, lab):
    blocking = (
        "import time, ic_notebook as ic\n"
        "for _ in range(300):\n    time.sleep(0.1)\n    if ic.status().connected: break\n"
        "time.sleep(1)\n'blocked until connected'"
    )
    notebook.open(LOAD, blocking, server=lab)
    notebook.run(0)
    expect(notebook.panel(0).get_by_role("link", name="Connect", exact=True)).to_be_visible()
    notebook.start(1)
    connect(notebook, notebook.panel(0))
    assert "blocked until connected" in notebook.wait(1)


@pytest.mark.parametrize(
    "cell",
    [
        "import ic_notebook as ic\nic.connect(timeout=60)",
        pytest.param("%ic_connect --wait --timeout 60", marks=needs_time),
    ],
)
def test_a_waiting_cell_shows_the_panel_and_goes_on_when_connected(notebook, lab, cell):
    notebook.open(LOAD, cell, CREDITS, server=lab)
    notebook.kernel("get_ipython().run_line_magic('load_ext', 'ic_notebook')")
    notebook.start(1)
    notebook.start(2)
    connect(notebook, notebook.panel(1))
    assert "627.13" in notebook.wait(2)


def test_an_interrupt_ends_a_waiting_cell_and_leaves_nothing(notebook, lab):
    notebook.open("import ic_notebook as ic\nic.connect(timeout=60)", server=lab)
    notebook.start(0)
    panel = notebook.panel(0)
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    assert "KeyboardInterrupt" in notebook.wait(0)
    connect(notebook, panel)


def test_an_app_is_revoked_from_the_panel_after_a_yes(notebook, lab, sandbox):
    app = sandbox.store.seed_app("Claude")
    notebook.open(LOAD, server=lab)
    notebook.run(0)
    panel = notebook.panel(0)
    connect(notebook, panel)
    panel.get_by_role("button", name="Apps").click()
    row = panel.get_by_role("row").filter(has_text="Claude")
    expect(panel.get_by_role("row").filter(has_text="this one")).to_have_count(1)
    row.get_by_role("button", name="Disconnect").click()
    row.get_by_role("button", name="Yes").click()
    expect(row).to_have_count(0)
    assert app not in [listed.id for listed in sandbox.store.apps()]
    says(panel, "Connected")


def test_a_sign_in_that_the_service_ended_is_shown_and_renewed_by_a_click(notebook, lab, sandbox):
    notebook.open(LOAD, CREDITS, server=lab)
    notebook.run(0)
    connect(notebook, notebook.panel(0))
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    assert "SignInRequired" in notebook.run(1)
    says(notebook.panel(0), "This sign-in has ended")
    connect(notebook, notebook.panel(0), "Connect again")
    assert "627.13" in notebook.run(1)


@needs_time
def test_running_the_cell_again_shows_the_panel_again(notebook, lab):
    notebook.open(LOAD, server=lab)
    notebook.run(0)
    connect(notebook, notebook.panel(0))
    notebook.run(0)
    says(notebook.panel(0), "Connected")
    expect(notebook.panel(0)).to_have_count(1)


@needs_time
def test_an_unreachable_service_is_said_and_can_be_tried_again(notebook, start_jupyterlab):
    nowhere = start_jupyterlab({"IC_BASE_URL": "http://127.0.0.1:9"})
    notebook.open(LOAD, server=nowhere)
    notebook.run(0)
    panel = notebook.panel(0)
    says(panel, "127.0.0.1:9 cannot be reached")
    panel.get_by_role("button", name="Try again").click()
    says(panel, "127.0.0.1:9 cannot be reached")


@needs_time
def test_the_quickstart_runs_as_it_is_and_revokes_nothing(notebook, lab, sandbox):
    source = json.loads((Path(__file__).parents[2] / "notebooks/quickstart.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in source["cells"] if cell["cell_type"] == "code"]
    sandbox.store.seed_app("Claude")
    notebook.open(*cells, server=lab)
    notebook.run(0)
    connect(notebook, notebook.panel(0))
    outputs = [notebook.run(index) for index in range(1, len(cells))]
    assert "627.13" in outputs[0]
    assert "Claude" in outputs[1]
    assert "this one" in outputs[1]
    assert outputs[2:] == ["", ""]
    assert len(sandbox.store.apps()) == 2


def test_nothing_secret_is_in_the_saved_notebook_or_the_servers_log(notebook, lab):
    notebook.open(LOAD, CREDITS, "ic.session(), ic.status(), ic.apps(), ic.client()", server=lab)
    notebook.run(0)
    verifier = "import ic_notebook.sign_in as s, gc; kept = [x for x in gc.get_objects() if type(x).__name__ == 'SignIn'][0]"
    expect(notebook.panel(0).get_by_role("link", name="Connect", exact=True)).to_be_visible()
    notebook.kernel(verifier)
    code_verifier, state = notebook.kernel(
        read="[str(kept.login.request.code_verifier), str(kept.login.request.state)]"
    )
    redirects: list[str] = []
    context = notebook.page.context
    context.on(
        "request", lambda request: redirects.append(request.url) if "/callback?" in request.url else None
    )
    connect(notebook, notebook.panel(0))
    notebook.run(1)
    notebook.run(2)
    access_token, refresh_token = notebook.kernel(
        "import ic_notebook as ic; held = ic.session().auth._source.current()",
        read="[str(held.access_token), str(held.refresh_token)]",
    )
    notebook.kernel("del kept, held")
    code = parse_qs(urlsplit(redirects[-1]).query)["code"][0]
    notebook.page.evaluate(
        "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
    )
    saved = json.dumps(notebook.save())
    assert "widget" in saved
    history = list(lab.root.parent.rglob("history.sqlite"))
    files = [path.read_bytes() for path in (lab.log, *history)]
    for secret in (access_token, refresh_token, code_verifier, state, code):
        assert secret not in saved
        assert not any(secret.encode() in content for content in files)
