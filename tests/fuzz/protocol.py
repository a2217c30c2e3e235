"""Targets: what a browser brings back, and what a server answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from ic_notebook.oauth import authorization, connected_apps, metadata, registration, tokens
from tests.fuzz.building import JSON_WORDS, Reader, bytes_of, text_of
from tests.fuzz.targets import Target
from tests.oauth import hostile
from tests.oauth.hostile import METADATA, OLD_TOKEN, PREVIOUS, SERVER

STATUSES = (200, 201, 204, 302, 304, 400, 401, 403, 404, 405, 410, 418, 429, 500, 502, 503)
HEADERS: tuple[dict[str, str], ...] = (
    {},
    {"content-type": "application/json; charset=klingon"},
    {"content-type": "text/html;charset=utf-16"},
    {"retry-after": "5"},
    {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 9999 07:28:00"},
    {"retry-after": "9" * 18, "ratelimit-limit": "100, 100;w=60"},
    {"location": "https://evil.example/"},
)
REQUEST = httpx.Request("GET", f"{SERVER}/x", headers={"Authorization": f"Bearer {OLD_TOKEN}"})


def response_of(reader: Reader) -> httpx.Response:
    """An answer: a status, headers, and a body that is JSON two times of three."""
    status = STATUSES[reader.byte() % len(STATUSES)]
    headers = HEADERS[reader.byte() % len(HEADERS)]
    form = reader.byte() % 6
    encoding = "utf-16" if form == 2 else "utf-8"
    body = reader.rest() if form < 2 else text_of(reader.value()).encode(encoding)
    return httpx.Response(status, headers=headers, content=body, request=REQUEST)


def answer(value: Any, status: int = 200, *, first: bytes = b"") -> bytes:
    """A seed: an answer with this JSON."""
    return first + bytes([STATUSES.index(status), 0, 3]) + bytes_of(value)


def raw(body: bytes, status: int = 200, *, header: int = 0) -> bytes:
    """A seed: an answer with this body."""
    return bytes([STATUSES.index(status), header, 0]) + body


def text(data: bytes) -> str:
    """Any text, halves of surrogate pairs included."""
    return data.decode("utf-8", "surrogateescape")


def check_redirect(data: bytes) -> None:
    hostile.check_redirect(text(data))
    hostile.check_redirect(f"state=STATE&{text(data)}")


def check_pasted(data: bytes) -> None:
    hostile.check_pasted(text(data))


def check_tokens(data: bytes) -> None:
    reader = Reader(data)
    previous = PREVIOUS if reader.byte() % 2 else None
    hostile.check_tokens(response_of(reader), previous=previous)


def check_metadata(data: bytes) -> None:
    reader = Reader(data)
    how = reader.byte() % 4
    if how == 0:
        response = response_of(reader)
        hostile.check_discovery(response)
        hostile.check_refusal(response)
        return
    document = reader.value()
    if isinstance(document, dict):
        # As JSON would bring it.
        document = json.loads(json.dumps(document))
        hostile.check_metadata({1: document, 2: document | METADATA, 3: METADATA | document}[how])


def of_an_answer(check: Callable[[httpx.Response], None]) -> Callable[[bytes], None]:
    return lambda data: check(response_of(Reader(data)))


REFUSALS = (
    answer({"error": "invalid_grant", "error_description": f"no {OLD_TOKEN}"}, 400),
    answer({"detail": {"message": ["a", {"error": "b"}]}}, 403),
    answer({"scope": ["<b>"], "non_field_errors": ["no"], "response_meta": {"error_message": "x"}}, 418),
    raw(b"<html>", 404),
    raw(b"", 429, header=4),
    raw(b"", 503, header=3),
    raw(b"[" * 400),
    raw(b"\xef\xbb\xbf{}"),
    raw('{"access_token": "a", "client_id": "c"}'.encode("utf-16"), header=2),
)
WORDS_OF_A_URL = (
    *(
        "code=",
        "state=STATE",
        "error=",
        "access_denied",
        "error_description=",
        "iss=",
        "&",
        "#",
        "?",
        "+",
        "%",
    ),
    *(
        "http://127.0.0.1:8765/callback",
        "localhost:8765",
        "[::1]:8765",
        "https://",
        "://",
        "//",
        "@",
        "\\",
        "\u200b",
    ),
    *("a-code-that-is-long", "%53TATE", ";", "\u201c", "V" * 43, "/public/v1/oauth/authorize/"),
)
TOKENS = {
    "access_token": "a" * 20,
    "refresh_token": "r",
    "token_type": "Bearer",
    "expires_in": 3_600,
    "scope": "all",
}
APP = {"id": "1", "name": "n", "client_id": "c", "created": "2026-01-01T00:00:00Z"}


def breaks(place: Any, name: str, replacement: Any) -> Callable[[], None]:
    """A defect: something else stands under this name."""
    return lambda: setattr(place, name, replacement)


TARGETS = {
    "redirect": Target(
        check=check_redirect,
        seeds=(
            b"code=abc&state=STATE",
            b"code=a%20b&state=%53TATE&iss=https%3A%2F%2Fas.example",
            b"error=access_denied&state=STATE",
            b"error=server_error&error_description=STATE+is+wrong&state=STATE",
            b"code=a&code=b&state=STATE",
        ),
        words=WORDS_OF_A_URL,
        defect=breaks(authorization, "same", lambda received, expected: received.startswith(expected[:2])),
    ),
    "pasted": Target(
        check=check_pasted,
        seeds=(
            b"http://127.0.0.1:8765/callback?code=abc&state=STATE",
            b'"127.0.0.1:8765/callback?code=abc&state=STATE#x"',
            b"&code=abc&state=STATE",
            b"code=a-code-that-is-long",
            b"a-code-that\n-is-long",
            b"https://api-dashboard.influencers.club/public/v1/oauth/authorize/?client_id=x",
        ),
        words=WORDS_OF_A_URL,
        defect=breaks(authorization, "visible", lambda value: value),
    ),
    "tokens": Target(
        check=check_tokens,
        seeds=(
            answer(TOKENS, first=b"\0"),
            answer(TOKENS | {"scope": ["all", "none"], "expires_in": "3600"}, first=b"\1"),
            answer({"access_token": "a", "expires_in": 0.5}, first=b"\1"),
            *(b"\1" + refusal for refusal in REFUSALS),
        ),
        words=JSON_WORDS,
        defect=breaks(tokens, "visible", lambda value: value if isinstance(value, str) else None),
    ),
    "registration": Target(
        check=of_an_answer(hostile.check_registration),
        seeds=(answer({"client_id": "c"}, 201), answer({"client_id": "c", "name": 1}), *REFUSALS),
        words=JSON_WORDS,
        defect=breaks(registration, "visible", lambda value: value),
    ),
    "metadata": Target(
        check=check_metadata,
        seeds=(
            answer(METADATA, first=b"\0"),
            b"\1" + bytes_of(METADATA | {"code_challenge_methods_supported": ["S256"]}),
            b"\2"
            + bytes_of({"scopes_supported": ["all"], "token_endpoint_auth_methods_supported": ["none"]}),
            b"\3"
            + bytes_of({"registration_endpoint": f"{SERVER}/r?x=1", "revocation_endpoint": "http://[::1]/"}),
            b"\3"
            + bytes_of({"token_endpoint": "http://localhost:1/t", "authorization_endpoint": "https://a@b/"}),
            *(b"\0" + refusal for refusal in REFUSALS),
        ),
        words=JSON_WORDS,
        defect=breaks(metadata, "is_loopback", lambda host: True),
    ),
    "apps": Target(
        check=of_an_answer(hostile.check_apps),
        seeds=(
            answer([APP, {"application": APP, "id": 3_600}]),
            answer({"results": [APP], "next": "?page=2"}),
            answer({"data": [], "next": "//evil.example/"}),
            answer({"data": [{"client": APP}], "next": f"{SERVER}/a"}),
            *REFUSALS,
        ),
        words=JSON_WORDS,
        defect=breaks(
            connected_apps, "_on_own_origin", lambda link, endpoint: str(httpx.URL(endpoint).join(link))
        ),
    ),
}
