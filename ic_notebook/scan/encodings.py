"""Finds one known secret in bytes, in whatever encoding it got there.

Plain; percent-encoded (RFC 3986 §2.1); escaped for JSON or HTML, any number of times; base64 (RFC 4648 §4,
§5) at each of the three alignments. Markup and terminal colours may stand between its characters.

A run of letters and digits stays what it is in every encoding but base64: it is looked for first, which is
fast, and only where it stands the pattern is tried.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from ic_notebook.scan.finding import PLACEHOLDER

BACKSLASHES = rb"\\{0,63}"
COLOUR = rb"\\{0,63}(?:\x1b|(?i:u001b|x1b)|033)\[[0-9;]{0,24}m"
"""An ANSI colour, as a traceback in a notebook has them."""
TAG = rb"<[^<>]{0,200}>"
SEAM = rb'\\{1,63}n",\s{0,80}"'
"""From one line of a multi-line string of a notebook to the next."""
_MARKUP = TAG + rb"|" + COLOUR
_MARKUP_OR_BREAK = _MARKUP + rb"|" + SEAM + rb"|\\{1,63}[rn]|\s"

_ALPHABET = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_ENTITIES = {
    "&": "amp",
    "<": "lt",
    ">": "gt",
    '"': "quot",
    "'": "apos",
    "+": "plus",
    "/": "sol",
    "=": "equals",
}
_RUN = re.compile(r"[A-Za-z0-9]{6,}")
_ANCHOR = 24
_LINE = 60
"""Characters of base64 that hold one line break at most: lines are 64 or 76 long."""
_BYTES_EACH = 12
"""Bytes that an escaped character takes at most, or nearly so; with markup it may be more."""
_ROOM = 300


@dataclass(frozen=True, kw_only=True)
class Form:
    """One way in which a secret can stand in a file.

    Attributes:
        anchors: pieces of it that are there unchanged; none where it has no such piece.
        source: the pattern of the whole of it.
        reach: how many bytes around an anchor it takes up at most.
        kept: what may stand between its characters, and stays when they go.
        masks: for base64, what each character becomes when the secret's bits are taken out of it.
    """

    anchors: tuple[bytes, ...] = field(repr=False)
    source: bytes = field(repr=False)
    reach: int
    kept: re.Pattern[bytes] = field(repr=False)
    masks: tuple[int, ...] = field(default=(), repr=False)

    @cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """The pattern, made when an anchor has been seen: that of a long token takes a second."""
        return re.compile(self.source)

    @property
    def is_base64(self) -> bool:
        """Whether it is the base64 form at one alignment."""
        return bool(self.masks)

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        """Where it stands."""
        if not self.anchors:
            yield from (match.span() for match in self.pattern.finditer(text))
            return
        for anchor in self.anchors:
            at = text.find(anchor)
            while at >= 0:
                span = self._around(text, at)
                if span is not None:
                    yield span
                at = text.find(anchor, at + 1 if span is None else span[1])

    def replacement(self, found: bytes) -> bytes:
        """What takes the place of `found`: markup, line breaks and the neighbours' bits of base64 stay."""
        if not self.is_base64:
            return PLACEHOLDER + b"".join(self.kept.findall(found))
        pieces, at = [], 0
        for mask in self.masks:
            kept = self.kept.match(found, at)
            while kept:
                pieces.append(kept[0])
                at = kept.end()
                kept = self.kept.match(found, at)
            unit = _UNIT.match(found, at)
            if unit is None:
                break
            at = unit.end()
            pieces.append(_masked(unit[0], mask))
        return b"".join(pieces)

    def _around(self, text: bytes, anchor: int) -> tuple[int, int] | None:
        begin, end = max(0, anchor - self.reach), anchor + self.reach
        match = self.pattern.search(text, begin, end)
        while match and match.start() <= anchor:
            if anchor < match.end():
                return match.span()
            match = self.pattern.search(text, match.start() + 1, end)
        return None


def forms_of(secret: str) -> list[Form]:
    """Every form in which to look for a secret of visible ASCII characters."""
    runs = sorted(_RUN.findall(secret), key=len)
    # Of a secret with an angle bracket, what looks like markup may be a part.
    between = COLOUR if "<" in secret else _MARKUP
    plain = Form(
        anchors=tuple(run.encode() for run in runs[-1:]),
        source=_pattern([_escaped_first(secret[0]), *map(_escaped, secret[1:])], between),
        kept=re.compile(between),
        reach=_BYTES_EACH * len(secret) + _ROOM,
    )
    return [plain, *(_base64_form(secret.encode(), before) for before in range(3))]


