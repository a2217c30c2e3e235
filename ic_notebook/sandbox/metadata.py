"""What the sandbox says of itself (RFC 8414), and the paths it says it of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ic_notebook.sandbox.registration import GRANT_TYPES, RESPONSE_TYPES
from ic_notebook.sandbox.settings import SCOPE

if TYPE_CHECKING:
    from ic_notebook.sandbox.settings import SandboxSettings

PREFIX = "/public/v1"
REGISTER = f"{PREFIX}/oauth/register/"
AUTHORIZE = f"{PREFIX}/oauth/authorize/"
TOKEN = f"{PREFIX}/oauth/token/"
APPS = f"{PREFIX}/oauth/apps/"
CREDITS = f"{PREFIX}/accounts/credits/"
DISCOVERY = f"{PREFIX}/discovery/"
LANGUAGES = f"{PREFIX}/discovery/classifier/languages/"
REVOKE = f"{PREFIX}/oauth/revoke/"
METADATA = "/.well-known/oauth-authorization-server"
OPENID_METADATA = "/.well-known/openid-configuration"
CONSENT = "/consent/"


def server_metadata(origin: str, settings: SandboxSettings) -> dict[str, Any]:
    """The metadata of the server whose issuer is ``origin``."""
    methods = ["none", "client_secret_post"] if settings.client_secret else ["none"]
    metadata: dict[str, Any] = {
        "issuer": origin,
        "authorization_endpoint": origin + AUTHORIZE,
        "token_endpoint": origin + TOKEN,
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "token_endpoint_auth_methods_supported": methods,
        "code_challenge_methods_supported": ["S256"],
    }
    if settings.registration:
        metadata["registration_endpoint"] = origin + REGISTER
    if settings.scopes_supported:
        metadata["scopes_supported"] = [SCOPE]
    if settings.revocation:
        metadata["revocation_endpoint"] = origin + REVOKE
        metadata["revocation_endpoint_auth_methods_supported"] = methods
    if settings.iss:
        metadata["authorization_response_iss_parameter_supported"] = True
    return metadata
