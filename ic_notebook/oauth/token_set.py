"""TokenSet: what a token endpoint gave (RFC 6749 §5.1), and the form in which it is stored."""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ic_notebook.errors import StorageError
from ic_notebook.oauth.answers import visible
from ic_notebook.oauth.secret import Secret

LEEWAY = 60.0
FORMAT = 1
"""The number that every stored token set carries."""
MAX_LIFETIME = 315_360_000.0
"""Seconds (ten years): a lifetime that is longer is taken for this one."""


@dataclass(frozen=True, kw_only=True)
class TokenSet:
    """What a token endpoint gave (RFC 6749 §5.1).

    Attributes:
        access_token: the Bearer credential, opaque.
        refresh_token: what renews it, or None.
        lifetime: seconds from `obtained_at` until the access token ends, or None where it is not known.
        obtained_at: seconds since the epoch, by this computer's clock.
        scope: the granted scope, or None where the server named none.
        client_id: the client that it was issued to.
        client_name: the name under which that client registered, or "".
        issuer: the authorization server that issued it; it is of use at no other.
        signed_in_at: seconds since the epoch when the person approved, or None where it is not known.
        extra: what another version of this package stored beside it, kept as it is.
    """

    access_token: Secret = field(repr=False)
    refresh_token: Secret | None = field(default=None, repr=False)
    lifetime: float | None = None
    obtained_at: float = 0.0
    scope: str | None = None
    client_id: str = ""
    client_name: str = ""
    issuer: str = ""
    signed_in_at: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def expired(self, *, age: float) -> bool:
        """Whether it has ended, `age` seconds after it was obtained."""
        return self.lifetime is not None and age >= self.lifetime

    @functools.cached_property
    def due_at_age(self) -> float:
        """Seconds after it was obtained to renew it: a minute before its end, less for a short-lived one."""
        return math.inf if self.lifetime is None else self.lifetime - min(LEEWAY, self.lifetime / 10)

    def to_json(self) -> str:
        """The token set as text, tokens included, for a place that keeps secrets."""
        document = dict(self.extra)
        for name in _STORED:
            value = getattr(self, name)
            document[name] = str(value) if isinstance(value, str) else value
        return json.dumps({**document, "format": FORMAT}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> TokenSet:
        """The token set in what `to_json` gave.

        Raises:
            StorageError: it is none, or a newer version of this package wrote it.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise StorageError(_DAMAGED)
        written_by = document.pop("format", None)
        if not isinstance(written_by, int) or written_by > FORMAT:
            raise StorageError("The stored sign-in was written by a newer ic_notebook. Upgrade this one.")
        fields = {name: document.pop(name, None) for name in _STORED}
        access_token = visible(fields["access_token"])
        if access_token is None:
            raise StorageError(_DAMAGED)
        refresh_token = visible(fields["refresh_token"])
        scope = fields["scope"]
        return cls(
            access_token=Secret(access_token),
            refresh_token=Secret(refresh_token) if refresh_token else None,
            lifetime=_seconds(fields["lifetime"]),
            obtained_at=_seconds(fields["obtained_at"]) or 0.0,
            scope=scope if isinstance(scope, str) else None,
            client_id=visible(fields["client_id"]) or "",
            client_name=_text(fields["client_name"]),
            issuer=_text(fields["issuer"]),
            signed_in_at=_seconds(fields["signed_in_at"]),
            extra=document,
        )


_STORED = (
    "access_token",
    "refresh_token",
    "lifetime",
    "obtained_at",
    "scope",
    "client_id",
    "client_name",
    "issuer",
    "signed_in_at",
)
_DAMAGED = "The stored sign-in cannot be read. Connect again."


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        seconds = float(value)
    except OverflowError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