def _base64_form(secret: bytes, before: int) -> Form:
    """The form where the secret begins `before` bytes after a multiple of three."""
    bits = "." * (8 * before) + "".join(f"{byte:08b}" for byte in secret)
    bits += "." * (-len(bits) % 6)
    sextets = [bits[at : at + 6] for at in range(0, len(bits), 6)]
    sextets = [sextet for sextet in sextets if sextet != "......"]
    choices = [_choices(sextet) for sextet in sextets]
    sure = "".join(choice if len(choice) == 1 else " " for choice in choices)
    runs = [run for run in _RUN.findall(sure[:_LINE]) if len(run) >= 8] or _RUN.findall(sure)[:1]
    return Form(
        anchors=_two_of(runs),
        source=_pattern([_any_of(choice) for choice in choices], _MARKUP_OR_BREAK),
        kept=re.compile(_MARKUP_OR_BREAK),
        reach=_BYTES_EACH * len(choices) + _ROOM,
        masks=tuple(int("".join("1" if bit == "." else "0" for bit in sextet), 2) for sextet in sextets),
    )


def _choices(sextet: str) -> str:
    """The characters of base64 that agree with these bits, of which a dot may be either."""
    pattern = re.compile(sextet.replace(".", "[01]"))
    return "".join(char for value, char in enumerate(_ALPHABET) if pattern.fullmatch(f"{value:06b}"))


def _two_of(runs: list[str]) -> tuple[bytes, ...]:
    """Two pieces apart from each other, so that one of them is whole where a line ends within."""
    pieces = [
        run[at : at + _ANCHOR] for run in runs for at in range(0, len(run), _ANCHOR) if len(run) - at >= 8
    ]
    if len(pieces) == 1 and len(pieces[0]) >= 16:
        half = len(pieces[0]) // 2
        pieces = [pieces[0][:half], pieces[0][half:]]
    chosen = sorted(pieces, key=len)[-2:] if pieces else runs[:1]
    return tuple(piece.encode() for piece in chosen)


def _pattern(positions: Sequence[Sequence[bytes]], between: bytes) -> bytes:
    ones = [forms[0] if len(forms) == 1 else b"(?:" + b"|".join(forms) + b")" for forms in positions]
    return (b"(?:" + between + b"){0,12}").join(ones)


def _any_of(choice: str) -> list[bytes]:
    """The forms of one position of base64; `-` and `_` are never escaped."""
    safe = "".join(char for char in choice if char.isalnum())
    safe += ("-" if "+" in choice else "") + ("_" if "/" in choice else "")
    return [
        f"[{re.escape(safe)}]".encode(),
        *(form for char in "+/" if char in choice for form in _escaped(char)),
    ]


def _escaped_first(char: str) -> list[bytes]:
    """As `_escaped`, but a backslash before it stands for itself, unless this character needs one."""
    forms = _escaped(char)
    return forms if char in "\"'/\\" else [*forms[:-1], re.escape(char).encode()]


def _escaped(char: str) -> list[bytes]:
    if char.isalnum():
        return [char.encode()]
    code = ord(char)
    hexed = f"(?i:{code:02x})".encode()
    named = f"{_ENTITIES[char]}|".encode() if char in _ENTITIES else b""
    # Plain last: a percent sign or an ampersand is also the beginning of its own escape.
    return [
        rb"%(?:25){0,4}" + hexed,
        rb"\\{1,63}(?:u00|x)" + hexed,
        BACKSLASHES
        + b"&(?:amp;){0,4}(?:"
        + named
        + f"#0{{0,4}}{code}|#[xX]0{{0,4}}".encode()
        + hexed
        + b");",
        rb"\\{1,63}" if char == "\\" else BACKSLASHES + re.escape(char).encode(),
    ]


_UNIT = re.compile(b"[A-Za-z0-9]|" + b"|".join(form for char in "+/-_" for form in _escaped(char)))


def _masked(unit: bytes, mask: int) -> bytes:
    value = _ALPHABET.find(unit.decode().replace("-", "+").replace("_", "/")) if len(unit) == 1 else 0
    masked = _ALPHABET[value & mask].encode()
    return unit if masked == unit.replace(b"-", b"+").replace(b"_", b"/") else masked
