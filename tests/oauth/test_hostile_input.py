"""What comes from a browser or a server may be anything; nothing but the exception tree comes out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from ic_notebook.errors import ICNotebookError
from ic_notebook.oauth.answers import readable, reason_of, refused, retry_after, visible
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.connected_apps import list_apps, parse_apps
from ic_notebook.oauth.metadata import discover, parse_metadata, service_metadata
from ic_notebook.oauth.registration import ClientMetadata, parse_registration
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import parse_tokens
from tests.oauth.flows import authorization_request
from tests.sizes import EXAMPLES

ANY_TEXT = st.text(st.characters(), max_size=60)  # surrogates as well
TO = authorization_request()
CLIENT = ClientMetadata(client_name="n", redirect_uris=("http://127.0.0.1:1/cb",))
PREVIOUS = TokenSet(access_token=Secret("a"), refresh_token=Secret("r"))
short = settings(max_examples=EXAMPLES, deadline=None)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=True, allow_infinity=True)
    | ANY_TEXT
    | st.sampled_from(["all", "Bearer", "S256", "https://as.example", "2026-01-01T00:00:00Z", "?page=2"])
)
NAMES = st.sampled_from(
    [
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
        "code_challenge_methods_supported",
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
    ]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | ANY_TEXT, inner, max_size=6),
    max_leaves=12,
)
BODIES = (
    st.binary(max_size=80)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps(value).encode("utf-16"))
    | st.sampled_from(
        [
            b"[" * 50_000,
            b'{"a":' * 50_000,
            b'{"expires_in": 1' + b"0" * 6000 + b"}",
            b'{"access_token": "a", "expires_in": 1e99999}',
            b'{"access_token": "\\ud800"}',
            b'{"access_token": "a", "access_token": 5}',
            b"\xef\xbb\xbf{}",
            b"\x00" * 100,
            b"",
        ]
    )
)
HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "content-type", "location", "www-authenticate", "link", "x"]),
    st.binary(max_size=30)
    | st.sampled_from([b"application/json; charset=klingon", b"text/html;charset=utf-16"]),
)
STATUSES = st.sampled_from([200, 201, 202, 204, 301, 302, 304, 400, 401, 403, 404, 418, 429, 500, 502, 503])
RESPONSES = st.builds(
    lambda status, headers, body: httpx.Response(
        status, headers=headers, content=body, request=httpx.Request("GET", "https://as.example/x")
    ),
    STATUSES | st.integers(100, 999),
    HEADERS,
    BODIES,
)


def only_ours(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a call gives, where it raises at most an error of the tree, whose words can be printed."""
    try:
        return call(*args, **kwargs)
    except ICNotebookError as error:
        words = str(error)
    words.encode()
    assert words.isprintable()
    return None


@given(ANY_TEXT | st.from_regex(r"(code|state|error|iss|error_description|%..|=|&|\+|STATE|;|#){0,12}"))
@short
def test_any_query(query: str) -> None:
    only_ours(AuthorizationResponse.from_redirect, query, to=TO)
    only_ours(AuthorizationResponse.from_redirect, f"state=STATE&{query}", to=TO)


@given(
    ANY_TEXT
    | st.from_regex(
        r"(https?|://|//|\[|\]|::1|127\.0\.0\.1|localhost|:8765|/callback|\?|code=|state=|STATE|&|#|@|%..|[\"' \n]){0,14}"
    )
)
@short
def test_any_pasted_text(text: str) -> None:
    response = only_ours(AuthorizationResponse.from_pasted, text, to=TO)
    assert response is None or visible(response.code)


@given(RESPONSES)
@short
def test_any_answer_to_a_registration(response: httpx.Response) -> None:
    client = only_ours(parse_registration, response, client=CLIENT)
    assert client is None or visible(client.client_id)


@given(RESPONSES, st.sampled_from([None, PREVIOUS]))
@short
def test_any_answer_to_a_token_request(response: httpx.Response, previous: TokenSet | None) -> None:
    tokens = only_ours(parse_tokens, response, now=0.0, client_id="c", what="X", previous=previous)
    if tokens is not None:
        assert visible(tokens.access_token)
        assert tokens.lifetime is None or 0 < tokens.lifetime <= 315_360_000
        tokens.due(age=1.0)


@given(JSON)
@short
def test_any_fields_beside_an_access_token(value: Any) -> None:
    body = json.dumps({"access_token": "a", "expires_in": value, "scope": value, "refresh_token": value})
    response = httpx.Response(200, content=body, request=httpx.Request("POST", "https://as.example/token"))
    only_ours(parse_tokens, response, now=0.0, client_id="c", what="X", secrets=("a",))


@given(RESPONSES)
@short
def test_any_list_of_apps(response: httpx.Response) -> None:
    only_ours(parse_apps, response)
    flow = list_apps("https://as.example/apps/")
    next(flow)
    try:
        request = only_ours(flow.send, response)
    except StopIteration:
        return
    assert request is None or request.url.host == "as.example"


@given(st.lists(st.dictionaries(NAMES, JSON, max_size=5), max_size=4))
@short
def test_any_fields_of_an_app(items: list[dict[str, Any]]) -> None:
    request = httpx.Request("GET", "https://as.example/apps/")
    apps, _ = parse_apps(httpx.Response(200, content=json.dumps(items), request=request))
    for app in apps:
        for text in (app.id, app.name, app.client_id):
            assert text is None or (text.isprintable() and len(text) <= 200)
        repr(app)


@given(st.dictionaries(NAMES, JSON, max_size=8) | RESPONSES)
@short
def test_any_metadata(given: dict[str, Any] | httpx.Response) -> None:
    if isinstance(given, httpx.Response):
        flow = discover("https://as.example")
        next(flow)
        with contextlib.suppress(StopIteration):
            only_ours(flow.send, given)
        return
    complete = {
        "issuer": "https://as.example",
        "authorization_endpoint": "https://as.example/a",
        "token_endpoint": "https://as.example/t",
    }
    for document in (given, given | complete, complete | given):
        server = only_ours(parse_metadata, document, base_url="https://as.example")
        if server is not None:
            # What was accepted can be used.
            _ = authorization_request(server=server, scope=server.scope).url
            httpx.Request("POST", server.token_endpoint)


@given(
    ANY_TEXT
    | st.from_regex(r"(https?|://|[a-z0-9.:@/\\?#%<\[\]-]){1,14}").map(lambda text: f"https://{text}")
)
@short
def test_any_base_url(base: str) -> None:
    server = only_ours(service_metadata, base)
    if server is not None:
        request = httpx.Request("POST", server.token_endpoint)
        assert request.url.scheme in {"http", "https"}
        assert request.url.host


@given(RESPONSES)
@short
def test_any_refusal(response: httpx.Response) -> None:
    only_ours(refused, response, what="X", secrets=("s",))
    reason = reason_of(response)
    assert reason is None or (reason.isprintable() and len(reason) <= 200)
    assert (retry_after(response) or 0.0) >= 0.0


@given(JSON, st.lists(ANY_TEXT, max_size=3))
@short
def test_any_text_made_readable(value: object, secrets: list[str]) -> None:
    line = readable(value, secrets=secrets)
    assert line is None or (line.isprintable() and 0 < len(line) <= 200)
