"""The routes: which one a page's findings lead to, and what a page may not say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ic_notebook.redirect.routes import ORDER, Findings, loopback

POOL = (1001, 1002)
HUB = {"origin": "https://hub.example", "base_url": "/user/ann/lab-2/"}


def findings(*reached: str, **parts: object) -> Findings:
    tried = [{"name": name, "ok": name in reached, "why": "not there"} for name in ORDER]
    return Findings.of({"tried": tried, **HUB, **parts})


def uris(found: Findings, port: int | None = 1002) -> tuple[str, ...]:
    route = found.best(POOL, port)
    assert route is not None
    assert route.proven
    return route.redirect_uris


def test_the_best_of_what_works_is_taken():
    assert uris(findings(*ORDER)) == ("http://127.0.0.1:1001/callback", "http://127.0.0.1:1002/callback")
    assert uris(findings("extension", "server-proxy")) == (
        "https://hub.example/user/ann/lab-2/ic-notebook/callback",
    )
    assert uris(findings("server-proxy")) == (
        "https://hub.example/user/ann/lab-2/proxy/1001/callback",
        "https://hub.example/user/ann/lab-2/proxy/1002/callback",
    )
    assert findings().best(POOL, 1002) is None


def test_what_registers_says_what_it_is():
    assert loopback(POOL).application_type == "native"
    route = findings("extension").best(POOL, 1001)
    assert route is not None
    assert route.application_type == "web"
    assert route.redirect_uri(route.redirect_uris, 1) == route.redirect_uris[0]
    assert loopback(POOL).redirect_uri(loopback(POOL).redirect_uris, 1) == "http://127.0.0.1:1002/callback"


@pytest.mark.parametrize("port", [None, 40_000])
def test_a_port_that_is_not_registered_is_reached_through_the_server_alone(port):
    found = findings("loopback", "server-proxy", "extension").best(POOL, port)
    assert found is not None
    assert found.name == "extension"
    assert findings("loopback", "server-proxy").best(POOL, port) is None


def test_a_route_that_is_of_no_use_is_passed_over():
    found = findings("extension", "server-proxy")
    assert found.best(POOL, 1001, but={"extension"}).name == "server-proxy"


def test_why_a_route_does_not_work_is_told():
    found = findings("extension")
    assert found.why_not("loopback") == "not there"
    assert found.why_not("extension") is None
    assert [str(entry) for entry in found.tried][:2] == ["loopback: not there", "extension: works"]


def test_a_hosted_proxy_begins_at_a_page_of_its_own():
    route = findings("hosted", hosted="https://p-1001.host.example").best(POOL, 1001)
    assert route is not None
    assert route.redirect_uris == ("https://p-1001.host.example/callback",)
    assert route.start == "https://p-1001.host.example"


@pytest.mark.parametrize(
    "parts",
    [
        {"origin": "null"},
        {"origin": "vscode-webview://abc"},
        {"origin": "https://hub.example/path"},
        {"origin": "https://ann@hub.example"},
        {"origin": "https://hub.example\r\nX: y"},
        {"origin": "javascript:alert(1)"},
        {"origin": 1},
        {"origin": "https://" + "a" * 3000},
        {"base_url": "user/ann/"},
        {"base_url": "/user/../"},
        {"base_url": "//evil.example/"},
        {"base_url": "/a?b/"},
        {"base_url": None},
    ],
)
def test_an_address_that_cannot_be_one_leads_nowhere(parts):
    assert findings("extension", **parts).best(POOL, 1001) is None


@pytest.mark.parametrize(
    "tried", [None, {}, "loopback", [None], [{"name": "x", "ok": True}], [{"ok": True}], [[]]]
)
def test_what_says_nothing_of_a_route_says_nothing(tried):
    assert Findings.of({"tried": tried, **HUB}).tried == ()


def test_only_true_is_yes():
    assert not Findings.of({"tried": [{"name": "loopback", "ok": "yes"}]}).reached


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from([*ORDER, "https://a", "/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["tried", "origin", "base_url", "hosted", "x"]), _JSON)
    | st.fixed_dictionaries(
        {
            "tried": st.lists(
                st.fixed_dictionaries({"name": st.sampled_from(ORDER), "ok": _JSON, "why": _JSON})
            )
        }
    )
)
def test_any_message_is_read(message):
    found = Findings.of(message)
    route = found.best(POOL, 1001)
    assert route is None or route.proven
    assert all(entry.name in ORDER for entry in found.tried)
    assert "\n" not in "".join(map(str, found.tried))
