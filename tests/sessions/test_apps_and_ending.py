"""The list of connected apps, revoking one, and the ends of a session: disconnect and forget."""

from __future__ import annotations

import dataclasses
import time
from datetime import datetime, timezone

import httpx
import pytest

import ic_notebook as ic
from ic_notebook.oauth.connected_apps import ConnectedApp
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sandbox import Faults
from ic_notebook.sessions.apps import ConnectedApps
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState
from ic_notebook.transport import Transport
from tests.sessions.people import APPS, NAME, impatient, registered, seen, signed_in

SHAPES = ["bare", "keyed", "paginated"]


@pytest.mark.parametrize("shape", SHAPES)
def test_apps_of_every_list_shape_are_read_and_ours_is_marked(new_sandbox, shape):
    sandbox = new_sandbox(app_list=shape, app_page_size=2)
    for number in range(4):
        sandbox.store.seed_app(f"App {number}")
    session = signed_in(sandbox)
    apps = session.apps()
    assert [app.name for app in apps] == ["App 0", "App 1", "App 2", "App 3", NAME]
    assert len(apps) == 5
    assert apps.own is apps[-1]
    assert [app.name for app in apps[:2]] == ["App 0", "App 1"]
    assert f"{NAME}  (this one)" in repr(apps)
    assert repr(apps).count("(this one)") == apps._repr_html_().count("(this one)") == 1


def test_ours_is_told_by_its_name_where_no_app_says_its_client_id(new_sandbox):
    sandbox = new_sandbox(without=frozenset({"client_id"}))
    sandbox.store.seed_app("Another")
    assert signed_in(sandbox).apps().own.name == NAME


@pytest.mark.parametrize("missing", [{"client_id", "name"}, {"name", "client_id", "created_at", "scopes"}])
def test_none_is_marked_where_it_cannot_be_told(new_sandbox, missing):
    apps = signed_in(new_sandbox(without=frozenset(missing))).apps()
    assert apps.own is None
    assert "(this one)" not in repr(apps)
    assert "without a name" in repr(apps)


def listed(*apps: ConnectedApp, own: int | None = None) -> ConnectedApps:
    return ConnectedApps(apps, None if own is None else apps[own])


