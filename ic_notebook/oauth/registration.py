"""Dynamic client registration (RFC 7591)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from ic_notebook.errors import ConfigurationError, UnexpectedAnswer
from ic_notebook.oauth.answers import host_of, json_object, refused, visible
from ic_notebook.oauth.flow import Flow, Repeat, request


@dataclass(frozen=True, kw_only=True)
class ClientMetadata:
    """What a client says of itself when it registers (RFC 7591 §2): a public, native client with PKCE."""

    client_name: str
    redirect_uris: tuple[str, ...]
    scope: str | None = None
    application_type: str = "native"

    def to_json(self) -> dict[str, Any]:
        """The body of the registration request."""
        body = {
            "client_name": self.client_name,
            "redirect_uris": list(self.redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": self.application_type,
        }
        return body | ({"scope": self.scope} if self.scope else {})


@dataclass(frozen=True, kw_only=True)
class ClientInformation:
    """A registered client (RFC 7591 §3.2.1): its identifier and what it registered with, nothing secret."""

    client_id: str
    client_name: str
    redirect_uris: tuple[str, ...]
    scope: str | None = None


_CLOSED = {401, 404, 405}


def closed(host: str, redirect_uris: Sequence[str]) -> ConfigurationError:
    """What to tell a person where no program can register: which client to ask for, and where to give it."""
    urls = [urlsplit(uri) for uri in redirect_uris]
    which = f"the redirect URI {redirect_uris[0]}"
    if len(urls) > 1:
        ports = ", ".join(str(url.port) for url in urls)
        first = urls[0]
        which = f"the redirect URIs {first.scheme}://{first.hostname}:PORT{first.path} for the ports {ports}"
    return ConfigurationError(
        f"{host} lets no program register by itself (RFC 7591). Check IC_BASE_URL; where it is right, ask "
        f"whoever runs it for a public client with {which}, and connect with client_id=…."
    )


def register(registration_endpoint: str, client: ClientMetadata) -> Flow[ClientInformation]:
    """Register a public client.

    Raises:
        ConfigurationError: the server registers nobody who has no permission of it.
        OAuthError: `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2).
        UnexpectedAnswer: a success without a usable `client_id`.
        ServiceUnavailable: 429 and 5xx.
    """
    response = yield request("POST", registration_endpoint, repeat=Repeat.IF_REFUSED, json=client.to_json())
    return parse_registration(response, client=client)


def parse_registration(response: httpx.Response, *, client: ClientMetadata) -> ClientInformation:
    """The registered client. Only `client_id` is read: a secret, where one is sent, is not ours to keep."""
    what = "Registering this program"
    if response.status_code in _CLOSED:
        raise closed(host_of(response), client.redirect_uris)
    if response.status_code not in {200, 201}:
        refused(response, what=what)
    client_id = visible(json_object(response, what=what).get("client_id"))
    if client_id is None:
        raise UnexpectedAnswer(f"{what}: the answer has no usable client_id (RFC 7591 §3.2.1).")
    return ClientInformation(
        client_id=client_id,
        client_name=client.client_name,
        redirect_uris=client.redirect_uris,
        scope=client.scope,
    )
