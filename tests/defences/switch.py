"""A switch: one defence of `SECURITY.md`, and how to take it out of the source so that its tests must fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Edit:
    """A replacement in one file.

    Attributes:
        file: below the root.
        old: what is there, exactly once.
        new: what takes its place.
    """

    file: str
    old: str
    new: str

    def found(self, root: Path = ROOT) -> int:
        """How often the old text is there."""
        path = root / self.file
        return path.read_text(encoding="utf-8").count(self.old) if path.is_file() else 0

    def make(self, root: Path) -> None:
        """Replace it.

        Raises:
            ValueError: it is not there exactly once.
        """
        if self.found(root) != 1:
            raise ValueError(f"{self.file}: {self.found(root)} times, not once: {self.old!r}")
        path = root / self.file
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")


@dataclass(frozen=True)
class Switch:
    """One defence.

    Attributes:
        name: a few letters to ask for it by.
        defence: what is taken out, in words.
        edits: how. More than one where one alone is not enough, because there is a second defence.
        tests: those of `SECURITY.md` that must each fail for it; `[…]` names one of a test's parameters.
        long: whether they are tests of `make test-long` alone.
    """

    name: str
    defence: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]
    long: bool = False
