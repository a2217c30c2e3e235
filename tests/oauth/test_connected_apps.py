from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ic_notebook.errors import ConfigurationError, OAuthError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.connected_apps import MAX_PAGES, ConnectedApp, disconnect_app, list_apps, own_app
from ic_notebook.oauth.flow import Repeat, repeat_of
from tests.oauth.flows import answered, conversation, message_of, sent_by
from tests.sizes import EXAMPLES

ENDPOINT = "https://api.example/public/v1/oauth/apps/"
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc)
ITEM = {"id": "app-1", "name": "ic_notebook", "client_id": "client-1", "created": "2026-03-04T05:06:07Z"}
APP = ConnectedApp(id="app-1", name="ic_notebook", client_id="client-1", created=MOMENT)


def listed(*pages: object) -> tuple[ConnectedApp, ...]:
    apps: tuple[ConnectedApp, ...] = answered(
        list_apps(ENDPOINT), *(httpx.Response(200, content=json.dumps(page)) for page in pages)
    )
    return apps


def only(item: dict[str, Any]) -> ConnectedApp:
    (app,) = listed([item])
    return app


def test_list_is_a_get_that_may_be_repeated() -> None:
    request = sent_by(list_apps(ENDPOINT))
    assert (request.method, str(request.url)) == ("GET", ENDPOINT)
    assert repeat_of(request) is Repeat.IF_LOST


@pytest.mark.parametrize(
    "answer",
    [
        [ITEM],
        {"results": [ITEM]},
        {"apps": [ITEM]},
        {"applications": [ITEM]},
        {"data": [ITEM]},
        {"items": [ITEM]},
        {"oauth_apps": [ITEM]},
        {"scopes": ["all"], "results": [ITEM]},
        {"count": 1, "next": None, "previous": None, "results": [ITEM]},
        {"next": "", "results": [ITEM]},
        {"next": 5, "results": [ITEM]},
        [None, "x", 5, ITEM, []],
    ],
)
def test_list_may_be_bare_or_under_a_key(answer: object) -> None:
    assert listed(answer) == (APP,)


@pytest.mark.parametrize("answer", [[], {"results": []}, {"apps": []}])
def test_no_app_is_an_empty_list(answer: object) -> None:
    assert listed(answer) == ()


@pytest.mark.parametrize("answer", [{}, {"detail": "?"}, "apps", 5, None, {"results": {"a": 1}}])
def test_answer_without_a_list_is_refused(answer: object) -> None:
    with pytest.raises(UnexpectedAnswer, match="no list of apps"):
        listed(answer)


@pytest.mark.parametrize(
    ("link", "followed"),
    [
        ("https://api.example/public/v1/oauth/apps/?page=2", ENDPOINT + "?page=2"),
        ("http://internal.cluster.local:8080/public/v1/oauth/apps/?page=2", ENDPOINT + "?page=2"),
        ("https://evil.example/public/v1/oauth/apps/?page=2&a=%2Fb", ENDPOINT + "?page=2&a=%2Fb"),
        ("https://user:pw@evil.example/x?page=2#f", "https://api.example/x?page=2"),
        ("//evil.example/x", "https://api.example/x"),
        ("https://evil.example//evil.example/x", "https://api.example//evil.example/x"),
        ("https://evil.example", "https://api.example/"),
        ("?page=2", ENDPOINT + "?page=2"),
        ("/public/v1/oauth/apps/?page=2", ENDPOINT + "?page=2"),
        ("../apps/?cursor=abc%3D%3D", ENDPOINT + "?cursor=abc%3D%3D"),
    ],
)
def test_next_link_is_followed_by_path_and_query_on_our_own_origin(link: str, followed: str) -> None:
    pages = ({"next": link, "results": [ITEM]}, {"next": None, "results": [{"id": 2}]})
    apps, requests = conversation(list_apps(ENDPOINT), *(httpx.Response(200, json=page) for page in pages))
    assert [str(request.url) for request in requests] == [ENDPOINT, followed]
    assert [app.id for app in apps] == ["app-1", "2"]


