"""Targets: what the Jupyter server's extension reads, and what a page says of the routes that it tried."""

from __future__ import annotations

import json
from html import unescape
from urllib.parse import parse_qs, urlsplit

from ic_notebook import server_extension
from ic_notebook.redirect import pages, routes
from ic_notebook.redirect.pages import Page
from ic_notebook.redirect.routes import HOSTED, LOOPBACK, ORDER, PORTS, Findings
from tests.fuzz.building import JSON_WORDS, Reader, bytes_of, text_of
from tests.fuzz.protocol import breaks, text
from tests.fuzz.targets import Target

PAGE = json.loads(pages.CONNECTED.to_json())


def check_extension(data: bytes) -> None:
    reader = Reader(data)
    how = reader.byte() % 4
    if how == 3:
        _check_state(text(reader.rest()))
        return
    value = reader.value() if how else None
    if how == 2 and isinstance(value, dict):
        value = PAGE | value
    body = text_of(value).encode() if how else reader.rest()
    page = Page.from_json(body)
    if page is not None:
        _check_page(page)
    key = server_extension._key_of(body)
    if key:
        assert json.loads(body)["key"] == key


def _check_page(page: Page) -> None:
    assert page.status in {200, *range(400, 600)}
    assert Page.from_json(page.to_json()) == page
    for hands_over in (False, True):
        html = page.to_bytes(hands_over=hands_over).decode()
        heading = html.partition("<h1>")[2].partition("</h1>")[0]
        assert unescape(heading) == page.heading
        assert html.count("<h1>") == html.count("<main") == 1
        assert html.count("<script>") == (hands_over or not page.keeps_address)


def _check_state(query: str) -> None:
    state = server_extension._state_of(query)
    assert not state or parse_qs(query)["state"] == [state]


def check_routes(data: bytes) -> None:
    reader = Reader(data)
    message = reader.value()
    if not isinstance(message, dict):
        message = {
            "origin": reader.name(),
            "base_url": reader.text(),
            "hosted": reader.name(),
            "tried": message,
        }
    found = Findings.of(json.loads(text_of(message)) if "(nested" not in str(message) else message)
    reached = {entry.name for entry in found.tried if entry.reached}
    for entry in found.tried:
        assert entry.name in ORDER
        assert str(entry).isprintable()
    for taken_out in ((), (LOOPBACK,), ORDER[:2], ORDER[:4]):
        route = found.best(PORTS, PORTS[0], but=taken_out)
        if route is None:
            continue
        assert route.name in reached
        assert route.proven
        for uri in (*route.redirect_uris, *route.elsewhere):
            url = urlsplit(uri)
            assert uri.isascii()
            assert uri.isprintable()
            assert " " not in uri
            assert url.scheme in {"http", "https"}
            assert url.hostname
            assert "@" not in url.netloc
            assert url.path.endswith("/callback")
            assert not url.query
            assert not url.fragment
            assert ".." not in url.path.split("/")
            if route.name not in {HOSTED, LOOPBACK}:
                assert uri.startswith(f"{found.origin}/")


TRIED = [{"name": name, "ok": True} for name in (LOOPBACK, "extension", HOSTED)]

TARGETS = {
    "extension": Target(
        check=check_extension,
        seeds=(
            b"\1" + bytes_of({name: str(value) for name, value in PAGE.items()} | {"status": 200}),
            b"\2" + bytes_of({"status": 410, "tone": "bad", "keeps_address": True, "heading": "<b>"}),
            b"\2" + bytes_of({"status": 200, "heading": "<b>\u00e9", "text": "x" * 201}),
            b"\0" + pages.OVER.to_json().replace(b"This", b"\\ud83dThis"),
            b"\0" + pages.OVER.to_json(),
            b"\1" + bytes_of({"key": "k", "type": "cancel"}),
            b"\3state=a&code=b",
            b"\3state=a&state=b;state=c",
        ),
        words=(
            *JSON_WORDS,
            '"status":',
            '"tone":',
            '"heading":',
            '"key":',
            "state=",
            "&",
            "<script>",
            "\ud7ff",
        ),
        defect=breaks(pages, "_writable", str),
    ),
    "routes": Target(
        check=check_routes,
        seeds=(
            bytes_of({"origin": "http://localhost:8888", "base_url": "/user/a/", "tried": TRIED}),
            bytes_of(
                {
                    "origin": "https://hub.example",
                    "base_url": "/",
                    "hosted": "https://x.example",
                    "tried": TRIED,
                }
            ),
            bytes_of({"origin": "null", "tried": [{"name": "extension", "ok": False, "why": "no answer"}]}),
            bytes_of(TRIED) + bytes_of("https://[::1]:8888") + b"\4/a/../" + bytes_of("https://a@b"),
        ),
        words=(
            *JSON_WORDS,
            "https://",
            "http://",
            "/../",
            "..",
            "%2e",
            "@",
            ":",
            "[::1]",
            "extension",
            "hosted",
        ),
        defect=breaks(routes, "_matching", lambda pattern, value: value if isinstance(value, str) else None),
    ),
}
