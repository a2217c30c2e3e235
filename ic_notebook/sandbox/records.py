"""What the store hands out: frozen values with the methods that Authlib's server asks of its models."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ic_notebook.sandbox.database import hashed
from ic_notebook.sandbox.redirect_uris import matches
from ic_notebook.sandbox.settings import SCOPE

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Client:
    """A registered client (RFC 7591): public, or public with a secret that it may also send."""

    client_id: str
    metadata: Mapping[str, Any]
    secret_hash: str | None = field(default=None, repr=False)
    exact_loopback_port: bool = False

    @property
    def name(self) -> str:
        """The name to show to a person."""
        return str(self.metadata.get("client_name") or self.client_id)

    @property
    def redirect_uris(self) -> tuple[str, ...]:
        return tuple(self.metadata["redirect_uris"])

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """The redirect URI of a request that names none: the registered one, if there is one only."""
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return any(
            matches(registered, redirect_uri, exact_loopback_port=self.exact_loopback_port)
            for registered in self.redirect_uris
        )

    def get_allowed_scope(self, scope: str | None) -> str:
        """What is granted of the scopes asked for: those known here that the client registered."""
        registered = str(self.metadata.get("scope", "")).split()
        return SCOPE if SCOPE in (scope or "").split() and SCOPE in registered else ""

    def check_response_type(self, _response_type: str) -> bool:
        """True: the authorization request's own check answers with the RFC's error code."""
        return True

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.metadata["grant_types"]

    def check_endpoint_auth_method(self, _method: str, _endpoint: str) -> bool:
        return True

    def check_client_secret(self, client_secret: str) -> bool:
        return self.secret_hash is not None and hmac.compare_digest(self.secret_hash, hashed(client_secret))


@dataclass(frozen=True, kw_only=True)
class Consent:
    """An authorization request that waits for a person's answer."""

    id: str
    csrf_token: str = field(repr=False)
    account: str
    parameters: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AuthorizationCode:
    """A code and what it was issued for; ``family`` names the sign-in whose tokens will come from it."""

    family: str
    account: str
    client_id: str
    redirect_uri: str | None
    scope: str
    code_challenge: str = field(repr=False)
    expires_at: float
    used: bool = False
    code_challenge_method: ClassVar[str] = "S256"

    def get_redirect_uri(self) -> str | None:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope


@dataclass(frozen=True, kw_only=True)
class Token:
    """An access or a refresh token, without its value."""

    kind: str
    family: str
    account: str
    client_id: str | None
    scope: str
    expires_at: float | None = None
    used_at: float | None = None
    ended: bool = False
    expired: bool = False

    def check_client(self, client: Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def is_expired(self) -> bool:
        return self.expired

    def is_revoked(self) -> bool:
        return self.ended


@dataclass(frozen=True, kw_only=True)
class Refresh:
    """A refresh that succeeded; its tokens are named by their hashes.

    Attributes:
        at: Seconds since the epoch.
        family: The sign-in.
        refresh_token: The token that was presented.
        access_token: The access token that it was asked for in place of.
        age: How many seconds old that one was.
    """

    at: float
    family: str
    refresh_token: str
    access_token: str
    age: float


@dataclass(frozen=True, kw_only=True)
class App:
    """An app that an account has authorized: one per account and client."""

    id: int
    client_id: str
    name: str
    scope: str
    created: float
