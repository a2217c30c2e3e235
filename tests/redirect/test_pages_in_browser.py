"""The pages in a real Chromium: their policy holds, the code leaves the address bar, and they look well."""

from __future__ import annotations

import asyncio
import concurrent.futures
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import sync_playwright

from ic_notebook.background import background
from ic_notebook.redirect import pages
from ic_notebook.redirect.listener import Listener

pytestmark = pytest.mark.browser

PHOTOGRAPHS = Path(__file__).parents[2] / "photographs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LONG = "dashboard.influencers.club refused with invalid_scope: " + "AVeryLongWord" * 8 + ". Connect again."
SHOWN = {
    "connected": pages.CONNECTED,
    "approved": pages.FINISHING,
    "declined": pages.DECLINED,
    "failed": pages.failed(LONG),
    "over": pages.OVER,
    "another": pages.NOT_THIS_ONE,
    "nothing": pages.NOTHING_HERE,
}
ONE_OF_EACH_TONE = {"connected", "failed", "another"}
COUNT_VIOLATIONS = (
    "violated = []; addEventListener('securitypolicyviolation', e => violated.push(e.effectiveDirective))"
)
CODE = "the-code-in-the-address"
CANARY = '<img src=x onerror="window.canary = 1"><script>window.canary = 1</script>'
HOSTILE = pages.Page(status=200, tone="bad", heading=CANARY, text=CANARY)
FRAMED = """async address => {
  const frame = document.createElement("iframe");
  frame.src = address;
  const loaded = new Promise(done => { frame.onload = () => done(true); setTimeout(() => done(false), 3000); });
  document.body.append(frame);
  await loaded;
  const read = await fetch(address).then(answer => answer.text()).then(() => "read", () => "not read");
  const blind = await fetch(address, { mode: "no-cors" }).then(() => "fetched", () => "not fetched");
  return [read, blind];
}"""


@dataclass(frozen=True, kw_only=True)
class Landed:
    """What a page came to in the browser."""

    status: int
    address: str
    entries: int
    title: str
    tone: str
    violations: list[str]
    console: list[str]
    accessibility: list[str]
    overflows: bool
    canary: bool
    images: int


@pytest.fixture(scope="module")
def browser_thread() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """Playwright's own thread: its loop is then in nobody's way."""
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        yield thread


@pytest.fixture(scope="module")
def chromium(browser_thread):
    def launch():
        playwright = sync_playwright().start()
        system = next(filter(None, map(shutil.which, BROWSERS)), None)
        if not system and not Path(playwright.chromium.executable_path).exists():
            playwright.stop()
            return None, None
        return playwright, playwright.chromium.launch(
            executable_path=system, args=["--no-sandbox", "--disable-gpu"]
        )

    playwright, browser = browser_thread.submit(launch).result(60)
    if browser is None:
        reason = "no browser: install Chromium or Chrome, or run: playwright install chromium"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    yield browser
    browser_thread.submit(browser.close).result(30)
    browser_thread.submit(playwright.stop).result(30)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    """Answers `?page=NAME` with that page."""

    async def respond(query: str) -> pages.Page:
        return (SHOWN | {"hostile": HOSTILE})[query.partition("page=")[2].partition("&")[0]]

    opened: concurrent.futures.Future[Listener] = concurrent.futures.Future()

    async def serve() -> None:
        listener = await Listener.open(respond, ports=(0,))
        opened.set_result(listener)
        try:
            await asyncio.Event().wait()
        finally:
            listener.close()

    serving = background().submit(serve)
    yield opened.result(10)
    serving.cancel()


def find_violations(page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("axe.run({resultTypes: ['violations'], preload: false})")
    return [f"{rule['id']}: {rule['help']}" for rule in found["violations"]]


def land(browser, url: str, *, theme: str, photograph: Path, checked: bool) -> Landed:
    console: list[str] = []
    with browser.new_context(color_scheme=theme, viewport={"width": 800, "height": 520}) as context:
        context.add_init_script(COUNT_VIOLATIONS)
        page = context.new_page()
        page.on("console", lambda message: console.append(message.text))
        page.on("pageerror", lambda error: console.append(str(error)))
        response = page.goto(url)
        page.screenshot(path=photograph)
        landed = {
            "status": response.status,
            "address": page.evaluate("location.href"),
            "entries": page.evaluate("history.length"),
            "title": page.title(),
            "tone": page.evaluate(
                "getComputedStyle(document.querySelector('main'), '::before').backgroundColor"
            ),
            "violations": page.evaluate("violated"),
            "canary": page.evaluate("window.canary === 1"),
            "images": page.locator("img").count(),
            "console": [line for line in console if "Failed to load resource" not in line],
        }
        page.set_viewport_size({"width": 320, "height": 520})
        overflows = page.evaluate(
            "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        )
        accessibility = find_violations(page) if checked else []
        return Landed(**landed, overflows=overflows, accessibility=accessibility)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", SHOWN)
def test_page_in_chromium(browser_thread, chromium, listener, name, theme):
    PHOTOGRAPHS.mkdir(exist_ok=True)
    origin = f"http://127.0.0.1:{listener.port}"
    url = f"{origin}/callback?code={CODE}&page={name}&state=the-state"
    photograph = PHOTOGRAPHS / f"landing-{name}-{theme}.png"
    landed = browser_thread.submit(
        land, chromium, url, theme=theme, photograph=photograph, checked=name in ONE_OF_EACH_TONE
    ).result(60)

    assert (landed.status, landed.title) == (SHOWN[name].status, SHOWN[name].heading)
    assert (landed.violations, landed.console, landed.accessibility) == ([], [], [])
    # The answer to another sign-in may have to be copied from the address bar; no other page leaves it there.
    assert landed.address == (url if name == "another" else f"{origin}/callback")
    assert landed.tone not in {"rgba(0, 0, 0, 0)", ""}
    assert not landed.overflows


def test_script_in_the_words_of_a_page_does_not_fire(browser_thread, chromium, listener, tmp_path):
    url = f"http://127.0.0.1:{listener.port}/callback?page=hostile"
    landed = browser_thread.submit(
        land, chromium, url, theme="light", photograph=tmp_path / "hostile.png", checked=False
    ).result(60)

    assert not landed.canary
    assert (landed.images, landed.violations, landed.title) == (0, [], CANARY)


class Attacker(http.server.BaseHTTPRequestHandler):
    """A page of another origin, from this computer too: the browser itself keeps off those from elsewhere."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<body>")

    def log_message(self, *_):
        pass


@pytest.fixture
def attacker() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Attacker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_another_page_can_neither_frame_nor_read_one(browser_thread, chromium, listener, attacker):
    address = f"http://127.0.0.1:{listener.port}/callback?page=connected"

    def attack() -> tuple[list[str], list[str]]:
        with chromium.new_context() as context:
            page = context.new_page()
            page.goto(attacker)
            said = page.evaluate(FRAMED, address)
            return said, [frame.url for frame in page.frames[1:]]

    said, frames = browser_thread.submit(attack).result(60)
    assert said == ["not read", "not fetched"]
    assert frames == ["chrome-error://chromewebdata/"]
