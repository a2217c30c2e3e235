"""The extension in a real Jupyter server: what it hands on, to whom, and what it keeps out of the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ic_notebook.redirect import pages
from ic_notebook.redirect.doors import Door
from ic_notebook.redirect.listener import Listener
from ic_notebook.redirect.rendezvous import Rendezvous
from tests.redirect.conftest import pick_ports

pytestmark = pytest.mark.anyio

TOKEN = "let-me-in"
STATE, CODE = "the-state-of-it", "the-code-canary"
BASE = "/user/ann/"


@dataclass
class Jupyter:
    url: str
    runtime: Path
    log: Path

    def browser(self, *, logged_in: bool = True) -> httpx.AsyncClient:
        """A browser with Jupyter's cookie, or without."""
        client = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20)
        if logged_in:
            client.headers["Authorization"] = f"token {TOKEN}"
        return client


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory) -> Iterator[Jupyter]:
    """A Jupyter server of its own below a path, which logs at DEBUG."""
    folder = tmp_path_factory.mktemp("jupyter")
    (port,) = pick_ports(1)
    log = folder / "server.log"
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "COV", "IC_"))
    }
    places = {"HOME": "home", "JUPYTER_CONFIG_DIR": "c", "JUPYTER_DATA_DIR": "d", "JUPYTER_RUNTIME_DIR": "r"}
    options = [
        *(
            "--no-browser",
            "--ip=127.0.0.1",
            f"--port={port}",
            "--ServerApp.port_retries=0",
            "--log-level=DEBUG",
        ),
        *(
            f"--IdentityProvider.token={TOKEN}",
            f"--ServerApp.base_url={BASE}",
            f"--ServerApp.root_dir={folder}",
        ),
        "--allow-root",
    ]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_server", *options],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**kept, **{name: str(folder / place) for name, place in places.items()}},
        )
    running = Jupyter(f"http://127.0.0.1:{port}{BASE}", folder / "r", log)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{running.url}api", trust_env=False, timeout=5).is_success:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@pytest.fixture
async def kernel(jupyter):
    """A kernel's listener with its files beside the server, and what it was handed."""
    taken: list[str] = []
    door = Door()

    async def respond(query: str) -> pages.Page:
        taken.append(query)
        return pages.failed("<b>not markup</b>")

    listener = await Listener.open(
        respond,
        ports=pick_ports(1),
        at_door=lambda body, origin: door.answer if door.open(body, origin) else None,
    )
    assert listener is not None
    rendezvous = Rendezvous(jupyter.runtime, listener.port)
    rendezvous.announce(STATE)
    rendezvous.announce(door.key)
    yield door, taken
    rendezvous.withdraw()
    listener.close()


async def test_the_redirect_is_handed_to_its_kernel_and_its_page_shown(jupyter, kernel):
    _, taken = kernel
    async with jupyter.browser() as browser:
        answer = await browser.get(
            "ic-notebook/callback", params={"code": CODE, "state": STATE, "x": "a b&c"}
        )
    assert taken == [f"code={CODE}&state={STATE}&x=a+b%26c"]
    assert "Not connected" in answer.text
    assert "<b>" not in answer.text
    expected = dict(pages.HEADERS)
    assert {name: answer.headers[name] for name in expected} == expected


async def test_the_access_log_has_the_path_and_no_code(jupyter, kernel):
    async with jupyter.browser() as browser, jupyter.browser(logged_in=False) as stranger:
        for client in (browser, stranger):
            await client.get("ic-notebook/callback", params={"code": CODE, "state": STATE})
            await client.get("ic-notebook/callback", params={"code": CODE, "state": "nobody's"})
    log = jupyter.log.read_text()
    assert f"{BASE}ic-notebook/callback" in log
    # Newer servers take code and state out by themselves; of ours there is no query at all.
    assert "callback?" not in log
    assert CODE not in log
    assert STATE not in log


async def test_a_browser_without_a_login_gets_a_page_of_ours_and_no_redirect(jupyter, kernel):
    _, taken = kernel
    async with jupyter.browser(logged_in=False) as browser:
        answer = await browser.get("ic-notebook/callback", params={"code": CODE, "state": STATE})
    assert (answer.status_code, taken) == (403, [])
    assert pages.NOT_LOGGED_IN.heading in answer.text
    assert "location" not in answer.headers


async def test_where_no_kernel_is_known_the_page_hands_over_to_its_panel(jupyter):
    async with jupyter.browser() as browser:
        answer = await browser.get("ic-notebook/callback", params={"code": CODE, "state": "nobody's"})
    assert "BroadcastChannel" in answer.text
    assert CODE not in answer.text
    assert (
        answer.headers["Content-Security-Policy"] == dict(pages.HAND_OVER_HEADERS)["Content-Security-Policy"]
    )


@pytest.mark.parametrize("query", ["", "code=c", "state=a&state=b", "state=" + "s" * 20_000, "%ff=%fe"])
async def test_a_redirect_that_names_no_sign_in_reaches_nobody(jupyter, kernel, query):
    _, taken = kernel
    async with jupyter.browser() as browser:
        answer = await browser.get(f"ic-notebook/callback?{query}")
    assert (answer.status_code in {200, 404}, taken) == (True, [])


