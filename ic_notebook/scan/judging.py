"""Whether a literal is a credential, or words, a placeholder, a reference."""

from __future__ import annotations

import re
import string
from itertools import pairwise

PUBLISHED = frozenset({"2YotnFZFEjr1zCsicMWpAA", "tGzv3JOkF0XG5Qx2TlKWIA", "mF_9.B5f-4.1JqM"})
"""The examples of RFC 6749 and RFC 6750, which documentation quotes."""
SHORTEST, LONGEST = 16, 4_096
_PLACEHOLDER = re.compile(
    r"x{3,}|\.{3}|\*{3}|_{4}|your|example|placeholder|change_?me|replace|insert|dummy|sample|redacted|removed"
    r"|todo|secret_?here|token_?here|key_?here|lorem|undefined",
    re.IGNORECASE,
)
_HEX = re.compile(r"[0-9a-fA-F-]+")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LETTERS = re.compile(r"[a-z]{2,}")
_PAIRS = """
th he in er an re nd at on nt ha es st en ed to it ou ea hi is or ti as te et ng of al de se le sa
si ar ve ra ld ur ro ri io ic me li ec ne ce co ma us el ta la ch om ho ll ss ee tr ot ut em no ns
un so ac wh lo ge di ie pe be ca id ai il rs wi ay ke ev im sh ow do pr po ad ir if op am ul ey ts
ly ab ag ap av ba bi bl bo br bu ci ck cl cr ct cu da du ef ei ep ex fa fe ff fi fo fr ga gh gi go
gr gu ib ig ip iv ki mb mi mo mp mu na ni nc nu ob od oi ok ol oo os ov pa pi pl pp qu ru sc sl sp
su sy tt tu tw ty ub uc ue ui um up va vi wa we wo ye cc ds dd mm nn oa og pu rc rd rk rl rm rn rt
rv sk th yp ys
"""
_COMMON = frozenset(_PAIRS.split())
"""Pairs of letters that words are made of; of random letters a third is among them."""


def is_credential(literal: str) -> bool:
    """Whether it looks made by chance, as keys and tokens are."""
    if not SHORTEST <= len(literal) <= LONGEST or literal in PUBLISHED or _PLACEHOLDER.search(literal):
        return False
    letters, digits = sum(map(str.isalpha, literal)), sum(map(str.isdigit, literal))
    if letters < 2 or len(set(literal)) < 8 or _counts_up(literal):
        return False
    if _HEX.fullmatch(literal):
        return digits >= 3
    common = _share_of_common_pairs(literal)
    if digits:
        return common <= 0.65
    # Without any digit: capitals in the middle of things, as words do not have them.
    turns = sum(a.islower() and b.isupper() for a, b in pairwise(literal))
    return len(literal) >= 20 and turns >= len(literal) / 8 and common <= 0.5


def is_identifier(literal: str) -> bool:
    """Whether it is a UUID or a digest, which say nothing of being secret unless a name beside them does."""
    return bool(_UUID.fullmatch(literal)) or bool(
        _HEX.fullmatch(literal) and len(literal) in {32, 40, 64, 128}
    )


def _share_of_common_pairs(literal: str) -> float:
    runs = _LETTERS.findall(literal.lower())
    pairs = [run[at : at + 2] for run in runs for at in range(len(run) - 1)]
    return sum(pair in _COMMON for pair in pairs) / len(pairs) if len(pairs) > 2 else 0.0


def _counts_up(literal: str) -> bool:
    """Whether it is typed along the alphabet or the digits, such as abcdef1234567890."""
    low = [char for char in literal.lower() if char in string.ascii_lowercase + string.digits]
    steps = sum(ord(b) - ord(a) == 1 or (a, b) == ("9", "0") for a, b in pairwise(low))
    return steps > len(low) / 2
