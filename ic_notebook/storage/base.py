"""The plug point for token sets."""

from __future__ import annotations

from typing import Protocol

from ic_notebook.oauth.token_set import TokenSet


class TokenStorage(Protocol):
    """Keeps one token set.

    A load may run beside a save or a delete; of those two, only one runs at a time. Each may raise; a
    StorageError is shown to the person as it is.
    """

    def load(self) -> TokenSet | None:
        """The token set, or None where there is none."""
        ...

    def save(self, tokens: TokenSet) -> None:
        """Keep this token set in place of the last."""
        ...

    def delete(self) -> None:
        """Keep none; nothing happens where there is none."""
        ...