@pytest.mark.parametrize(
    "link",
    [
        *("x:.evil.example/steal", "x:@evil.example/steal", "x::443@evil.example/", "javascript:alert(1)"),
        *("mailto:a@evil.example", "http://[::1", "http://a:b:c/", "\ud800", "\x00", "#", " "),
        *("https://\\evil.example", "/\\evil.example", "http://a/" + "x" * 65_520),
    ],
)
def test_next_link_that_is_no_link_never_leaves_our_origin(link: str) -> None:
    flow = list_apps(ENDPOINT)
    next(flow)
    response = httpx.Response(200, content=json.dumps({"next": link, "results": [ITEM]}))
    response.request = httpx.Request("GET", ENDPOINT)
    try:
        request = flow.send(response)
    except StopIteration:
        pass
    else:
        assert (request.url.scheme, request.url.raw_host, request.url.userinfo) == (
            "https",
            b"api.example",
            b"",
        )
        assert request.url.port is None


@given(st.text(max_size=40) | st.from_regex(r"[a-z]{0,3}:?[/\\@.:?#]{0,4}evil[/:@?]?[0-9a-z.]{0,5}"))
@example("https://evil.example/")
@settings(max_examples=EXAMPLES, deadline=None)
def test_no_next_link_whatsoever_leaves_our_origin(link: str) -> None:
    flow = list_apps(ENDPOINT)
    next(flow)
    response = httpx.Response(200, content=json.dumps({"next": link, "results": []}))
    response.request = httpx.Request("GET", ENDPOINT)
    try:
        request = flow.send(response)
    except StopIteration:
        return
    assert urlsplit(str(request.url))[:2] == ("https", "api.example")


def test_next_links_that_go_in_circles_end_the_list() -> None:
    first, second = {"next": "?page=2", "results": [{"id": 1}]}, {"next": ENDPOINT, "results": [{"id": 2}]}
    assert [app.id for app in listed(first, second)] == ["1", "2"]
    assert [app.id for app in listed({"next": ENDPOINT, "results": [{"id": 1}]})] == ["1"]


def test_next_links_without_end_are_followed_to_a_bound() -> None:
    pages = ({"next": f"?page={n}", "results": [{"id": n}]} for n in range(1, MAX_PAGES + 1))
    assert len(listed(*pages)) == MAX_PAGES


@pytest.mark.parametrize(
    ("item", "app"),
    [
        ({}, ConnectedApp()),
        ({"id": 12}, ConnectedApp(id="12")),
        ({"id": 0}, ConnectedApp(id="0")),
        ({"app_id": "a"}, ConnectedApp(id="a")),
        ({"uuid": "u"}, ConnectedApp(id="u")),
        ({"id": None, "uuid": "u"}, ConnectedApp(id="u", extra={"id": None})),
        ({"id": "", "uuid": "u"}, ConnectedApp(id="u", extra={"id": ""})),
        ({"id": True, "app_id": "a"}, ConnectedApp(id="a", extra={"id": True})),
        ({"id": ["a"]}, ConnectedApp(extra={"id": ["a"]})),
        ({"client_name": "N"}, ConnectedApp(name="N")),
        ({"name": "a\u202eb\n"}, ConnectedApp(name="a b")),
        ({"name": "Ann; “notebook” 📓"}, ConnectedApp(name="Ann; “notebook” 📓")),
        ({"client_id": 7}, ConnectedApp(client_id="7")),
        (
            {"id": 1, "application": {"name": "N", "client_id": "c", "id": 9}},
            ConnectedApp(
                id="1",
                name="N",
                client_id="c",
                extra={"application": {"name": "N", "client_id": "c", "id": 9}},
            ),
        ),
        (
            {"id": 1, "client": {"client_id": True, "name": ""}},
            ConnectedApp(id="1", extra={"client": {"client_id": True, "name": ""}}),
        ),
        ({"id": 1, "client": "c"}, ConnectedApp(id="1", extra={"client": "c"})),
        ({"scopes": ["all"], "last_used": None}, ConnectedApp(extra={"scopes": ["all"], "last_used": None})),
    ],
)
def test_fields_are_read_where_they_are_and_the_rest_is_kept(item: dict[str, Any], app: ConnectedApp) -> None:
    assert only(item) == app


