"""Kernels that share a sign-in through a real GNOME Keyring: what one does, the panel of the other shows."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator

import pytest

from tests.jupyter.conftest import FRESH, LEAVE
from tests.jupyter.kernels import Kernel, Page, running_kernel
from tests.jupyter.people import CREDITS, approve, paths
from tests.storage.secret_service import locked_keyring, needs_secret_service, silent, unlocked_keyring

pytestmark = [
    pytest.mark.kernel,
    needs_secret_service,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux's keyring"),
]

REGISTER, TOKEN = ("POST", "/public/v1/oauth/register/"), ("POST", "/public/v1/oauth/token/")
KEPT = "627.13 credits · remembered in GNOME Keyring · since "
CLEAR = """
def _clear():
    from ic_notebook.storage.choice import keyring_store
    store = keyring_store({url!r}, "default")
    store._storage.delete()
    store._marker.unlink(missing_ok=True)
_clear()
"""
THREADS = "sorted({t.name for t in __import__('threading').enumerate() if t.name.startswith('ic_notebook')})"
RETURNED = (
    "all(face.keeping.store.calls.under_way is None"
    " for face in __import__('ic_notebook.sign_in', fromlist=['_'])._sign_ins.values())"
)
TOKENS = """
import json
with open("tokens", "w") as file:
    held = __import__("ic_notebook").session().auth._source.current()
    json.dump([str(held.access_token), str(held.refresh_token)], file)
del held
"""

TWO_HOURS_ON = """
import dataclasses, time, ic_notebook.sign_in as s
for face in s._sign_ins.values():
    face.options = dataclasses.replace(face.options, clock=lambda: time.time() + 7200)
