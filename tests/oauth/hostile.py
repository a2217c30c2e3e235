"""What must hold whatever a browser or a server sends, and the names that its answers are made of.

Each check takes what came in, and fails where anything but the exception tree comes out, or where something
is accepted that cannot be used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx

from ic_notebook.errors import ICNotebookError
from ic_notebook.oauth.answers import reason_of, refused, retry_after, visible
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.connected_apps import list_apps, parse_apps
from ic_notebook.oauth.metadata import discover, parse_metadata
from ic_notebook.oauth.registration import ClientMetadata, parse_registration
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import parse_tokens
from tests.oauth.flows import authorization_request, message_of

TO = authorization_request()
SERVER = "https://as.example"
CLIENT = ClientMetadata(client_name="n", redirect_uris=("http://127.0.0.1:1/cb",))
OLD_TOKEN = "0ld-T0ken-0f-the-Refresh"
PREVIOUS = TokenSet(access_token=Secret("a"), refresh_token=Secret(OLD_TOKEN), scope="all")
NAMES = (
    "access_token",
    "refresh_token",
    "token_type",
    "expires_in",
    "scope",
    "client_id",
    "error",
    "error_description",
    "detail",
    "message",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
    "authorization_response_iss_parameter_supported",
    "scopes_supported",
    "results",
    "data",
    "next",
    "id",
    "name",
    "created",
    "client",
    "application",
    "response_meta",
    "error_message",
    "non_field_errors",
)
METADATA = {
    "issuer": SERVER,
    "authorization_endpoint": f"{SERVER}/a",
    "token_endpoint": f"{SERVER}/t",
}


def only_ours(call: Callable[..., Any], *args: Any, hidden: tuple[str, ...] = (), **kwargs: Any) -> Any:
    """What a call gives, where it raises at most an error of the tree, whose words can be printed."""
    try:
        return call(*args, **kwargs)
    except ICNotebookError as error:
        words, everything = str(error), message_of(error)
    words.encode()
    assert words.isprintable()
    assert not any(secret in everything for secret in hidden)
    return None


def check_redirect(query: str) -> None:
    """A code comes out of a redirect that has the state of this sign-in, once, and of no other."""
    response = only_ours(
        AuthorizationResponse.from_redirect, query, to=TO, hidden=(TO.state, TO.code_verifier)
    )
    if response is not None:
        said = parse_qs(query, keep_blank_values=True)
        assert (said["state"], said["code"]) == ([TO.state], [response.code])
        assert response.state_checked
        assert visible(response.code)


def check_pasted(text: str) -> None:
    """What is pasted gives a code that can be sent, whose state was right or was not there."""
    response = only_ours(AuthorizationResponse.from_pasted, text, to=TO, hidden=(TO.code_verifier,))
    if response is not None:
        assert visible(response.code)
        assert response.code != TO.state
        decoded = unquote("".join(character for character in text if "!" <= character <= "~"))
        assert not response.state_checked or TO.state in decoded


def check_registration(response: httpx.Response) -> None:
    """A registration that is accepted has an identifier that can be sent, and what was asked for."""
    client = only_ours(parse_registration, response, client=CLIENT)
    if client is not None:
        assert visible(client.client_id)
        assert client.redirect_uris == CLIENT.redirect_uris


def check_tokens(response: httpx.Response, *, previous: TokenSet | None = None) -> None:
    """Tokens that are accepted can be sent, end at a time that can be reckoned with, and can be stored."""
    tokens = only_ours(
        parse_tokens,
        response,
        now=0.0,
        client_id="c",
        what="X",
        previous=previous,
        secrets=(OLD_TOKEN,),
        hidden=(OLD_TOKEN,),
    )
    if tokens is None:
        return
    assert visible(tokens.access_token)
    assert tokens.refresh_token is None or visible(tokens.refresh_token)
    assert tokens.lifetime is None or 0 < tokens.lifetime <= 315_360_000
    assert repr(tokens.access_token) == "'…'"
    assert tokens.due_at_age <= (tokens.lifetime or math.inf)
    assert TokenSet.from_json(tokens.to_json()) == tokens


def check_apps(response: httpx.Response) -> None:
    """Apps are shown in one line each, and the next page is asked for at the same origin."""
    listed = only_ours(parse_apps, response)
    for app in listed[0] if listed else ():
        for text in (app.id, app.name, app.client_id):
            assert text is None or (text.isprintable() and 0 < len(text) <= 200)
        repr(app)
    flow = list_apps(f"{SERVER}/apps/")
    next(flow)
    try:
        request = only_ours(flow.send, response)
    except StopIteration:
        return
    assert request is None or str(request.url.copy_with(raw_path=b"/")) == f"{SERVER}/"


def check_metadata(document: dict[str, Any]) -> None:
    """A server whose metadata is accepted can be signed in at, over TLS or on this computer."""
    server = only_ours(parse_metadata, document, base_url=SERVER)
    if server is None:
        return
    for endpoint in (
        authorization_request(server=server, scope=server.scope).url,
        server.token_endpoint,
        server.registration_endpoint or SERVER,
        server.revocation_endpoint or SERVER,
    ):
        url = httpx.Request("POST", endpoint).url
        assert url.host
        assert url.scheme == "https" or url.host == "localhost" or ip_address(url.host).is_loopback


def check_discovery(response: httpx.Response) -> None:
    """Whatever stands at the well-known place is used, passed over, or refused in words."""
    flow = discover(SERVER)
    next(flow)
    try:
        request = only_ours(flow.send, response)
    except StopIteration as found:
        issuer = found.value.issuer
    else:
        assert request is None or request.url.host == "as.example"
        return
    assert issuer.rstrip("/") == SERVER


def check_refusal(response: httpx.Response) -> None:
    """A refusal is told in one line, and a wait that is asked for is none that ended before it began."""
    only_ours(refused, response, what="X", secrets=(OLD_TOKEN,), hidden=(OLD_TOKEN,))
    reason = reason_of(response)
    assert reason is None or (reason.isprintable() and len(reason) <= 200)
    assert (retry_after(response) or 0.0) >= 0.0
