"""The figures of the load tests, shown once at the end of the run, under xdist as well."""

from __future__ import annotations

from typing import Any

import pytest

KEY = "load"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line of figures for each load test that ran."""
    lines = [
        f"{report.nodeid.rpartition('::')[2]}: {_words(figures)}"
        for reports in (terminalreporter.stats.get("passed", []), terminalreporter.stats.get("failed", []))
        for report in reports
        if isinstance(report, pytest.TestReport)
        for name, figures in report.user_properties
        if name == KEY
    ]
    if lines:
        terminalreporter.section("load")
        for line in lines:
            terminalreporter.write_line(line)


def _words(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in figures.items() if value not in ([], {}))
