"""One stored sign-in that several threads, processes and kernels of a person share.

Beside what the storage keeps stand two small files without a secret, named by a hash of issuer and profile:
a lock, and a marker whose time says when something was last changed, so that a request costs no call of the
storage. A third is there while a renewal is under way, to tell of one that was cut short.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import filelock
import platformdirs

from ic_notebook.errors import StorageError
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage.base import TokenStorage
from ic_notebook.storage.calls import StorageCalls
from ic_notebook.storage.files import read_bytes, write_atomically

LOCK_TIMEOUT = 90.0
"""Seconds to wait for another process that is renewing: one renewal may take as long as its network does."""
_POLL = 0.02
_TICK = 1_000_000
"""Nanoseconds by which the marker's time moves on at least."""


def state_folder() -> Path:
    """Where the processes of a user leave each other locks and markers."""
    return platformdirs.user_state_path("ic_notebook", appauthor=False)


class SharedStore:
    """A storage for one sign-in, with what its users need to agree on.

    Args:
        storage: keeps the token set.
        issuer: the authorization server whose tokens these are.
        profile: which of a person's accounts.
        kept: where that is, in words for a person.
        calls: calls the storage.
        check: raises ConfigurationError where the storage cannot be used at all.
        folder: where lock and marker stand; the user's state directory where none is given.
    """

    def __init__(
        self,
        storage: TokenStorage,
        *,
        issuer: str,
        profile: str,
        kept: Callable[[], str],
        calls: StorageCalls,
        check: Callable[[], None] = lambda: None,
        folder: Path | None = None,
    ) -> None:
        self.issuer = issuer
        self.profile = profile
        self.calls = calls
        self._storage = storage
        self._kept = kept
        self._check = check
        folder = folder or state_folder()
        name = hashlib.sha256(json.dumps([issuer, profile]).encode()).hexdigest()[:16]
        self._marker = folder / f"{name}.changed"
        self._lock = folder / f"{name}.lock"
        self._renewing = folder / f"{name}.renewing"

    @property
    def kept(self) -> str:
        """Where the token set is kept, in words."""
        return self._kept()

    def stamp(self) -> int | None:
        """What differs once anybody has saved or deleted; None where nobody ever has. One `stat`."""
        try:
            return os.stat(self._marker).st_mtime_ns  # noqa: PTH116 - on the way of every request
        except OSError:
            return None

    async def check(self) -> None:
        """That the storage can be used.

        Raises:
            ConfigurationError: it cannot, and why.
            StorageError: it does not answer in time.
        """
        await self.calls.run(self._check)

    async def load(self) -> TokenSet | None:
        """The stored token set, or None. Needs no lock.

        Raises:
            StorageError: it cannot be read in time, or is another server's.
        """
        tokens = await self.calls.run(self._storage.load)
        if tokens is None:
            return None
        if not isinstance(tokens, TokenSet) or tokens.issuer != self.issuer:
            raise StorageError("The stored sign-in is not one of this server, so it is not used.")
        return tokens

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[Exclusive]:
        """Alone among all threads and processes: to look, renew, and save.

        Raises:
            StorageError: another process had it for too long, or the lock's file cannot be written.
        """
        lock = await self._locked()
        try:
            yield Exclusive(self, self._storage)
        finally:
            late = self.calls.under_way
            if late is None:
                lock.release()
            else:
                # What it writes when it does return must not come after what another process has written.
                late.add_done_callback(lambda _: lock.release())

    def renewal_begins(self, token: str) -> bool:
        """Note that this token is being renewed; whether a renewal of it has been cut short before."""
        name = _fingerprint(token)
        try:
            before = read_bytes(self._renewing, at_most=1024)
            write_atomically(self._renewing, name)
        except StorageError:
            # Only what a message says depends on it; on a full disk a sign-in is renewed all the same.
            return False
        return before == name

    def renewal_ends(self) -> None:
        """Note that what came of it is known."""
        with contextlib.suppress(OSError):
            self._renewing.unlink(missing_ok=True)

    def changed(self) -> None:
        """Tell the others that they should look."""
        # Where it fails, the others find out when the token that they have is refused.
        with contextlib.suppress(OSError):
            before = self.stamp() or 0
            flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            os.close(os.open(self._marker, flags, 0o600))
            now = max(time.time_ns(), before + _TICK)
            os.utime(self._marker, ns=(now, now))

    async def _locked(self) -> filelock.BaseFileLock:
        ends = time.monotonic() + LOCK_TIMEOUT
        try:
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = filelock.FileLock(self._lock, mode=0o600, thread_local=False)
            while time.monotonic() < ends:
                with contextlib.suppress(filelock.Timeout):
                    lock.acquire(blocking=False)
                    return lock
                await asyncio.sleep(_POLL)
        except (OSError, NotImplementedError) as failure:
            # NotImplementedError: an older filelock, on a file system without locks.
            why = getattr(failure, "strerror", None) or "no locks on this file system"
            raise StorageError(f"{self._lock} cannot be locked: {why}. Check who owns its folder.") from None
        raise StorageError(
            f"Another program has been renewing this sign-in for {LOCK_TIMEOUT:.0f} s. Try again, or end it."
        )


class Exclusive:
    """What only the holder of the lock may do."""

    def __init__(self, store: SharedStore, storage: TokenStorage) -> None:
        self._store = store
        self._storage = storage

    async def save(self, tokens: TokenSet) -> None:
        """Store the token set, and tell the others.

        Raises:
            StorageError: it cannot be stored in time; the last one stands.
        """
        await self._store.calls.run(lambda: self._storage.save(tokens))
        self._store.changed()

    async def delete(self) -> None:
        """Store none, and tell the others.

        Raises:
            StorageError: it cannot be deleted in time.
        """
        await self._store.calls.run(self._storage.delete)
        self._store.changed()


def _fingerprint(token: str) -> bytes:
    return hashlib.sha256(token.encode()).hexdigest()[:16].encode()
