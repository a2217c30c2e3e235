"""The matrix, shown once at the end of the run, under xdist as well: what happened, on each kernel and way."""

from __future__ import annotations

from typing import Any

import pytest

KEY = "kernels"
NOT_TRIED = "-"
LEGEND = (
    "live: the kernel heard of the click while the cell ran; late: after it. In every test each cell was answered "
    "once and in its turn."
)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each thing that was tried, one column for each kernel and way that a message goes."""
    cells: dict[str, dict[str, str]] = {}
    lanes: list[str] = []
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, []):
            for name, told in report.user_properties if isinstance(report, pytest.TestReport) else []:
                if name == KEY and report.when == "call":
                    happened = told.get("happened", "passed") if outcome == "passed" else "FAILED"
                    cells.setdefault(told["tried"], {})[told["lane"]] = happened
                    lanes += [told["lane"]] if told["lane"] not in lanes else []
    if not cells:
        return
    lanes.sort()
    rows = [
        ["", *lanes],
        *([tried, *(cells[tried].get(lane, NOT_TRIED) for lane in lanes)] for tried in sorted(cells)),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    terminalreporter.section("kernels")
    terminalreporter.write_line(LEGEND)
    for row in rows:
        terminalreporter.write_line("  ".join(map(str.ljust, row, widths)).rstrip())
