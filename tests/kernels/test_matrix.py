"""What becomes of a click, of the cells behind, of an interrupt and of a failure, on each kernel.

No cell is lost and none is out of turn: `Lane.finish` looks at that in every test here. A click is the widget's own
message, as it goes where the page has found no door past a busy kernel.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from tests.jupyter.conftest import SETTINGS
from tests.jupyter.kernels import Page, Ran
from tests.jupyter.people import approve, deny
from tests.kernels.conftest import Lane
from tests.kernels.report import KEY
from tests.sizes import LONG

pytestmark = pytest.mark.kernel

SLEEP = (
    "import pathlib, time\nwhile not pathlib.Path('awake').exists():\n    time.sleep(0.05)\nprint('slept')"
)
STATUS = "import ic_notebook as ic\nprint(ic.status().connected)"
LAST = "print('last')"
SOON = 0.5
"""Seconds after which what has not been heard is taken as kept away."""
PROMPTLY = 5.0
"""Seconds that a machine under load may take for what a person sees at once."""
WAYS = {
    "connect": "import ic_notebook as ic\nic.connect(timeout={timeout})\nprint('went on')",
    "wait": "%load_ext ic_notebook\n%ic_connect --wait --timeout {timeout}\nprint('went on')",
    "await": "import ic_notebook as ic\nawait ic.connect_async(timeout={timeout})\nprint('went on')",
}
ways = pytest.mark.parametrize("way", list(WAYS) if LONG else ["connect", "await"])


@pytest.fixture(autouse=True)
def line_of_the_matrix(lane, request):
    tried = request.node.originalname.removeprefix("test_").replace("_", " ")
    way = request.node.callspec.params.get("way")
    lane.told = {"lane": lane.name, "tried": f"{tried}: {way}" if way else tried}
    request.node.user_properties.append((KEY, lane.told))


def waiting(way: str, *, timeout: float = 60) -> str:
    return WAYS[way].format(timeout=timeout)


def live(lane: Lane, way: str) -> bool:
    return lane.live_while_awaiting if way == "await" else lane.live_while_connecting


def hears(page: Page, *, expected: bool = True) -> bool:
    """Whether the kernel hears that the link was opened."""
    page.say("opened")
    within = PROMPTLY if expected else SOON
    return page.kernel.until(lambda: page.views and page.views[-1]["state"] == "waiting", within=within)


def wake(lane: Lane, cells: list[str]) -> list[str]:
    """End the sleep of the first of these cells, which must still be under way; what they all printed."""
    assert not lane.kernel.ended(cells[0])
    awake = lane.kernel.folder / "awake"
    awake.touch()
    try:
        return printed(lane.finish(cells))
    finally:
        awake.unlink()


def printed(ran: list[Ran]) -> list[str]:
    return [cell.printed for cell in ran]


def aborted(ran: list[Ran]) -> bool:
    return all(cell.reply["status"] == "aborted" and not cell.printed for cell in ran)


def when(heard: bool) -> str:
    """Live: the kernel heard of the click while the cell ran; late: after it."""
    return "live" if heard else "late"


def test_click_before_a_cell_that_sleeps(lane):
    page = lane.load()
    url = page.shows("ready")["url"]
    assert hears(page)
    cells = lane.start(SLEEP, STATUS, LAST)
    approve(url)
    page.shows("connected")
    assert wake(lane, cells) == ["slept\n", "True\n", "last\n"]
    lane.tell("shown")


def test_click_during_a_cell_that_sleeps(lane):
    page = lane.load()
    url = page.shows("ready")["url"]
    cells = lane.start(SLEEP, STATUS, LAST)
    heard = hears(page, expected=lane.live_while_blocked)
    assert heard == lane.live_while_blocked or lane.goes_where_it_last_came_from
    approve(url)
    page.shows("connected")
    assert wake(lane, cells) == ["slept\n", "True\n", "last\n"]
    lane.tell(f"shown, {when(heard)}")


def test_click_after_a_cell_that_slept(lane):
    page = lane.load()
    url = page.shows("ready")["url"]
    assert wake(lane, lane.start(SLEEP, STATUS, LAST)) == ["slept\n", "False\n", "last\n"]
    assert hears(page)
    approve(url)
    page.shows("connected")
    assert lane.kernel.run(STATUS).printed == "True\n"
    lane.tell("shown")


@ways
def test_click_before_a_cell_that_connects(lane, way):
    page = lane.load()
    url = page.shows("ready")["url"]
    assert hears(page)
    cells = lane.start(waiting(way), STATUS, LAST)
    assert lane.panel_of(cells[0]).shows("waiting")["url"] == url
    approve(url)
    page.shows("connected")
    assert printed(lane.finish(cells)) == ["went on\n", "True\n", "last\n"]
    lane.tell("goes on")


@ways
def test_click_during_a_cell_that_connects(lane, way):
    cells = lane.start(waiting(way), STATUS, LAST)
    page = lane.panel_of(cells[0])
    view = page.shows("ready", text=lambda text: "waits" in text)
    heard = hears(page, expected=live(lane, way))
    assert heard == live(lane, way)
    approve(view["url"])
    ran = lane.finish(cells)
    assert printed(ran) == ["went on\n", "True\n", "last\n"]
    page.shows("connected")
    lane.tell(f"goes on, {when(heard)}")


@ways
def test_click_after_a_cell_that_connected_in_vain(lane, way):
    cells = lane.start(waiting(way, timeout=0.5), STATUS, LAST)
    page = lane.panel_of(cells[0])
    ran = lane.finish(cells)
    assert ran[0].reply["ename"] == "SignInTimeout"
    assert aborted(ran[1:])
    # The wait may have ended before there was a link: then the next is made when a person comes near.
    page.say("near")
    url = page.shows("ready", text=lambda text: "waits" not in text)["url"]
    assert hears(page)
    approve(url)
    page.shows("connected")
    assert lane.kernel.run(STATUS).printed == "True\n"
    lane.tell("shown")


@ways
def test_run_all(lane, way):
    cells = lane.start("print('first')", waiting(way), STATUS)
    page = lane.panel_of(cells[1])
    url = page.shows("ready")["url"]
    page.say("opened")
    cells += lane.start(LAST)
    page.say("near")
    cells += lane.start("ic.status().connected")
    approve(url)
    ran = lane.finish(cells)
    assert printed(ran) == ["first\n", "went on\n", "True\n", "last\n", ""]
    assert ran[-1].text == "True"
    lane.tell("in order")


@ways
def test_interrupt(lane, way):
    cells = lane.start(waiting(way), STATUS, LAST)
    page = lane.panel_of(cells[0])
    page.shows("ready")
    hears(page, expected=live(lane, way))
    asked_at = time.monotonic()
    lane.kernel.manager.interrupt_kernel()
    # ipykernel 7.4 hears of an interrupt during an `await` when something wakes its loop.
    page.say("near")
    ran = lane.finish(cells)
    took = time.monotonic() - asked_at
    assert ran[0].reply["ename"] == ("CancelledError" if way == "await" else "KeyboardInterrupt")
    assert aborted(ran[1:])
    assert took < PROMPTLY
    # Between two cells an interrupt does nothing, and the count goes on.
    lane.kernel.manager.interrupt_kernel()
    after = lane.finish(lane.start(STATUS, LAST))
    assert printed(after) == ["False\n", "last\n"]
    assert after[0].reply["execution_count"] == ran[0].reply["execution_count"] + 1
    lane.tell("2 aborted")


@ways
def test_declined(lane, way, sandbox):
    sandbox.settings = replace(SETTINGS, auto_approve=False)
    cells = lane.start(waiting(way), STATUS, LAST)
    page = lane.panel_of(cells[0])
    url = page.shows("ready")["url"]
    page.say("opened")
    deny(url)
    ran = lane.finish(cells)
    assert ran[0].reply["ename"] == "SignInDeclined"
    assert aborted(ran[1:])
    page.shows("failed", title="Not connected: access was declined")
    lane.tell("2 aborted")


@ways
def test_timeout(lane, way):
    asked_at = time.monotonic()
    cells = lane.start(waiting(way, timeout=1), STATUS, LAST)
    page = lane.panel_of(cells[0])
    page.shows("ready")
    page.say("opened")
    ran = lane.finish(cells)
    assert 1 < time.monotonic() - asked_at < 1 + PROMPTLY
    assert ran[0].reply["ename"] == "SignInTimeout"
    assert aborted(ran[1:])
    lane.tell("2 aborted")


@ways
def test_cancel(lane, way):
    cells = lane.start(waiting(way), STATUS, LAST)
    page = lane.panel_of(cells[0])
    url = page.shows("ready")["url"]
    if not hears(page, expected=live(lane, way)):
        assert not live(lane, way)
        page.say("cancel")
        approve(url)
        assert printed(lane.finish(cells)) == ["went on\n", "True\n", "last\n"]
        lane.tell("late")
        return
    asked_at = time.monotonic()
    page.say("cancel")
    ran = lane.finish(cells)
    assert time.monotonic() - asked_at < PROMPTLY
    assert ran[0].reply["ename"] == "SignInCancelled"
    assert aborted(ran[1:])
    page.shows("ready", text=lambda text: "waits" not in text)
    assert lane.kernel.run(STATUS).printed == "False\n"
    lane.tell("2 aborted")
