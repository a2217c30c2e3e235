"""What a person does in the browser's other tab."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx

from ic_notebook.sandbox import RunningSandbox
from tests.jupyter.kernels import Kernel, Page

CREDITS = 'ic.client().get("/public/v1/accounts/credits/").json()'


def approve(url: str) -> httpx.Response:
    """Open the link at a sandbox that approves by itself; the page that the browser ends on."""
    return httpx.get(url, follow_redirects=True, timeout=10, verify=False)


def deny(url: str) -> httpx.Response:
    """Open the link and choose Deny on the consent page."""
    with httpx.Client(follow_redirects=True, timeout=10, verify=False) as browser:
        page = browser.get(url)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token is not None, page.text
        return browser.post(page.url, data={"csrf_token": token[1], "decision": "deny"})


def last_address(url: str) -> str:
    """The address that the browser is sent to in the end, without going there."""
    answer = httpx.get(url, timeout=10, verify=False)
    while "/callback?" not in answer.headers["location"]:
        answer = httpx.get(httpx.URL(url).join(answer.headers["location"]), timeout=10, verify=False)
    return answer.headers["location"]


def query(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


def paths(sandbox: RunningSandbox) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in sandbox.requests]


def connect(kernel: Kernel) -> Page:
    """Load, click, approve; the page of the panel, which shows the account's credits."""
    page = kernel.load()
    page.say("hello")
    url = page.shows("ready")["url"]
    page.say("opened")
    answer = approve(url)
    assert "Connected" in answer.text, answer.text
    page.shows("connected", text=lambda text: "627.13 credits" in text)
    return page
