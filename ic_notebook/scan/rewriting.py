"""Takes what was found out of a file: every other byte stays, and the file is never half-written."""

from __future__ import annotations

import contextlib
import json
import os
import secrets as chance
import stat
from collections.abc import Sequence
from pathlib import Path

from ic_notebook.errors import StorageError
from ic_notebook.scan.finding import Found, Hit
from ic_notebook.scan.known import Known
from ic_notebook.scan.scanning import hits_in
from ic_notebook.scan.tree import NotScanned, content_of
from ic_notebook.storage.files import write_atomically

CHANGED = "it has changed since it was scanned: scan it again"
_JSON = {".ipynb", ".json"}


class NotRewritten(Exception):
    """Why a file was left as it was."""


def rewrite(found: Found, secrets: Sequence[Known]) -> None:
    """Put a placeholder in the place of every finding of a file; its mode stays.

    Raises:
        NotRewritten: it is as it was: changed meanwhile, not writable, or JSON that would have been broken.
    """
    # Where a person named a link, the file is what is meant.
    path = found.path.resolve()
    try:
        before = path.stat()
        content = content_of(path)
    except (NotScanned, OSError) as failure:
        raise NotRewritten(str(failure) if isinstance(failure, NotScanned) else CHANGED) from None
    if content.digest != found.digest:
        raise NotRewritten(CHANGED)
    text = replaced(content.text, [finding.hit for finding in found.findings])
    if path.suffix.lower() in _JSON and _is_json(content.text) and not _is_json(text):
        raise NotRewritten("it would not be JSON any more: take the secret out by hand")
    if hits_in(text, secrets):
        raise NotRewritten("a part would remain: take the secret out by hand")
    if before.st_nlink > 1:
        raise NotRewritten("it has a second name on this disk (a hard link): remove that first")
    try:
        _write(path, content.in_file(text), before)
    except StorageError:
        raise NotRewritten("its folder cannot be written") from None
    except OSError as failure:
        raise NotRewritten(f"it cannot be written ({failure.strerror})") from None


def replaced(text: bytes, hits: Sequence[Hit]) -> bytes:
    """The text with every hit replaced; they are in ascending order."""
    pieces, at = [], 0
    for hit in hits:
        pieces += [text[at : hit.start], hit.replacement]
        at = hit.end
    return b"".join([*pieces, text[at:]])


def _write(path: Path, content: bytes, before: os.stat_result) -> None:
    # Beside it, without the secret, with its mode; then in its place as a whole.
    beside = path.with_name(f".ic-notebook-{chance.token_hex(8)}")
    try:
        write_atomically(beside, content)
        if hasattr(os, "chown"):
            # Another one's file, by root: it stays theirs. Nobody else may give a file away.
            with contextlib.suppress(OSError):
                os.chown(beside, before.st_uid, before.st_gid)
        beside.chmod(stat.S_IMODE(before.st_mode))
        _see_unchanged(path, before)
        beside.replace(path)
    except BaseException:
        # Interrupted: what is beside it, also under the name that it had while it was written.
        for left in (beside, *path.parent.glob(f".{beside.name}.*")):
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)
        raise


def _see_unchanged(path: Path, before: os.stat_result) -> None:
    now = path.stat()
    if (now.st_mtime_ns, now.st_size, now.st_ino) != (before.st_mtime_ns, before.st_size, before.st_ino):
        raise NotRewritten(CHANGED)


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
