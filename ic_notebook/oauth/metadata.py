"""Where a server's endpoints are: the service's published paths, or RFC 8414 metadata."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from ic_notebook.errors import ConfigurationError, UnexpectedAnswer
from ic_notebook.oauth.answers import json_object, refused, visible
from ic_notebook.oauth.flow import Flow, Repeat, request

SERVICE = "https://api-dashboard.influencers.club"
SERVICE_SIGN_IN_HOST = "dashboard.influencers.club"
SERVICE_SCOPE = "all"
_PREFIX = "/public/v1"


@dataclass(frozen=True, kw_only=True)
class ServerMetadata:
    """An authorization server and the API behind it (field names of RFC 8414 §2).

    Attributes:
        issuer: the server's identifier: what was announced, else the base URL.
        base_url: origin (and path) of the API calls.
        connected_apps_endpoint: the service's list of connected apps, or None.
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
    announced: bool = False

    @property
    def scope(self) -> str | None:
        """The scope to ask for where nobody names one."""
        if not self.announced:
            return SERVICE_SCOPE
        return " ".join(self.scopes_supported) if self.scopes_supported else None

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


def is_loopback(host: str | None) -> bool:
    """Whether a host name can only mean this computer (RFC 8252 §7.3, §8.3)."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


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

    Raises:
        ConfigurationError: for a base URL that tokens must not go to.
        UnexpectedAnswer: where there is no metadata, or it is not this server's own (§3.3).
        ServiceUnavailable: 429 and 5xx.
    """
    base = checked_base_url(base_url)
    url = urlsplit(base)
    well_known = f"{url.scheme}://{url.netloc}/.well-known/oauth-authorization-server{url.path}"
    response = yield request("GET", well_known, repeat=Repeat.IF_LOST)
    what = "Reading the server's metadata"
    if response.status_code in {404, 405, 410}:
        raise UnexpectedAnswer(
            f"{what}: {url.netloc} publishes none (RFC 8414). Connect without discover=True to use the "
            "service's published paths."
        )
    if response.status_code != 200:
        refused(response, what=what)
    return parse_metadata(json_object(response, what=what), base_url=base)


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
    scopes = document.get("scopes_supported")
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
