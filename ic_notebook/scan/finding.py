"""What a scan found, without the secret itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

PLACEHOLDER = b"REMOVED_BY_IC_NOTEBOOK"
"""What takes a secret's place: it needs no escape in Python, JSON, HTML, a URL or a shell."""


@dataclass(frozen=True, kw_only=True)
class Hit:
    """Where in a file's text a secret stands, and what it is.

    Attributes:
        start, end: the bytes, in the text as UTF-8.
        kind: what it is, in words that end a sentence.
        replacement: what takes its place.
        profile: the profile of the sign-in whose live token it is, or None.
        own: a secret that is known to be this person's, not a literal that looks like one.
    """

    start: int
    end: int
    kind: str
    replacement: bytes = field(default=PLACEHOLDER, repr=False)
    profile: str | None = None
    own: bool = False


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a person finds it: a cell, counted from 1, and its part; or a line, counted from 1."""

    line: int
    cell: int | None = None
    part: str | None = None

    def __str__(self) -> str:
        if self.cell is not None:
            return f"cell {self.cell}, {self.part}"
        return self.part or f"line {self.line}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One secret in one file."""

    path: Path
    place: Place
    hit: Hit = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Found:
    """The findings in one file, and the digest by which it is known again."""

    path: Path
    digest: bytes = field(repr=False)
    findings: Sequence[Finding]


@dataclass(frozen=True, kw_only=True)
class Unscanned:
    """A file or folder that could not be scanned, and why."""

    path: Path
    why: str


def without_overlaps(hits: Sequence[Hit]) -> list[Hit]:
    """The hits in their order in the file; of two that overlap, the known secret, else the longer one."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, not hit.own, -hit.end)):
        if kept and hit.start < kept[-1].end:
            last = kept[-1]
            if (hit.own, hit.end - hit.start) > (last.own, last.end - last.start):
                kept[-1] = hit
        else:
            kept.append(hit)
    return kept
