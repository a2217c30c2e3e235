from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ic_notebook.oauth.authorization import AuthorizationRequest
from ic_notebook.oauth.flow import Repeat, repeat_of
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.pkce import code_challenge, new_code_verifier
from tests.oauth.flows import SERVER, answered, authorization_request, sent_by
from tests.sizes import EXAMPLES


def test_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_verifier_is_that_of_rfc_7636_appendix_b_for_its_octets() -> None:
    octets = bytes.fromhex("7418dfb49799e0254ffa607dd8adbbba16d4254d69d6bff05b58055853848d79")
    assert new_code_verifier(lambda _: octets) == "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


def test_verifier_asks_for_256_bits_and_is_long_enough_for_the_rfc() -> None:
    asked: list[int] = []

    def chance(count: int) -> bytes:
        asked.append(count)
        return b"\xff" * count

    assert 43 <= len(new_code_verifier(chance)) <= 128
    assert asked == [32]


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=EXAMPLES, deadline=None)
def test_verifiers_and_challenges_have_only_unreserved_characters(octets: bytes) -> None:
    unreserved = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    verifier = new_code_verifier(lambda _: octets)
    assert set(verifier) <= unreserved
    assert len(code_challenge(verifier)) == 43
    assert set(code_challenge(verifier)) <= unreserved


def test_url_has_the_parameters_of_the_rfc_once_each_and_no_resource() -> None:
    request = authorization_request()
    url = urlsplit(request.url)
    assert url._replace(query="").geturl() == (
        "https://api-dashboard.influencers.club/public/v1/oauth/authorize/"
    )
    assert parse_qs(url.query, strict_parsing=True) == {
        "response_type": ["code"],
        "client_id": ["client-1"],
        "redirect_uri": ["http://127.0.0.1:8765/callback"],
        "scope": ["all"],
        "state": ["STATE"],
        "code_challenge": [code_challenge("V" * 43)],
        "code_challenge_method": ["S256"],
    }


def test_url_holds_the_challenge_and_never_the_verifier() -> None:
    request = AuthorizationRequest.new(
        SERVER, client_id="c", redirect_uri="http://127.0.0.1:1/cb", scope=None
    )
    assert request.code_verifier not in request.url


def test_url_names_no_scope_where_none_is_asked_for() -> None:
    assert "scope" not in parse_qs(urlsplit(authorization_request(scope=None).url).query)


def test_query_of_the_endpoint_itself_is_kept() -> None:
    server = replace(SERVER, authorization_endpoint="https://example.com/authorize?tenant=a%26b")
    query = parse_qs(urlsplit(authorization_request(server=server).url).query)
    assert query["tenant"] == ["a&b"]
    assert query["client_id"] == ["client-1"]


@pytest.mark.parametrize("value", ["a&b=c", "a b", "é", "a#b", "a+b", "a?b"])
def test_values_reach_the_server_as_they_are(value: str) -> None:
    url = urlsplit(authorization_request(client_id=value).url)
    assert parse_qs(url.query)["client_id"] == [value]
    assert url.fragment == ""


def test_each_request_has_a_state_and_a_verifier_of_its_own() -> None:
    requests = [
        AuthorizationRequest.new(SERVER, client_id="c", redirect_uri="http://127.0.0.1:1/cb", scope="all")
        for _ in range(50)
    ]
    assert len({value for each in requests for value in (each.state, each.code_verifier)}) == 100


@pytest.mark.parametrize(
    ("status", "unknown"),
    [(400, True), (401, True), *((status, False) for status in (200, 302, 303, 403, 404, 429, 500, 503))],
)
def test_client_is_unknown_only_where_the_server_says_so_without_redirect(status: int, unknown: bool) -> None:
    headers = {"location": "https://dashboard.influencers.club/consent?error=login_required"}
    response = httpx.Response(status, headers=headers if 300 <= status < 400 else {})
    assert answered(authorization_request().client_is_unknown(), response) is unknown


def test_question_about_the_client_is_our_authorization_url_with_a_state_of_its_own() -> None:
    """HTTP libraries log URLs, and a server's redirect echoes the state."""
    request = authorization_request()
    asked = sent_by(request.client_is_unknown())
    assert asked.method == "GET"
    assert asked.headers["accept"] == "text/html"
    assert repeat_of(asked) is Repeat.IF_REFUSED
    ours, theirs = parse_qs(urlsplit(request.url).query), parse_qs(urlsplit(str(asked.url)).query)
    assert theirs.pop("prompt") == ["none"]
    for name in ("state", "code_challenge"):
        assert ours.pop(name) != theirs.pop(name)
    assert ours == theirs


@pytest.mark.parametrize("base", ["https://api-dashboard.influencers.club", "http://127.0.0.1:9000"])
def test_sign_in_host_is_the_one_that_a_person_will_see(base: str) -> None:
    host = service_metadata(base).sign_in_host
    assert host == ("dashboard.influencers.club" if base.startswith("https") else "127.0.0.1:9000")
