"""Where in a notebook a byte stands: which cell, and which part of it.

A notebook is JSON, but its text is looked at as it is, since only then can a part of it be replaced and the
rest be left. So its tokens are walked over, without recursion; damaged JSON gives what can be told of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ic_notebook.scan.finding import Place

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]', re.DOTALL)
_PARTS = {
    "source": "source",
    "input": "source",
    "outputs": "output",
    "metadata": "metadata",
    "attachments": "attachment",
}
_DEEPEST = 6
"""Levels below which the way is not kept: cells, number, part."""

Key = str | int | None


def places_of(text: bytes, offsets: Sequence[int], *, notebook: bool) -> list[Place]:
    """A place for each offset; they are in ascending order."""
    ways = _ways(text, offsets) if notebook else iter(())
    line, counted, places = 1, 0, []
    for offset in offsets:
        line += text.count(b"\n", counted, offset)
        counted = offset
        cell, part = _cell(next(ways, []))
        places.append(Place(line=line, cell=cell, part=part))
    return places


def _cell(way: Sequence[Key]) -> tuple[int | None, str | None]:
    if way[:1] == ["worksheets"]:  # nbformat 3
        way = way[2:]
    if way[:1] == ["metadata"]:
        return None, "widget state" if way[1:2] == ["widgets"] else "the notebook's metadata"
    if len(way) < 2 or way[0] != "cells" or not isinstance(way[1], int):
        return None, None
    part = way[2] if len(way) > 2 else None
    return way[1] + 1, _PARTS.get(part, "elsewhere") if isinstance(part, str) else "elsewhere"


def _ways(text: bytes, offsets: Sequence[int]) -> Iterator[list[Key]]:
    """The way of keys and numbers that leads to each offset."""
    way = _Way()
    waiting = 0
    for token in _TOKEN.finditer(text):
        while waiting < len(offsets) and offsets[waiting] < token.end():
            yield way.keys[:_DEEPEST]
            waiting += 1
        if waiting == len(offsets):
            return
        way.go(token[0])


class _Way:
    """The way to where a walk over JSON's tokens is.

    Attributes:
        keys: for each open bracket the present key: a number in an array, a name in an object.
    """

    def __init__(self) -> None:
        self.keys: list[Key] = []
        self._expects_name = False

    def go(self, token: bytes) -> None:
        """Go past one token: a string, a bracket or a comma."""
        if token.startswith(b'"'):
            if self._expects_name and self.keys:
                self.keys[-1] = _name(token)
            self._expects_name = False
        elif token in b"{[":
            self.keys.append(None if token == b"{" else 0)
            self._expects_name = token == b"{"
        elif token in b"}]":
            del self.keys[-1:]
            self._expects_name = False
        elif self.keys and isinstance(self.keys[-1], int):
            self.keys[-1] += 1
        else:
            self._expects_name = True


def _name(token: bytes) -> str:
    # Only the names that the format defines matter here; a long one is none of them.
    return token[1:-1][:40].decode("ascii", "replace")
