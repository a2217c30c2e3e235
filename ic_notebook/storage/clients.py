"""Which client this computer is registered as, per server: registered once, used by every later sign-in.

One file, `clients.json` in the user's configuration directory. Nothing in it is secret. Beside it, while a
client is registered, stands a lock for each server.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import platform
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock
import platformdirs

from ic_notebook.errors import StorageError
from ic_notebook.oauth.answers import readable, visible
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.storage.files import locked, read_bytes, write_atomically

logger = logging.getLogger(__name__)

FORMAT = 1
MAX_BYTES = 1_048_576
MAX_CLIENTS = 200
REGISTERING_TIMEOUT = 45.0
"""Seconds to wait for somebody else on this computer who is registering at the same server."""
_POLL = 0.05


@dataclass(frozen=True, kw_only=True)
class StoredClient:
    """A registered client and when it last signed somebody in (seconds since the epoch)."""

    client: ClientInformation
    signed_in_at: float


class ClientStore:
    """The clients that this computer has registered.

    Args:
        path: the file; the user's configuration directory where none is given.
        machine: this computer's name; a home directory can be shared by several.
    """

    def __init__(self, path: Path | None = None, *, machine: str | None = None) -> None:
        self.path = path or platformdirs.user_config_path("ic_notebook", appauthor=False) / "clients.json"
        self.machine = machine if machine is not None else platform.node()

    def find(self, issuer: str, redirect_uris: tuple[str, ...]) -> StoredClient | None:
        """The client registered at `issuer` with exactly these redirect URIs, or None.

        Raises:
            StorageError: the file cannot be read, or a newer version of this package wrote it.
        """
        for entry in self._entries(self._read()):
            if self._is(entry, issuer) and entry.get("redirect_uris") == list(redirect_uris):
                return _stored_client(entry)
        return None

    def save(self, issuer: str, client: ClientInformation, *, now: float) -> None:
        """Keep a client in place of the one with the same redirect URIs.

        Raises:
            StorageError: the file cannot be written; it stands as it was.
        """
        entry = {
            "issuer": issuer,
            "machine": self.machine,
            "client_id": client.client_id,
            "client_name": client.client_name,
            "redirect_uris": list(client.redirect_uris),
            "scope": client.scope,
            "signed_in_at": now,
        }

        def change(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
            others = [
                other
                for other in entries
                if not (self._is(other, issuer) and other.get("redirect_uris") == entry["redirect_uris"])
            ]
            return [*others, entry][-MAX_CLIENTS:]

        self._change(change)

    def signed_in(self, issuer: str, client_id: str, *, now: float) -> None:
        """Note that this client has just signed somebody in."""

        def change(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [
                entry | {"signed_in_at": now} if self._is(entry, issuer, client_id) else entry
                for entry in entries
            ]

        self._change(change)

    def drop(self, issuer: str, client_id: str) -> None:
        """Forget a client that its server no longer knows."""
        self._change(lambda entries: [entry for entry in entries if not self._is(entry, issuer, client_id)])

    @contextlib.asynccontextmanager
    async def registering(self, issuer: str) -> AsyncIterator[None]:
        """Alone among all threads and processes of this computer while a client is registered at `issuer`.

        Waits for up to 45 s. Where the lock is not to be had, it goes on without, and logs a warning: two
        registrations are better than none. A process that dies lets go of it.
        """
        lock = await self._registration_lock(issuer)
        try:
            yield
        finally:
            if lock is not None:
                lock.release()

    async def _registration_lock(self, issuer: str) -> filelock.BaseFileLock | None:
        server = hashlib.sha256(f"{issuer}\n{self.machine}".encode(errors="replace")).hexdigest()[:16]
        path = self.path.with_name(f"{self.path.name}.{server}.lock")
        clock = asyncio.get_running_loop().time
        ends = clock() + REGISTERING_TIMEOUT
        why = f"another program has been registering for {REGISTERING_TIMEOUT:.0f} s"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = filelock.FileLock(path, mode=0o600, thread_local=False)
            while clock() < ends:
                with contextlib.suppress(filelock.Timeout):
                    lock.acquire(blocking=False)
                    return lock
                await asyncio.sleep(_POLL)
        except (OSError, NotImplementedError) as failure:
            # NotImplementedError: an older filelock, on a file system without locks.
            why = getattr(failure, "strerror", None) or "no locks on this file system"
        logger.warning("%s cannot be locked (%s), so this program may be registered twice.", path, why)
        return None

    def _is(self, entry: dict[str, Any], issuer: str, client_id: str | None = None) -> bool:
        here = entry.get("issuer") == issuer and entry.get("machine") == self.machine
        return here and client_id in (None, entry.get("client_id"))

    def _change(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        with locked(self.path):
            document = self._read()
            changed = document | {"format": FORMAT, "clients": change(self._entries(document))}
            content = json.dumps(changed).encode()
            if len(content) > MAX_BYTES:
                raise StorageError(f"{self.path} would grow beyond {MAX_BYTES} bytes. Move it away.")
            write_atomically(self.path, content)

    def _read(self) -> dict[str, Any]:
        content = read_bytes(self.path, at_most=MAX_BYTES)
        try:
            document = json.loads(content) if content else {}
        except (ValueError, RecursionError):
            return {}
        if not isinstance(document, dict):
            return {}
        written_by = document.get("format", FORMAT)
        if not isinstance(written_by, int) or written_by > FORMAT:
            raise StorageError(
                f"{self.path} was written by a newer ic_notebook. Upgrade this one, or move the file away."
            )
        return document

    @staticmethod
    def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
        entries = document.get("clients")
        return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _stored_client(entry: dict[str, Any]) -> StoredClient | None:
    client_id, name = visible(entry.get("client_id")), readable(entry.get("client_name"))
    if client_id is None or name is None:
        return None
    scope = entry.get("scope")
    return StoredClient(
        client=ClientInformation(
            client_id=client_id,
            client_name=name,
            redirect_uris=tuple(entry["redirect_uris"]),
            scope=scope if isinstance(scope, str) else None,
        ),
        signed_in_at=_seconds(entry.get("signed_in_at")),
    )


def _seconds(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
