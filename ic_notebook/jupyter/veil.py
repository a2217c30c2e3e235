"""The veil over what a person pastes, on its way from the page: a kernel's log at DEBUG prints each message.

With every picture the page is told a row of random bytes, used once, to combine its text with. Beside the
message, as a buffer, it would not be printed either; but a Jupyter server whose kernels are behind a gateway
loses its connection over a buffer (jupyter_server 2.21).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

LENGTH = 4_096
"""Bytes that a page can send under one veil; an address with its code has a few hundred."""


class Veil:
    """The veils of one panel."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._number = 0

    def fresh(self) -> dict[str, Any]:
        """One more, as the page is told it."""
        self._number += 1
        return {"number": self._number, "bytes": base64.b64encode(self._row(self._number)).decode()}

    def lifted(self, message: dict[str, Any]) -> str:
        """The text of a message; an empty one where it has none under a veil that was told."""
        number, text = message.get("veil"), message.get("text")
        if type(number) is not int or not 0 < number <= self._number or not isinstance(text, str):
            return ""
        try:
            veiled = base64.b64decode(text, validate=True)
        except ValueError:
            return ""
        return bytes(a ^ b for a, b in zip(veiled, self._row(number), strict=False)).decode(
            "utf-8", "replace"
        )

    def _row(self, number: int) -> bytes:
        return hashlib.shake_256(self._key + number.to_bytes(8, "big")).digest(LENGTH)
