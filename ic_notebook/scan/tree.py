"""Which files are scanned, and reading them: regular ones alone, of a bounded size, never through a link."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ic_notebook.scan.finding import Unscanned

MAX_BYTES = 100 * 1024 * 1024
NOT_ENTERED = {
    ".git",
    ".hg",
    ".svn",
    "__pycache__",
    "node_modules",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}
_ENVIRONMENT = ("pyvenv.cfg", "conda-meta")
_TEXT = {
    ".ipynb",
    ".html",
    ".htm",
    ".py",
    ".md",
    ".txt",
    ".env",
    ".json",
    ".yaml",
    ".yml",
    ".toml",
    ".sh",
    ".r",
}
_BOMS = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SNIFFED = 8_192


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds.

    Attributes:
        text: as UTF-8 where the file is UTF-16, else its bytes as they are, whatever they are.
        codec: what turns it back into the file's bytes, or None where it is them.
        digest: by which the file is known again.
    """

    text: bytes = field(repr=False)
    codec: str | None
    digest: bytes = field(repr=False)

    def in_file(self, text: bytes) -> bytes:
        """A changed text as the file's bytes."""
        return (
            text
            if self.codec is None
            else text.decode("utf-8", "surrogatepass").encode(self.codec, "surrogatepass")
        )


class NotScanned(Exception):
    """Why a file was not scanned."""


class NoText(NotScanned):
    """Nobody expects anything of it."""


class TooLarge(NotScanned):
    """It is larger than what is taken into memory."""


def files_under(paths: Sequence[Path]) -> Iterator[Path | Unscanned]:
    """The regular files that are named, or in folders that are named, each once, in a steady order.

    A named notebook brings its checkpoint: Jupyter keeps that copy in a folder that few look into. Links are
    followed only where a person named them. Environments, caches and the history of git are left out.
    """
    seen: set[Path] = set()
    for path in paths:
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as failure:
            why = (
                "there is no such file or folder" if isinstance(failure, FileNotFoundError) else _why(failure)
            )
            yield Unscanned(path=path, why=why)
            continue
        if stat.S_ISDIR(mode):
            found: Iterator[Path | Unscanned] = _walk(path)
        elif stat.S_ISREG(mode):
            found = iter([path, *_checkpoint(path)])
        else:
            found = iter([Unscanned(path=path, why="it is neither a file nor a folder")])
        for each in found:
            if isinstance(each, Unscanned):
                yield each
            elif (real := each.resolve()) not in seen:
                seen.add(real)
                yield each


def content_of(path: Path) -> Content:
    """What a file holds.

    Raises:
        NotScanned: it cannot be read, is too large, or is not text.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    )
    try:
        descriptor = os.open(path, flags)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise NoText("it is neither a file nor a folder")
            if status.st_size > MAX_BYTES:
                raise TooLarge(f"it is larger than {MAX_BYTES // 1024**2} MB")
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as failure:
        raise NotScanned(_why(failure)) from None
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"it is larger than {MAX_BYTES // 1024**2} MB")
    return _content(raw, text=path.suffix.lower() in _TEXT or path.name.startswith(".env"))


def _content(raw: bytes, *, text: bool) -> Content:
    digest = hashlib.blake2b(raw, digest_size=16).digest()
    codec = _BOMS.get(raw[:2])
    if codec is not None and (decoded := _as_utf8(raw, codec)) is not None:
        return Content(text=decoded, codec=codec, digest=digest)
    if not text and b"\0" in raw[:_SNIFFED]:
        raise NoText("it is no text")
    return Content(text=raw, codec=None, digest=digest)


def _as_utf8(raw: bytes, codec: str) -> bytes | None:
    try:
        decoded = raw.decode(codec, "surrogatepass").encode("utf-8", "surrogatepass")
    except UnicodeError:
        return None
    return decoded


def _walk(folder: Path) -> Iterator[Path | Unscanned]:
    folders = [folder]
    while folders:
        here = folders.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as failure:
            yield Unscanned(path=here, why=_why(failure))
            continue
        if here != folder and any(entry.name in _ENVIRONMENT for entry in entries):
            continue
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
        folders += [
            Path(entry.path)
            for entry in reversed(entries)
            if entry.is_dir(follow_symlinks=False) and entry.name not in NOT_ENTERED
        ]


def _checkpoint(path: Path) -> list[Path]:
    copy = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint{path.suffix}"
    is_copy = path.suffix == ".ipynb" and copy.is_file() and not copy.is_symlink()
    return [copy] if is_copy else []


def _why(failure: OSError | ValueError) -> str:
    return f"it cannot be read ({getattr(failure, 'strerror', None) or 'its name cannot be used'})"
