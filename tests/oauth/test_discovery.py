from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ic_notebook.errors import ConfigurationError, OAuthError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.flow import Repeat, repeat_of
from ic_notebook.oauth.loopback import is_loopback
from ic_notebook.oauth.metadata import (
    ServerMetadata,
    checked_base_url,
    discover,
    service_metadata,
)
from tests.oauth.flows import answered, authorization_request, conversation, sent_by

ISSUER = "https://as.example"
DOCUMENT = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "registration_endpoint": f"{ISSUER}/register",
    "revocation_endpoint": f"{ISSUER}/revoke",
    "code_challenge_methods_supported": ["S256"],
    "scopes_supported": ["read", "write"],
}


def discovered(document: object = None, *, base: str = ISSUER, **changes: Any) -> ServerMetadata:
    body = DOCUMENT | changes if document is None else document
    server: ServerMetadata = answered(discover(base), httpx.Response(200, json=body))
    return server


@pytest.mark.parametrize(
    ("base", "well_known"),
    [
        ("https://as.example", "https://as.example/.well-known/oauth-authorization-server"),
        ("https://as.example/", "https://as.example/.well-known/oauth-authorization-server"),
        ("https://as.example/t/1", "https://as.example/.well-known/oauth-authorization-server/t/1"),
        ("https://as.example/t/1/", "https://as.example/.well-known/oauth-authorization-server/t/1"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/.well-known/oauth-authorization-server"),
        ("http://[::1]:8000/x", "http://[::1]:8000/.well-known/oauth-authorization-server/x"),
        (" https://AS.example ", "https://as.example/.well-known/oauth-authorization-server"),
    ],
)
def test_metadata_is_asked_for_between_host_and_path(base: str, well_known: str) -> None:
    request = sent_by(discover(base))
    assert (request.method, str(request.url)) == ("GET", well_known)
    assert repeat_of(request) is Repeat.IF_LOST


def test_announced_endpoints_are_used() -> None:
    server = discovered()
    assert server == ServerMetadata(
        issuer=ISSUER,
        base_url=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        registration_endpoint=f"{ISSUER}/register",
        revocation_endpoint=f"{ISSUER}/revoke",
        scopes_supported=("read", "write"),
        announced=True,
    )
    assert server.scope == "read write"
    assert server.sign_in_host == server.host == "as.example"


def test_required_fields_alone_are_enough() -> None:
    document = {name: DOCUMENT[name] for name in ("issuer", "authorization_endpoint", "token_endpoint")}
    server = discovered(document)
    assert (server.registration_endpoint, server.revocation_endpoint, server.scope) == (None, None, None)


def test_issuer_with_a_path_or_a_trailing_slash_is_the_one_asked() -> None:
    assert discovered(base=f"{ISSUER}/t", issuer=f"{ISSUER}/t").issuer == f"{ISSUER}/t"
    assert discovered(issuer=f"{ISSUER}/").issuer == f"{ISSUER}/"


@pytest.mark.parametrize(
    "issuer",
    ["https://evil.example", "http://as.example", f"{ISSUER}/t", f"{ISSUER}?x", "", None, 5, [ISSUER]],
)
def test_another_issuer_is_refused(issuer: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="another issuer"):
        discovered(issuer=issuer)


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
def test_missing_endpoint_is_refused(name: str) -> None:
    with pytest.raises(UnexpectedAnswer, match=f"no {name}"):
        discovered({key: value for key, value in DOCUMENT.items() if key != name})
    with pytest.raises(UnexpectedAnswer, match=f"no {name}"):
        discovered(**{name: None})


@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"]
)
@pytest.mark.parametrize(
    "url",
    [
        "http://as.example/x",
        "ftp://as.example/x",
        "javascript:alert(1)",
        "//as.example/x",
        "/x",
        "",
        "https://",
        "https://user@as.example/x",
        "https://as.example@evil.example/x",
        "https://as.example\\@evil.example/x",
        "https://as.example/x#f",
        "https://as.example/x y",
        "https://as.example/\n",
        "https://äs.example/x",
        "https://as.example:99999/x",
        "https://[::1/x",
        "https://as<.example/x",
        "https://xn--a.example/x",
        "https://a..example:/\ud800",
        "https://as.example/" + "x" * 3000,
        5,
        [],
        {},
        False,
    ],
)
def test_endpoint_that_must_not_be_trusted_is_refused(name: str, url: object) -> None:
    with pytest.raises(UnexpectedAnswer, match=f"a {name} that is not an https URL"):
        answered(discover(ISSUER), httpx.Response(200, content=json.dumps(DOCUMENT | {name: url})))


@pytest.mark.parametrize("methods", [["plain"], [], "S256", {"S256": 1}, 5, [["S256"]]])
def test_server_without_s256_is_refused(methods: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="PKCE by S256"):
        discovered(code_challenge_methods_supported=methods)


@pytest.mark.parametrize(
    ("scopes", "scope"),
    [
        ([], None),
        (None, None),
        ("all", None),
        ([1, None, "a"], "a"),
        (["a b", "", "\ud800", "c"], "c"),
    ],
)
def test_scopes_that_are_none_are_not_asked_for(scopes: object, scope: str | None) -> None:
    response = httpx.Response(200, content=json.dumps(DOCUMENT | {"scopes_supported": scopes}))
    server = answered(discover(ISSUER), response)
    assert server.scope == scope
    assert authorization_request(server=server, scope=server.scope).url.startswith(f"{ISSUER}/authorize?")


