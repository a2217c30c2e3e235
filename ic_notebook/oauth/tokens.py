"""The two grants that give a token set (RFC 6749 §4.1.3, §5, §6; RFC 7636 §4.5)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, Literal

import httpx

from ic_notebook.errors import OAuthError, UnexpectedAnswer
from ic_notebook.oauth.answers import json_object, refused, visible
from ic_notebook.oauth.authorization import AuthorizationRequest, AuthorizationResponse
from ic_notebook.oauth.flow import Flow, Repeat, request
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import MAX_LIFETIME, TokenSet

Encoding = Literal["form", "json"]
"""How a token request is written. RFC 6749 knows the form; the service takes JSON as well."""


def exchange_code(
    response: AuthorizationResponse,
    *,
    to: AuthorizationRequest,
    now: float,
    encoding: Encoding = "form",
) -> Flow[TokenSet]:
    """Exchange a code for a token set (RFC 6749 §4.1.3). The request is never repeated.

    Args:
        response: the code.
        to: the request that it answers, with its verifier.
        now: seconds since the epoch, taken before the request: a token then never seems younger than it is.
        encoding: `form` or `json`.

    Raises:
        OAuthError: the server refused: `invalid_grant` for a code that was used or ran out, `invalid_scope`
            where it granted none of the scope that was asked for.
        UnexpectedAnswer, ServiceUnavailable: no usable answer.
    """
    parameters = {
        "grant_type": "authorization_code",
        "code": response.code,
        "code_verifier": to.code_verifier,
        "client_id": to.client_id,
        "redirect_uri": to.redirect_uri,
    }
    answer = yield _token_request(to.server, parameters, encoding=encoding, repeat=Repeat.NEVER)
    secrets = (response.code, to.code_verifier, to.state)
    what = "Finishing the sign-in"
    tokens = parse_tokens(answer, now=now, client_id=to.client_id, what=what, secrets=secrets)
    if tokens.scope == "" and to.scope is not None:
        raise OAuthError(
            f"{what}: the service granted no scope, so every call would be refused. Connect again with the "
            "default scope, and tell the service's support if it stays so.",
            error="invalid_scope",
            status_code=answer.status_code,
        )
    return replace(tokens, issuer=to.server.issuer.rstrip("/"), signed_in_at=now)


def refresh(
    server: ServerMetadata,
    tokens: TokenSet,
    *,
    now: float,
    encoding: Encoding = "form",
) -> Flow[TokenSet]:
    """Renew a token set (RFC 6749 §6). A lost answer is asked for again.

    Returns:
        The new set, with the old refresh token and scope where the server sent no new ones.

    Raises:
        OAuthError: `invalid_grant` where the sign-in is gone.
        UnexpectedAnswer, ServiceUnavailable: no usable answer; the old set still stands.
    """
    assert tokens.refresh_token is not None
    parameters = {
        "grant_type": "refresh_token",
        "refresh_token": tokens.refresh_token,
        "client_id": tokens.client_id,
    }
    answer = yield _token_request(server, parameters, encoding=encoding, repeat=Repeat.IF_LOST)
    try:
        return parse_tokens(
            answer,
            now=now,
            client_id=tokens.client_id,
            what="Renewing the sign-in",
            previous=tokens,
            secrets=(tokens.refresh_token, tokens.access_token),
        )
    except OAuthError as refusal:
        refusal.after_lost_answer = answer.extensions.get("after_lost_answer", False)
        raise


def _token_request(
    server: ServerMetadata, parameters: dict[str, str], *, encoding: Encoding, repeat: Repeat
) -> httpx.Request:
    if encoding == "json":
        return request("POST", server.token_endpoint, repeat=repeat, json=parameters)
    return request("POST", server.token_endpoint, repeat=repeat, data=parameters)


def parse_tokens(
    response: httpx.Response,
    *,
    now: float,
    client_id: str,
    what: str,
    previous: TokenSet | None = None,
    secrets: tuple[str, ...] = (),
) -> TokenSet:
    """The token set in an answer of the token endpoint.

    Raises:
        OAuthError, UnexpectedAnswer, ServiceUnavailable: as the grants above say.
    """
    if response.status_code != httpx.codes.OK:
        refused(response, what=what, secrets=secrets)
    answer = json_object(response, what=what)
    access_token = visible(answer.get("access_token"))
    if access_token is None:
        raise UnexpectedAnswer(f"{what}: the answer has no usable access_token (RFC 6749 §5.1).")
    token_type = answer.get("token_type")
    if token_type is not None and str(token_type).lower() != "bearer":
        raise UnexpectedAnswer(f"{what}: the answer has a token of another type than Bearer (RFC 6750).")
    scope = _scope(answer.get("scope"))
    refresh_token = visible(answer.get("refresh_token"))
    base = previous or TokenSet(access_token=Secret(access_token))
    return replace(
        base,
        access_token=Secret(access_token),
        refresh_token=Secret(refresh_token) if refresh_token else base.refresh_token,
        lifetime=_seconds(answer.get("expires_in")),
        obtained_at=now,
        scope=scope if scope is not None else base.scope,
        client_id=client_id,
    )


def _scope(value: Any) -> str | None:
    if isinstance(value, list):
        value = " ".join(item for item in value if isinstance(item, str))
    if not isinstance(value, str):
        return None
    return " ".join(filter(visible, value.split()))


def _seconds(value: Any) -> float | None:
    """A lifetime, where it is a sensible number; a server's nonsense counts as "not said"."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return min(seconds, MAX_LIFETIME) if math.isfinite(seconds) and seconds > 0 else None
