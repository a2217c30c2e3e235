"""What ic_notebook needs at run time: its own requirements and its extras' but dev, and all that these need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME = "ic-notebook"
CORE = "core"


def direct(extra: str = CORE) -> set[str]:
    """The names that pyproject.toml itself requires, for the package or for one of its extras."""
    wanted = "" if extra == CORE else extra
    return {canonicalize_name(one.name) for one in _required(NAME, wanted)} - {NAME}


def extras() -> list[str]:
    """Every extra that a user may want."""
    return [extra for extra in distribution(NAME).metadata.get_all("Provides-Extra") or [] if extra != "dev"]


def runtime() -> dict[str, tuple[Distribution, list[str]]]:
    """Every distribution that is installed here for it, with what it is there for: `core`, or extras."""
    reasons: defaultdict[str, set[str]] = defaultdict(set)
    for part in (CORE, *extras()):
        for name in _closure("" if part == CORE else part):
            reasons[name].add(part)
    return {
        name: (distribution(name), [CORE] if CORE in parts else sorted(parts))
        for name, parts in sorted(reasons.items())
    }


def _closure(extra: str) -> set[str]:
    seen: set[tuple[str, str]] = set()
    waiting = [(NAME, extra)]
    while waiting:
        name, extra = waiting.pop()
        for one in _required(name, extra):
            found = {(canonicalize_name(one.name), wanted) for wanted in ("", *one.extras)}
            waiting += found - seen
            seen |= found
    return {name for name, _ in seen} - {NAME}


def _required(name: str, extra: str) -> Iterator[Requirement]:
    for text in distribution(name).requires or []:
        one = Requirement(text)
        always = one.marker is None or one.marker.evaluate({"extra": ""})
        if (always and not extra) or (extra and not always and one.marker.evaluate({"extra": extra})):
            yield one
