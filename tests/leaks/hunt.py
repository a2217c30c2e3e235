"""Looks for secrets in files: each in every form in which it could have got there."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Hit:
    """A secret that was found: which, in which form, and where."""

    secret: str
    form: str
    place: str


def forms(secret: str) -> dict[str, set[bytes]]:
    """Every form of a secret, all of it in ASCII; escaping for JSON or HTML leaves such a one as it is."""
    raw = secret.encode()
    assert len(raw) >= 16, "too short to be told from chance"
    assert raw.isalnum() or not set(raw) & set(b"\"'<>&\\"), "an escape would change it"
    return {
        "plain": {raw, quote(secret, safe="").encode()},
        "percent": {"".join(f"%{octet:02{case}}" for octet in raw).encode() for case in "xX"},
        "hex": {raw.hex().encode(), raw.hex().upper().encode()},
        "UTF-16": {secret.encode("utf-16-le")},
        "base64": {piece for start in range(3) for piece in _base64(raw, start)},
    }


def _base64(raw: bytes, start: int) -> Iterable[bytes]:
    """What of the base64 of any text that holds it does not depend on what is around it, at one alignment."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        text = encode(b"\0" * start + raw)
        first = -(-start * 8 // 6)
        yield text[first : (start + len(raw)) * 8 // 6]


def hunt(secrets: Mapping[str, str], places: Mapping[str, bytes]) -> list[Hit]:
    """Every secret in every place."""
    return [
        Hit(name, form, place)
        for name, secret in secrets.items()
        for form, pieces in forms(secret).items()
        for place, content in places.items()
        if any(piece in content for piece in pieces)
    ]


def files_below(folder: Path) -> dict[str, bytes]:
    """The content of every file below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
