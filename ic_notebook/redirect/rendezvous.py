"""The rendezvous: a small file by which the Jupyter server's extension finds the listener of a sign-in.

It lies beside the kernel's connection file, is named by a hash of what only the two ends of that sign-in
know, and holds a port, no secret. Written by the kernel, read by the server, which may be of another version.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import stat
import sys
import time
from pathlib import Path

FORMAT = 1
PREFIX = "ic-notebook-"
MAX_SIZE = 4_096
STALE_AFTER = 86_400.0
"""Seconds after which a file that nobody took away is one that its kernel left behind."""


class Rendezvous:
    """The files of one listener.

    Args:
        folder: where the kernel's connection file is.
        port: of the listener, on 127.0.0.1.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._written: list[Path] = []
        self._process = os.getpid()

    def announce(self, key: str) -> None:
        """Let whoever knows `key` find the listener.

        Raises:
            OSError: the file cannot be written; nothing is left behind.
        """
        self._sweep()
        path = self._folder / _name_of(key)
        part = path.with_suffix(f".{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump({"format": FORMAT, "port": self._port}, file)
            part.replace(path)
        except BaseException:
            _remove(part)
            raise
        if not self._written:
            # A kernel that ends in the middle of it leaves none behind.
            atexit.register(self.withdraw)
        self._written.append(path)

    def withdraw(self) -> None:
        """Take the files away; in a forked child they are the parent's, and stay."""
        atexit.unregister(self.withdraw)
        while self._written and self._process == os.getpid():
            _remove(self._written.pop())

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            for path in self._folder.glob(f"{PREFIX}*"):
                if time.time() - path.lstat().st_mtime > STALE_AFTER:
                    _remove(path)


def find(folder: Path, key: str) -> int | None:
    """The port of the listener that `key` belongs to, or None.

    A file that is not this user's own, that others can read or write, or that is a link, counts as none.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(folder / _name_of(key), flags)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not _is_ours(os.fstat(descriptor)):
            return None
        try:
            told = json.loads(file.read(MAX_SIZE))
        except (OSError, ValueError, RecursionError):
            return None
    port = told.get("port") if isinstance(told, dict) and told.get("format") == FORMAT else None
    return port if type(port) is int and 1_024 <= port <= 65_535 else None


def _is_ours(file: os.stat_result) -> bool:
    if not stat.S_ISREG(file.st_mode):
        return False
    # Windows keeps the folder itself to its user.
    return sys.platform == "win32" or (file.st_uid == os.getuid() and not file.st_mode & 0o077)


def _name_of(key: str) -> str:
    return f"{PREFIX}{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:40]}.json"


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