"""


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory) -> Iterator[dict[str, str]]:
    with unlocked_keyring(tmp_path_factory.mktemp("k")) as env:
        yield env | {"XDG_CURRENT_DESKTOP": "GNOME"}


@pytest.fixture(scope="module")
def two_kernels(unlocked) -> Iterator[tuple[Kernel, Kernel]]:
    with running_kernel(**unlocked) as first, running_kernel(**unlocked) as second:
        yield first, second


@pytest.fixture
def kernels(two_kernels, sandbox) -> Iterator[tuple[Kernel, Kernel]]:
    """Two kernels on one keyring, which holds no sign-in."""
    for kernel in two_kernels:
        kernel.run(FRESH.format(url=sandbox.url), silent=True)
        kernel.messages.clear()
        kernel.pages.clear()
    yield two_kernels
    for kernel in two_kernels:
        kernel.run(LEAVE, silent=True)
    two_kernels[0].run(CLEAR.format(url=sandbox.url), silent=True)


def seen(kernel: Kernel) -> Page:
    page = kernel.load()
    page.say("hello")
    return page


def sign_in(page: Page, *, remember: bool = True) -> None:
    """As a person who ticks the box first, or leaves it alone."""
    url = page.shows("ready", "ended", url=bool)["url"]
    if remember:
        page.say("remember", on=True)
        assert page.shows("ready", "ended", remember=lambda box: box["on"])["url"] == url
    page.say("opened")
    approve(url)
    page.shows("connected", text=lambda text: text.startswith(KEPT if remember else "627.13 credits · this"))


def waited_for(page: Page, *states: str) -> float:
    """Seconds until the page shows one of these."""
    began = time.monotonic()
    page.shows(*states)
    return time.monotonic() - began


@contextlib.contextmanager
def busy(kernel: Kernel) -> Iterator[None]:
    """As long as this lasts, a cell holds the kernel."""
    gate = kernel.folder / "gate"
    os.mkfifo(gate)
    cell = kernel.start(f"print(1)\nopen({str(gate)!r}).read()")
    assert kernel.until(lambda: any(m["msg_type"] == "stream" for m in kernel._of(cell)))
    yield
    gate.write_text("")
    kernel.finish(cell)
    gate.unlink()


def test_the_next_kernel_is_connected_at_once_without_a_click(kernels, sandbox):
    first, second = kernels
    sign_in(seen(first))
    page = seen(second)
    page.shows("connected", text=lambda text: text.startswith(KEPT))
    assert {view["state"] for view in page.views} <= {"idle", "looking", "connected"}
    assert second.run(f"import ic_notebook as ic\n{CREDITS}").error == []
    assert (paths(sandbox).count(REGISTER), paths(sandbox).count(TOKEN)) == (1, 1)


def test_what_one_kernel_does_shows_in_the_other_within_a_second_while_a_cell_holds_it(kernels):
    pages = [seen(kernel) for kernel in kernels]
    with busy(kernels[1]):
        sign_in(pages[0])
        signed_in = waited_for(pages[1], "connected")
        pages[0].say("disconnect")
        pages[0].shows("ready")
        disconnected = waited_for(pages[1], "ended")
        # The box stays ticked: what takes the place of a sign-in that was remembered is remembered too.
        url = pages[0].shows("ready", url=bool, remember=lambda box: box["on"])["url"]
        approve(url)
        pages[0].shows("connected")
        again = waited_for(pages[1], "connected")
        pages[0].say("apps")
        rows = pages[0].shows("connected", apps=lambda apps: apps and "rows" in apps)["apps"]["rows"]
        pages[0].say("revoke", id=next(row["id"] for row in rows if row["own"]))
        pages[0].shows("ready", "ended")
        revoked = waited_for(pages[1], "ended")
    took = {
        "signed in": signed_in,
        "disconnected": disconnected,
        "signed in again": again,
        "revoked": revoked,
    }
    print("seconds until the other panel showed it:", took)
    assert max(took.values()) < 1.0, took


def test_another_sign_in_in_the_place_of_this_one_is_shown_with_its_own_time(kernels):
    first, second = kernels
    sign_in(seen(first))
    page = seen(second)
    before = page.shows("connected", text=lambda text: text.startswith(KEPT))
    told = len(page.views)
    first.run(TWO_HOURS_ON, silent=True)
    cell = first.start("import ic_notebook as ic\nic.connect(new_client=True)")
    approve(first.panel_of(cell).shows("ready", url=bool)["url"])
    first.finish(cell)
    page.shows("connected", text=lambda text: text.startswith(KEPT) and text != before["text"])
    assert "ended" not in {view["state"] for view in page.views[told:]}


def test_nothing_of_ours_runs_once_a_panel_is_gone_nor_for_a_sign_in_of_one_kernel(kernels):
    first, second = kernels
    for kernel in kernels:
        kernel.run("import ic_notebook.login.login\nic_notebook.login.login.LINGER = 0.1", silent=True)
    sign_in(seen(first))
    page = seen(second)
    page.shows("connected")
    assert second.until(lambda: second.ask(THREADS) == ["ic_notebook"])
    page.say("goodbye")
    assert second.until(lambda: second.ask(THREADS) == [])
    assert not first.run("%ic_disconnect").error
    first.run(LEAVE, silent=True)
    first.run("import ic_notebook.login.login\nic_notebook.login.login.LINGER = 0.1", silent=True)
    page = seen(first)
    sign_in(page, remember=False)
    assert first.until(lambda: first.ask(THREADS) == [])


def test_a_tick_that_is_heard_only_after_the_approval_still_holds(kernels):
    page = seen(kernels[0])
    url = page.shows("ready")["url"]
    with busy(kernels[0]):
        page.say("remember", on=True)
        approve(url)
        page.shows("connected", text=lambda text: "this kernel only" in text)
    page.shows("connected", text=lambda text: text.startswith(KEPT))
    seen(kernels[1]).shows("connected")


def test_a_keyring_that_does_not_answer_can_be_gone_on_without_and_is_looked_into_again(kernels, unlocked):
    first, second = kernels
    sign_in(seen(first))
    with silent(unlocked):
        began = time.monotonic()
        page = second.load()
        assert time.monotonic() - began < 5
        page.say("hello")
        page.shows("looking", text="Looking for a sign-in on this computer…")
        slow = page.shows("looking", can_go_on=True)
        assert "Your keyring does not answer yet. It may be locked: unlock it" in slow["text"]
        assert slow["notice"] is None
        page.say("without")
        assert "does not answer" in page.shows("ready")["text"]
        sign_in_url = page.views[-1]["url"]
    assert sign_in_url
    assert second.until(lambda: second.ask(RETURNED))
    page.say("goodbye")
    page.say("hello")
    page.shows("connected", text=lambda text: text.startswith(KEPT))


def test_a_sign_in_that_the_keyring_does_not_take_is_finished_without_it_and_says_so(kernels, unlocked):
    page = seen(kernels[0])
    page.shows("ready", remember=lambda box: box["problem"] is None)
    kernels[0].until(lambda: kernels[0].ask(THREADS) == ["ic_notebook"])
    url = page.views[-1]["url"]
    page.say("remember", on=True)
    page.shows("ready", remember=lambda box: box["on"])
    with silent(unlocked):
        assert "Connected" in approve(url).text
        slow = page.shows("finishing", can_go_on=True)
        assert (slow["title"], "unlock it" in slow["text"]) == ("Approved, finishing…", True)
        page.say("without")
        view = page.shows("connected", text=lambda text: "627.13 credits · this kernel only" in text)
    assert view["remark"].endswith("This sign-in ends with this process.")
    assert "Your keyring does not answer." in view["remark"]


def test_nothing_secret_is_in_any_message_or_trait(kernels):
    for kernel in kernels:
        page = seen(kernel)
        if page.shows("ready", "connected")["state"] == "ready":
            sign_in(page)
        assert not kernel.run(TOKENS, silent=True).error
        secrets = json.loads((kernel.folder / "tokens").read_text())
        page.say("apps")
        page.shows("connected", apps=lambda apps: apps and "rows" in apps)
        said = json.dumps(kernel.messages, default=str)
        assert "remembered in GNOME Keyring" in said
        assert not [secret for secret in secrets if secret in said]


def test_a_locked_keyring_is_said_and_holds_nothing_up(tmp_path_factory, sandbox):
    folder = tmp_path_factory.mktemp("k")
    variables = {"IC_BASE_URL": sandbox.url, "XDG_CURRENT_DESKTOP": "GNOME"}
    with unlocked_keyring(folder) as env, running_kernel(**env, **variables) as kernel:
        sign_in(seen(kernel))
    with locked_keyring(folder) as env, running_kernel(**env, **variables) as kernel:
        view = seen(kernel).shows("ready", url=bool)
        assert view["text"].startswith("Your keyring (GNOME Keyring) is locked. Unlock it and try again")
        assert view["remember"] == {"on": False, "problem": None, "reason": None}