@pytest.mark.parametrize("supported", [True, False, None, "true", 1])
def test_iss_is_announced_by_true_alone(supported: object) -> None:
    server = discovered(authorization_response_iss_parameter_supported=supported)
    assert server.authorization_response_iss_parameter_supported is (supported is True)


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (httpx.Response(401, json={"error": "access_denied"}), OAuthError, "access_denied"),
        (httpx.Response(403, json={"detail": "Blocked."}), UnexpectedAnswer, "answered 403: Blocked"),
        (httpx.Response(302, headers={"location": "https://evil.example"}), UnexpectedAnswer, "not followed"),
        (httpx.Response(200, text="<html>"), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(200, json=[DOCUMENT]), UnexpectedAnswer, "not a JSON object"),
        (httpx.Response(429), ServiceUnavailable, "429"),
        (httpx.Response(500), ServiceUnavailable, "500"),
    ],
)
def test_an_answer_that_is_no_absence_is_not_asked_about_elsewhere(
    response: httpx.Response, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        answered(discover(ISSUER), response)


RFC_8414 = "https://as.example/.well-known/oauth-authorization-server"
OPENID = "https://as.example/.well-known/openid-configuration"


@pytest.mark.parametrize("absent", [400, 404, 405, 406, 410])
@pytest.mark.parametrize(
    ("base", "places"),
    [
        (ISSUER, [RFC_8414, OPENID]),
        (f"{ISSUER}/", [RFC_8414, OPENID]),
        (
            f"{ISSUER}/t/1",
            [f"{RFC_8414}/t/1", f"{OPENID}/t/1", f"{ISSUER}/t/1/.well-known/openid-configuration"],
        ),
    ],
)
def test_where_there_is_no_metadata_the_places_of_openid_are_asked_in_order(
    base: str, places: list[str], absent: int
) -> None:
    document = DOCUMENT | {"issuer": base}
    for found in range(1, len(places)):
        responses = [httpx.Response(absent, text="<html>") for _ in range(found)]
        server, requests = conversation(discover(base), *responses, httpx.Response(200, json=document))
        assert [str(request.url) for request in requests] == places[: found + 1]
        assert (server.issuer, server.announced) == (base, True)
        assert {repeat_of(request) for request in requests} == {Repeat.IF_LOST}

    with pytest.raises(UnexpectedAnswer, match="publishes none"):
        answered(discover(base), *(httpx.Response(absent) for _ in places))


def test_openid_metadata_of_another_issuer_is_refused_too() -> None:
    foreign = httpx.Response(200, json=DOCUMENT | {"issuer": "https://evil.example"})
    with pytest.raises(UnexpectedAnswer, match="another issuer"):
        answered(discover(ISSUER), httpx.Response(404), foreign)


def test_openid_metadata_needs_the_same_endpoints() -> None:
    document = {name: value for name, value in DOCUMENT.items() if name != "token_endpoint"}
    with pytest.raises(UnexpectedAnswer, match="no token_endpoint"):
        answered(discover(ISSUER), httpx.Response(404), httpx.Response(200, json=document))


@pytest.mark.parametrize(
    ("methods", "refuses"),
    [
        (None, False),
        (["none"], False),
        (["client_secret_basic", "none"], False),
        (["client_secret_basic"], True),
        ([], True),
        ("none", False),
        (5, False),
    ],
)
def test_only_a_list_without_none_says_that_every_client_needs_a_secret(
    methods: object, refuses: bool
) -> None:
    assert discovered(token_endpoint_auth_methods_supported=methods).refuses_public_clients is refuses


@pytest.mark.parametrize(
    "base",
    [
        "",
        " ",
        "api.example",
        "http://api.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://127.1",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "https://user:pw@api.example",
        "https://api.example?x=1",
        "https://api.example#f",
        "https://api.example:port",
        "https://api.example\\.evil.example",
        "https://[::1",
        "https://exa<mple.com",
        "https://xn--a",
        "https://é.example",
        "file:///etc/passwd",
        "\ud800",
        "https://\x00",
        "https://" + "a" * 3000,
    ],
)
def test_base_url_that_tokens_must_not_go_to_is_refused_before_anything_is_sent(base: str) -> None:
    for use in (checked_base_url, service_metadata, lambda base: next(discover(base))):
        with pytest.raises(ConfigurationError, match="IC_BASE_URL"):
            use(base)


@pytest.mark.parametrize(
    ("base", "checked"),
    [
        ("https://API.example/", "https://api.example"),
        ("https://api.example/v/", "https://api.example/v"),
        ("https://api.example:8443", "https://api.example:8443"),
        ("http://localhost:8000/", "http://localhost:8000"),
        ("http://LOCALHOST:8000/", "http://localhost:8000"),
        ("http://127.0.0.2:8000", "http://127.0.0.2:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("\thttps://api.example\n", "https://api.example"),
    ],
)
def test_base_url_is_kept_without_trailing_slash(base: str, checked: str) -> None:
    assert checked_base_url(base) == checked


def test_service_endpoints_are_the_published_ones() -> None:
    server = service_metadata()
    prefix = "https://api-dashboard.influencers.club/public/v1/oauth"
    assert server.registration_endpoint == f"{prefix}/register/"
    assert server.authorization_endpoint == f"{prefix}/authorize/"
    assert server.token_endpoint == f"{prefix}/token/"
    assert server.connected_apps_endpoint == f"{prefix}/apps/"
    assert server.revocation_endpoint is None
    assert server.scope == "all"
    assert not server.announced


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [
        *((host, True) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "0:0:0:0:0:0:0:1")),
        *((host, False) for host in ("localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "::")),
        *((host, False) for host in ("10.0.0.1", "2130706433", "", None)),
    ],
)
def test_loopback_is_only_what_can_mean_nothing_else(host: str | None, is_ours: bool) -> None:
    assert is_loopback(host) is is_ours
