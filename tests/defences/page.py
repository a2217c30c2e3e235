"""The rows of `SECURITY.md`, and the tests that they name."""

from __future__ import annotations

import re

from tests.defences.switch import ROOT

_ROW = re.compile(r"^\| (?!---|what|where)(.*) \|$", re.MULTILINE)
_NAME = re.compile(r"`(tests/[\w/]+\.py)?::(\w+)`")


def rows() -> list[str]:
    """Each threat, as its line is."""
    return _ROW.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def threat(row: str) -> str:
    """What somebody tries, in the page's words."""
    return row.split(" | ", 1)[0]


def named_in(row: str) -> list[str]:
    """The tests that a row names; a name without a file is of the file before it."""
    file, found = "", []
    for path, name in _NAME.findall(row.rsplit(" | ", 1)[-1]):
        file = path or file
        found.append(f"{file}::{name}")
    return found


def without_parameter(test: str) -> str:
    """`file::test[parameter]` as `file::test`."""
    return test.partition("[")[0]
