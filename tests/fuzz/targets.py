"""What is fuzzed, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

ROOMS = {
    "redirect": "protocol",
    "pasted": "protocol",
    "tokens": "protocol",
    "registration": "protocol",
    "metadata": "protocol",
    "apps": "protocol",
    "listener": "listening",
    "rendezvous": "files",
    "clients": "files",
    "stored-tokens": "keeping",
    "keyring": "keeping",
    "extension": "extension",
    "routes": "extension",
    "scan": "scanning",
}
"""Each target, and the module that has it."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is tried with every input.

    Attributes:
        check: takes the input; whatever it raises is a defect.
        seeds: good inputs, from which the fuzzer goes on.
        words: what it puts into inputs besides; at least one.
        longest: bytes of an input.
        defect: puts a defect into what is tried, to show that it is found.
    """

    check: Callable[[bytes], None]
    seeds: Sequence[bytes]
    words: Sequence[str]
    defect: Callable[[], None]
    longest: int = 1_024


def target(name: str) -> Target:
    """The target of this name; importing it imports what it tries."""
    found: Target = import_module(f"tests.fuzz.{ROOMS[name]}").TARGETS[name]
    return found
