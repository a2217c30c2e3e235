"""Files that are never half-written and that only their owner can read."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import filelock

from ic_notebook.errors import StorageError

LOCK_TIMEOUT = 2.0


def read_bytes(path: Path, *, at_most: int) -> bytes | None:
    """The file's content, or None where there is no file.

    Raises:
        StorageError: it cannot be read, or is longer than `at_most` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(at_most + 1)
    except FileNotFoundError:
        return None
    except OSError as failure:
        raise StorageError(f"{path} cannot be read: {failure.strerror}. Check who owns it.") from None
    if len(content) > at_most:
        raise StorageError(f"{path} is longer than {at_most} bytes, so it is not ours. Move it away.")
    return content


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file as a whole, readable by its owner alone; a link in its place is replaced, not followed.

    Raises:
        StorageError: it cannot be written; the old file stands.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
    except OSError as failure:
        raise StorageError(f"{path} cannot be written: {failure.strerror}. Check disk and owner.") from None
    finally:
        # Also where it was interrupted.
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock beside a file, against threads and processes.

    Raises:
        StorageError: it is not to be had within 2 s.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = filelock.FileLock(path.with_name(f"{path.name}.lock"), timeout=LOCK_TIMEOUT, mode=0o600)
        lock.acquire(poll_interval=0.01)
    except (OSError, filelock.Timeout, NotImplementedError):
        # NotImplementedError: an older filelock, on a file system without locks.
        raise StorageError(f"{path} is locked by another program, or its folder cannot be written.") from None
    try:
        yield
    finally:
        lock.release()
