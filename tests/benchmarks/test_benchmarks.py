"""The benchmarks run, in their quickest form and beside nobody. How long anything takes is no test."""

from __future__ import annotations

import pytest

from tests.benchmarks import run
from tests.benchmarks.tables import Line, Table
from tests.sizes import LONG

SLOW = ("at-once", "storm")


@pytest.mark.parametrize("name", [name for name in run.BENCHMARKS if LONG or name not in SLOW])
def test_benchmark_gives_tables_in_its_quickest_form(name):
    result = run.BENCHMARKS[name].measure("least")
    assert all(table.text().startswith(table.title) for table in result.tables)
    assert all(len(row) == len(table.columns) for table in result.tables for row in table.rows)
    assert run.markdown(result.lines).count("\n") == 1 + len(result.lines)


def test_a_table_is_aligned_and_has_its_notes():
    table = Table("Title", ("", "ms"), [("one", "1.0"), ("twelve", "12.0")], ["a note"])
    assert table.text() == "Title\n          ms\none      1.0\ntwelve  12.0\na note"


def test_the_summary_says_what_was_to_be_reached():
    line = Line("what", "1", "2", "≤ 3", "yes")
    assert run.markdown([line]).splitlines()[-1] == "| what | 1 | 2 | ≤ 3 | yes |"
    assert "reached:     yes" in run.summary([line])


def test_what_is_not_installed_is_said(monkeypatch):
    monkeypatch.setattr("tests.benchmarks.tables.importlib.metadata.version", _nothing)
    assert "msal not installed" in run.circumstances()


def _nothing(_name: str) -> str:
    raise run.version.__globals__["importlib"].metadata.PackageNotFoundError
