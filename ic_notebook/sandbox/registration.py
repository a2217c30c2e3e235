"""Dynamic client registration (RFC 7591): open, and forgiving where the RFC lets a server choose."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc7591 import (
    ClientMetadataClaims,
    ClientRegistrationEndpoint,
    InvalidClientMetadataError,
    InvalidRedirectURIError,
)

from ic_notebook.sandbox.redirect_uris import refusal
from ic_notebook.sandbox.settings import SCOPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ic_notebook.sandbox.authorization_server import SandboxServer

GRANT_TYPES = ("authorization_code", "refresh_token")
RESPONSE_TYPES = ("code",)
PUBLIC = "none"

_TEXTS = (
    "client_name",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "scope",
    "software_id",
    "software_version",
    "token_endpoint_auth_method",
    "application_type",
)
_LISTS = ("redirect_uris", "grant_types", "response_types", "contacts")


class _Metadata(ClientMetadataClaims):  # type: ignore[misc]
    """RFC 7591 §2, and ``application_type`` of OpenID Connect's registration."""

    REGISTERED_CLAIMS = (*ClientMetadataClaims.REGISTERED_CLAIMS, "application_type")


class RegistrationEndpoint(ClientRegistrationEndpoint):  # type: ignore[misc]
    """Registers anybody."""

    server: SandboxServer

    def __init__(self, server: SandboxServer) -> None:
        super().__init__(server, claims_classes=[_Metadata])

    def create_registration_response(self, request: Any) -> tuple[int, dict[str, Any], Any]:
        settings = self.server.settings
        _created, body, headers = super().create_registration_response(request)
        if "metadata" in settings.without:
            body = {name: body[name] for name in ("client_id", "client_secret") if name in body}
        return settings.registration_status, body, headers

    def authenticate_token(self, request: Any) -> bool:  # noqa: ARG002 (Authlib's signature)
        return True

    def get_server_metadata(self) -> dict[str, Any]:
        """What Authlib measures the client by; scopes are not among it, unknown ones are dropped instead."""
        return {"grant_types_supported": list(GRANT_TYPES), "response_types_supported": list(RESPONSE_TYPES)}

    def extract_client_metadata(self, request: Any) -> dict[str, Any]:
        """The metadata as registered: what was sent and is understood, with the RFC's defaults."""
        sent = request.payload.data
        # RFC 7591 §2: what is not understood is ignored, and so is a null
        known = {name: sent[name] for name in (*_TEXTS, *_LISTS) if sent.get(name) is not None}
        _check_types(known)
        self._check_redirect_uris(known)
        if known.get("application_type", "native") not in {"native", "web"}:
            raise InvalidClientMetadataError("application_type is native or web.")
        request.payload.data.clear()
        request.payload.data.update(known)
        metadata: dict[str, Any] = super().extract_client_metadata(request)
        metadata.setdefault("grant_types", ["authorization_code"])
        metadata.setdefault("response_types", ["code"])
        if "authorization_code" not in metadata["grant_types"]:
            raise InvalidClientMetadataError("grant_types contains authorization_code.")
        # RFC 7591 §3.2.1: the server may replace what was requested; every client here is a public one
        metadata["token_endpoint_auth_method"] = PUBLIC
        if "scope" in metadata:
            metadata["scope"] = SCOPE if SCOPE in metadata["scope"].split() else ""
        return metadata

    def _check_redirect_uris(self, metadata: Mapping[str, Any]) -> None:
        uris = metadata.get("redirect_uris")
        if not uris:
            raise InvalidRedirectURIError("redirect_uris is missing.")
        for uri in uris:
            reason = refusal(uri, https=self.server.settings.https_redirect_uris)
            if reason:
                raise InvalidRedirectURIError(reason)

    def generate_client_info(self, request: Any) -> dict[str, Any]:  # noqa: ARG002 (Authlib's signature)
        info = {"client_id": secrets.token_urlsafe(16), "client_id_issued_at": int(self.server.store.now())}
        if self.server.settings.client_secret:
            info |= {"client_secret": secrets.token_urlsafe(32), "client_secret_expires_at": 0}
        return info

    def save_client(
        self,
        client_info: Mapping[str, Any],
        client_metadata: Mapping[str, Any],
        request: Any,  # noqa: ARG002 (Authlib's signature)
    ) -> None:
        self.server.store.add_client(
            client_info["client_id"], metadata=client_metadata, secret=client_info.get("client_secret")
        )


def _check_types(metadata: Mapping[str, Any]) -> None:
    for name, value in metadata.items():
        if name in _TEXTS:
            good = isinstance(value, str)
        else:
            good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not good:
            error = InvalidRedirectURIError if name == "redirect_uris" else InvalidClientMetadataError
            raise error(f"{name} has the wrong type.")
