"""What a person does in these front ends, and the photographs of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.jupyter.people import last_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Locator, Page

    from ic_notebook.sandbox import RunningSandbox

LOAD = "%load_ext ic_notebook"
CREDITS = 'import ic_notebook as ic\nic.client().get("/public/v1/accounts/credits/").json()'


def says(panel: Locator, words: str) -> None:
    expect(panel.locator("b").first).to_have_text(words, timeout=40_000)


@contextmanager
def tab(link: Locator) -> Iterator[Page]:
    """The tab that a click on a link opens."""
    with link.page.context.expect_page() as opened:
        link.click()
    yield opened.value
    opened.value.close()


def approve(link: Locator) -> None:
    """Click the link, approve in the tab, and see that it has arrived."""
    with tab(link) as page:
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_role("heading", name="Connected")).to_be_visible()


def address_after_approving(link: Locator, sandbox: RunningSandbox) -> str:
    """The address of the last page for a browser that does not reach the kernel: somebody else's, elsewhere."""
    settings = sandbox.settings
    sandbox.settings = replace(settings, auto_approve=True)
    try:
        return last_address(link.get_attribute("href"))
    finally:
        sandbox.settings = settings


def connect(panel: Locator) -> None:
    """Click Connect in the panel, approve, and see the panel say so."""
    approve(panel.get_by_role("link", name="Connect", exact=True))
    says(panel, "Connected")
    expect(panel.get_by_text("627.13 credits")).to_be_visible()


def photograph(part: Locator | Page, folder: Path, name: str) -> None:
    part.screenshot(path=folder / f"{name}.png", animations="disabled")
