"""Where a server's endpoints are: the service's published paths, or what it announces (RFC 8414)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from ic_notebook.errors import ConfigurationError, UnexpectedAnswer
from ic_notebook.oauth.answers import json_object, refused, visible
from ic_notebook.oauth.flow import Flow, Repeat, request
from ic_notebook.oauth.loopback import is_loopback

SERVICE = "https://api-dashboard.influencers.club"
SERVICE_SIGN_IN_HOST = "dashboard.influencers.club"
SERVICE_SCOPE = "all"
_PREFIX = "/public/v1"
_NOT_THERE = {400, 404, 405, 406, 410}
"""What servers answer for a path that they do not know; a 401 or 403 may stand for the whole host."""


@dataclass(frozen=True, kw_only=True)
class ServerMetadata:
    """An authorization server and the API behind it (field names of RFC 8414 §2).

    Attributes:
        issuer: the server's identifier: what was announced, else the base URL.
        base_url: origin (and path) of the API calls.
        connected_apps_endpoint: the service's list of connected apps, or None.
        token_endpoint_auth_methods_supported: how clients may prove themselves, or None where it is not said.
        announced: True where the server itself published this (RFC 8414).
    """

    issuer: str
    base_url: str
    authorization_endpoint: str
    token_endpoint: str
    registration_endpoint: str | None = None
    revocation_endpoint: str | None = None
    connected_apps_endpoint: str | None = None
    scopes_supported: tuple[str, ...] | None = None
    authorization_response_iss_parameter_supported: bool = False
    token_endpoint_auth_methods_supported: tuple[str, ...] | None = None
    announced: bool = False

    @property
    def scope(self) -> str | None:
        """The scope to ask for where nobody names one."""
        if not self.announced:
            return SERVICE_SCOPE
        return " ".join(self.scopes_supported) if self.scopes_supported else None

    @property
    def refuses_public_clients(self) -> bool:
        """Whether it says that every client needs a secret; to say nothing is not to say so (RFC 8414 §2)."""
        methods = self.token_endpoint_auth_methods_supported
        return methods is not None and "none" not in methods

    @property
    def sign_in_host(self) -> str:
        """The host on which a person will approve, as far as it is known."""
        if self.base_url == SERVICE:
            return SERVICE_SIGN_IN_HOST
        return urlsplit(self.authorization_endpoint).netloc

    @property
    def host(self) -> str:
        """Host and port of the API."""
        return urlsplit(self.base_url).netloc


def checked_base_url(base_url: str) -> str:
    """`base_url` without a trailing slash.

    Raises:
        ConfigurationError: unless it is https, or http on a loopback address, with nothing behind its path.
    """
    url = _split(base_url.strip())
    if url is None or url.query:
        raise ConfigurationError(
            "The base URL must look like https://api.example.com (http only for this computer itself, such "
            "as http://127.0.0.1:8000), without user name, query or fragment. Check IC_BASE_URL, or base_url."
        )
    return f"{url.scheme}://{url.netloc.lower()}{url.path}".rstrip("/")


def service_metadata(base_url: str = SERVICE) -> ServerMetadata:
    """The service's published endpoints under `base_url`.

    Raises:
        ConfigurationError: for a base URL that tokens must not go to.
    """
    base = checked_base_url(base_url)
    oauth = f"{base}{_PREFIX}/oauth"
    return ServerMetadata(
        issuer=base,
        base_url=base,
        authorization_endpoint=f"{oauth}/authorize/",
        token_endpoint=f"{oauth}/token/",
        registration_endpoint=f"{oauth}/register/",
        connected_apps_endpoint=f"{oauth}/apps/",
    )


def discover(base_url: str) -> Flow[ServerMetadata]:
    """Read what the server announces of itself (RFC 8414 §3).

    Where it announces nothing there, the places of OpenID Connect Discovery are asked (RFC 8414 §5).

    Raises:
        ConfigurationError: for a base URL that tokens must not go to.
        UnexpectedAnswer: where there is no metadata, or it is not this server's own (§3.3).
        ServiceUnavailable: 429 and 5xx.
    """
    base = checked_base_url(base_url)
    what = "Reading the server's metadata"
    for well_known in _well_known(base):
        response = yield request("GET", well_known, repeat=Repeat.IF_LOST)
        if response.status_code == 200:
            return parse_metadata(json_object(response, what=what), base_url=base)
        if response.status_code not in _NOT_THERE:
            refused(response, what=what)
    raise UnexpectedAnswer(
        f"{what}: {urlsplit(base).netloc} publishes none (RFC 8414, OpenID Connect Discovery). Connect "
        "without discover=True to use the service's published paths."
    )


def _well_known(base: str) -> list[str]:
    """Where metadata may be, each place once: RFC 8414 §3.1, §5, OpenID Connect Discovery §4."""
    url = urlsplit(base)
    root = f"{url.scheme}://{url.netloc}/.well-known"
    places = [
        f"{root}/oauth-authorization-server{url.path}",
        f"{root}/openid-configuration{url.path}",
        f"{base}/.well-known/openid-configuration",
    ]
    return list(dict.fromkeys(places))


def parse_metadata(document: dict[str, Any], *, base_url: str) -> ServerMetadata:
    """The metadata of the server at `base_url`.

    Raises:
        UnexpectedAnswer: for another issuer than `base_url`, a required endpoint that is missing, one that is
            not https, or a server without PKCE by S256.
    """
    issuer = document.get("issuer")
    if not isinstance(issuer, str) or issuer.rstrip("/") != base_url:
        raise UnexpectedAnswer(
            "The server's metadata names another issuer than the one asked (RFC 8414 §3.3): it is not used."
        )
    methods = document.get("code_challenge_methods_supported")
    if methods is not None and not (isinstance(methods, list) and "S256" in methods):
        raise UnexpectedAnswer("The server does not offer PKCE by S256, without which nobody signs in here.")
    scopes, auth_methods = (
        document.get(name) for name in ("scopes_supported", "token_endpoint_auth_methods_supported")
    )
    return ServerMetadata(
        issuer=issuer,
        base_url=base_url,
        authorization_endpoint=_required(document, "authorization_endpoint"),
        token_endpoint=_required(document, "token_endpoint"),
        registration_endpoint=_endpoint(document, "registration_endpoint"),
        revocation_endpoint=_endpoint(document, "revocation_endpoint"),
        connected_apps_endpoint=None,
        scopes_supported=tuple(filter(visible, scopes)) if isinstance(scopes, list) else None,
        authorization_response_iss_parameter_supported=(
            document.get("authorization_response_iss_parameter_supported") is True
        ),
        token_endpoint_auth_methods_supported=(
            tuple(filter(visible, auth_methods)) if isinstance(auth_methods, list) else None
        ),
        announced=True,
    )


def _required(document: dict[str, Any], name: str) -> str:
    endpoint = _endpoint(document, name)
    if endpoint is None:
        raise UnexpectedAnswer(f"The server's metadata has no {name} (RFC 8414 §2).")
    return endpoint


def _endpoint(document: dict[str, Any], name: str) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    url = _split(value) if isinstance(value, str) else None
    if url is None:
        raise UnexpectedAnswer(
            f"The server's metadata has a {name} that is not an https URL, so it is not used."
        )
    return url.geturl()


def _split(text: str) -> SplitResult | None:
    if len(text) > 2048 or not text.isascii() or not text.isprintable() or " " in text:
        return None
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
        # Two readings of one URL: where they differ on the host, neither is to be trusted with a token.
        other = httpx.URL(text)
        agreed = bool(other.host) and other.raw_host.decode("ascii") == host
    except (ValueError, httpx.InvalidURL):
        return None
    secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))
    if not host or not agreed or not secure or url.fragment or "@" in url.netloc or "\\" in text:
        return None
    return url