@contextlib.contextmanager
def stranger_listens(answer: bytes) -> Iterator[int]:
    """A port that another program has taken since, and what it says to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        import threading

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
    thread.join(10)


HTML = b"<script>alert(1)</script>"
HOSTILE: dict[str, Callable[[], bytes]] = {
    "html": lambda: (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(HTML), HTML)
    ),
    "redirect": lambda: b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n",
    "markup": lambda: _json({"status": 200, "tone": "good", "heading": HTML.decode(), "text": HTML.decode()}),
    "tone": lambda: _json({"status": 200, "tone": '"><script>', "heading": "h", "text": "t"}),
    "status": lambda: _json({"status": 99, "tone": "good", "heading": "h", "text": "t"}),
    "no body": lambda: _json({"status": 204, "tone": "good", "heading": "h", "text": "t"}),
    "not modified": lambda: _json({"status": 304, "tone": "good", "heading": "h", "text": "t"}),
    "endless": lambda: _json({"status": float("inf"), "tone": "good", "heading": "h", "text": "t"}),
    "no character": lambda: _json({"status": 200, "tone": "good", "heading": "\ud800", "text": "\udfff"}),
    "long": lambda: b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 200_000,
    "nothing": lambda: b"",
}


def _json(value: object) -> bytes:
    body = json.dumps(value).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_stranger_at_the_port_puts_no_script_and_no_redirect_into_jupyter(jupyter, kind):
    with stranger_listens(HOSTILE[kind]()) as port:
        rendezvous = Rendezvous(jupyter.runtime, port)
        rendezvous.announce("left behind")
        async with jupyter.browser() as browser:
            answer = await browser.get("ic-notebook/callback", params={"state": "left behind", "code": CODE})
        rendezvous.withdraw()
    assert "location" not in answer.headers
    assert HTML.decode() not in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert answer.status_code == 200


async def test_a_kernel_that_is_gone_leaves_the_page_to_the_panel(jupyter):
    rendezvous = Rendezvous(jupyter.runtime, pick_ports(1)[0])
    rendezvous.announce("killed")
    async with jupyter.browser() as browser:
        answer = await browser.get("ic-notebook/callback", params={"state": "killed", "code": CODE})
    rendezvous.withdraw()
    assert pages.NOBODY_WAITS.heading in answer.text


def said(door: Door, origin: str, **parts: object) -> bytes:
    return json.dumps({"key": door.key, "origin": origin, "type": "probe", **parts}).encode()


async def test_what_the_page_says_reaches_its_kernel(jupyter, kernel):
    door, _ = kernel
    origin = jupyter.url.partition("/user")[0]
    async with jupyter.browser() as browser:
        answer = await browser.post(
            "ic-notebook/door", content=said(door, origin), headers={"Origin": origin}
        )
    assert answer.json() == {"answer": door.answer}


async def test_who_has_another_key_is_told_that_the_kernel_is_elsewhere(jupyter, kernel):
    async with jupyter.browser() as browser:
        answer = await browser.post("ic-notebook/door", content=said(Door(), "http://127.0.0.1"))
    assert answer.json() == {"kernel": "out of reach"}


async def test_the_listener_itself_has_the_last_word_on_the_origin(jupyter, kernel):
    door, _ = kernel
    async with jupyter.browser() as browser:
        answer = await browser.post("ic-notebook/door", content=said(door, "https://evil.example"))
    assert answer.json() == {"kernel": "no answer"}


async def test_a_page_that_has_only_jupyters_cookie_needs_its_xsrf_token_too(jupyter, kernel):
    door, _ = kernel
    origin = jupyter.url.partition("/user")[0]
    async with jupyter.browser(logged_in=False) as browser:
        await browser.get("tree", params={"token": TOKEN})
        assert browser.cookies
        browser.cookies.set("_xsrf", "x" * 32, path=BASE)
        forged = await browser.post(
            "ic-notebook/door", content=said(door, origin), headers={"Origin": origin}
        )
        right = {"Origin": origin, "X-XSRFToken": "x" * 32}
        answer = await browser.post("ic-notebook/door", content=said(door, origin), headers=right)
    assert forged.status_code == 403
    assert answer.json() == {"answer": door.answer}


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"key": 1}', b"x" * 30_000, b"[" * 20_000])
async def test_what_is_no_message_reaches_nobody(jupyter, body):
    async with jupyter.browser() as browser:
        answer = await browser.post("ic-notebook/door", content=body)
    assert answer.status_code in {200, 403}
    assert "answer" not in answer.text


async def test_a_stranger_cannot_knock(jupyter, kernel):
    door, _ = kernel
    async with jupyter.browser(logged_in=False) as stranger:
        answer = await stranger.post("ic-notebook/door", content=said(door, "http://127.0.0.1"))
    assert answer.status_code == 403
    assert door.answer not in answer.text


def test_the_extension_knows_neither_a_token_nor_how_to_get_one():
    """In a process of its own: what the server imports for it."""
    code = (
        "import sys, ic_notebook.server_extension\n"
        "known = {name.split('.')[1] for name in sys.modules if name.startswith('ic_notebook.')}\n"
        "print(sorted(known), 'httpx' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "['redirect', 'server_extension'] False"


async def test_two_redirects_at_once_each_reach_their_kernel(jupyter):
    async def one(number: int) -> tuple[str, list[str]]:
        taken: list[str] = []

        async def respond(query: str) -> pages.Page:
            taken.append(query)
            await asyncio.sleep(0.2)
            return pages.failed(f"kernel {number}")

        listener = await Listener.open(respond, ports=pick_ports(1))
        assert listener is not None
        rendezvous = Rendezvous(jupyter.runtime, listener.port)
        rendezvous.announce(f"state {number}")
        async with jupyter.browser() as browser:
            answer = await browser.get(
                "ic-notebook/callback", params={"state": f"state {number}", "code": "c"}
            )
        rendezvous.withdraw()
        listener.close()
        return answer.text, taken

    for number, (text, taken) in enumerate(await asyncio.gather(*map(one, range(4)))):
        assert f"kernel {number}" in text
        assert taken == [f"state=state+{number}&code=c"]
