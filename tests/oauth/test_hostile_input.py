"""What comes from a browser or a server may be anything; nothing but the exception tree comes out."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from ic_notebook.oauth.answers import readable
from ic_notebook.oauth.connected_apps import parse_apps
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.token_set import TokenSet
from tests.oauth import hostile
from tests.oauth.hostile import METADATA, PREVIOUS, only_ours
from tests.sizes import EXAMPLES

ANY_TEXT = st.text(st.characters(), max_size=60)  # surrogates as well
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
NAMES = st.sampled_from(hostile.NAMES)
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


@given(ANY_TEXT | st.from_regex(r"(code|state|error|iss|error_description|%..|=|&|\+|STATE|;|#){0,12}"))
@short
def test_any_query(query: str) -> None:
    hostile.check_redirect(query)
    hostile.check_redirect(f"state=STATE&{query}")


@given(
    ANY_TEXT
    | st.from_regex(
        r"(https?|://|//|\[|\]|::1|127\.0\.0\.1|localhost|:8765|/callback|\?|code=|state=|STATE|&|#|@|%..|[\"' \n]){0,14}"
    )
)
@short
def test_any_pasted_text(text: str) -> None:
    hostile.check_pasted(text)


@given(RESPONSES)
@short
def test_any_answer_to_a_registration(response: httpx.Response) -> None:
    hostile.check_registration(response)


@given(RESPONSES, st.sampled_from([None, PREVIOUS]))
@short
def test_any_answer_to_a_token_request(response: httpx.Response, previous: TokenSet | None) -> None:
    hostile.check_tokens(response, previous=previous)


@given(JSON)
@short
def test_any_fields_beside_an_access_token(value: Any) -> None:
    body = json.dumps({"access_token": "a", "expires_in": value, "scope": value, "refresh_token": value})
    response = httpx.Response(200, content=body, request=httpx.Request("POST", "https://as.example/token"))
    hostile.check_tokens(response)


@given(RESPONSES)
@short
def test_any_list_of_apps(response: httpx.Response) -> None:
    hostile.check_apps(response)


@given(st.lists(st.dictionaries(NAMES, JSON, max_size=5), max_size=4))
@short
def test_any_fields_of_an_app(items: list[dict[str, Any]]) -> None:
    request = httpx.Request("GET", "https://as.example/apps/")
    response = httpx.Response(200, content=json.dumps(items), request=request)
    assert len(parse_apps(response)[0]) == len(items)
    hostile.check_apps(response)


@given(st.dictionaries(NAMES, JSON, max_size=8) | RESPONSES)
@short
def test_any_metadata(given: dict[str, Any] | httpx.Response) -> None:
    if isinstance(given, httpx.Response):
        hostile.check_discovery(given)
        return
    for document in (given, given | METADATA, METADATA | given):
        hostile.check_metadata(document)


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
    hostile.check_refusal(response)


@given(JSON, st.lists(ANY_TEXT, max_size=3))
@short
def test_any_text_made_readable(value: object, secrets: list[str]) -> None:
    line = readable(value, secrets=secrets)
    assert line is None or (line.isprintable() and 0 < len(line) <= 200)