@pytest.mark.parametrize("value", ["x" * 300, "a  b", " a", "a\u200bb", "a\nb", "\ud800"])
def test_identifier_that_cannot_be_shown_as_it_is_counts_as_absent(value: str) -> None:
    """Cleaned or cut it would name another app, and somebody would disconnect that one."""
    app = only({"id": value, "client_id": value, "name": "N"})
    assert (app.id, app.client_id, app.name) == (None, None, "N")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026-03-04T05:06:07Z", MOMENT),
        ("2026-03-04T05:06:07+00:00", MOMENT),
        ("2026-03-04T07:06:07+02:00", MOMENT),
        ("2026-03-04T05:06:07", MOMENT),
        ("2026-03-04 05:06:07", MOMENT),
        ("2026-03-04T05:06:07.000000Z", MOMENT),
        (" 2026-03-04T05:06:07Z ", MOMENT),
        ("2026-03-04", datetime(2026, 3, 4, tzinfo=timezone.utc)),
        (1772600767, MOMENT),
        (1772600767.0, MOMENT),
        (1772600767000, MOMENT),
        ("yesterday", None),
        ("", None),
        (True, None),
        (None, None),
        (10**30, None),
        (-(10**30), None),
        (float("nan"), None),
        (float("inf"), None),
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ({"at": 1}, None),
    ],
)
def test_dates_of_several_forms_are_read_in_utc(value: object, moment: datetime | None) -> None:
    for name in ("created", "created_at", "authorized_at"):
        assert only({"id": 1, name: value}).created == moment


def test_app_can_be_copied_pickled_hashed_and_made_a_row() -> None:
    app = only(ITEM | {"more": {"a": [1]}})
    assert copy.deepcopy(app) == app
    assert pickle.loads(pickle.dumps(app)) == app
    assert asdict(app)["extra"] == {"more": {"a": [1]}}
    assert len({app, only(ITEM | {"more": {"a": [1]}})}) == 1


def test_extra_fields_are_not_printed() -> None:
    assert "S3CRET" not in repr(only(ITEM | {"key": "S3CRET"}))


@pytest.mark.parametrize("status", [200, 202, 204])
def test_disconnecting_is_a_delete_that_any_success_confirms(status: int) -> None:
    confirmed, (request,) = conversation(disconnect_app(ENDPOINT, "12"), httpx.Response(status))
    assert confirmed is True
    assert (request.method, str(request.url)) == ("DELETE", ENDPOINT + "12/")
    assert repeat_of(request) is Repeat.IF_REFUSED


@pytest.mark.parametrize("status", [404, 410])
def test_disconnecting_an_app_that_is_not_there_is_told_apart(status: int) -> None:
    assert answered(disconnect_app(ENDPOINT, "12"), httpx.Response(status, text="<html>")) is False


@pytest.mark.parametrize(
    ("app_id", "path"),
    [
        ("%2e%2e", b"%252e%252e/"),
        ("a?b#c", b"a%3Fb%23c/"),
        (" 12 ", b"12/"),
        ("é", b"%C3%A9/"),
        (".a", b".a/"),
        ("a;b", b"a%3Bb/"),
        ("@evil", b"%40evil/"),
    ],
)
def test_id_stays_one_segment_of_the_path(app_id: str, path: bytes) -> None:
    request = sent_by(disconnect_app(ENDPOINT, app_id))
    assert request.url.raw_path == b"/public/v1/oauth/apps/" + path


@pytest.mark.parametrize(
    "app_id",
    [
        "",
        " ",
        ".",
        "..",
        "...",
        " .. ",
        ". ",
        "\t..\n",
        "\u3000..\u3000",
        "a\nb",
        "\ud800",
        "\u202e",
        "x" * 257,
        "a/b",
        "a\\b",
        "../../accounts/tokens",
    ],
)
def test_id_that_cannot_be_one_is_refused_before_anything_is_sent(app_id: str) -> None:
    with pytest.raises(ConfigurationError, match="id of an app"):
        next(disconnect_app(ENDPOINT, app_id))


