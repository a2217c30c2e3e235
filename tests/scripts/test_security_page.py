"""`SECURITY.md` names a test for each threat: every one of them is there."""

from __future__ import annotations

import re

from tests.defences.page import named_in, rows
from tests.defences.switch import ROOT


def missing(row: str) -> list[str]:
    """The tests that a row names and that are not there."""
    return [test for test in named_in(row) if not _is_there(test)]


def _is_there(test: str) -> bool:
    file, name = test.split("::")
    source = ROOT / file
    definition = re.compile(rf"^(async )?def {name}\(", re.MULTILINE)
    return source.is_file() and definition.search(source.read_text("utf-8")) is not None


def test_every_threat_names_a_test_and_every_test_is_there():
    assert len(rows()) > 30
    assert [row for row in rows() if not named_in(row)] == []
    assert [name for row in rows() for name in missing(row)] == []


def test_a_name_that_is_not_there_is_found():
    assert missing(
        "| a | b | `tests/scripts/test_security_page.py::missing`, `::nobody`, `tests/no.py::test_x` |"
    ) == [
        "tests/scripts/test_security_page.py::nobody",
        "tests/no.py::test_x",
    ]
