"""Storages that tests share sessions through: a dictionary, and one that misbehaves on request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage.calls import StorageCalls
from ic_notebook.storage.sharing import SharedStore


class Vault:
    """Keeps a token set as text, as a team's vault would; counts its calls, and fails where told to.

    Attributes:
        text: what is stored, or None.
        calls: the names of the calls, in order.
        before: called with the name of each call first; what it raises, the call raises.
    """

    def __init__(self) -> None:
        self.text: str | None = None
        self.calls: list[str] = []
        self.before: Any = lambda name: None

    def load(self) -> TokenSet | None:
        self._begin("load")
        return TokenSet.from_json(self.text) if self.text is not None else None

    def save(self, tokens: TokenSet) -> None:
        self._begin("save")
        self.text = Secret(tokens.to_json())

    def delete(self) -> None:
        self._begin("delete")
        self.text = None

    def _begin(self, name: str) -> None:
        self.calls.append(name)
        self.before(name)


def shared(vault: Vault, issuer: str, folder: Path, *, deadline: float = 5.0) -> SharedStore:
    """A store on the vault, as a process of its own would make one."""
    calls = StorageCalls("the vault", deadline=deadline)
    return SharedStore(
        vault, issuer=issuer, profile="default", kept=lambda: "Vault", calls=calls, folder=folder
    )
