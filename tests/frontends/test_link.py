"""`%ic_connect --paste` in a real kernel: a link without a widget, and a box whose answer nobody sees."""

from __future__ import annotations

import json
import queue
import re
import time
from dataclasses import replace

import pytest

from tests.jupyter.conftest import SETTINGS
from tests.jupyter.kernels import Kernel, Ran, running_kernel
from tests.jupyter.people import CREDITS, approve, deny, last_address, paths, query
from tests.jupyter.test_waiting_in_a_cell import NO_LINGER, NOBODY_THERE, port_of
from tests.kernels.generations import GENERATIONS, INSTALLED, ROOT, python_of
from tests.sizes import LONG

pytestmark = pytest.mark.kernel

PASTE = "%ic_connect --paste"
STOPPED = "The wait was stopped, and nobody is signed in. To sign in, run this cell again."
HREF = re.compile(r'<a href="([^"]+)" target="_blank" rel="noopener noreferrer">')


class Cell:
    """A cell that waits for a person: its link, its box, and what its output holds in the end."""

    def __init__(self, kernel: Kernel, code: str = PASTE) -> None:
        kernel.run("%load_ext ic_notebook")
        self.kernel = kernel
        self.id = kernel.start(code)
        assert kernel.until(lambda: self.contents("display_data"))
        self.bundle = self.contents("display_data")[0]["data"]
        self.url = HREF.search(self.bundle["text/html"])[1].replace("&amp;", "&")

    def contents(self, kind: str) -> list[dict]:
        return Ran({}, self.kernel._of(self.id)).contents(kind)

    def asks(self) -> str:
        """The words of the box; it hides what is typed."""
        asked = self.kernel.client.get_stdin_msg(timeout=20)["content"]
        assert asked["password"] is True
        return asked["prompt"]

    def type(self, text: str) -> None:
        self.kernel.client.input(text)

    def says(self, words: str) -> None:
        """Wait until the output says so, in place of what it said before."""
        assert self.kernel.until(lambda: words in json.dumps(self.contents("update_display_data")[-1:])), (
            self.contents("update_display_data")
        )

    def ends(self) -> Ran:
        return self.kernel.finish(self.id)


def test_a_link_is_there_at_once_in_html_and_as_text_and_no_widget(kernel):
    cell = Cell(kernel)
    assert set(cell.bundle) == {"text/html", "text/plain"}
    assert cell.url in cell.bundle["text/plain"]
    assert cell.contents("comm_open") == []
    assert 'rel="noopener noreferrer"' in cell.bundle["text/html"]
    cell.asks()
    cell.type(last_address(cell.url))
    cell.ends()


@pytest.mark.parametrize("part", ["the address", "the code"])
def test_a_pasted_answer_connects_and_nothing_of_it_is_in_the_output(kernel, sandbox, part):
    cell = Cell(kernel)
    assert cell.asks() == "Address of the last page, or just Enter: "
    address = last_address(cell.url)
    code, state = query(address)["code"], query(address)["state"]
    cell.type(f" {address} " if part == "the address" else code)
    ran = cell.ends()
    assert ran.error == []
    assert ran.contents("execute_result") == []
    (last,) = ran.contents("update_display_data")[-1:]
    assert last["transient"] == ran.contents("display_data")[0]["transient"]
    assert last["data"]["text/plain"].startswith("Connected (this kernel only). Next: ")
    kept = [ran.contents(kind) for kind in ("update_display_data", "stream", "error", "execute_result")]
    assert state not in json.dumps(kept)
    assert code not in json.dumps(ran.messages, default=str)
    assert "627.13" in kernel.run(f"import ic_notebook as ic\n{CREDITS}").text


def test_a_browser_that_reaches_this_computer_connects_without_a_paste(kernel):
    cell = Cell(kernel)
    cell.asks()
    assert "Connected" in approve(cell.url).text
    cell.says("Connected. Press Enter in the box below to go on.")
    assert "state=" not in json.dumps(cell.contents("update_display_data"))
    cell.type("")
    assert cell.ends().error == []
    assert "627.13" in kernel.run(f"import ic_notebook as ic\n{CREDITS}").text


def test_a_wrong_answer_is_explained_in_the_box_and_the_right_one_still_taken(kernel):
    cell = Cell(kernel)
    cell.asks()
    cell.type("that is not it")
    assert "There is no code in that" in cell.asks()
    cell.type("A" * 43)
    assert "The service knows no such code." in cell.asks()
    cell.type("")
    assert cell.asks().startswith("Address")
    cell.type(last_address(cell.url))
    assert cell.ends().error == []


