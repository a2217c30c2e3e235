"""What was searched, by artefact, and what was found: one table at the end of the run, under xdist as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from tests.leaks.hunt import Hit

KEY = "leaks"
ARTEFACTS = {
    "-checkpoint.ipynb": "checkpoints",
    "-exported.html": "HTML exports",
    "-exported.": "other exports",
    ".ipynb": "saved notebooks",
    "hub.log": "log of Hub, proxy and servers",
    "jupyterlab.log": "Jupyter server's log",
    "kernel.log": "kernel's log",
    "history.sqlite": "IPython's history",
    "stdout": "stdout",
    "stderr": "stderr",
    "address bar": "address bar",
    "browser/": "browser's profile",
    "runtime/": "runtime folder",
    "state/": "state folder",
    "config/": "configuration",
    "clients.json": "configuration",
}
"""What a place is, by the first of these that its path holds."""
COLUMNS = ("life", "artefact", "files", "bytes", "secrets", "hits")


def artefact(place: str) -> str:
    """What this place is."""
    return next((name for part, name in ARTEFACTS.items() if part in place), "other files")


def figures(
    life: str, secrets: Mapping[str, str], places: Mapping[str, bytes], hits: Iterable[Hit]
) -> list[list[Any]]:
    """A row for each artefact of a life."""
    found = [(artefact(hit.place), hit.secret) for hit in hits]
    rows = []
    for name in sorted({artefact(place) for place in places}):
        contents = [content for place, content in places.items() if artefact(place) == name]
        which = sorted({secret.rstrip(" -0123456789") for place, secret in found if place == name})
        hits_here = ": ".join(
            [str(sum(place == name for place, _ in found)), ", ".join(which)][: 1 + any(which)]
        )
        rows.append([life, name, len(contents), sum(map(len, contents)), len(secrets), hits_here])
    return rows


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The rows of all lives."""
    rows = [
        [f"{cell:,}" if isinstance(cell, int) else cell for cell in row]
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for name, told in report.user_properties
        if name == KEY
        for row in told
    ]
    if not rows:
        return
    table = [list(COLUMNS), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    terminalreporter.section("leaks")
    for row in table:
        words = [row[n].ljust(widths[n]) if n < 2 else row[n].rjust(widths[n]) for n in range(len(COLUMNS))]
        terminalreporter.write_line("  ".join(words))
