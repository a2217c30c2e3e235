"""Routes: the ways by which a browser brings the authorization response back, and their redirect URIs.

The page that shows the panel tries them and tells which reached the kernel; nothing else is offered as one
click. Where none did, the loopback redirect URI stays: its address is what a person copies and pastes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

PORTS = (21873, 23417, 25931, 26783, 28219, 29347, 30671, 31957)
"""The loopback ports that are registered together; the first free one is used."""
PATH = "/callback"
CALLBACK = "ic-notebook/callback"
"""Where the server extension takes the redirect, below the Jupyter server's base URL."""

LOOPBACK = "loopback"
EXTENSION = "extension"
PAGE = "page"
SERVER_PROXY = "server-proxy"
HOSTED = "hosted"
ORDER = (LOOPBACK, EXTENSION, PAGE, SERVER_PROXY, HOSTED)
"""Every route, the best first."""
_HOSTS = ("127.0.0.1", "localhost")
_ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_BASE_URL = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@%-]+/)*")
_REASON = re.compile(r"[a-z][a-z0-9 -]{0,40}")
_MAX = 2_048


@dataclass(frozen=True, kw_only=True)
class Route:
    """One way back.

    Attributes:
        name: one of `ORDER`.
        redirect_uris: what is registered together: one for each port of the pool, or one for all.
        elsewhere: the same by another name, for a server that refuses the first.
        proven: whether the page has reached the kernel by it.
        start: where a browser begins, for a proxy that lets only pages of its own pass; None for all others.
    """

    name: str
    redirect_uris: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()
    proven: bool = False
    start: str | None = None

    @property
    def application_type(self) -> str:
        """What the client registers as (OpenID Connect Dynamic Client Registration §2)."""
        return "native" if self.name == LOOPBACK else "web"

    @property
    def keeps_host(self) -> bool:
        """Whether a redirect reaches the listener with the `Host` that the browser asked for."""
        return self.name in {SERVER_PROXY, HOSTED}

    def redirect_uri(self, registered: Sequence[str], place: int) -> str:
        """That of the registered redirect URIs by which the port at this place of the pool is reached."""
        return registered[place if len(registered) > 1 else 0]

    @property
    def host(self) -> str:
        """Host and port that the browser comes back to."""
        return urlsplit(self.redirect_uris[0]).netloc


def redirect_uris(host: str = _HOSTS[0], *, ports: Sequence[int] = PORTS) -> tuple[str, ...]:
    """The redirect URIs of a pool of ports, to be registered together."""
    return tuple(f"http://{host}:{port}{PATH}" for port in ports)


def loopback(ports: Sequence[int] = PORTS, *, proven: bool = False) -> Route:
    """Straight to the listener: browser and kernel are on one computer (RFC 8252 §7.3)."""
    first, second = (redirect_uris(host, ports=ports) for host in _HOSTS)
    return Route(name=LOOPBACK, redirect_uris=first, elsewhere=second, proven=proven)


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of one route: whether it reached the kernel, else why not, in a word or two."""

    name: str
    reached: bool
    why: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {'works' if self.reached else self.why or 'no answer'}"


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a page has found out about the routes from where it is.

    Attributes:
        tried: in the order in which the page tried them.
        origin: of the page; None where it has none that a browser could come back to.
    """

    tried: tuple[Tried, ...] = ()
    origin: str | None = None
    _base_url: str | None = field(default=None, repr=False)
    _hosted: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, message: dict[str, Any]) -> Findings:
        """Read a page's message; whatever in it cannot be what it should be counts as not there."""
        origin, base_url, hosted = (
            _matching(pattern, message.get(key))
            for pattern, key in ((_ORIGIN, "origin"), (_BASE_URL, "base_url"), (_ORIGIN, "hosted"))
        )
        if base_url is not None and ".." in base_url.split("/"):
            base_url = None
        entries = message.get("tried")
        tried = [_tried(entry) for entry in entries[:20]] if isinstance(entries, list) else []
        return cls(
            tried=tuple(entry for entry in tried if entry is not None),
            origin=origin,
            _base_url=base_url,
            _hosted=hosted,
        )

    @property
    def reached(self) -> bool:
        """Whether the page reaches the kernel over HTTP, by whichever way."""
        return any(entry.reached and entry.name != PAGE for entry in self.tried)

    def why_not(self, name: str) -> str | None:
        """Why a route was found not to work; None where it works or was not tried."""
        return next((entry.why for entry in self.tried if entry.name == name and not entry.reached), None)

    def best(self, ports: Sequence[int], port: int | None, *, but: Collection[str] = ()) -> Route | None:
        """The best of the routes that reached the kernel, or None.

        Args:
            ports: the pool, which is registered together.
            port: the one that is listened on, in the pool or not; None where none is.
            but: routes that are of no use.
        """
        reached = {entry.name for entry in self.tried if entry.reached}.difference(but)
        routes = (self._route(name, ports, port) for name in ORDER if name in reached)
        return next((route for route in routes if route is not None), None)

    def _route(self, name: str, ports: Sequence[int], port: int | None) -> Route | None:
        if name in {LOOPBACK, SERVER_PROXY} and port not in ports:
            return None  # such a port is not among those that are registered
        if name == LOOPBACK:
            return loopback(ports, proven=True)
        if name == HOSTED:
            return self._hosted_route(port)
        if self.origin is None or self._base_url is None:
            return None
        base = f"{self.origin}{self._base_url}"
        if name == SERVER_PROXY:
            uris = tuple(f"{base}proxy/{each}{PATH}" for each in ports)
        else:
            uris = (f"{base}{CALLBACK}",)
        return Route(name=name, redirect_uris=uris, proven=True)

    def _hosted_route(self, port: int | None) -> Route | None:
        if self._hosted is None or port is None:
            return None
        # Such a proxy gives each port a host name of its own, so there is no pool to register.
        return Route(name=HOSTED, redirect_uris=(f"{self._hosted}{PATH}",), proven=True, start=self._hosted)


def _tried(entry: Any) -> Tried | None:
    if not isinstance(entry, dict) or entry.get("name") not in ORDER:
        return None
    why = _matching(_REASON, entry.get("why")) or ""
    return Tried(name=entry["name"], reached=entry.get("ok") is True, why=why)


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and len(value) <= _MAX and pattern.fullmatch(value) else None
