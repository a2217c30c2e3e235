"""How a text is written into one of two slots, in entries of a bounded size. No I/O.

A slot is a head and, where the text is long, further parts. The head is a JSON header, a space and the
beginning of the text; the header tells by length and SHA-256 whether the whole is there. A head of no parts
is void: its slot is being rewritten. Of two slots the one with the later sequence number is the newer.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from ic_notebook.errors import StorageError
from ic_notebook.oauth.secret import Secret

FORMAT = 1
HEAD_CHUNK, CHUNK = 1_000, 1_200
"""Characters of the text in a head and in a further part: Windows takes 1,280 an entry."""
MAX_LENGTH = 65_536
MAX_PARTS = 1 + -(-(MAX_LENGTH - HEAD_CHUNK) // CHUNK)
SEQUENCES = 2**32
"""Sequence numbers wrap around; the later of two is found by their difference (as in RFC 1982)."""


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A slot as it was read.

    Attributes:
        name: which of the two.
        head: its head, or None where there is none.
        sequence: its sequence number.
        parts: how many entries its head speaks of, itself included.
        text: the whole text, or None: there is none, it is void, or damaged.
        damaged: there is something that is not whole and not void.
    """

    name: str
    head: Secret | None = field(repr=False)
    sequence: int = 0
    parts: int = 0
    text: Secret | None = field(default=None, repr=False)
    damaged: bool = False


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a head says of its slot."""

    sequence: int
    parts: int
    length: int
    sha256: str


def entries_of(text: str, sequence: int) -> list[Secret]:
    """The entries of a slot: its head, then the further parts."""
    rest = [Secret(text[start : start + CHUNK]) for start in range(HEAD_CHUNK, len(text), CHUNK)]
    return [Secret(_head(sequence, parts=1 + len(rest), text=text) + text[:HEAD_CHUNK]), *rest]


def void_head(sequence: int) -> str:
    """The head of a slot into which the text of this sequence number is being written."""
    return _head(sequence, parts=0)


def split_head(head: str) -> tuple[Header | None, str]:
    """The header, None where it is damaged, and the beginning of the text.

    Raises:
        StorageError: a newer version of this package wrote it.
    """
    # In every format the header is a JSON object without a space and no longer than an entry.
    words, _, chunk = head.partition(" ")
    header = json_object(words) if len(words) <= CHUNK else {}
    refuse_newer(header, FORMAT)
    fields: dict[str, Any] = {name: header.get(name) for name in ("sequence", "parts", "length", "sha256")}
    whole = (
        header.get("format") == FORMAT
        and _below(fields["sequence"], SEQUENCES)
        and _below(fields["parts"], MAX_PARTS + 1)
        and _below(fields["length"], MAX_LENGTH + 1)
        and isinstance(fields["sha256"], str)
    )
    return (Header(**fields), chunk) if whole else (None, "")


def assembled(name: str, head: Secret, header: Header | None, chunks: list[str]) -> Slot:
    """The slot that these make up."""
    if header is None:
        return Slot(name=name, head=head, damaged=True)
    if header.parts == 0:
        return Slot(name=name, head=head, sequence=header.sequence)
    text = Secret("".join(chunks))
    whole = header.length == len(text) and header.sha256 == _sha256(text)
    return Slot(
        name=name,
        head=head,
        sequence=header.sequence,
        parts=header.parts,
        text=text if whole else None,
        damaged=not whole,
    )


def latest(slots: list[Slot]) -> Slot | None:
    """The whole slot with the later sequence number."""
    whole = [slot for slot in slots if slot.text is not None]
    if len(whole) < 2:
        return whole[0] if whole else None
    first, second = whole
    return second if 0 < (second.sequence - first.sequence) % SEQUENCES < SEQUENCES // 2 else first


def next_sequence(current: Slot | None) -> int:
    """The sequence number that makes a slot later than `current`."""
    return 0 if current is None else (current.sequence + 1) % SEQUENCES


def json_object(text: str) -> dict[str, Any]:
    """The JSON object in a text, empty where it holds none."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def refuse_newer(document: dict[str, Any], known: int) -> None:
    """See that a stored object is not of a later format than `known`.

    Raises:
        StorageError: it is.
    """
    written_by = document.get("format")
    if isinstance(written_by, int) and written_by > known:
        raise StorageError("The stored sign-in was written by a newer ic_notebook. Upgrade this one.")


def _head(sequence: int, *, parts: int, text: str = "") -> str:
    header = {
        "format": FORMAT,
        "sequence": sequence,
        "parts": parts,
        "length": len(text),
        "sha256": _sha256(text),
    }
    return json.dumps(header, separators=(",", ":")) + " "


def _below(value: Any, limit: int) -> bool:
    return type(value) is int and 0 <= value < limit


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
