from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest

from ic_notebook.errors import ICNotebookError, OAuthError
from ic_notebook.oauth.answers import readable, reason_of, refused, retry_after
from tests.oauth.flows import message_of

REQUEST = httpx.Request(
    "GET", "https://user:pw@api.example:8443/x", headers={"Authorization": "Bearer T0KEN"}
)


def answer(status: int, value: object) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(value), request=REQUEST)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"detail": "Not found."}, "Not found."),
        ({"message": "No"}, "No"),
        ({"error": "No"}, "No"),
        ({"error": ["a", "b"]}, "a; b"),
        ({"error": {"message": "No", "code": 5}}, "No"),
        ({"error": {"field": ["is wrong"]}}, "field: is wrong"),
        ({"error": "bad", "error_description": "The long words"}, "The long words"),
        ({"detail": [{"msg": "x", "loc": ["body"]}]}, "msg: x; loc: body"),
        ({"platform": ["This field is required."]}, "platform: This field is required."),
        ({"platform": ["a"], "handle": ["b"]}, "platform: a; handle: b"),
        ({"response_meta": {"error_message": "Low on credits"}}, "Low on credits"),
        (["a", "b"], "a; b"),
        ("plain text", "plain text"),
        ({"detail": "", "message": "No"}, "No"),
        ({"detail": "two\nlines\tand \u202eturned"}, "two lines and turned"),
        ({"detail": None}, None),
        ({}, None),
        ([], None),
        (5, None),
        (None, None),
        ([[[[[["deep"]]]]]], None),
        ({"a": {"b": "c"}}, None),
    ],
)
def test_each_error_shape_of_the_service_gives_one_line(value: object, reason: str | None) -> None:
    assert reason_of(answer(400, value)) == reason


def test_body_of_a_5xx_or_of_another_form_is_never_shown() -> None:
    assert reason_of(answer(500, {"detail": "Traceback S3CRET"})) is None
    assert reason_of(httpx.Response(400, text="<html>S3CRET", request=REQUEST)) is None
    assert reason_of(httpx.Response(400, content=b"\xff\xff", request=REQUEST)) is None


def test_reason_can_be_read_of_a_response_without_a_request() -> None:
    assert reason_of(httpx.Response(400, json={"detail": "No"})) == "No"


def test_long_reason_is_cut() -> None:
    reason = reason_of(answer(400, {"detail": "word " * 10_000}))
    assert reason is not None
    assert len(reason) <= 200
    assert reason.endswith("…")


@pytest.mark.parametrize("value", [{"detail": "Token T0KEN is invalid"}, {"T0KEN": ["no"]}, ["T0KEN"]])
def test_credential_that_the_request_carried_is_taken_out_of_the_reason(value: object) -> None:
    assert "T0KEN" not in (reason_of(answer(401, value)) or "")
    with pytest.raises(ICNotebookError) as refusal:
        refused(answer(401, value), what="X")
    assert "T0KEN" not in message_of(refusal.value)


@pytest.mark.parametrize("secret", ["4/0Ab+c=", "s3cret", "a b", "%25"])
@pytest.mark.parametrize("write", [str, lambda secret: quote(secret, safe="")])
def test_secret_is_taken_out_however_it_is_echoed(secret: str, write: object) -> None:
    text = readable(f"The code {write(secret)} is spent", secrets=[secret, ""])  # type: ignore[operator]
    assert text == "The code … is spent"


def test_secret_within_another_is_taken_out_with_it() -> None:
    assert readable("x abcdef y", secrets=["abc", "abcdef"]) == "x … y"


def test_secret_at_the_cut_is_taken_out_before_the_cut() -> None:
    shown = readable("a" * 195 + "SECRETSECRET", secrets=["SECRETSECRET"])
    assert shown == "a" * 195 + "…"


@pytest.mark.parametrize(
    "character",
    [
        *"\x00\x07\x1b\x7f\x85\xa0\u00ad\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff\ud800\udfff\ue000",
        "\U000e0041",
    ],
)
def test_control_direction_and_invisible_characters_become_spaces(character: str) -> None:
    """A lone surrogate could not even be printed."""
    shown = readable(f"a{character}b")
    assert shown == "a b"
    shown.encode()


def test_words_of_any_language_are_left_as_they_are() -> None:
    for words in ("Zugriff verweigert, “nein”", "アクセス拒否", "доступ запрещён", "אין גישה", "🚫 no"):
        assert readable(words) == words


@pytest.mark.parametrize("value", [None, 5, b"x", [], {}, "", "  \n", "\u200b"])
def test_nothing_readable_is_none(value: object) -> None:
    assert readable(value) is None


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("999999", 999_999.0),
        ("1000000", 1_000_000.0),
        ("1" * 19, None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("١٢", None),
        ("7, 8", None),
    ],
)
def test_retry_after_is_read_in_its_number_form(header: str | None, seconds: float | None) -> None:
    headers = {} if header is None else {"retry-after": header.encode()}
    assert retry_after(httpx.Response(429, headers=headers)) == seconds


def test_refusal_carries_its_parts_and_names_no_user_of_the_url() -> None:
    with pytest.raises(OAuthError) as refusal:
        refused(answer(400, {"error": "invalid_x", "error_description": 5}), what="Doing it")
    error = refusal.value
    assert (error.error, error.error_description, error.status_code) == ("invalid_x", None, 400)
    refusal_in_words = "Doing it: api.example:8443 refused with invalid_x."
    assert str(error) == f"{refusal_in_words} Try again; if it stays so, tell the service's support."