def test_the_text_table_is_aligned(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    created = datetime(2026, 11, 3, 12, tzinfo=timezone.utc)
    apps = listed(
        ConnectedApp(id="7", name="Claude", created=created), ConnectedApp(id="1234", name=NAME), own=1
    )
    assert repr(apps) == str(apps)
    assert repr(apps).splitlines() == [
        "App                                Connected   Id",
        "Claude                             3 Nov 2026  7",
        "ic_notebook on a test  (this one)              1234",
    ]


def test_an_empty_list_says_so():
    assert repr(listed()) == "No app is connected."
    assert listed()._repr_html_() == "<p>No app is connected.</p>"


def test_names_and_ids_are_escaped_in_html():
    evil = "<img src=x onerror=alert(1)>\"'&"
    shown = listed(ConnectedApp(id=evil, name=evil))._repr_html_()
    assert "<img" not in shown
    assert shown.count("&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;") == 2


def test_revoke_disconnects_another_app_and_this_one_goes_on(new_sandbox):
    sandbox = new_sandbox()
    other = sandbox.store.seed_app("Old laptop")
    session = signed_in(sandbox)
    assert session.revoke(str(other)) is None
    assert [app.name for app in session.apps()] == [NAME]
    assert session.state is SessionState.CONNECTED


def test_revoke_takes_an_id_with_white_space_or_as_a_number(new_sandbox):
    sandbox = new_sandbox()
    first, second = sandbox.store.seed_app("One"), sandbox.store.seed_app("Two")
    session = signed_in(sandbox)
    session.revoke(f" {first} ")
    session.revoke(second)
    assert [app.name for app in session.apps()] == [NAME]


@pytest.mark.parametrize("app_id", ["", "  ", ".", "..", "../..", "x" * 300, "a\nb"])
def test_an_id_that_cannot_be_one_is_refused_without_harm(sandbox, app_id):
    session = signed_in(sandbox)
    with pytest.raises((ic.ConfigurationError, ic.APIError), match="id"):
        session.revoke(app_id)
    assert not any(status < 300 for method, _, status in sandbox.requests if method == "DELETE")


def test_an_unknown_id_says_where_to_look(sandbox):
    session = signed_in(sandbox)
    with pytest.raises(
        ic.APIError, match=r"No connected app has this id\. ic\.apps\(\) lists them"
    ) as caught:
        session.revoke("987654")
    assert caught.value.status_code == 404
    assert session.state is SessionState.CONNECTED


@pytest.mark.parametrize("looked", [True, False])
def test_revoking_ones_own_id_ends_the_session(new_sandbox, looked):
    sandbox = new_sandbox()
    session = signed_in(sandbox)
    own = str(sandbox.store.apps()[-1].id)
    if looked:
        assert session.apps().own.id == own
    session.revoke(own)
    with pytest.raises(ic.SignInRequired):
        session.credits()
    assert not session.status.connected


@pytest.mark.parametrize("status", [200, 202, 204])
def test_disconnect_is_confirmed_where_the_service_confirmed_it(new_sandbox, status):
    sandbox = new_sandbox(delete_status=status)
    session = signed_in(sandbox)
    token = session.access_token()
    result = session.disconnect()
    assert result.confirmed
    assert repr(result) == result.message
    assert result.message.startswith("Disconnected. The service confirmed it")
    assert session.state is SessionState.DISCONNECTED
    assert sandbox.store.apps() == []
    assert token_is_dead(sandbox, token)


def token_is_dead(sandbox, token: str) -> bool:
    import httpx

    answer = httpx.get(f"{sandbox.url}{APPS}", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    return answer.status_code == 401


@pytest.mark.parametrize("missing", [{"client_id", "name"}, {"id"}])
def test_disconnect_says_that_it_could_only_forget(new_sandbox, missing):
    sandbox = new_sandbox(without=frozenset(missing))
    session = signed_in(sandbox)
    result = session.disconnect()
    assert not result.confirmed
    assert result.message.startswith("Forgotten here only")
    assert session.state is SessionState.DISCONNECTED
    assert len(sandbox.store.apps()) == 1
    assert not any(method == "DELETE" for method, _, _ in sandbox.requests)


def test_disconnect_by_name_does_not_guess_between_two(new_sandbox):
    sandbox = new_sandbox(without=frozenset({"client_id"}))
    sandbox.store.seed_app(NAME)
    assert not signed_in(sandbox).disconnect().confirmed
    assert len(sandbox.store.apps()) == 2


def test_disconnect_after_the_service_ended_it_says_so(sandbox):
    session = signed_in(sandbox)
    sandbox.store.end_client(session._source.current().client_id)
    result = session.disconnect()
    assert not result.confirmed
    assert "already ended" in result.message
    assert not session.status.connected


def test_disconnect_that_the_network_loses_keeps_the_session(sandbox):
    session = signed_in(sandbox, transport=impatient())
    sandbox.settings = dataclasses.replace(sandbox.settings, faults=Faults(fraction=1, paths=(APPS,)))
    with pytest.raises(ic.ServiceUnavailable):
        session.disconnect()
    assert session.state is SessionState.CONNECTED
    sandbox.settings = dataclasses.replace(sandbox.settings, faults=Faults())
    assert session.credits() == 627.13


def test_forget_only_forgets(new_sandbox):
    sandbox = new_sandbox()
    session = signed_in(sandbox)
    token = session.access_token()
    session.forget()
    assert session.state is SessionState.DISCONNECTED
    assert len(sandbox.store.apps()) == 1
    assert not token_is_dead(sandbox, token)
    assert [line for line in seen(sandbox) if not line.startswith("GET apps")] == []
    for call in (session.credits, session.apps, session.access_token, lambda: session.revoke("1")):
        with pytest.raises(ic.SignInRequired, match="Nobody is signed in"):
            call()


def test_disconnect_after_forget_does_not_claim_that_anything_ended(new_sandbox):
    sandbox = new_sandbox()
    session = signed_in(sandbox)
    session.forget()
    with pytest.raises(ic.SignInRequired):
        session.disconnect()
    assert len(sandbox.store.apps()) == 1


def test_a_refresh_under_way_does_not_bring_a_forgotten_session_back(sandbox):
    session = signed_in(sandbox)
    sandbox.settings = dataclasses.replace(sandbox.settings, token_delay=0.3)
    renewal = session._source.replace(session._source.current())
    session.forget()
    with pytest.raises(ic.SignInRequired):
        renewal.result(10)
    with pytest.raises(ic.SignInRequired):
        session.access_token()


def test_a_second_client_is_told_from_the_first_by_its_id(new_sandbox):
    sandbox = new_sandbox()
    first, second = registered(sandbox), registered(sandbox)
    one, two = signed_in(sandbox, client=first), signed_in(sandbox, client=second)
    assert one.disconnect().confirmed
    assert two.credits() == 627.13


@pytest.mark.parametrize(
    ("endpoints", "confirmed", "words"),
    [
        ({"revocation_endpoint": "https://auth.example.com/revoke"}, True, "the server confirmed"),
        ({}, False, "announces no way to revoke"),
    ],
)
def test_disconnecting_from_a_discovered_server_revokes_where_that_is_announced(endpoints, confirmed, words):
    asked: list[str] = []

    def server(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, stream=httpx.ByteStream(b""))

    metadata = ServerMetadata(
        issuer="https://auth.example.com",
        base_url="https://auth.example.com",
        authorization_endpoint="https://auth.example.com/authorize",
        token_endpoint="https://auth.example.com/token",
        announced=True,
        **endpoints,
    )
    client = ClientInformation(client_id="c", client_name=NAME, redirect_uris=())
    tokens = TokenSet(access_token=Secret("a"), refresh_token=Secret("r"), client_id="c")
    transport = Transport(http=httpx.MockTransport(server))
    session = Session.signed_in(metadata, client, tokens, transport=transport)

    ended = session.disconnect()
    assert (ended.confirmed, words in ended.message.lower()) == (confirmed, True)
    assert asked == (["/revoke"] if confirmed else [])
    assert session.state is SessionState.DISCONNECTED
