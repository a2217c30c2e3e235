"""The panel's page side alone: every state photographed, accessible and safe, in a real JupyterLab.

The kernel side is a widget that says what the test tells it to and keeps what it hears, so that each state can be had
at will; the sign-in itself is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from ic_notebook.jupyter.cells import CELLS, NEXT
from ic_notebook.jupyter.panel import ConnectPanel
from ic_notebook.jupyter.view import BLOCKED_WAITING, BY_PASTE, INVITATION, NO_KEYRING, RESTART, WAYS
from ic_notebook.oauth.connected_apps import ConnectedApp
from ic_notebook.sessions.apps import ConnectedApps
from tests.sizes import LONG, needs_time

pytestmark = pytest.mark.browser

PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"
THEMES = ("JupyterLab Light", "JupyterLab Dark")
URL = "http://127.0.0.1:9/oauth/authorize?client_id=c&state=s&code_challenge_method=S256"
OVERFLOW = """panel => [panel, ...panel.querySelectorAll('*:not(.ic-unseen)')]
  .filter(node => node.localName !== 'input' && node.clientWidth && (node.scrollWidth > node.clientWidth
    || node.getBoundingClientRect().right > panel.getBoundingClientRect().right + 0.5))
  .map(node => node.outerHTML.slice(0, 120))"""
PICTURE = """
import anywidget
from ic_notebook.jupyter.panel import ConnectPanel
from ic_notebook.jupyter.veil import Veil
class Picture(anywidget.AnyWidget):
    _esm, _css = str(ConnectPanel._esm), str(ConnectPanel._css)
    def __init__(self):
        super().__init__()
        self.heard, self.view, self.veil = [], None, Veil()
        self.on_msg(self.hear)
    def hear(self, _widget, content, buffers):
        if "veil" in content:
            content = {"type": content["type"], "veiled": self.veil.lifted(content)}
        self.heard.append(content)
        if content["type"] == "hello" and self.view:
            self.show(self.view)
    def show(self, view):
        self.view = view
        self.send({"type": "view", "view": view | {"veil": self.veil.fresh()}})
