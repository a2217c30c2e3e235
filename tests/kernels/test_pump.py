"""The pump: on ipykernel 6 a panel is live while a cell waits, and a kernel with subshells is left alone."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from tests.jupyter.kernels import Kernel, Page, running_kernel
from tests.jupyter.people import approve, last_address
from tests.kernels.conftest import Lane
from tests.kernels.generations import ROOT, python_of

pytestmark = pytest.mark.kernel

CONNECT = "import ic_notebook as ic\nsession = ic.connect(timeout=60)\nprint('went on')"
AWAIT = "import ic_notebook as ic\nsession = await ic.connect_async(timeout=60)\nprint('went on')"
MANY = 40
NESTED = "['nest_asyncio2' in __import__('sys').modules, hasattr(__import__('asyncio'), '_nest_patched')]"
on_6 = pytest.mark.parametrize("running_lane", ["6.31"], indirect=True)
cells = pytest.mark.parametrize("code", [CONNECT, AWAIT], ids=["connect", "connect_async"])


def waiting(lane: Lane, code: str) -> tuple[str, Page, str]:
    (cell,) = lane.start(code)
    page = lane.panel_of(cell)
    return cell, page, page.shows("ready")["url"]


@pytest.fixture
def old_kernel(sandbox) -> Iterator[Kernel]:
    """One that a test may spoil."""
    with running_kernel(python=python_of("6.31"), PYTHONPATH=str(ROOT), IC_BASE_URL=sandbox.url) as kernel:
        yield kernel


@cells
@on_6
def test_a_panel_is_live_while_a_cell_waits(lane, code):
    other = lane.load()
    other.shows("ready")
    cell, page, url = waiting(lane, code)
    page.say("opened")
    for each in (page, other):
        view = each.shows("waiting", blocked=False, remember=lambda box: box is not None)
        assert "interrupt" not in view["text"]
    assert lane.kernel.until(lambda: lane.kernel.state == "busy")
    page.paste("https://example.com/nothing")
    page.shows("waiting", problem=lambda problem: problem is not None)
    page.paste(last_address(url))
    assert lane.kernel.finish(cell).printed == "went on\n"
    for each in (page, other):
        each.shows("connected")


@on_6
def test_other_questions_of_a_front_end_are_answered_meanwhile(lane):
    cell, _, url = waiting(lane, CONNECT)
    asked = lane.kernel.client.complete("impor", 5)
    answer = lane.kernel.client.get_shell_msg(timeout=10)
    assert answer["parent_header"]["msg_id"] == asked
    assert "import" in answer["content"]["matches"]
    assert not lane.kernel.ended(cell)
    approve(url)
    assert lane.kernel.finish(cell).printed == "went on\n"


@cells
def test_no_cell_and_no_message_is_lost_among_many(lane, code):
    cells = lane.start(code)
    page = lane.panel_of(cells[0])
    url = page.shows("ready")["url"]
    asked = []
    for number in range(MANY):
        cells += lane.start(f"print({number})")
        page.say("near")
        asked.append(lane.kernel.client.kernel_info())
    approve(url)
    ran = lane.finish(cells)
    assert [cell.printed for cell in ran] == ["went on\n", *(f"{number}\n" for number in range(MANY))]
    assert lane.kernel.until(lambda: all(lane.kernel.ended(question) for question in asked))


@on_6
def test_the_kernel_is_left_as_it_was_but_for_its_loop(lane):
    handlers = (
        "[str(h) for h in (__import__('signal').getsignal(2), get_ipython().kernel.saved_sigint_handler)]"
    )
    before = lane.kernel.ask(handlers)
    cell, page, url = waiting(lane, CONNECT)
    page.say("opened")
    page.shows("waiting")
    approve(url)
    lane.kernel.finish(cell)
    assert lane.kernel.ask(handlers) == before


def test_only_a_kernel_with_one_queue_has_its_loop_nested(lane):
    before = lane.kernel.ask(NESTED)
    cell, _, url = waiting(lane, CONNECT)
    approve(url)
    assert lane.kernel.finish(cell).printed == "went on\n"
    assert lane.kernel.ask(NESTED) == ([True, True] if lane.pumped else [False, False])
    assert lane.pumped or before == [False, False]


def test_a_loop_that_a_person_has_nested_is_taken_as_it_is(old_kernel):
    old_kernel.run("import nest_asyncio\nnest_asyncio.apply()")
    cells = [old_kernel.start(code) for code in (CONNECT, "print('next')")]
    page = old_kernel.panel_of(cells[0])
    page.say("hello")
    url = page.shows("ready")["url"]
    page.say("opened")
    page.shows("waiting")
    approve(url)
    ran = old_kernel.finish_all(cells)
    assert [ran[cell].printed for cell in cells] == ["went on\n", "next\n"]
    assert old_kernel.ask(NESTED) == [False, True]


def test_awaiting_nests_no_loop(old_kernel):
    cell = old_kernel.start(AWAIT)
    page = old_kernel.panel_of(cell)
    page.say("hello")
    url = page.shows("ready")["url"]
    page.say("opened")
    page.shows("waiting")
    approve(url)
    assert old_kernel.finish(cell).printed == "went on\n"
    assert old_kernel.ask(NESTED) == [False, False]


@on_6
def test_a_cell_that_waits_on_another_thread_is_told_how_to_stop(lane):
    code = f"import threading\nthread = threading.Thread(target=lambda: exec({CONNECT!r}))\nthread.start(); thread.join()"
    (cell,) = lane.start(code)
    page = lane.kernel.panel_of(cell)
    approve(page.shows("ready", remember=None)["url"])
    assert lane.kernel.finish(cell).reply["status"] == "ok"
    page.shows("connected")


def test_a_kernel_that_is_shut_down_while_it_pumps_ends_promptly(old_kernel):
    cell = old_kernel.start(CONNECT)
    page = old_kernel.panel_of(cell)
    page.say("hello")
    page.shows("ready")
    page.say("opened")
    page.shows("waiting")
    process = psutil.Process(old_kernel.manager.provisioner.pid)
    # The request alone: a manager's own shutdown would interrupt the cell first.
    old_kernel.client.shutdown()
    process.wait(timeout=5)
    assert old_kernel.until(lambda: any(m["msg_type"] == "error" for m in old_kernel.messages))
    (error,) = (m["content"] for m in old_kernel.messages if m["msg_type"] == "error")
    assert error["ename"] == "SignInCancelled"
    assert "ic_notebook" not in old_kernel.log.read_text()
