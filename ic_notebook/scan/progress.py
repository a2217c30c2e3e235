"""A line on a terminal that tells how far a long scan is."""

from __future__ import annotations

import sys
import time

from ic_notebook.scan.report import counted
from ic_notebook.scan.scanning import Scan

AFTER, EVERY = 2.0, 0.2
"""Seconds before the line is shown, and between two states of it."""


class Progress:
    """Shows the line, where standard error is a terminal, and takes it away at the end."""

    def __init__(self) -> None:
        self._next = time.monotonic() + AFTER if sys.stderr.isatty() else float("inf")
        self._width = 0

    def __call__(self, scan: Scan) -> None:
        """Show how far it is."""
        if time.monotonic() < self._next:
            return
        line = f"{counted(scan.files, 'file')}, {scan.size / 1e6:,.0f} MB; found: {len(scan.findings):,}"
        print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width, self._next = len(line), time.monotonic() + EVERY

    def close(self) -> None:
        """Take the line away."""
        if self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
