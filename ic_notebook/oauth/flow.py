"""What a flow is: a generator that yields requests, is sent their responses, and returns a parsed value.

Whoever drives it does the I/O. How far a request may be repeated stands on the request itself.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
Flow = Generator[httpx.Request, httpx.Response, T]


class Repeat(Enum):
    """When the same request may be sent again."""

    NEVER = "never"
    """It spends something: an authorization code is sent once, whatever becomes of the answer."""
    IF_REFUSED = "if refused"
    """Only after an answer that says it was not carried out (429, or 503 with `Retry-After`)."""
    IF_LOST = "if lost"
    """Also when no answer came (connection failure, timeout, 502 to 504)."""


def request(method: str, url: str, *, repeat: Repeat, **content: Any) -> httpx.Request:
    """A request that asks for JSON and says how far it may be repeated.

    Args:
        method: the HTTP method.
        url: an absolute URL.
        repeat: when it may be sent again.
        content: `data`, `json` or `headers`, as httpx.Request takes them.
    """
    headers = {"Accept": "application/json", **content.pop("headers", {})}
    return httpx.Request(method, url, headers=headers, extensions={"repeat": repeat}, **content)


def repeat_of(sent: httpx.Request) -> Repeat:
    """When `sent` may be sent again."""
    repeat = sent.extensions.get("repeat", Repeat.NEVER)
    assert isinstance(repeat, Repeat)
    return repeat
