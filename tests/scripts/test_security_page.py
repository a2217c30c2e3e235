"""`SECURITY.md` names a test for each threat: every one of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?!---|what|where)(.*) \|$", re.MULTILINE)
NAME = re.compile(r"`(tests/[\w/]+\.py)?::(\w+)`")


def rows() -> list[str]:
    return ROW.findall((ROOT / "SECURITY.md").read_text(encoding="utf-8"))


def missing(row: str) -> list[str]:
    """The tests that a row names and that are not there; a name without a file is of the file before it."""
    file, absent = "", []
    for path, name in NAME.findall(row):
        file = path or file
        source = ROOT / file
        if not source.is_file() or not re.search(
            rf"^(async )?def {name}\(", source.read_text("utf-8"), re.MULTILINE
        ):
            absent.append(f"{file}::{name}")
    return absent


def test_every_threat_names_a_test_and_every_test_is_there():
    assert len(rows()) > 30
    assert [row for row in rows() if not NAME.search(row.rsplit("|", 1)[-1])] == []
    assert [name for row in rows() for name in missing(row)] == []


def test_a_name_that_is_not_there_is_found():
    assert missing(
        "| a | b | `tests/scripts/test_security_page.py::rows`, `::nobody`, `tests/no.py::test_x` |"
    ) == [
        "tests/scripts/test_security_page.py::nobody",
        "tests/no.py::test_x",
    ]
