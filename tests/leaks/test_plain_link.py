"""The link of `%ic_connect --paste`: the one state that a notebook file may hold, and only while the cell waits."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.test_sign_in import CREDITS, LOAD
from tests.frontends.people import address_after_approving
from tests.leaks.life import KEEP, Life, export, searched
from tests.sizes import needs_time

if TYPE_CHECKING:
    from playwright.sync_api import Locator

pytestmark = [pytest.mark.browser, needs_time]


def refused(address: str) -> bool:
    """Whether nothing comes of this redirect any more."""
    try:
        return httpx.get(address, trust_env=False).status_code == 410
    except httpx.ConnectError:
        return True


def test_the_state_is_in_the_notebook_as_long_as_it_waits_and_spent_afterwards(
    notebook, lab, sandbox, tmp_path, record_property
):
    life = Life(tmp_path / "kept", lab.root.parent)
    notebook.open(LOAD, "%ic_connect --paste", CREDITS, server=lab)
    notebook.run(0)
    notebook.start(1)
    link: Locator = notebook.output(1).get_by_role("link", name="Connect to influencers.club")
    state = parse_qs(urlsplit(link.get_attribute("href")).query)["state"][0]
    notebook.save()
    export(notebook.path.parent, notebook.path.name)
    waiting = searched("plain link, waiting", {"state": state}, life.places, record_property)
    assert {hit.place.rpartition("/")[2] for hit in waiting} == {
        notebook.path.name,
        f"{notebook.path.stem}-checkpoint.ipynb",
        f"{notebook.path.stem}-exported.html",
    }

    address = address_after_approving(link, sandbox)
    life.codes += parse_qs(urlsplit(address).query)["code"]
    box = notebook.output(1).locator("input").last
    box.fill(address)
    box.press("Enter")
    notebook.wait(1)
    expect(notebook.output(1).get_by_text("Connected (this kernel only)")).to_be_visible()
    assert "627.13" in notebook.run(2)
    notebook.kernel(f"{KEEP}\n_keep({str(life._kept)!r})\ndel _keep")
    notebook.save()
    notebook.save()
    export(notebook.path.parent, notebook.path.name)
    assert state in life.secrets.values()
    assert searched("plain link, afterwards", life.secrets, life.places, record_property) == []
    assert refused(address)
