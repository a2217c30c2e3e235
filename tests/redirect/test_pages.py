"""The pages as bytes: what their headers promise holds for what is served."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from ic_notebook.redirect import pages
from ic_notebook.redirect.pages import Page

PAGES = {name: value for name, value in vars(pages).items() if isinstance(value, Page)} | {
    "failed": pages.failed("The service refused with invalid_grant.")
}
each_page = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)

HOSTILE = "<script>alert(1)</script><img src=x onerror=a>\"'&</title></style></main>\u202e\x00"


class Reader(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[str] = []
        self.text = ""
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.text += data


def policy() -> dict[str, str]:
    directives = dict(pages.HEADERS)["Content-Security-Policy"].split(";")
    return dict(directive.strip().partition(" ")[::2] for directive in directives)


def test_headers_are_these_and_no_others():
    headers = dict(pages.HEADERS)

    assert len(headers) == len(pages.HEADERS)
    assert headers.pop("Content-Security-Policy")
    assert headers == {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


@each_page
@pytest.mark.parametrize("tag", ["style", "script"])
def test_the_policy_lets_in_what_is_served_and_nothing_else(page, tag):
    inline = re.findall(rb"<%b>(.*?)</%b>" % (tag.encode(), tag.encode()), page.to_bytes(), re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in inline]

    if tag == "script" and page.keeps_address:
        assert not digests
        return
    assert len(digests) == 1
    assert policy() == {
        "default-src": "'none'",
        "style-src": policy()["style-src"],
        "script-src": policy()["script-src"],
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert policy()[f"{tag}-src"] == f"'sha256-{digests[0]}'"


@each_page
def test_a_page_loads_nothing_and_has_no_handlers(page):
    read = Reader(page.to_bytes())

    assert not {"link", "img", "iframe", "form", "object", "base"} & set(read.elements)
    assert not {name for name in read.attributes if name.startswith("on") or name in {"src", "href", "style"}}


@pytest.mark.parametrize(
    "page",
    [pages.failed(HOSTILE), Page(status=200, tone="bad", heading=HOSTILE, text="x")],
    ids=["text", "heading"],
)
def test_every_text_is_escaped(page):
    plain = Reader(pages.failed("x").to_bytes())
    read = Reader(page.to_bytes())

    assert read.elements == plain.elements
    assert read.attributes == plain.attributes
    assert "<script>alert(1)</script>" in read.text


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("CONNECTED", 200),
        ("FINISHING", 200),
        ("DECLINED", 200),
        ("failed", 200),
        ("OVER", 410),
        ("NOT_THIS_ONE", 400),
        ("NOTHING_HERE", 404),
    ],
)
def test_status(name, status):
    assert PAGES[name].status == status


@each_page
def test_a_page_says_what_happened_and_what_to_do(page):
    assert page.tone in {"good", "bad", "warn"}
    assert page.heading
    assert page.text.endswith(".")
