"""Proof Key for Code Exchange (RFC 7636), method S256 only."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable

from ic_notebook.oauth.secret import Secret

CODE_CHALLENGE_METHOD = "S256"


def new_code_verifier(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> Secret:
    """A code verifier of 43 characters with 256 bits of chance (RFC 7636 §4.1)."""
    return Secret(_base64url(random_bytes(32)))


def code_challenge(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 §4.2)."""
    return _base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")
