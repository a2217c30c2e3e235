"""Google Colab and VS Code, which cannot be run here: stand-ins for what their pages and proxies are known to do."""

from __future__ import annotations

import json
import re
import socket
import threading
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from ic_notebook.jupyter.panel import ConnectPanel
from tests.browser.test_sign_in import LOAD, approve, says, tab
from tests.sizes import needs_time

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.browser

DOOR = re.compile(r".*/door$")
WAYS = """([source, place]) => {
  const doors = new Function("location", "document", `${source}; return new Doors({send() {}}, () => {})`)(
    place, {getElementById: () => null, body: {dataset: {}}});
  doors.door = {key: "k", answer: "a", port: 1001};
  return doors.ways().map(({name, url}) => `${name} ${url}`);
}"""


class Proxy:
    """A host's proxy of one port, at an address of its own, which it puts into `Host`; or one that lets nothing by."""

    def __init__(self) -> None:
        self.target: int | None = None
        self.forbids = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(connection,), daemon=True).start()

    def _pass_on(self, connection: socket.socket) -> None:
        with connection:
            request = connection.recv(65_536)
            if self.forbids or self.target is None:
                connection.sendall(
                    b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\nConnection: close\r\n\r\nForbidden"
                )
                return
            with socket.create_connection(("127.0.0.1", self.target), timeout=15) as listener:
                listener.sendall(request)
                while chunk := listener.recv(65_536):
                    connection.sendall(chunk)


@pytest.fixture
def proxy(notebook) -> Iterator[Proxy]:
    """The page asks for the proxy of a port, as Colab's does; no other way leads to the kernel."""
    made = Proxy()

    def proxy_port(port: int) -> str:
        made.target = port
        return f"http://127.0.0.1:{made.port}/"

    notebook.page.expose_function("icProxyPort", proxy_port)
    notebook.page.add_init_script(
        "globalThis.google = {colab: {kernel: {proxyPort: (port) => icProxyPort(port)}}}"
    )
    notebook.page.route(DOOR, lambda route: route.abort())
    yield made
    made.close()


def test_where_the_port_is_proxied_a_click_leads_through_the_proxy_and_back(notebook, lab, proxy):
    notebook.open(LOAD, server=lab).run(0)
    panel = notebook.panel(0)
    link = panel.get_by_role("link", name="Connect", exact=True)
    expect(link).to_have_attribute(
        "href", re.compile(rf"http://127\.0\.0\.1:{proxy.port}/start/[\w-]{{43}}$")
    )
    expect(panel).to_contain_text("through this notebook host's proxy")
    with tab(notebook, panel) as page:
        approve(page)
        expect(page.get_by_role("heading")).to_have_text("Connected")
        assert page.url == f"http://127.0.0.1:{proxy.port}/callback"
    says(panel, "Connected")


@needs_time
def test_where_the_proxy_lets_no_page_by_the_approval_is_pasted(notebook, lab, proxy):
    proxy.forbids = True
    notebook.open(LOAD, server=lab).run(0)
    panel = notebook.panel(0)
    with tab(notebook, panel) as page:
        expect(page.get_by_text("Forbidden")).to_be_visible()
    with notebook.page.context.expect_page() as opened:
        panel.get_by_role("link", name="Go to the approval page itself").click()
    approve(opened.value)
    expect(opened.value.get_by_text("Forbidden")).to_be_visible()
    panel.get_by_role("textbox").fill(opened.value.url)
    panel.get_by_role("button", name="Paste", exact=True).click()
    says(panel, "Connected")


@pytest.mark.parametrize(
    ("place", "ways"),
    [
        (
            {"protocol": "vscode-webview:", "hostname": "0abc", "origin": "vscode-webview://0abc"},
            ["loopback http://127.0.0.1:1001/door"],
        ),
        (
            {
                "protocol": "https:",
                "hostname": "vscode-remote.example",
                "origin": "https://vscode-remote.example",
            },
            [],
        ),
        (
            {
                "protocol": "https:",
                "hostname": "127.0.0.1.evil.example",
                "origin": "https://127.0.0.1.evil.example",
            },
            [],
        ),
        (
            {"protocol": "http:", "hostname": "localhost", "origin": "http://localhost:8888"},
            ["loopback http://127.0.0.1:1001/door"],
        ),
    ],
)
def test_this_computer_is_tried_from_its_own_pages_and_from_vs_code_alone(notebook, lab, place, ways):
    source = re.split(r"\nconst LABEL", ConnectPanel._esm)[0]
    notebook.page.goto(lab.url + "api")
    assert notebook.page.evaluate(WAYS, [source, place]) == ways


@needs_time
def test_a_webview_without_storage_or_cookies_still_gets_a_link_and_a_paste(notebook, lab):
    """As in a sandboxed frame: cookies cannot be read, the clipboard not, and nothing on this computer be reached."""
    notebook.page.route(DOOR, lambda route: route.abort())
    notebook.open(LOAD, server=lab)
    notebook.page.evaluate(
        "() => Object.defineProperty(document, 'cookie', {get() { throw new DOMException('sandboxed') }})"
    )
    notebook.run(0)
    panel = notebook.panel(0)
    expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible(timeout=3000)
    expect(panel).to_contain_text("ends with an address to paste here")
    assert json.dumps(notebook.page_errors) == "[]"
