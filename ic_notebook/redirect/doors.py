"""The door beside the callback: what the panel's page says to the listener over HTTP, past a busy kernel.

Every user of a shared computer can reach the port, and every page in the browser can send to it. So a message
counts only with the key, which the panel alone was given, and from the origin of the panel's page.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from ic_notebook.oauth.authorization import same
from ic_notebook.oauth.secret import Secret

PATH = "/door"
MAX_MESSAGE = 24_576
"""Bytes of one message; the longest is an address that is pasted."""


class Door:
    """The door of one sign-in.

    Attributes:
        key: what a message must hold.
        answer: what is said to a message that counts; only the listener knows it, so it proves the way.
        start: the last part of the address at which a browser begins, where a proxy wants pages of its own.
    """

    def __init__(self) -> None:
        self.key, self.answer, self.start = (Secret(secrets.token_urlsafe(32)) for _ in range(3))
        self._origin: str | None = None

    def to_page(self, port: int) -> dict[str, Any]:
        """What the panel's page is told, in a message that is never saved."""
        # Plain strings: marimo writes any other kind of string as an empty object.
        return {"key": str(self.key), "answer": str(self.answer), "port": port}

    def open(self, body: bytes, origin: str | None) -> dict[str, Any] | None:
        """The message in the body of a request, or None where it does not count.

        The first message with the key says where the panel is; from then on any other origin is refused.
        """
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            return None
        if not isinstance(message, dict) or not isinstance(message.get("key"), str):
            return None
        if not same(message["key"], self.key) or origin is None or message.get("origin") != origin:
            return None
        if self._origin not in {None, origin}:
            return None
        self._origin = origin
        return message
