from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ic_notebook.errors import AuthorizationResponseError, OAuthError, SignInDeclined
from ic_notebook.oauth.authorization import AuthorizationResponse, same
from ic_notebook.oauth.metadata import parse_metadata
from tests.oauth.flows import REDIRECT_URI, authorization_request, message_of
from tests.sizes import EXAMPLES

VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200)
ISSUER = "https://as.example"


def announced(*, supported: bool | None = None) -> object:
    document = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
    }
    more = {} if supported is None else {"authorization_response_iss_parameter_supported": supported}
    return parse_metadata(document | more, base_url=ISSUER)


def read(query: str, **changes: object) -> AuthorizationResponse:
    return AuthorizationResponse.from_redirect(query, to=authorization_request(**changes))


def test_right_answer_gives_its_code() -> None:
    assert read("code=abc.123&state=STATE").code == "abc.123"


def test_unknown_parameters_are_ignored_even_twice() -> None:
    assert read("session_state=x&session_state=y&code=abc&state=STATE&scope=all").code == "abc"


@given(VISIBLE)
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_visible_code_comes_back_from_a_redirect_as_it_was(code: str) -> None:
    assert read(urlencode({"state": "STATE", "code": code})).code == code


@given(VISIBLE)
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_visible_code_comes_back_from_a_pasted_address_as_it_was(code: str) -> None:
    for query in ({"code": code, "state": "STATE"}, {"state": "STATE", "code": code}):
        url = f"{REDIRECT_URI}?{urlencode(query)}"
        assert AuthorizationResponse.from_pasted(url, to=authorization_request()).code == code


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "another sign-in"),
        ("code=abc", "another sign-in"),
        ("code=abc&state=", "another sign-in"),
        ("code=abc&state=state", "another sign-in"),
        ("code=abc&state=STATE2", "another sign-in"),
        ("code=abc&state=STAT%C3%89", "another sign-in"),
        ("code=abc&state=STATE&state=STATE", "twice"),
        ("code=abc&code=abc&state=STATE", "twice"),
        ("error=a&error=b&state=STATE", "twice"),
        ("code=abc&state=STATE&iss=a&iss=a", "twice"),
        ("state=STATE", "no code"),
        ("code=&state=STATE", "no code"),
        ("code=%00&state=STATE", "no code"),
        ("code=%FF%FE&state=STATE", "no code"),
        ("code=%E2%80%AE&state=STATE", "no code"),
        ("state=STATE&code=" + "a" * 20_000, "too long"),
        ("&".join(f"p{n}=1" for n in range(200)) + "&code=a&state=STATE", "cannot be read"),
    ],
)
def test_what_does_not_belong_to_this_sign_in_is_refused_and_the_wait_goes_on(query: str, words: str) -> None:
    with pytest.raises(AuthorizationResponseError, match=words) as refusal:
        read(query)
    assert "abc" not in message_of(refusal.value)
    assert "STATE" not in message_of(refusal.value)


@pytest.mark.parametrize(
    ("server", "iss", "accepted"),
    [
        (announced(supported=True), ISSUER, True),
        (announced(supported=True), None, False),
        (announced(supported=True), "https://evil.example", False),
        (announced(supported=True), ISSUER + "/", False),
        (announced(supported=True), "", False),
        (announced(supported=False), None, True),
        (announced(supported=False), ISSUER, True),
        (announced(supported=False), "https://evil.example", False),
        (announced(), None, True),
        (announced(), "https://evil.example", False),
        (None, None, True),
        (None, "https://whatever-the-service-calls-itself.example", True),
    ],
)
def test_iss_is_compared_wherever_the_issuer_is_known(
    server: object, iss: str | None, accepted: bool
) -> None:
    query = urlencode({"code": "abc", "state": "STATE"} | ({} if iss is None else {"iss": iss}))
    changes = {} if server is None else {"server": server}
    if accepted:
        assert read(query, **changes).code == "abc"
        return
    with pytest.raises(AuthorizationResponseError, match="another server"):
        read(query, **changes)
    with pytest.raises(AuthorizationResponseError, match="another server"):
        read(query.replace("code=abc", "error=server_error"), **changes)


def test_declined_is_told_apart_from_every_other_error() -> None:
    with pytest.raises(SignInDeclined, match="declined"):
        read("error=access_denied&error_description=No&state=STATE")


@pytest.mark.parametrize("code", ["&code=abc", ""])
def test_error_response_says_what_the_server_said(code: str) -> None:
    with pytest.raises(OAuthError) as refusal:
        read(f"error=server_error&error_description=The%20disk%0Ais+full&state=STATE{code}")
    assert refusal.value.error == "server_error"
    assert refusal.value.error_description == "The disk is full"
    assert refusal.value.status_code is None
    assert "dashboard.influencers.club refused with server_error: The disk is full" in str(refusal.value)


@pytest.mark.parametrize("error", ["", "%00", "%E2%80%AE"])
def test_error_without_a_readable_name_is_still_an_error(error: str) -> None:
    with pytest.raises(OAuthError) as refusal:
        read(f"error={error}&state=STATE")
    assert refusal.value.error == "error"


def test_error_response_with_a_wrong_state_does_not_end_the_sign_in() -> None:
    with pytest.raises(AuthorizationResponseError, match="another sign-in"):
        read("error=access_denied&state=other")


def test_state_that_the_server_echoes_in_its_description_is_not_shown() -> None:
    with pytest.raises(OAuthError) as refusal:
        read(f"error=bad&error_description=state+STATE+and+{'V' * 43}+are+bad&state=STATE")
    assert refusal.value.error_description == "state … and … are bad"
    assert "STATE" not in message_of(refusal.value)


def test_secrets_are_compared_whole_and_may_be_anything() -> None:
    assert same("a", "a")
    assert not same("a", "ab")
    assert not same("", "a")
    assert not same("é", "e")
    assert not same("\ud800", "\udfff" * 2)


def test_response_does_not_print_its_code() -> None:
    assert "abc" not in repr(read("code=abc&state=STATE"))
    assert "abc" not in repr(replace(read("code=abc&state=STATE")))