@given(st.text(max_size=60))
@settings(max_examples=EXAMPLES, deadline=None)
def test_whatever_the_id_only_one_app_is_meant(app_id: str) -> None:
    try:
        request = sent_by(disconnect_app(ENDPOINT, app_id))
    except ConfigurationError:
        return
    head, slash, tail = request.url.raw_path.removeprefix(b"/public/v1/oauth/apps/").partition(b"/")
    assert head
    assert (slash, tail) == (b"/", b"")
    assert request.url.host == "api.example"


@pytest.mark.parametrize(
    ("response", "error", "words"),
    [
        (
            httpx.Response(401, json={"detail": "Invalid token."}),
            UnexpectedAnswer,
            r"refused \(401\): Invalid",
        ),
        (httpx.Response(403, text="<html>"), UnexpectedAnswer, r"refused \(403\)\."),
        (httpx.Response(401, json={"error": "invalid_token"}), UnexpectedAnswer, "invalid_token"),
        (httpx.Response(400, json={"error": "bad"}), OAuthError, "refused with bad"),
        (httpx.Response(409, json={"message": "Busy"}), UnexpectedAnswer, "409: Busy"),
        (httpx.Response(301, headers={"location": "https://evil.example"}), UnexpectedAnswer, "not followed"),
        (httpx.Response(429), ServiceUnavailable, "429"),
        (httpx.Response(503, text="<html>"), ServiceUnavailable, "503"),
    ],
)
@pytest.mark.parametrize(
    "call", [list_apps(ENDPOINT), disconnect_app(ENDPOINT, "1")], ids=["list", "disconnect"]
)
def test_refusals_of_both_calls_are_told(
    call: Any, response: httpx.Response, error: type[Exception], words: str
) -> None:
    flow = list_apps(ENDPOINT) if call.__name__ == "list_apps" else disconnect_app(ENDPOINT, "1")
    with pytest.raises(error, match=words) as refusal:
        answered(flow, response)
    assert "<html>" not in message_of(refusal.value)


OURS = {"client_id": "c1", "client_name": "ic_notebook"}


@pytest.mark.parametrize(
    ("apps", "own"),
    [
        ([], None),
        ([ConnectedApp(id="1", client_id="c1"), ConnectedApp(id="2", name="ic_notebook")], "1"),
        ([ConnectedApp(id="1", name="ic_notebook"), ConnectedApp(id="2", client_id="c1")], "2"),
        ([ConnectedApp(id="1", name="ic_notebook"), ConnectedApp(id="2", name="other")], "1"),
        ([ConnectedApp(id="1", name="ic_notebook"), ConnectedApp(id="2", name="ic_notebook")], None),
        ([ConnectedApp(id="1", name="ic_notebook", client_id="c2")], None),
        ([ConnectedApp(id="1", name="IC_Notebook")], None),
        ([ConnectedApp(id="1", name="ic_notebook 2")], None),
        ([ConnectedApp(id="1")], None),
    ],
)
def test_own_app_is_known_by_client_id_or_by_a_name_that_one_has_and_never_guessed(
    apps: list[ConnectedApp], own: str | None
) -> None:
    found = own_app(iter(apps), **OURS)
    assert (found.id if found else None) == own


def test_app_without_a_client_id_is_not_taken_for_a_client_without_one() -> None:
    assert (
        own_app([ConnectedApp(id="1"), ConnectedApp(id="2", client_id="")], client_id="", client_name="x")
        is None
    )


def test_two_apps_with_our_client_id_are_not_guessed_between() -> None:
    listed = [ConnectedApp(id="1", client_id="c"), ConnectedApp(id="2", client_id="c")]
    assert own_app(listed, client_id="c", client_name="n") is None
    assert own_app(listed[:1], client_id="c", client_name="n") is listed[0]
