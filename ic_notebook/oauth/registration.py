"""Dynamic client registration (RFC 7591)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from ic_notebook.errors import UnexpectedAnswer
from ic_notebook.oauth.answers import json_object, refused, visible
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


def register(registration_endpoint: str, client: ClientMetadata) -> Flow[ClientInformation]:
    """Register a public client.

    Raises:
        OAuthError: `invalid_redirect_uri` or `invalid_client_metadata` (RFC 7591 §3.2.2).
        UnexpectedAnswer: a success without a usable `client_id`.
        ServiceUnavailable: 429 and 5xx.
    """
    response = yield request("POST", registration_endpoint, repeat=Repeat.IF_REFUSED, json=client.to_json())
    return parse_registration(response, client=client)


def parse_registration(response: httpx.Response, *, client: ClientMetadata) -> ClientInformation:
    """The registered client. Only `client_id` is read: a secret, where one is sent, is not ours to keep."""
    what = "Registering this program"
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
