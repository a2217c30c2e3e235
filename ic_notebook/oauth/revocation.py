"""Token revocation (RFC 7009), where a server announces it."""

from __future__ import annotations

from ic_notebook.oauth.answers import refused
from ic_notebook.oauth.flow import Flow, Repeat, request
from ic_notebook.oauth.token_set import TokenSet


def revoke_tokens(revocation_endpoint: str, tokens: TokenSet) -> Flow[None]:
    """Revoke a token set by its refresh token, else by its access token (RFC 7009 §2.1).

    A server that revokes a refresh token ends the access tokens of the same grant as well, where it can.

    Raises:
        OAuthError, UnexpectedAnswer, ServiceUnavailable: the server refused, or gave no answer.
    """
    hint = "refresh_token" if tokens.refresh_token else "access_token"
    token = tokens.refresh_token or tokens.access_token
    parameters = {"token": token, "token_type_hint": hint, "client_id": tokens.client_id}
    response = yield request("POST", revocation_endpoint, repeat=Repeat.IF_LOST, data=parameters)
    if not response.is_success:
        refused(response, what="Disconnecting", secrets=(token,))
