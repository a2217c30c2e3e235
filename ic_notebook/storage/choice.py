"""Which storage a sign-in is kept in: what is asked for, as the store that processes share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ic_notebook import environment
from ic_notebook.errors import ConfigurationError
from ic_notebook.storage.base import TokenStorage
from ic_notebook.storage.calls import StorageCalls
from ic_notebook.storage.sharing import SharedStore, state_folder

Storage = str | TokenStorage | None
"""`memory`, `keyring`, an object with load, save and delete, or None: as `IC_STORAGE` says, else memory."""

SERVES_MANY = (
    "This process may serve several people (Voila), so a sign-in is kept in memory only: leave out storage."
)
_UNLOCK = "It may be locked: unlock it in the window that your system shows."


_keyring_calls = StorageCalls("your keyring", advice=_UNLOCK, turn=lambda: state_folder() / "keyring.lock")
"""A process has one keyring, however many sign-ins are kept there."""


def checked_storage(storage: Any) -> Storage:
    """What was given, if it is a storage.

    Raises:
        ConfigurationError: it is none, or cannot be had here.
    """
    if storage is None or storage == "memory":
        return storage  # type: ignore[no-any-return]
    if storage != "keyring" and not all(
        callable(getattr(storage, name, None)) for name in ("load", "save", "delete")
    ):
        raise ConfigurationError(
            'storage is "memory", "keyring", or an object with the methods load, save and delete.'
        )
    if environment.serves_many():
        raise ConfigurationError(SERVES_MANY)
    return storage  # type: ignore[no-any-return]


def keyring_store(issuer: str, profile: str, *, folder: Path | None = None) -> SharedStore:
    """The place of this sign-in in the system's keyring. Nothing is called yet."""
    from ic_notebook.storage.keyring import KeyringStorage

    keyring = KeyringStorage(issuer, profile)
    return SharedStore(
        keyring,
        issuer=issuer,
        profile=profile,
        kept=lambda: keyring.name,
        calls=_keyring_calls,
        check=keyring.check,
        folder=folder,
    )


def object_store(storage: TokenStorage, issuer: str, profile: str) -> SharedStore:
    """A storage that somebody else wrote, shared as the keyring is."""
    name = type(storage).__name__
    return SharedStore(
        storage,
        issuer=issuer,
        profile=profile,
        kept=lambda: name,
        calls=StorageCalls(f"the storage ({name})"),
    )


def looked_in(storage: Storage, issuer: str, profile: str) -> SharedStore | None:
    """Where to look for a sign-in that was kept; None: nowhere, without having called anything.

    A keyring that nobody has asked for is looked into only if a sign-in has been kept there.
    """
    if storage is not None and not isinstance(storage, str):
        return object_store(storage, issuer, profile)
    if "memory" in (storage, environment.storage()) and storage != "keyring":
        return None
    if environment.serves_many():
        return None
    store = keyring_store(issuer, profile)
    return store if storage == "keyring" or store.stamp() is not None else None
