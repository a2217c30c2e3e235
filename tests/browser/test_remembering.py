"""A sign-in that is remembered: a tick, an approval, and the next notebook is connected without a click."""

from __future__ import annotations

import json
import sys

import pytest
from playwright.sync_api import expect

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.test_sign_in import CREDITS, LOAD, connect, says
from tests.storage.secret_service import needs_secret_service, unlocked_keyring

pytestmark = [
    pytest.mark.browser,
    needs_secret_service,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux's keyring"),
]


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings()) as running:
        yield running


@pytest.fixture(scope="module")
def lab(start_jupyterlab, sandbox, tmp_path_factory):
    """JupyterLab whose kernels use the sandbox, and a keyring of their own."""
    with unlocked_keyring(tmp_path_factory.mktemp("k")) as env:
        yield start_jupyterlab({**env, "IC_BASE_URL": sandbox.url, "XDG_CURRENT_DESKTOP": "GNOME"})


def test_a_tick_connects_the_next_notebook_without_a_click_and_a_disconnect_shows_in_both(
    notebooks, lab, sandbox
):
    one, other = notebooks(), notebooks()
    one.open(LOAD, server=lab)
    one.run(0)
    panel = one.panel(0)
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    panel.get_by_text("Remember on this computer").click()
    connect(one, panel)
    expect(panel).to_contain_text("627.13 credits · remembered in GNOME Keyring · since")

    other.open(LOAD, CREDITS, server=lab)
    other.run(0)
    says(other.panel(0), "Connected")
    expect(other.panel(0)).to_contain_text("remembered in GNOME Keyring")
    assert "627.13" in other.run(1)
    held = "import ic_notebook as ic; held = ic.session().auth._source.current()"
    secrets = other.kernel(held, read="[str(held.access_token), str(held.refresh_token)]")
    other.page.evaluate(
        "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
    )
    saved = json.dumps(other.save())
    assert "widget" in saved
    assert not [secret for secret in secrets if secret in saved]

    one.page.bring_to_front()
    panel.get_by_role("button", name="Disconnect").click()
    panel.get_by_role("button", name="Yes").click()
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible()
    says(other.panel(0), "This sign-in has ended")
    assert sandbox.store.apps() == []