picture = Picture()
picture
"""

SHOWN_CELLS = [{"name": cell.name, "title": cell.title, "code": cell.code} for cell in CELLS]
ROWS = [
    {
        "id": "a1",
        "name": "ic_notebook on analysis-laptop",
        "connected": "today",
        "own": True,
        "can_revoke": True,
    },
    {
        "id": "a2",
        "name": "ic_notebook on hub.example",
        "connected": "3 Nov",
        "own": False,
        "can_revoke": True,
    },
    {"id": "a3", "name": "Claude", "connected": "12 Oct 2025", "own": False, "can_revoke": True},
    {"id": "", "name": "An app that names no id", "connected": "", "own": False, "can_revoke": False},
]
IDLE = {
    "state": "idle",
    "title": "influencers.club",
    "text": INVITATION,
    "action": "Connect",
    "host": "dashboard.influencers.club",
    "remember": {"on": False, "problem": None, "reason": None},
    "paste_hint": "http://127.0.0.1:…/callback?code=…",
}
PREPARING = {**IDLE, "state": "preparing", "text": "Getting ready…"}
READY = {**IDLE, "state": "ready", "url": URL}
REMEMBERED = {"on": True, "problem": None, "reason": None}
NO_KEYRING_HERE = {
    **READY,
    "remember": {
        "on": False,
        "problem": NO_KEYRING,
        "reason": "This computer has no keyring that can be used (keyring.backends.fail). Install and unlock one.",
    },
}
WAITING = {
    **READY,
    "state": "waiting",
    "title": "Approve in the other tab",
    "text": "This panel notices by itself, also while a cell is running.",
}
BLOCKED = {**WAITING, "blocked": True, "text": BLOCKED_WAITING, "remember": None}
PROBLEM = "This address belongs to another sign-in. Copy the address of the last page and paste it again."
FINISHING = {"state": "finishing", "title": "Approved, finishing…", "text": ""}
SLOW = "Your keyring does not answer yet. It may be locked: unlock it in the window that your system shows."
FINISHING_SLOW = {**FINISHING, "text": SLOW, "can_go_on": True}
LOOKING = {**IDLE, "state": "looking", "text": "Looking for a sign-in on this computer…"}
LOOKING_SLOW = {**LOOKING, "text": SLOW, "can_go_on": True}
ONCE = (
    "This program has been registered again already, so the old registration is not the reason. If the page "
    "still shows an error, tell the service's support."
)
LIMIT = "The account's limit of 300 calls a minute is reached. Going on in 12 s."
CONNECTED = {
    "state": "connected",
    "title": "Connected",
    "text": "627.13 credits · this kernel only · since 10:42 · as ic_notebook on laptop",
    "can_disconnect": True,
    "next": NEXT,
    "cells": SHOWN_CELLS,
}
KEPT = {
    **CONNECTED,
    "text": "627.13 credits · remembered in GNOME Keyring · since 10:42 · as ic_notebook on laptop",
}
NOT_KEPT = {
    **CONNECTED,
    "remark": "Your keyring (GNOME Keyring) is locked. Unlock it and try again, or go on with "
    'storage="memory". This sign-in ends with this process.',
}
FROM_ENVIRONMENT = {
    **CONNECTED,
    "title": "Connected with IC_ACCESS_TOKEN",
    "text": "627.13 credits · from the environment, not renewed here",
    "can_disconnect": False,
}
APPS_OPEN = {**CONNECTED, "apps": {"rows": ROWS}}
DECLINED = {
    "state": "failed",
    "title": "Not connected: access was declined",
    "text": "Nobody is signed in. Connect again and choose Approve on the page.",
    "url": URL,
    "host": "dashboard.influencers.club",
    "remember": {"on": False, "problem": None, "reason": None},
    "action": "Try again",
}
UNREACHABLE = {
    "state": "failed",
    "title": "influencers.club cannot be reached",
    "text": "No answer from api-dashboard.influencers.club in 30 s. Check the network or proxy, then try again.",
    "host": "dashboard.influencers.club",
    "remember": {"on": False, "problem": None, "reason": None},
    "action": "Try again",
}
ENDED = {
    "state": "ended",
    "title": "This sign-in has ended",
    "text": "It was disconnected in the dashboard or in another notebook.",
    "url": URL,
    "host": "dashboard.influencers.club",
    "remember": {"on": True, "problem": None, "reason": None},
    "action": "Connect again",
}

# Name of the photograph, what the kernel says, what a person then presses.
NOT_CONNECTED = [
    ("idle", IDLE, ()),
    ("preparing", PREPARING, ()),
    ("ready", READY, ()),
    ("ready-by-jupyter", {**READY, "way": WAYS["extension"]}, ()),
    ("ready-by-paste", {**READY, "way": BY_PASTE}, ()),
    ("ready-remember", {**READY, "remember": REMEMBERED}, ()),
    ("ready-no-keyring", NO_KEYRING_HERE, ()),
    ("looking", LOOKING, ()),
    ("looking-slow", LOOKING_SLOW, ()),
    ("declined", DECLINED, ()),
    ("unreachable", UNREACHABLE, ()),
    ("ended", ENDED, ()),
]
UNDER_WAY = [
    ("waiting", WAITING, ()),
    ("waiting-registering", {**WAITING, "busy": "Registering this program again…"}, ()),
    ("waiting-registered-once", {**WAITING, "remark": ONCE, "remember": REMEMBERED}, ()),
    ("waiting-paste-open", WAITING, ("Paste its address",)),
    ("waiting-problem", {**WAITING, "problem": PROBLEM}, ()),
    ("waiting-blocked", BLOCKED, ()),
    ("waiting-paste-only", {**WAITING, "paste_only": True}, ()),
    ("waiting-paste-restart", {**WAITING, "paste_only": True, "remark": RESTART}, ()),
    ("waiting-hosted", {**WAITING, "direct_url": URL}, ()),
    ("finishing", FINISHING, ()),
    ("finishing-slow", FINISHING_SLOW, ()),
    ("connected-limit", {**KEPT, "notice": LIMIT}, ()),
    ("connected-busy", {**CONNECTED, "busy": "Disconnecting…"}, ()),
]
SIGNED_IN = [
    ("connected", CONNECTED, ()),
    ("connected-kept", KEPT, ()),
    ("connected-profile", {**KEPT, "profile": "agency-a"}, ()),
    ("connected-not-kept", NOT_KEPT, ()),
    ("connected-confirming", CONNECTED, ("Disconnect",)),
    ("connected-environment", {**FROM_ENVIRONMENT, "notice": LIMIT}, ()),
    ("apps-loading", CONNECTED, ("Apps",)),
    ("apps-open", APPS_OPEN, ("Apps",)),
    ("apps-confirming", APPS_OPEN, ("Apps", "Disconnect ic_notebook on hub.example")),
    (
        "apps-problem",
        {**CONNECTED, "apps": {"problem": "The list did not come: no answer in 30 s."}},
        ("Apps",),
    ),
    ("cells-shown", CONNECTED, ("Show cells",)),
]


class Bench:
    """A panel in a notebook, and the two ends of its wire."""

    def __init__(self, notebook) -> None:
        self.notebook = notebook
        self.page = notebook.page
        notebook.open(PICTURE, "picture", "mute = Picture()\nmute", "'the last cell'")
        notebook.run(0)
        self.panel = notebook.panel(0)
        expect(self.panel).to_be_visible()

    def show(self, *views: dict, says: str | None = None) -> None:
        """The kernel sends views, one after the other; returns when the panel shows the last."""
        self.notebook.kernel(
            f"import json\nfor view in json.loads({json.dumps(views)!r}): picture.show(view)"
        )
        expect(self.panel).to_contain_text(says or views[-1]["title"])

    def into(self, view: dict, *presses: str) -> None:
        """A view in which nothing was open before, then buttons pressed; the kernel answers to *Apps*."""
        self.notebook.kernel("picture.heard.clear()")
        pasting = view.get("paste_only") or view.get("problem")
        self.show({**FINISHING, "title": "Between two states"}, view, says="come back" if pasting else None)
        for name in presses:
            self.button(name).click()
            if name == "Apps" and view.get("apps"):
                expect(self.panel).to_contain_text("Loading")
                self.show(view)
                expect(self.panel).not_to_contain_text("Loading")
        if "Apps" in presses:
            self.expect_heard({"type": "apps"})
            self.notebook.kernel("picture.heard.clear()")

    def heard(self) -> list[dict]:
        return self.notebook.kernel(read="picture.heard")

    def expect_heard(self, *expected: dict) -> None:
        """Waits, within a bound, until the kernel was told exactly this (nearness aside)."""
        for _ in range(40):
            said = [content for content in self.heard() if content["type"] != "near"]
            if said == list(expected):
                return
        assert said == list(expected)

    def expect_focus(self, locator: Locator) -> None:
        expect(locator).to_be_focused()

    def button(self, name: str) -> Locator:
        return self.panel.get_by_role("button", name=name, exact=True)

    def link(self, name: str) -> Locator:
        return self.panel.get_by_role("link", name=name, exact=True)

    @property
    def box(self) -> Locator:
        return self.panel.get_by_role("checkbox", name="Remember on this computer", exact=True)

    @property
    def field(self) -> Locator:
        return self.panel.get_by_role("textbox", name="Address of the last page, or the code")


@pytest.fixture(scope="module")
def shared_bench(module_notebook, playwright_loop) -> Bench:
    loop = playwright_loop[1]
    asyncio._set_running_loop(loop)
    try:
        return Bench(module_notebook)
    finally:
        asyncio._set_running_loop(None)


@pytest.fixture
def bench(shared_bench):
    """A panel in a real JupyterLab, one page for all tests of this file."""
    yield shared_bench
    thrown = [*shared_bench.notebook.page_errors]
    shared_bench.notebook.page_errors.clear()
    assert not thrown


# -- photographs and accessibility


WIDTHS = {"wide": "", "320": "320px"}
FEWER = {"JupyterLab Light": "wide", "JupyterLab Dark": "320"}
"""What `make test` looks at: each state in one theme and at its width, the next in the other."""
BOX = "node => node.getBoundingClientRect().width"


def faults(panel: Locator, name: str, theme: str, violations) -> list[str]:
    """Photographs a panel wide and at 320 px; what axe finds, and what does not fit."""
    PHOTOGRAPHS.mkdir(exist_ok=True)
    found = []
    for width in WIDTHS if LONG else [FEWER[theme]]:
        style = WIDTHS[width]
        panel.evaluate("(node, width) => { node.parentElement.style.width = width }", style)
        expect(panel).to_be_visible()
        assert panel.evaluate(BOX) == (320 if style else 640)
        panel.screenshot(path=PHOTOGRAPHS / f"{name}-{theme.rsplit(maxsplit=1)[-1].lower()}-{width}.png")
        found += [f"{name} {width}: {line}" for line in violations(panel)]
        found += [f"{name} {width} overflows: {line}" for line in panel.evaluate(OVERFLOW)]
    panel.evaluate("node => { node.parentElement.style.width = '' }")
    return found


@pytest.mark.parametrize(
    "states", [NOT_CONNECTED, UNDER_WAY, SIGNED_IN], ids=["before", "under way", "after"]
)
@pytest.mark.parametrize("theme", THEMES)
def test_every_state_is_accessible_and_fits_wide_and_at_320_px(
    theme, states, bench, accessibility_violations
):
    bench.notebook.theme(theme)
    found = []
    for name, view, presses in states if LONG else states[THEMES.index(theme) :: 2]:
        bench.into(view, *presses)
        bench.page.mouse.move(0, 0)
        found += faults(bench.panel, name, theme, accessibility_violations)
    assert not found, "\n".join(found)


def test_panel_without_a_kernel_behind_it_says_so(bench, accessibility_violations):
    bench.notebook.run(2)
    panel = bench.notebook.panel(2)
    expect(panel).to_contain_text("not connected to a running kernel", timeout=5000)
    for theme in THEMES:
        bench.notebook.theme(theme)
        assert not faults(panel, "dead", theme, accessibility_violations)
    bench.notebook.kernel(f"import json; mute.show(json.loads({json.dumps(READY)!r}))")
    expect(panel.get_by_role("link", name="Connect")).to_be_visible()
    expect(panel).not_to_contain_text("running kernel")


def test_accessibility_check_and_overflow_check_can_fail(bench, accessibility_violations):
    bench.into(CONNECTED)
    planted = """(node, on) => on ? node.insertAdjacentHTML('beforeend',
      '<p id="planted" style="color:#ccc;background:#fff;width:900px"><img src="data:,">pale</p>')
      : document.getElementById('planted').remove()"""
    bench.panel.evaluate(planted, True)
    found = accessibility_violations(bench.panel)
    wide = bench.panel.evaluate(OVERFLOW)
    bench.panel.evaluate(planted, False)
    assert {line.split(":")[0] for line in found} >= {"image-alt", "color-contrast"}
    assert any("planted" in line for line in wide)
    assert accessibility_violations(bench.panel) == []


WITHOUT_JUPYTERLAB = """async ([esm, css, views]) => {
  document.head.append(Object.assign(document.createElement('style'), {textContent: css}));
  const {default: make} = await import(URL.createObjectURL(new Blob([esm], {type: 'text/javascript'})));
  for (const view of views) {
    const model = {on: (name, act) => { model[name] = act }, send: () => {}};
    const el = document.body.appendChild(document.createElement('main'));
    const widget = make();
    widget.initialize({model});
    widget.render({model, el});
    model['msg:custom']({type: 'view', view});
  }
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_stand_where_a_front_end_has_no_variables_of_jupyterlab(
    scheme, browser_context, accessibility_violations
):
    page = browser_context.new_page()
    page.emulate_media(color_scheme=scheme)
    page.goto("about:blank")
    views = [READY, {**WAITING, "problem": PROBLEM}, CONNECTED, DECLINED, ENDED]
    page.evaluate(
        WITHOUT_JUPYTERLAB,
        [str(ConnectPanel._esm), str(ConnectPanel._css), views],
    )
    page.screenshot(path=PHOTOGRAPHS / f"without-jupyterlab-{scheme}.png")
    found = [line for panel in page.locator(".ic-notebook").all() for line in accessibility_violations(panel)]
    page.close()
    assert not found, "\n".join(found)


# -- the link


def test_connect_is_a_link_with_the_exact_address_that_opens_a_tab_of_its_own(bench):
    url = f"{bench.notebook.server.url}api?state=a%20b&x=%22%26"
    bench.into({**READY, "url": url})
    link = bench.link("Connect")
    assert link.get_attribute("href") == url
    assert link.get_attribute("target") == "_blank"
    assert set(link.get_attribute("rel").split()) == {"noopener", "noreferrer"}
    with bench.page.context.expect_page() as opened:
        link.click()
    assert opened.value.url == url
    assert opened.value.evaluate("() => window.opener") is None
    opened.value.close()
    expect(bench.panel).to_contain_text("Approve in the other tab")  # nobody answered: shown at once
    bench.expect_heard({"type": "opened"})
    bench.expect_focus(bench.button("Cancel"))


def test_waiting_is_shown_before_the_kernel_has_heard_of_the_click(bench):
    bench.into({**READY, "url": f"{bench.notebook.server.url}api"})
    bench.panel.evaluate(
        "node => node.querySelector('a.go').addEventListener('click', e => e.preventDefault())"
    )
    told = bench.panel.evaluate("node => { node.querySelector('a.go').click(); return node.innerText }")
    assert "Approve in the other tab" in told


def test_a_middle_click_counts_as_opened(bench):
    bench.into({**READY, "url": f"{bench.notebook.server.url}api"})
    with bench.page.context.expect_page() as opened:
        bench.link("Connect").click(button="middle")
    opened.value.close()
    bench.expect_heard({"type": "opened"})


@pytest.mark.parametrize(
    "url", ["javascript:window.canary=1", " javascript:1", "data:text/html,x", "/local", "", 7]
)
def test_only_a_web_address_becomes_a_link(bench, url):
    for view in (READY, WAITING, DECLINED):
        bench.show({**view, "url": URL})
        assert bench.panel.locator("a[href]").count() == 1
        bench.show({**view, "url": url, "text": "without an address"}, says="without an address")
        assert bench.panel.locator("a, [href]").count() == 0


def test_opening_again_and_copying_the_link_are_told_to_the_kernel(bench, clipboard):
    url = f"{bench.notebook.server.url}api?again"
    bench.into({**WAITING, "url": url})
    with bench.page.context.expect_page() as opened:
        bench.link("Open it again").click()
    assert opened.value.url == url
    opened.value.close()
    bench.page.bring_to_front()
    bench.button("copy the link").click()
    expect(bench.button("copied")).to_be_focused()
    assert clipboard.read() == url
    bench.expect_heard({"type": "opened"}, {"type": "opened"})


def test_copying_works_where_the_page_has_no_clipboard_interface(bench, clipboard):
    bench.into(CONNECTED, "Show cells")
    clipboard.write("before")
    with clipboard.taken_away():
        bench.button("Copy Connected apps").click()
        bench.expect_focus(bench.button("Copied"))
    assert clipboard.read() == CELLS[1].code
    expect(bench.button("Copied")).to_have_count(0, timeout=4000)
    bench.expect_focus(bench.button("Copy Connected apps"))


# -- before and after


def test_coming_near_an_idle_button_is_told_once_and_pressing_it_shows_that_it_gets_ready(bench):
    bench.into(IDLE)
    bench.page.mouse.move(0, 0)
    bench.button("Connect").hover()
    bench.button("Connect").click()
    expect(bench.panel).to_contain_text("Getting ready…")
    assert bench.heard() == [{"type": "near"}]
    bench.expect_focus(bench.button("Connect"))
    expect(bench.button("Connect")).to_have_attribute("aria-disabled", "true")
    bench.button("Connect").press("Enter")
    bench.show(READY)
    bench.expect_focus(bench.link("Connect"))
    bench.expect_heard()


def test_try_again_without_an_address_asks_the_kernel(bench):
    bench.into(UNREACHABLE)
    bench.button("Try again").click()
    expect(bench.panel).to_contain_text("Getting ready…")
    bench.expect_heard({"type": "retry"})


def test_cancel_is_told_and_a_blocking_cell_has_no_cancel(bench):
    bench.into(WAITING)
    bench.button("Cancel").click()
    bench.expect_heard({"type": "cancel"})
    bench.into(BLOCKED)
    expect(bench.panel).to_contain_text("interrupt the kernel")
    assert bench.panel.get_by_role("button").all_inner_texts() == ["copy the link"]
    assert bench.box.count() == 0


@pytest.mark.parametrize("view", [DECLINED, UNREACHABLE, ENDED], ids=["declined", "unreachable", "ended"])
def test_an_outcome_that_needs_attention_is_an_alert(bench, view):
    bench.into(view)
    expect(bench.panel.get_by_role("alert").first).to_contain_text(view["title"])
    expect(bench.panel.get_by_role("status").first).to_be_empty()
    bench.show(CONNECTED)
    expect(bench.panel.get_by_role("status").first).to_contain_text("Connected")
    expect(bench.panel.get_by_role("alert").first).to_be_empty()


CANARY = """<img src=x onerror="window.canary = 1"><b>bold</b>"""


def see_that_it_would_fire(bench):
    bench.page.evaluate("html => { document.createElement('div').innerHTML = html }", CANARY)
    bench.page.wait_for_function("() => window.canary === 1")
    bench.page.evaluate("() => { window.canary = 0 }")


def test_the_table_of_apps_in_html_fires_nothing(bench):
    see_that_it_would_fire(bench)
    table = ConnectedApps((ConnectedApp(id=CANARY, name=CANARY),))._repr_html_()
    bench.page.evaluate(
        "html => { const shown = document.body.appendChild(document.createElement('div'));"
        " shown.id = 'shown'; shown.innerHTML = html }",
        table,
    )
    shown = bench.page.locator("#shown")
    expect(shown).to_contain_text(CANARY)
    bench.page.wait_for_timeout(100)
    assert bench.page.evaluate("() => window.canary") == 0
    assert shown.locator("img, b").count() == 0
    shown.evaluate("node => node.remove()")


def test_every_string_is_shown_as_text(bench):
    canary = CANARY
    see_that_it_would_fire(bench)
    row = {"id": canary, "name": canary, "connected": canary, "own": True, "can_revoke": True}
    hostile = {
        **dict.fromkeys(("title", "text", "host", "action", "paste_hint", "next"), canary),
        **dict.fromkeys(("notice", "remark", "profile"), canary),
        "remember": dict.fromkeys(("on", "problem", "reason"), canary),
        "cells": [dict.fromkeys(("name", "title", "code"), canary)],
        "url": URL,
        "can_disconnect": True,
    }
    for state in ("idle", "ready", "finishing", "failed", "ended"):
        bench.show({**hostile, "state": state})
    bench.show({**hostile, "state": "waiting", "problem": canary}, says=canary)
    bench.show({**hostile, "state": "connected", "busy": canary})
    bench.button("Show cells").click()
    bench.button("Apps").click()
    for apps in ({"problem": canary}, {"rows": [row]}):
        bench.show({**hostile, "state": "connected", "apps": apps})
        expect(bench.panel.locator(".ic-apps")).to_contain_text(canary)
    bench.button(f"Disconnect {canary}").click()
    assert bench.panel.locator("img, td b, code b").count() == 0
    assert bench.page.evaluate("() => window.canary") == 0


# -- pasting


PASTED = "http://127.0.0.1:8765/callback?code=c0de&state=s"


def test_typed_address_is_sent_by_enter_and_not_kept_in_the_field(bench):
    bench.into(WAITING, "Paste its address")
    bench.expect_focus(bench.field)
    expect(bench.panel).to_contain_text("Copy the address of the last page and paste it here.")
    bench.page.keyboard.type(PASTED)
    bench.page.keyboard.press("Enter")
    expect(bench.field).to_have_value("")
    bench.expect_heard({"type": "paste", "veiled": PASTED})
    assert "c0de" not in bench.panel.evaluate("node => node.outerHTML")


def test_pasting_into_the_field_is_enough(bench, clipboard):
    bench.into(WAITING, "Paste its address")
    clipboard.write(PASTED)
    bench.page.keyboard.press("ControlOrMeta+v")
    bench.expect_heard({"type": "paste", "veiled": PASTED})
    expect(bench.field).to_have_value("")


def test_paste_button_with_an_empty_field_reads_the_clipboard(bench, clipboard):
    bench.into({**WAITING, "paste_only": True})
    clipboard.write(PASTED)
    bench.button("Paste").click()
    bench.expect_heard({"type": "paste", "veiled": PASTED})


def test_paste_button_leads_to_the_field_where_the_clipboard_is_not_allowed(bench):
    bench.into({**WAITING, "paste_only": True})
    bench.button("Paste").click()
    bench.expect_focus(bench.field)
    bench.expect_heard()


def test_problem_is_announced_beside_the_field_which_keeps_focus(bench):
    bench.into(WAITING, "Paste its address")
    bench.page.keyboard.type("nonsense")
    bench.page.keyboard.press("Enter")
    bench.show({**WAITING, "problem": PROBLEM}, says=PROBLEM)
    expect(bench.panel.get_by_role("alert").filter(has_text=PROBLEM)).to_be_visible()
    bench.expect_focus(bench.field)
    expect(bench.field).to_have_accessible_description(PROBLEM)
    expect(bench.field).to_have_attribute("aria-invalid", "true")
    bench.page.keyboard.type(PASTED)
    bench.page.keyboard.press("Enter")
    bench.expect_heard({"type": "paste", "veiled": "nonsense"}, {"type": "paste", "veiled": PASTED})


def test_a_view_that_comes_while_somebody_types_leaves_the_field_alone(bench):
    bench.into(WAITING, "Paste its address")
    bench.page.keyboard.type("http://12")
    bench.show({**WAITING, "text": "Another line."}, says="come back")
    bench.page.keyboard.type("7.0.0.1")
    expect(bench.field).to_have_value("http://127.0.0.1")
    bench.page.keyboard.press("Escape")
    expect(bench.field).to_be_hidden()
    bench.expect_focus(bench.button("Paste its address"))


def test_letters_typed_in_the_panel_are_no_shortcuts_of_jupyterlab(bench):
    cells = bench.page.locator(".jp-Notebook .jp-CodeCell")
    before = cells.count()
    bench.into(WAITING, "Paste its address")
    bench.page.keyboard.type("ddxaby")
    expect(bench.field).to_have_value("ddxaby")
    bench.button("Cancel").focus()
    bench.page.keyboard.type("ddx")
    bench.expect_focus(bench.button("Cancel"))
    assert cells.count() == before
    bench.notebook.cell(3).locator(".cm-content").click()
    bench.page.keyboard.press("Escape")
    bench.page.keyboard.type("dd")
    expect(cells).to_have_count(before - 1)  # outside the panel they are
    bench.page.keyboard.type("z")
    expect(cells).to_have_count(before)


# -- remember on this computer


def test_a_tick_is_told_and_outlasts_pictures_that_do_not_know_of_it_yet(bench):
    bench.into(READY)
    link = bench.link("Connect").element_handle()
    bench.panel.get_by_text("Remember on this computer").click()
    bench.expect_heard({"type": "remember", "on": True})
    bench.show({**READY, "text": "An older picture."}, says="An older picture.")
    expect(bench.box).to_be_checked()
    bench.expect_focus(bench.box)
    bench.show({**READY, "remember": REMEMBERED})
    bench.show({**READY, "text": "Unticked elsewhere."}, says="Unticked elsewhere.")
    expect(bench.box).not_to_be_checked()
    bench.expect_focus(bench.box)
    assert link.evaluate("node => node.isConnected && node.href") == URL


def test_the_box_is_worked_by_key_and_stays_through_the_click_on_connect(bench):
    bench.into(READY)
    bench.link("Connect").focus()
    bench.page.keyboard.press("Tab")
    bench.expect_focus(bench.box)
    bench.page.keyboard.press("Space")
    expect(bench.box).to_be_checked()
    bench.show({**WAITING, "remember": REMEMBERED})
    bench.expect_focus(bench.box)
    bench.page.keyboard.press("Space")
    expect(bench.box).not_to_be_checked()
    bench.expect_heard({"type": "remember", "on": True}, {"type": "remember", "on": False})
    bench.show(FINISHING)
    expect(bench.box).to_be_hidden()
    bench.expect_focus(bench.panel)


def test_without_a_keyring_the_box_cannot_be_ticked_and_says_why(bench):
    bench.into(NO_KEYRING_HERE)
    expect(bench.box).to_be_disabled()
    expect(bench.box).to_have_accessible_description(
        f"{NO_KEYRING} . {NO_KEYRING_HERE['remember']['reason']}"
    )
    expect(bench.panel.get_by_text(NO_KEYRING)).to_be_visible()
    bench.box.focus()
    bench.page.keyboard.press("Space")
    bench.panel.get_by_text("Remember on this computer").click(force=True)
    expect(bench.box).not_to_be_checked()
    bench.expect_heard()


def test_a_tick_is_taken_back_where_it_turns_out_to_be_impossible(bench):
    bench.into(READY)
    bench.box.check()
    bench.show(NO_KEYRING_HERE)
    expect(bench.box).not_to_be_checked()
    expect(bench.link("Connect")).to_be_visible()


@pytest.mark.parametrize("view", [BLOCKED, FINISHING, CONNECTED, FROM_ENVIRONMENT])
def test_no_box_where_a_tick_would_come_too_late(bench, view):
    bench.into(view)
    expect(bench.box).to_have_count(0)


# -- what takes its time


@pytest.mark.parametrize("view", [LOOKING_SLOW, FINISHING_SLOW], ids=["looking", "finishing"])
def test_a_person_can_go_on_without_a_storage_that_does_not_answer(bench, view):
    bench.into({**view, "can_go_on": False})
    expect(bench.button("Go on without")).to_have_count(0)
    bench.show(view)
    bench.button("Go on without").click()
    bench.expect_heard({"type": "without"})
    bench.show(READY)
    bench.expect_focus(bench.link("Connect"))


def test_a_notice_is_announced_alone_and_only_itself_when_it_changes(bench):
    bench.into(KEPT)
    bench.panel.evaluate("""node => {
      window.changed = [];
      new MutationObserver(found => window.changed.push(...found.map(one => one.target.className)))
        .observe(node, {childList: true, characterData: true, subtree: true});
    }""")
    bench.show({**KEPT, "notice": LIMIT}, says=LIMIT)
    expect(bench.panel.get_by_role("status").filter(has_text="300 calls")).to_have_text(LIMIT)
    bench.show({**KEPT, "notice": LIMIT.replace("12", "9")}, says="9 s")
    bench.show(KEPT)
    expect(bench.panel).not_to_contain_text("300 calls")
    assert set(bench.page.evaluate("window.changed")) == {"ic-aside"}


def test_registering_again_is_told_once_and_leads_to_the_fresh_link(bench):
    bench.into(WAITING)
    bench.button("Register again").press("Enter")
    expect(bench.panel).to_contain_text("Registering this program again…")
    bench.expect_focus(bench.button("Register again"))
    bench.button("Register again").press("Enter")
    bench.expect_heard({"type": "register"})
    bench.show(PREPARING)
    bench.show(READY)
    bench.expect_focus(bench.link("Connect"))


# -- connected


def test_apps_are_asked_for_when_opened(bench):
    bench.into(CONNECTED)
    bench.button("Apps").click()
    expect(bench.panel).to_contain_text("Loading the connected apps")
    expect(bench.button("Apps")).to_have_attribute("aria-expanded", "true")
    bench.expect_heard({"type": "apps"})
    bench.show(APPS_OPEN)
    rows = bench.panel.get_by_role("row")
    expect(rows).to_have_count(5)
    expect(rows.nth(1)).to_contain_text("this one")
    expect(rows.nth(4).get_by_role("button")).to_have_count(0)
    bench.button("Apps").click()
    expect(bench.panel.get_by_role("table")).to_have_count(0)


def test_an_app_is_revoked_only_after_yes(bench):
    bench.into(APPS_OPEN, "Apps")
    bench.button("Disconnect Claude").click()
    bench.expect_focus(bench.button("No"))
    bench.page.keyboard.press("Escape")
    bench.expect_focus(bench.button("Disconnect Claude"))
    bench.button("Disconnect Claude").click()
    bench.button("No").click()
    bench.expect_focus(bench.button("Disconnect Claude"))
    bench.expect_heard()
    bench.button("Disconnect Claude").click()
    bench.page.keyboard.press("Shift+Tab")
    bench.page.keyboard.press("Enter")
    expect(bench.panel).to_contain_text("Disconnecting Claude…")
    bench.expect_heard({"type": "revoke", "id": "a3"})
    bench.expect_focus(bench.button("Disconnect Claude"))
    bench.page.keyboard.press("Enter")  # while it runs, once more does nothing
    assert bench.button("Yes").count() == 0
    bench.show({**APPS_OPEN, "apps": {"rows": ROWS[:2]}})
    expect(bench.panel).not_to_contain_text("Claude")
    bench.expect_focus(bench.button("Disconnect ic_notebook on hub.example"))


def test_disconnecting_this_sign_in_asks_first(bench):
    bench.into(CONNECTED)
    bench.button("Disconnect").click()
    bench.expect_focus(bench.button("No"))
    bench.page.keyboard.press("Enter")
    bench.expect_focus(bench.button("Disconnect"))
    bench.page.keyboard.press("Enter")
    bench.page.keyboard.press("Escape")
    bench.expect_focus(bench.button("Disconnect"))
    bench.expect_heard()
    bench.button("Disconnect").click()
    bench.button("Yes").click()
    expect(bench.panel).to_contain_text("Disconnecting…")
    bench.expect_heard({"type": "disconnect"})


def test_a_token_of_the_environment_has_no_disconnect(bench):
    bench.into(FROM_ENVIRONMENT)
    assert bench.button("Disconnect").count() == 0


# -- focus


def test_tab_goes_through_the_controls_in_reading_order(bench):
    bench.into(WAITING)
    bench.button("Cancel").focus()
    for control in (
        bench.box,
        bench.link("Open it again"),
        bench.button("copy the link"),
        bench.button("Register again"),
        bench.button("Paste its address"),
    ):
        bench.page.keyboard.press("Tab")
        bench.expect_focus(control)
    bench.page.keyboard.press("Enter")
    bench.expect_focus(bench.field)
    bench.page.keyboard.press("Tab")
    bench.expect_focus(bench.button("Paste"))
    bench.page.keyboard.press("Shift+Tab")
    bench.page.keyboard.press("Shift+Tab")
    bench.expect_focus(bench.button("Cancel"))


def test_focus_stays_in_the_panel_when_its_control_goes(bench):
    bench.into(READY)
    bench.link("Connect").focus()
    bench.show(WAITING)
    bench.expect_focus(bench.button("Cancel"))
    bench.button("Paste its address").focus()
    bench.page.keyboard.press("Enter")
    bench.show(FINISHING)
    bench.expect_focus(bench.panel)
    bench.show(CONNECTED)
    bench.expect_focus(bench.panel)
    bench.page.keyboard.press("Tab")
    bench.expect_focus(bench.button("Apps"))
    bench.show(ENDED)
    bench.expect_focus(bench.link("Connect again"))


def test_focus_elsewhere_is_not_taken(bench):
    bench.into(WAITING)
    editor = bench.notebook.cell(3).locator(".cm-content")
    editor.click()
    for view in ({**WAITING, "problem": PROBLEM}, CONNECTED, DECLINED):
        bench.show(view, says=PROBLEM if "problem" in view else None)
        bench.expect_focus(editor)


# -- several views, a kernel that goes


def test_two_views_of_one_panel_show_one_truth(bench):
    bench.into(READY)
    bench.notebook.run(1)
    other = bench.notebook.panel(1)
    expect(other.get_by_role("link", name="Connect")).to_be_visible()
    bench.panel.evaluate(
        "node => node.querySelector('a.go').addEventListener('click', e => e.preventDefault())"
    )
    bench.link("Connect").click()
    expect(other).to_contain_text("Approve in the other tab")
    bench.show(CONNECTED)
    expect(other).to_contain_text("Connected")
    assert [content["type"] for content in bench.heard()] == ["hello", "opened"]
    bench.notebook.kernel("picture.heard.clear()")
    bench.notebook.cell(1).locator(".cm-content").click()
    bench.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-cell-output')")
    expect(other).to_have_count(0)
    bench.expect_heard({"type": "goodbye"})


@needs_time
def test_panel_of_a_restarted_kernel_does_not_go_on_saying_connected(notebook):
    notebook.open(PICTURE)
    notebook.run(0)
    notebook.kernel(f"import json; picture.show(json.loads({json.dumps(CONNECTED)!r}))")
    expect(notebook.panel()).to_contain_text("627.13 credits")
    notebook.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()"
    )
    expect(notebook.panel()).to_contain_text("not connected to a running kernel", timeout=10_000)


class Clipboard:
    """The page's clipboard, which a test may use and a browser in general does not allow."""

    def __init__(self, page) -> None:
        self._page = page

    def read(self) -> str:
        return self._page.evaluate("() => navigator.clipboard.readText()")

    def write(self, text: str) -> None:
        self._page.evaluate("text => navigator.clipboard.writeText(text)", text)

    @contextlib.contextmanager
    def taken_away(self):
        self._page.evaluate(
            "() => Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})"
        )
        yield
        self._page.evaluate("() => delete navigator.clipboard")


@pytest.fixture
def clipboard(bench):
    bench.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield Clipboard(bench.page)
    bench.page.context.clear_permissions()
