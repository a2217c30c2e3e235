"""The two grants of the token endpoint, and what the authorization request must carry.

Authlib brings the order of the checks and most of the errors; here is what it leaves to the server: where
codes and tokens live, what is demanded beyond RFC 6749, and what a repeated code or refresh token does.
Authlib is untyped, hence the ``type: ignore[misc]`` on its subclasses.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error, grants
from authlib.oauth2.rfc7636 import CodeChallenge

from ic_notebook.sandbox.records import AuthorizationCode, Client, Token
from ic_notebook.sandbox.sign_ins import REFRESH

if TYPE_CHECKING:
    from ic_notebook.sandbox.authorization_server import SandboxServer

AUTH_METHODS = ["none", "client_secret_post"]

_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_ONCE = ("response_type", "scope", "state", "code_challenge", "code_challenge_method", "prompt")


class RequiredS256(CodeChallenge):  # type: ignore[misc]
    """PKCE as OAuth 2.1 has it: no code without an S256 challenge.

    The other parameters are checked here too, because an error raised by this hook is sent to the redirect
    URI (RFC 6749 §4.1.2.1), which is known to be good by then.
    """

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def __init__(self) -> None:
        super().__init__(required=True)

    def validate_code_challenge(self, grant: Any, redirect_uri: str | None) -> None:  # noqa: ARG002 (Authlib's)
        payload = grant.request.payload
        if any(len(payload.datalist.get(name, ())) > 1 for name in _ONCE):
            raise InvalidRequestError("A parameter is given more than once.")
        if payload.response_type is None:
            raise InvalidRequestError("Missing response_type.")
        if payload.response_type != "code":
            raise OAuth2Error("This server answers with a code only.", error="unsupported_response_type")
        if payload.data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with code_challenge_method=S256 is required.")
        if not _S256_CHALLENGE.fullmatch(payload.data.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge is not a SHA-256 in base64url.")


class AuthorizationCodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc]
    """RFC 6749 §4.1: single use, bound to client, redirect URI and challenge."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    server: SandboxServer

    @classmethod
    def check_authorization_endpoint(cls, request: Any) -> bool:  # noqa: ARG003 (Authlib's signature)
        """True: a wrong ``response_type`` is told to the client by the hook above, not by a page."""
        return True

    @staticmethod
    def validate_no_multiple_request_parameter(request: Any) -> None:
        """A repeated client or redirect URI is a missing one: nobody can be redirected by it."""
        if any(len(request.payload.datalist.get(name, ())) > 1 for name in ("client_id", "redirect_uri")):
            raise InvalidRequestError("client_id or redirect_uri is given more than once.")

    @staticmethod
    def validate_authorization_redirect_uri(request: Any, client: Client) -> str:
        """The redirect URI to use; an error without one of its own is shown to the person."""
        requested = request.payload.redirect_uri
        if requested is None:
            registered = client.get_default_redirect_uri()
            if registered is None:
                raise InvalidRequestError("Missing redirect_uri.")
            return registered
        if not client.check_redirect_uri(requested):
            raise InvalidRequestError("The redirect_uri is not one that the client has registered.")
        return str(requested)

    def save_authorization_code(self, code: str, request: Any) -> None:
        store, settings = self.server.store, self.server.settings
        record = AuthorizationCode(
            family=secrets.token_hex(16),
            account=request.user,
            client_id=request.client.client_id,
            redirect_uri=request.payload.redirect_uri,
            scope=request.scope,
            code_challenge=request.payload.data["code_challenge"],
            expires_at=store.now() + settings.code_lifetime,
        )
        store.sign_ins.add_code(code, record)
        store.authorize_app(client=request.client, account=request.user, scope=request.scope)

    def query_authorization_code(self, code: str, client: Client) -> AuthorizationCode | None:
        sign_ins = self.server.store.sign_ins
        record = sign_ins.code(code)
        if record is None or record.client_id != client.client_id:
            return None
        if record.used:
            # RFC 6749 §4.1.2: a second use means that somebody else has the code too
            sign_ins.end(family=record.family)
            return None
        return record if self.server.store.now() < record.expires_at else None

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:  # noqa: ARG002
        """Kept, marked as used, so that a second use is recognised."""
        self.server.store.sign_ins.use_code(self.request.form["code"])

    def authenticate_user(self, authorization_code: AuthorizationCode) -> str:
        return authorization_code.account


class RefreshTokenGrant(grants.RefreshTokenGrant):  # type: ignore[misc]
    """RFC 6749 §6, with rotation, grace and family revocation as the settings say (RFC 9700 §4.14.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    server: SandboxServer

    @property
    def INCLUDE_NEW_REFRESH_TOKEN(self) -> bool:  # noqa: N802 (Authlib's name)
        return self.server.settings.rotation

    def authenticate_refresh_token(self, refresh_token: str) -> Token | None:
        store, settings = self.server.store, self.server.settings
        record = store.sign_ins.token(refresh_token, kind=REFRESH)
        if record is None or record.ended or not record.check_client(self.request.client):
            return None
        if record.used_at is None:
            return record
        if settings.refresh_grace > 0 and store.now() - record.used_at <= settings.refresh_grace:
            return record
        if settings.revoke_family_on_reuse:
            store.sign_ins.end(family=record.family)
        return None

    def authenticate_user(self, refresh_token: Token) -> str:
        return refresh_token.account

    def revoke_old_credential(self, refresh_token: Token) -> None:  # noqa: ARG002 (Authlib's signature)
        if self.server.settings.rotation:
            self.server.store.sign_ins.use_refresh_token(self.request.form["refresh_token"])
