"""A cell that waits for a person: it goes on, it is interrupted, it gives up; and nobody there at all."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import urlsplit

import psutil
import pytest

from tests.jupyter.conftest import SETTINGS
from tests.jupyter.kernels import Kernel, Page
from tests.jupyter.people import approve, deny, last_address, paths, query

pytestmark = pytest.mark.kernel

CONNECT = "import ic_notebook as ic\nic.connect(timeout=60)"
ASYNC = "import ic_notebook as ic\nawait ic.connect_async(timeout=60)"
NO_LINGER = "import ic_notebook.login.login as _login; _login.LINGER = 0.0"
NOBODY_THERE = (
    "NobodyThere: Nobody can be asked to approve here: this run is unattended, or has no browser and no terminal. "
    "Set IC_ACCESS_TOKEN to a token or API key, or sign in once where a person is and keep it in the keyring: "
    "ic-notebook connect."
)
cells = pytest.mark.parametrize("code", [CONNECT, ASYNC], ids=["connect", "connect_async"])


def waiting(kernel: Kernel, code: str) -> tuple[str, Page, str]:
    cell = kernel.start(code)
    page = kernel.panel_of(cell)
    return cell, page, page.shows("ready")["url"]


def port_of(url: str) -> int | None:
    return urlsplit(query(url)["redirect_uri"]).port


@cells
def test_a_waiting_cell_goes_on_when_a_person_has_approved(kernel, code):
    cell, page, url = waiting(kernel, code)
    approve(url)
    page.shows("connected")
    assert kernel.finish(cell).text.startswith("<Session connected, http://127.0.0.1:")
    assert page.views[-1].get("blocked") in {None, False}


@cells
def test_a_cell_that_waits_says_on_every_panel_how_to_stop_it(kernel, code):
    other = kernel.load()
    other.say("hello")
    other.shows("ready")
    cell, page, url = waiting(kernel, code)
    for each in (page, other):
        assert "interrupt the kernel" in each.shows("ready", text=lambda text: "waits" in text)["text"]
    approve(url)
    kernel.finish(cell)
    for each in (page, other):
        each.shows("connected")
    kernel.run("%ic_forget")
    for each in (page, other):
        each.shows("ready", text=lambda text: "waits" not in text)


@cells
def test_a_cell_that_waits_for_another_sign_in_shows_its_link(kernel, code):
    cell, _, url = waiting(kernel, code)
    approve(url)
    kernel.finish(cell)
    cell, page, another = waiting(kernel, code.replace("timeout=60", "timeout=60, new_client=True"))
    assert query(another)["client_id"] != query(url)["client_id"]
    approve(another)
    assert kernel.finish(cell).text.startswith("<Session connected")
    page.shows("connected")


@cells
def test_after_a_wait_that_was_too_long_no_panel_speaks_of_it(kernel, code):
    other = kernel.load()
    other.say("hello")
    other.shows("ready")
    cell, *_ = waiting(kernel, code.replace("60", "1"))
    other.shows("ready", text=lambda text: "waits" in text)
    assert kernel.finish(cell).reply["ename"] == "SignInTimeout"
    assert other.shows("ready", text=lambda text: "waits" not in text)["url"]


def test_connecting_again_returns_the_live_session_at_once(kernel, sandbox):
    cell, _, url = waiting(kernel, CONNECT)
    approve(url)
    kernel.finish(cell)
    sandbox.requests.clear()
    ran = kernel.run("ic.connect() is ic.session()")
    assert ran.text == "True"
    assert ran.panels == []
    assert not [path for _, path in paths(sandbox) if "oauth" in path]


@cells
def test_an_interrupt_ends_the_wait_and_leaves_no_port(kernel, code):
    kernel.run(NO_LINGER)
    listening = kernel.listening
    cell, page, url = waiting(kernel, code)
    assert len(kernel.listening - listening) == 1
    asked_at = time.monotonic()
    kernel.manager.interrupt_kernel()
    # ipykernel 7.4 hears of an interrupt during an `await`, also of asyncio.sleep, when something wakes its loop.
    page.say("goodbye")
    ran = kernel.finish(cell)
    assert time.monotonic() - asked_at < 5
    assert ran.reply["ename"] == ("CancelledError" if code is ASYNC else "KeyboardInterrupt")
    assert kernel.until(lambda: port_of(url) not in kernel.listening)
    assert not kernel.ask("__import__('ic_notebook').status().connected")


def test_a_cell_can_be_run_again_after_an_interrupt(kernel):
    cell, _, first = waiting(kernel, CONNECT)
    kernel.manager.interrupt_kernel()
    assert kernel.finish(cell).reply["ename"] == "KeyboardInterrupt"
    cell = kernel.start(CONNECT)
    url = kernel.panel_of(cell).shows("ready", url=lambda url: url != first)["url"]
    approve(url)
    assert kernel.finish(cell).text.startswith("<Session connected")


def test_after_an_interrupt_an_approval_of_the_old_tab_signs_nobody_in(kernel):
    cell, _, url = waiting(kernel, CONNECT)
    kernel.manager.interrupt_kernel()
    kernel.finish(cell)
    assert "over" in approve(url).text
    assert not kernel.ask("__import__('ic_notebook').status().connected")


@pytest.mark.parametrize("code", [CONNECT, ASYNC, "%load_ext ic_notebook\n%ic_connect --wait --timeout 60"])
def test_a_wait_that_is_too_long_ends_in_one_line(kernel, code):
    ran = kernel.run(code.replace("60", "0.3"))
    (line,) = ran.error
    assert line.startswith("SignInTimeout: Nobody approved within 0")
    assert ran.reply["ename"] == "SignInTimeout"


@cells
def test_a_refusal_ends_the_wait_in_one_line(kernel, sandbox, code):
    sandbox.settings = replace(SETTINGS, auto_approve=False)
    cell, page, url = waiting(kernel, code)
    deny(url)
    assert kernel.finish(cell).error == [
        "SignInDeclined: Access was declined. Nobody is signed in. Connect again and choose Approve on the page."
    ]
    page.shows("failed", title="Not connected: access was declined")


@pytest.mark.parametrize("code", [CONNECT, ASYNC, "%load_ext ic_notebook\n%ic_connect --wait"])
def test_where_nobody_can_answer_it_ends_at_once_and_names_the_way_out(kernel, sandbox, code):
    asked_at = time.monotonic()
    ran = kernel.run(code, allow_stdin=False)
    assert time.monotonic() - asked_at < 5
    assert ran.error == [NOBODY_THERE]
    assert sandbox.requests == []


def test_loading_the_extension_does_not_fail_where_nobody_can_answer(kernel, sandbox):
    ran = kernel.run("%load_ext ic_notebook", allow_stdin=False)
    assert ran.reply["status"] == "ok"
    assert len(ran.panels) == 1
    assert sandbox.requests == []


def test_giving_open_url_means_that_somebody_is_there(kernel):
    code = "import ic_notebook as ic, urllib.request\nic.connect(open_url=lambda url: urllib.request.urlopen(url).close(), timeout=30)"
    ran = kernel.run(code, allow_stdin=False)
    assert ran.text.startswith("<Session connected")
    assert ran.panels == []


def test_a_kernel_that_is_shut_down_while_a_cell_waits_ends_promptly(new_kernel):
    kernel = new_kernel()
    waiting(kernel, CONNECT)
    process = psutil.Process(kernel.manager.provisioner.pid)
    asked_at = time.monotonic()
    kernel.manager.shutdown_kernel()
    assert time.monotonic() - asked_at < 4
    assert not process.is_running()
    assert "ic_notebook" not in kernel.log.read_text()


@cells
@pytest.mark.parametrize("how", ["cancel", "paste"])
def test_what_a_person_does_reaches_a_waiting_cell_by_the_door(kernel, code, how):
    cell, page, url = waiting(kernel, code)
    assert page.at_door("opened") == page.door["answer"]
    page.shows("waiting", blocked=False)
    text = {"text": last_address(url)} if how == "paste" else {}
    assert page.at_door(how, **text) == page.door["answer"]
    ran = kernel.finish(cell, within=10)
    if how == "cancel":
        assert ran.reply["ename"] == "SignInCancelled"
    else:
        assert ran.text.startswith("<Session connected")


def test_without_a_door_a_waiting_cell_says_to_interrupt(kernel):
    cell = kernel.start(CONNECT)
    page = kernel.panel_of(cell)
    page.explores = False
    page.shows("ready")
    assert page.at_door("opened") is not None
    assert "interrupt the kernel" in page.shows("waiting", blocked=True)["text"]
    kernel.manager.interrupt_kernel()
    kernel.finish(cell)
