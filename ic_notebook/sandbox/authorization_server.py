"""Authlib's authorization server, fitted to Starlette and to the store."""

from __future__ import annotations

import logging
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import AuthorizationServer, JsonPayload, JsonRequest, OAuth2Payload, OAuth2Request
from starlette.responses import JSONResponse, Response

from ic_notebook.sandbox.grants import AuthorizationCodeGrant, RefreshTokenGrant, RequiredS256
from ic_notebook.sandbox.records import Client, Token
from ic_notebook.sandbox.registration import RegistrationEndpoint
from ic_notebook.sandbox.revocation import RevocationEndpoint
from ic_notebook.sandbox.sign_ins import ACCESS, REFRESH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ic_notebook.sandbox.settings import SandboxSettings
    from ic_notebook.sandbox.store import Store

# Authlib writes whole tokens to its log at DEBUG
logging.getLogger("authlib.oauth2.rfc6749").setLevel(logging.INFO)


class _Parameters(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._lists: dict[str, list[str]] = {}
        for name, value in pairs:
            if value:  # RFC 6749 §3.1: a parameter without a value is treated as omitted
                self._lists.setdefault(name, []).append(value)

    @property
    def data(self) -> dict[str, str]:
        return {name: values[0] for name, values in self._lists.items()}

    @property
    def datalist(self) -> dict[str, list[str]]:
        return self._lists


class ParameterRequest(OAuth2Request):  # type: ignore[misc]
    """A request to the authorization or token endpoint, by its parameters."""

    def __init__(
        self, method: str, pairs: Iterable[tuple[str, str]], *, headers: Mapping[str, str] | None = None
    ) -> None:
        # Authlib wants https or loopback here and uses the URI for nothing else; a forwarded port is neither
        super().__init__(method, "http://127.0.0.1/", headers=headers or {})
        self.payload = _Parameters(pairs)

    @property
    def form(self) -> dict[str, str]:
        """The parameters, where Authlib looks for those of a token request."""
        return dict(self.payload.data)


class _Json(JsonPayload):  # type: ignore[misc]
    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = dict(data)

    @property
    def data(self) -> dict[str, Any]:
        return self._data


class RegistrationRequest(JsonRequest):  # type: ignore[misc]
    """A registration request, by its JSON object."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__("POST", "http://127.0.0.1/")
        self.payload = _Json(data)


class SandboxServer(AuthorizationServer):  # type: ignore[misc]
    """The authorization server; ``current_settings`` is asked anew on each use, so switches can be turned."""

    def __init__(self, store: Store, *, current_settings: Callable[[], SandboxSettings]) -> None:
        super().__init__()
        self.store = store
        self._current_settings = current_settings
        self.register_grant(AuthorizationCodeGrant, [RequiredS256()])
        self.register_grant(RefreshTokenGrant)
        self.register_endpoint(RegistrationEndpoint(self))
        self.register_endpoint(RevocationEndpoint(self))
        self.register_token_generator("default", self._make_tokens)

    @property
    def settings(self) -> SandboxSettings:
        """The settings of this moment."""
        return self._current_settings()

    def query_client(self, client_id: str) -> Client | None:
        client = self.store.client(client_id)
        return client and replace(client, exact_loopback_port=self.settings.exact_loopback_port)

    def _make_tokens(
        self, *, scope: str | None, include_refresh_token: bool, **_others: object
    ) -> dict[str, Any]:
        """A token answer (RFC 6749 §5.1), always with ``scope``: it may be less than was asked for."""
        answer = {
            "access_token": secrets.token_urlsafe(32),
            "token_type": "Bearer",
            "expires_in": self.settings.access_token_lifetime,
            "scope": scope or "",
        }
        if include_refresh_token and "refresh_token" not in self.settings.without:
            answer["refresh_token"] = secrets.token_urlsafe(32)
        return answer

    def save_token(self, token: Mapping[str, Any], request: Any) -> None:
        """Keep the new tokens of a sign-in, and end those that they replace."""
        source: Any = request.refresh_token or request.authorization_code
        self._end_replaced(source, client_id=request.client.client_id)
        sign_ins, ledger = self.store.sign_ins, self.store.ledger
        record = Token(
            kind=ACCESS,
            family=source.family,
            account=request.user,
            client_id=request.client.client_id,
            scope=token["scope"],
            expires_at=self.store.now() + token["expires_in"],
        )
        sign_ins.add_token(token["access_token"], record)
        if "refresh_token" in token:
            refresh = replace(record, kind=REFRESH, scope=source.scope, expires_at=None)
            sign_ins.add_token(token["refresh_token"], refresh)
        if isinstance(source, Token):
            presented = request.form["refresh_token"]
            rotation = self.settings.rotation
            ledger.refreshed(token, family=source.family, refresh_token=presented, rotation=rotation)
        else:
            ledger.signed_in(token, family=source.family)

    def _end_replaced(self, source: Any, *, client_id: str) -> None:
        sign_ins, policy = self.store.sign_ins, self.settings.second_sign_in
        if isinstance(source, Token) and source.used_at is not None:
            return  # a repeat within the grace gets tokens of its own; those of the first answer live on
        sign_ins.end(kinds=(ACCESS,), family=source.family)
        if policy != "keeps":
            sign_ins.end(kinds=(ACCESS,), account=source.account, client_id=client_id)
        if policy == "ends-all" and not isinstance(source, Token):
            sign_ins.end(account=source.account, client_id=client_id, keep_family=source.family)

    def create_oauth2_request(self, request: ParameterRequest) -> ParameterRequest:
        return request

    def create_json_request(self, request: RegistrationRequest) -> RegistrationRequest:
        return request

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    def handle_response(self, status: int, body: Any, headers: Iterable[tuple[str, str]]) -> Response:
        """Authlib's answer as Starlette's, with the fields left out that the settings name."""
        if not isinstance(body, dict):
            return Response(status_code=status, headers=dict(headers))
        hidden: frozenset[str] = frozenset()
        if "access_token" in body:
            hidden = self.settings.without & {"expires_in", "scope"}
        if "error" in body and not self.settings.error_descriptions:
            hidden = frozenset(body) - {"error"}
        shown = {name: value for name, value in body.items() if name not in hidden}
        return JSONResponse(shown, status_code=status, headers=dict(headers))
