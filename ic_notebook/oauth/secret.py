"""A string that does not print itself."""

from __future__ import annotations


class Secret(str):
    """A token, code, state or verifier: a string in every use, but its `repr` hides it.

    A dictionary, a dataclass or a verbose traceback that holds it shows an ellipsis.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"
