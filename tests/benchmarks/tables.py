"""Measuring in turns, and tables of what was measured."""

from __future__ import annotations

import gc
import importlib.metadata
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

Effort = Literal["full", "quick", "least"]
"""How often things are measured: for the README, while working on them, to see that they run at all."""
Measured = dict[str, list[float]]

NOISE = "the same again (noise)"
NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Table:
    """What was measured of one thing, in full."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def text(self) -> str:
        lines = [list(self.columns), *(list(row) for row in self.rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(self.columns))]
        aligned = (
            "  ".join(
                [
                    line[0].ljust(widths[0]),
                    *(word.rjust(w) for word, w in zip(line[1:], widths[1:], strict=True)),
                ]
            )
            for line in lines
        )
        return "\n".join([self.title, *aligned, *self.notes])


@dataclass(frozen=True)
class Line:
    """One line of the README's table."""

    what: str
    ours: str
    beside: str
    to_reach: str
    reached: str


@dataclass
class Result:
    """What a benchmark gives."""

    lines: list[Line] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


def in_turns(
    measure: Callable[[str], float], kinds: Sequence[str], rounds: int, *, warm_up: bool = True
) -> Measured:
    """Every kind once a round, forwards and backwards, so that a busy computer is busy for all of them."""
    measured: Measured = {kind: [] for kind in kinds}
    for kind in kinds if warm_up else ():
        measure(kind)
    for turn in range(rounds):
        for kind in kinds if turn % 2 else reversed(kinds):
            gc.collect()
            measured[kind].append(measure(kind))
    return measured


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def middle_half(values: list[float], digits: int) -> str:
    """Between which two values half of them lie."""
    low, _, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def added(values: Sequence[float], base: Sequence[float]) -> float:
    """What is added to the base, by the medians."""
    return median(values) - median(base)


def against(
    title: str,
    unit: str,
    measured: Measured,
    *,
    digits: int = 1,
    absent: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Table:
    """A table against its first row: the median, between what half of all lies, what it adds, and the ratio."""
    base = next(iter(measured.values()))
    rows = [
        (
            kind,
            f"{median(values):,.{digits}f}",
            middle_half(values, digits),
            f"{added(values, base):+,.{digits}f}",
            f"{median(values) / median(base):.2f}",
        )
        for kind, values in measured.items()
    ]
    rows += [(kind, NOT_INSTALLED, "", "", "") for kind in absent]
    return Table(title, ("", f"median {unit}", "middle half", "adds", "ratio"), rows, notes)


def yes_or_no(reached: bool) -> str:
    return "yes" if reached else "no"


def version(distribution: str) -> str | None:
    """Of an installed package; None where it is not there."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
