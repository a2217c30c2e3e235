"""Which redirect URIs may be registered, and which requested one is a registered one."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::(\d{1,5}))?((?:[/?].*)?)", re.DOTALL)
_FORBIDDEN = re.compile(r"[^\x21-\x7e]|[\\\"<>^`{|}#]")


def refusal(uri: str, *, https: bool) -> str | None:
    """Why a redirect URI cannot be registered, or ``None`` if it can.

    It is absolute and has no fragment (RFC 6749 §3.1.2); it is https, or http to this computer
    (RFC 8252 §7.3, §8.3).
    """
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return "A redirect URI is a URI."
    secure = parts.scheme == "https"
    rules = (
        (not _FORBIDDEN.search(uri), "A redirect URI has no fragment, and only characters of a URI."),
        (parts.scheme in {"http", "https"} and parts.hostname, "A redirect URI is absolute, http or https."),
        ("@" not in parts.netloc and port != 0, "A redirect URI has neither user information nor port 0."),
        (secure or parts.hostname in LOOPBACK_HOSTS, "A redirect URI is https, except to a loopback host."),
        (https or not secure, "This server takes no https redirect URIs."),
    )
    return next((reason for holds, reason in rules if not holds), None)


def matches(registered: str, requested: str, *, exact_loopback_port: bool) -> bool:
    """Whether the requested redirect URI is the registered one.

    They are compared as strings (RFC 9700 §4.1.3); only the port of a loopback URI may differ
    (RFC 8252 §7.3), unless it is asked to be exact.
    """
    if registered == requested:
        return True
    ours, theirs = _LOOPBACK.fullmatch(registered), _LOOPBACK.fullmatch(requested)
    if exact_loopback_port or ours is None or theirs is None:
        return False
    if theirs[2] is not None and not 0 < int(theirs[2]) < 1 << 16:
        return False
    return (ours[1], ours[3]) == (theirs[1], theirs[3])


def destination(uri: str) -> tuple[str, bool]:
    """The host (and port) a person is sent to, and whether that is their own computer."""
    parts = urlsplit(uri)
    return parts.netloc, parts.hostname in LOOPBACK_HOSTS
