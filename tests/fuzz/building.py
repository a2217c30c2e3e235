"""JSON values built from bytes: most bytes that a fuzzer makes up are no JSON, but all of them are a value here."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.oauth.hostile import NAMES, OLD_TOKEN, SERVER

WORDS = (
    *NAMES,
    *("all", "Bearer", "S256", "none", "STATE", "access_denied", "invalid_grant", "format", "key", "origin"),
    *(
        "type",
        "text",
        "port",
        "clients",
        "machine",
        "client_name",
        "redirect_uris",
        "signed_in_at",
        "lifetime",
    ),
    *("obtained_at", "status", "tone", "heading", "keeps_address", "good", "tried", "ok", "why", "base_url"),
    *(
        "sequence",
        "parts",
        "length",
        "sha256",
        "cells",
        "source",
        "outputs",
        "metadata",
        "hosted",
        "loopback",
    ),
    *(
        SERVER,
        f"{SERVER}/a",
        f"{SERVER}/t",
        "2026-01-01T00:00:00Z",
        "?page=2",
        "//evil.example/",
        "x:.evil.com/",
    ),
    *(
        "https://evil.example/a",
        "http://localhost:1/t",
        "\ud800",
        "\u202e",
        "<b>",
        "",
        "x" * 201,
        "x" * 70_000,
    ),
    *(OLD_TOKEN, "K" * 43, "http://localhost:8888"),
)
ODD = (
    *(0.5, -0.0, float("nan"), float("inf"), 1e308, 10**11, 2**31, 2**32, 2**53, 10**20, -(10**20), 10**400),
    *(1, 2, 200, 410, 1_024, 65_535, 65_536, 21_873, 3_600, 1_700_000_000, 253_402_300_800),
)
JSON_WORDS = (*(f'"{name}":' for name in NAMES), *'[]{},":', "null", "true", "\\u", "1e9", "NaN")
"""What a fuzzer puts into a text that should be JSON."""
_DEEPEST = 24

NULL, TRUE, FALSE, BYTE, NUMBER, WORD, TEXT, LIST, OBJECT, NESTED = range(10)


class Reader:
    """Takes a value from bytes; where they end, zeros follow."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        """The next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def rest(self) -> bytes:
        """All that follows."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest

    def text(self) -> str:
        """A text with its length before it."""
        length = self.byte()
        taken = self._data[self._at : self._at + length]
        self._at += length
        return taken.decode("utf-8", "replace")

    def value(self, *, depth: int = 0) -> Any:
        """Any value that JSON can hold, and the numbers that only Python's JSON does."""
        kind = self.byte() % 10
        if kind in {NULL, TRUE, FALSE} or depth > _DEEPEST:
            return {TRUE: True, FALSE: False}.get(kind)
        if kind in {LIST, OBJECT}:
            items = range(self.byte() % 16)
            if kind == LIST:
                return [self.value(depth=depth + 1) for _ in items]
            return {self.name(): self.value(depth=depth + 1) for _ in items}
        return self.number(kind) if kind in {BYTE, NUMBER} else self.name(kind)

    def number(self, kind: int) -> float:
        """A small whole number, or one of `ODD`."""
        return self.byte() - 128 if kind == BYTE else ODD[self.byte() % len(ODD)]

    def name(self, kind: int | None = None) -> str:
        """A text that is one of `WORDS`, or any, or what `text_of` makes a deep nest of."""
        kind = self.byte() if kind is None else kind
        if kind == NESTED:
            return f"(nested {1 + self.byte() * 16 + self.byte() % 16})"
        return self.text() if kind == TEXT else WORDS[self.byte() % len(WORDS)]


def text_of(value: Any) -> str:
    """A value as JSON; what is to be nested deeply is so."""
    text = json.dumps(value, separators=(",", ":"))
    if "(nested " not in text:
        return text
    return re.sub(r'"\(nested ([0-9]{1,4})\)"', lambda found: "[" * int(found[1]) + "]" * int(found[1]), text)


def bytes_of(value: Any) -> bytes:
    """Bytes that give this value: what a fuzzer begins with."""
    if value is None or isinstance(value, bool):
        return bytes([{None: NULL, True: TRUE, False: FALSE}[value]])
    if isinstance(value, (int, float)):
        small = isinstance(value, int) and -128 <= value < 128
        return bytes([BYTE, int(value) + 128] if small else [NUMBER, ODD.index(value)])
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        return bytes([WORD, WORDS.index(value)] if value in WORDS else [TEXT, len(text), *text])
    if isinstance(value, list):
        return bytes([LIST, len(value)]) + b"".join(map(bytes_of, value))
    pairs = (bytes_of(name) + bytes_of(each) for name, each in value.items())
    return bytes([OBJECT, len(value)]) + b"".join(pairs)
