"""Token revocation (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from authlib.oauth2 import rfc7009
from authlib.oauth2.rfc6749 import InvalidRequestError

from ic_notebook.sandbox.grants import AUTH_METHODS
from ic_notebook.sandbox.sign_ins import ACCESS, BOTH, REFRESH

if TYPE_CHECKING:
    from ic_notebook.sandbox.authorization_server import SandboxServer
    from ic_notebook.sandbox.records import Token


class RevocationEndpoint(rfc7009.RevocationEndpoint):  # type: ignore[misc]
    """Ends a token of the client that asks; one that is not known is as good as ended (§2.2)."""

    CLIENT_AUTH_METHODS = AUTH_METHODS
    server: SandboxServer

    def check_params(self, request: Any, client: Any) -> None:  # noqa: ARG002 (Authlib's signature)
        """The token is all that is needed; a hint that is not understood is none (§2.1)."""
        if "token" not in request.form:
            raise InvalidRequestError("Missing token.")

    def query_token(self, token_string: str, token_type_hint: str | None) -> Token | None:  # noqa: ARG002
        """The token, of whichever kind it is."""
        sign_ins = self.server.store.sign_ins
        found = (sign_ins.token(token_string, kind=kind) for kind in (REFRESH, ACCESS))
        return next((token for token in found if token is not None), None)

    def revoke_token(self, token: Token, request: Any) -> None:
        """End a refresh token with every access token of its grant, or an access token alone (§2.1)."""
        sign_ins = self.server.store.sign_ins
        if token.kind == REFRESH:
            sign_ins.end(kinds=BOTH, family=token.family)
        else:
            sign_ins.end_token(request.form["token"])
