from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest

from ic_notebook.errors import ICNotebookError, OAuthError
from ic_notebook.oauth.answers import MAX_REFUSAL, duration, readable, reason_of, refused, retry_after
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
        ({"detail": {}, "message": "No"}, "No"),
        ({"detail": 5, "error": ["No"]}, "No"),
        ({"error": True, "message": "No"}, "No"),
        ({"error": "", "response_meta": {"error_message": "No"}}, "No"),
        ({"response_meta": {"request_id": "5"}, "handle": ["unknown"]}, "handle: unknown"),
        ({"response_meta": {"error_message": ["a", "b"]}}, "a; b"),
        ({"response_meta": "No"}, "No"),
        ({"response_meta": {"request_id": "5"}}, None),
        ({"success": False, "code": 5, "status": 400, "handle": ["unknown"]}, "handle: unknown"),
        ({"non_field_errors": ["No"]}, "No"),
        ({"errors": [{"message": "No"}]}, "errors: No"),
        ({"error": [{"message": "a"}, {"detail": "b"}]}, "a; b"),
        (["a", "b", "c", "d"], "a; b; c"),
        ({f"f{number}": ["x"] for number in range(9)}, "f0: x; f1: x; f2: x"),
        ({"detail": "  "}, None),
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


def test_refusal_that_is_huge_is_not_parsed() -> None:
    assert reason_of(answer(400, {"detail": "x" * MAX_REFUSAL})) is None
    assert reason_of(answer(400, {"detail": "x" * (MAX_REFUSAL - 20)})) is not None


@pytest.mark.parametrize("nest", ["[%s]", '{"detail": %s}', '{"error": [%s]}', '{"x": %s}'])
@pytest.mark.parametrize("depth", [10, 1_000, 25_000])
def test_refusal_nested_beyond_reason_has_no_words(nest: str, depth: int) -> None:
    before, after = nest.split("%s")
    content = before * depth + '"deep"' + after * depth
    assert reason_of(httpx.Response(400, text=content, request=REQUEST)) is None


def test_wide_refusal_is_read_in_bounded_time() -> None:
    wide: object = 5
    for _ in range(4):
        wide = [dict.fromkeys(("detail", "error_description", "message", "error", "error_message"), wide)] * 3
    assert reason_of(answer(400, wide)) is None


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


def test_credential_without_a_scheme_is_taken_out_too() -> None:
    request = httpx.Request("GET", "https://api.example/", headers={"Authorization": "T0KEN"})
    response = httpx.Response(401, json={"detail": "Token T0KEN is invalid"}, request=request)
    assert reason_of(response) == "Token … is invalid"


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
        ("9" * 18, 999_999_999_999_999_999.0),
        ("9" * 19, None),
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


@pytest.mark.parametrize(
    ("until", "seconds"),
    [
        ("Wed, 21 Oct 2026 07:28:09 GMT", 9.0),
        ("Wednesday, 21-Oct-26 07:28:09 GMT", 9.0),
        ("Wed Oct 21 07:28:09 2026", 9.0),
        ("Wed, 21 Oct 2026 09:28:09 +0200", 9.0),
        ("Tue, 20 Oct 2026 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 251_609_819_459.0),
        ("Wed, 21 Oct 2026 07:28:09 +9999999999999", None),
    ],
)
def test_retry_after_is_read_in_its_date_form_by_the_servers_own_clock(
    until: str, seconds: float | None
) -> None:
    headers = {"retry-after": until, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retry_after(httpx.Response(429, headers=headers)) == seconds


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 s"),
        (0.2, "1 s"),
        (40.0, "40 s"),
        (40.1, "41 s"),
        (120.0, "120 s"),
        (120.1, "3 min"),
        (3_600.0, "60 min"),
        (7_201.0, "3 h"),
        (172_801.0, "3 days"),
        (1e18, "11574074074075 days"),
    ],
)
def test_duration_is_in_a_unit_that_a_person_reads(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_refusal_carries_its_parts_and_names_no_user_of_the_url() -> None:
    with pytest.raises(OAuthError) as refusal:
        refused(answer(400, {"error": "invalid_x", "error_description": 5}), what="Doing it")
    error = refusal.value
    assert (error.error, error.error_description, error.status_code) == ("invalid_x", None, 400)
    refusal_in_words = "Doing it: api.example:8443 refused with invalid_x."
    assert str(error) == f"{refusal_in_words} Try again; if it stays so, tell the service's support."
