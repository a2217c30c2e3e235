"""Which keyring this computer has, and what its failures mean."""

from __future__ import annotations

import logging
import os
from typing import Any

from ic_notebook.errors import ConfigurationError, StorageError
from ic_notebook.oauth.secret import Secret

logger = logging.getLogger("ic_notebook")

NAMES = {
    "keyring.backends.SecretService": "Secret Service",
    "keyring.backends.Windows": "Windows Credential Manager",
    "keyring.backends.kwallet": "KWallet",
    "keyring.backends.libsecret": "Secret Service",
    "keyring.backends.macOS": "macOS Keychain",
}
LOCKED = {"InitError", "KeyringLocked", "LockedException", "PromptDismissedException"}
GONE = {"ItemNotFoundException", "PasswordDeleteError"}
WAYS_OUT = 'or use storage="memory" (--storage memory); unattended runs take IC_ACCESS_TOKEN'

_warned: set[str] = set()


def chosen_backend() -> Any:
    """The backend that `keyring` chooses or the user configured; finding it can wait for D-Bus without end.

    Raises:
        ConfigurationError: a backend is configured that cannot be started.
    """
    try:
        import keyring

        return keyring.get_keyring()
    except Exception as failure:  # noqa: BLE001 - whatever a configured backend raises
        kind, words = type(failure).__name__, " ".join(str(failure).split())[:200]
    raise ConfigurationError(
        f"The keyring cannot be started ({kind}: {words}). Check PYTHON_KEYRING_BACKEND and keyringrc.cfg, "
        f"{WAYS_OUT}."
    )


def name_of_usable(backend: Any) -> str:
    """The name for people of a backend that keeps what it is given; one that does not encrypt is warned of.

    Raises:
        ConfigurationError: it is the one that always fails, or the one that keeps nothing.
    """
    from keyring.backends import fail, null

    front = _front(backend)
    if front is None or isinstance(front, fail.Keyring):
        raise ConfigurationError(
            "This computer has no keyring that can be used (keyring.backends.fail). Install and unlock one "
            f"(on Linux GNOME Keyring or KWallet), then restart Python, {WAYS_OUT}."
        )
    if isinstance(front, null.Keyring):
        raise ConfigurationError(
            "The keyring is switched off on this computer (keyring.backends.null). Take that out of "
            f"PYTHON_KEYRING_BACKEND or keyringrc.cfg, then restart Python, {WAYS_OUT}."
        )
    kinds, name = type(front).__mro__, _name(front)
    if any("plaintext" in kind.__name__.lower() for kind in kinds) and name not in _warned:
        _warned.add(name)
        logger.warning(
            "%s does not encrypt: tokens will stand readable in a file of yours. Set up another keyring, or "
            'use storage="memory".',
            name,
        )
    return name


def call_backend(backend: Any, name: str, method: str, service: str, user: str, *entry: Secret) -> Any:
    """What a backend's method returns; None where there is nothing to return or remove.

    Raises:
        StorageError: it failed, in words that hold nothing of what it was given.
    """
    try:
        return getattr(backend, method)(service, user, *map(str, entry))
    except Exception as failure:  # noqa: BLE001 - D-Bus, Windows and macOS raise kinds of their own
        kinds = [kind.__name__ for kind in type(failure).__mro__]
        if not entry and GONE.intersection(kinds):
            return None
        if LOCKED.intersection(kinds):
            error = StorageError(
                f'Your keyring ({name}) is locked. Unlock it and try again, or go on with storage="memory".'
            )
        else:
            error = StorageError(
                f'Your keyring ({name}) failed ({kinds[0]}). Try again, or go on with storage="memory".'
            )
    # Raised here and not there: the cause can hold the entry, and would travel along as its context.
    raise error


def _name(backend: Any) -> str:
    kinds = type(backend).__mro__
    known = next((NAMES[root] for kind in kinds if (root := _root(kind)) in NAMES), None)
    if known == "Secret Service" and "GNOME" in os.environ.get("XDG_CURRENT_DESKTOP", "").split(":"):
        return "GNOME Keyring"
    if known is not None:
        return known
    kind = kinds[0]
    return kind.__name__ if kind.__name__ != "Keyring" else f"{kind.__module__}.Keyring"


def _front(backend: Any) -> Any | None:
    """The backend that is written to: the first of a chain, or None where the chain is empty."""
    from keyring.backends import chainer

    return next(iter(backend.backends), None) if isinstance(backend, chainer.ChainerBackend) else backend


def _root(kind: type) -> str:
    return ".".join(kind.__module__.split(".")[:3])
