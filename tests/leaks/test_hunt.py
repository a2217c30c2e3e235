"""A whole life by each route, in a real JupyterLab at its most talkative; then every file that it left is searched.

A life: declined, approved, calls, refusals, an error, a revocation, ended by the service, connected again,
disconnected.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.test_routes import no_loopback
from tests.browser.test_sign_in import CREDITS, LOAD, STOP_LISTENING, approve, says, tab
from tests.leaks.hunt import files_below, hunt
from tests.leaks.life import CELLS, KEEP, KINDS, Life, export, searched
from tests.sizes import needs_time

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.browser

ROUTES = [
    pytest.param("extension", marks=needs_time),
    pytest.param("loopback", marks=needs_time),
    pytest.param("paste", marks=needs_time),
]


@pytest.fixture
def live(notebook, lab, sandbox, tmp_path) -> Callable[[str], Life]:
    """``live("extension")``: a whole life whose approvals came back by this route."""

    def one(route: str) -> Life:
        life = Life(tmp_path / "kept", lab.root.parent)
        if route != "loopback":
            no_loopback(notebook)
        if route == "paste":
            notebook.page.route("**/door", lambda request: request.abort())
        sandbox.store.seed_app("Claude")
        notebook.open(*CELLS, server=lab)
        notebook.run(0)
        panel = notebook.panel(0)

        def keep() -> None:
            notebook.kernel(f"{KEEP}\n_keep({str(life._kept)!r})\ndel _keep")

        def connect(name: str) -> None:
            expect(panel.get_by_role("link", name=name, exact=True)).to_be_visible(timeout=20_000)
            keep()
            with tab(notebook, panel, name) as page:
                if route == "paste":
                    notebook.kernel(STOP_LISTENING)
                with page.expect_request(lambda request: "/callback?" in request.url) as redirect:
                    approve(page)
                life.codes += parse_qs(urlsplit(redirect.value.url).query)["code"]
                if route == "paste":
                    field = panel.get_by_role("textbox")
                    field.fill(redirect.value.url)
                    field.press("Enter")
                else:
                    expect(page.get_by_role("heading")).to_have_text("Connected", timeout=20_000)
                    life.addresses.append(page.url)
                    page.reload()
                    life.addresses.append(page.url)
            says(panel, "Connected")
            keep()

        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible(timeout=20_000)
        keep()
        with tab(notebook, panel) as page:
            page.get_by_role("button", name="Deny").click()
            expect(page.get_by_role("heading")).to_have_text("Access was declined")
            life.addresses.append(page.url)
        says(panel, "Not connected: access was declined")
        connect("Try again")
        for index in range(1, len(CELLS) - 1):
            notebook.run(index)
            sandbox.store.end_access_tokens()
        keep()
        assert "SignInRequired" in ended(notebook, sandbox)
        says(panel, "This sign-in has ended")
        connect("Connect again")
        panel.get_by_role("button", name="Apps").click()
        panel.get_by_role("table").wait_for()
        notebook.run(len(CELLS) - 1)
        notebook.page.evaluate(
            "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
        )
        notebook.save()
        notebook.save()  # the second one makes the first a checkpoint
        export(notebook.path.parent, notebook.path.name, forms=("html", "markdown", "script"))
        return life

    return one


def ended(notebook, sandbox) -> str:
    """What a call says when the service has ended the sign-in."""
    sandbox.store.end_access_tokens()
    sandbox.store.end_refresh_tokens()
    return notebook.run(1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_that_a_life_leaves_behind_holds_a_secret(live, route, record_property):
    life = live(route)
    secrets, places = life.secrets, life.places
    # A life had all of them, and was written down in all these places.
    assert life.kinds == KINDS
    assert len([name for name in secrets if name.startswith("access token")]) >= 2
    assert len([name for name in secrets if name.startswith("state")]) == 3
    assert len(life.codes) == 2
    for part in (
        "jupyterlab.log",
        "kernel.log",
        "history.sqlite",
        "-checkpoint.ipynb",
        "-exported.html",
        "clients.json",
        "runtime/",
        "state/",
    ):
        assert any(part in place for place in places), part
    assert searched(f"JupyterLab, {route}", secrets, places, record_property) == []


@pytest.mark.parametrize(
    "cell", ["print(ic.session().access_token())", "ic.session().auth._source.current().refresh_token + ''"]
)
@needs_time
def test_a_leak_that_a_cell_makes_is_found(notebook, lab, tmp_path, cell):
    kept = tmp_path / "kept"
    notebook.open(LOAD, CREDITS, cell, server=lab)
    notebook.run(0)
    with tab(notebook, notebook.panel(0)) as page:
        approve(page)
    says(notebook.panel(0), "Connected")
    notebook.run(1)
    notebook.kernel(f"{KEEP}\n_keep({str(kept)!r})\ndel _keep")
    notebook.run(2)
    notebook.save()
    secrets = json.loads(kept.read_text())
    found = hunt(secrets, files_below(lab.root))
    assert {hit.form for hit in found} == {"plain"}
    assert all("token" in hit.secret for hit in found)
    notebook.path.unlink()
    for checkpoint in lab.root.rglob("*-checkpoint.ipynb"):
        checkpoint.unlink()