def test_a_refusal_takes_the_link_away_and_ends_in_one_line(kernel, sandbox):
    sandbox.settings = replace(SETTINGS, auto_approve=False)
    cell = Cell(kernel)
    cell.asks()
    deny(cell.url)
    cell.says("Not connected. Press Enter")
    cell.type("")
    ran = cell.ends()
    assert ran.reply["ename"] == "SignInDeclined"
    assert "declined" in ran.contents("update_display_data")[-1]["data"]["text/plain"]


def test_an_interrupt_takes_the_link_away_and_leaves_no_port(kernel):
    kernel.run(NO_LINGER)
    listening = kernel.listening
    cell = Cell(kernel)
    cell.asks()
    assert len(kernel.listening - listening) == 1
    kernel.manager.interrupt_kernel()
    ran = cell.ends()
    assert ran.error == [f"SignInCancelled: {STOPPED}"]
    (last,) = ran.contents("update_display_data")
    assert last["data"]["text/plain"] == STOPPED
    assert kernel.until(lambda: port_of(cell.url) not in kernel.listening)
    assert not kernel.ask("__import__('ic_notebook').status().connected")


def test_a_wait_that_is_too_long_takes_the_link_away_before_anybody_answers(kernel):
    cell = Cell(kernel, f"{PASTE} --timeout 0.5")
    cell.asks()
    cell.says("Not connected. Press Enter")
    cell.type("")
    ran = cell.ends()
    assert ran.reply["ename"] == "SignInTimeout"
    assert "Nobody approved within 0.5 s" in ran.contents("update_display_data")[-1]["data"]["text/plain"]


def test_the_cells_after_it_run_when_it_has_connected_and_not_when_it_has_not(kernel):
    cell = Cell(kernel)
    after = kernel.start(f"import ic_notebook as ic\n{CREDITS}")
    cell.asks()
    cell.type(last_address(cell.url))
    cell.ends()
    assert "627.13" in kernel.finish(after).text
    kernel.run("ic.forget()")
    cell = Cell(kernel)
    after = kernel.start("'too far'", stop_on_error=True)
    cell.asks()
    kernel.manager.interrupt_kernel()
    assert cell.ends().reply["status"] == "error"
    assert kernel.client.get_shell_msg(timeout=20)["content"]["status"] == "aborted"


def test_where_somebody_is_signed_in_there_is_nothing_to_ask(kernel, sandbox):
    cell = Cell(kernel)
    cell.asks()
    cell.type(last_address(cell.url))
    cell.ends()
    sandbox.requests.clear()
    ran = kernel.run(PASTE)
    assert ran.contents("display_data")[0]["data"]["text/plain"].startswith("Connected (this kernel only).")
    assert not [path for _, path in paths(sandbox) if "oauth" in path]


def test_where_nobody_can_answer_it_ends_at_once_and_names_the_ways_out(kernel, sandbox):
    kernel.run("%load_ext ic_notebook")
    asked_at = time.monotonic()
    ran = kernel.run(PASTE, allow_stdin=False)
    assert time.monotonic() - asked_at < 1
    assert ran.error == [NOBODY_THERE]
    assert ran.contents("display_data") == []
    assert sandbox.requests == []


def test_a_panel_names_the_way_without_a_widget_and_holds_no_link(kernel):
    page = kernel.load()
    page.say("hello")
    url = page.shows("ready")["url"]
    (shown,) = kernel.run("%ic_connect").contents("display_data")
    assert "%ic_connect --paste" in shown["data"]["text/plain"]
    assert query(url)["state"] not in json.dumps(shown)
    with pytest.raises(queue.Empty):
        kernel.client.get_stdin_msg(timeout=0.1)


@pytest.mark.skipif(not LONG, reason="one of the long tests: make test-long")
@pytest.mark.parametrize("generation", [name for name in GENERATIONS if name != INSTALLED])
def test_every_generation_of_ipykernel_takes_the_answer_and_an_interrupt(sandbox, generation):
    variables = {"PYTHONPATH": str(ROOT), "IC_BASE_URL": sandbox.url}
    with running_kernel(python=python_of(generation), **variables) as kernel:
        cell = Cell(kernel)
        cell.asks()
        kernel.manager.interrupt_kernel()
        assert cell.ends().error == [f"SignInCancelled: {STOPPED}"]
        cell = Cell(kernel)
        cell.asks()
        assert "Connected" in approve(cell.url).text
        cell.says("Connected. Press Enter in the box below to go on.")
        cell.type("")
        assert cell.ends().error == []
        kernel.run("%ic_forget")
        cell = Cell(kernel)
        cell.asks()
        cell.type(last_address(cell.url))
        (last,) = cell.ends().contents("update_display_data")[-1:]
        assert last["data"]["text/plain"].startswith("Connected (this kernel only).")
        assert kernel.run(f"{PASTE} --new-client", allow_stdin=False).error == [NOBODY_THERE]
