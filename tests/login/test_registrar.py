"""Which client a login gets: registered once, checked where it may be dead, replaced where it is."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import httpx
import pytest

from ic_notebook.errors import ConfigurationError, OAuthError, ServiceUnavailable, StorageError
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.registrar import ONE_DAY, client_name
from ic_notebook.storage.clients import ClientStore

pytestmark = pytest.mark.anyio

LOCAL = "http://127.0.0.1:8000"


async def test_the_first_login_registers_the_whole_pool_and_the_next_uses_it(registrar, server):
    first = await registrar().client()
    second = await registrar().client()

    assert (first.client_id, second) == ("c1", first)
    assert server.asked == ["register"]
    (sent,) = server.registered
    assert sent["redirect_uris"] == ["http://127.0.0.1:1001/callback", "http://127.0.0.1:1002/callback"]
    assert (sent["token_endpoint_auth_method"], sent["application_type"]) == ("none", "native")
    assert sent["scope"] == "all"


async def test_no_secret_of_a_registration_is_kept(registrar, tmp_path):
    await registrar().client()

    assert "never kept" not in (tmp_path / "clients.json").read_text()


@pytest.mark.parametrize(
    ("age", "checks"), [(0.0, 0), (ONE_DAY - 1, 0), (ONE_DAY, 1), (30 * ONE_DAY, 1), (-1.0, 1), (-ONE_DAY, 1)]
)
async def test_a_stored_client_is_checked_after_a_day_without_a_sign_in(
    registrar, server, clock, age, checks
):
    await registrar().client()
    clock.now += age
    client = await registrar().client()

    assert client.client_id == "c1"
    assert server.asked == ["register"] + ["authorize"] * checks


async def test_a_sign_in_puts_the_next_check_off(registrar, clock, server):
    client = await registrar().client()
    clock.now += ONE_DAY - 1
    await registrar().signed_in(client)
    clock.now += ONE_DAY - 1
    await registrar().client()

    assert server.asked == ["register"]


@pytest.mark.parametrize(
    "base_url", [LOCAL, "http://localhost:8000", "http://[::1]:8000", "https://127.0.0.1"]
)
async def test_a_client_of_a_server_on_this_computer_is_checked_each_time(registrar, server, base_url):
    await registrar(base_url).client()
    await registrar(base_url).client()

    assert server.asked == ["register", "authorize"]


async def test_the_check_asks_with_a_state_of_its_own_and_no_person(registrar, server):
    made = registrar(LOCAL)
    client = await made.client()
    await registrar(LOCAL).client()
    request = made.authorization_request(client, 1)

    (query,) = server.queries
    assert (query["prompt"], query["client_id"]) == ("none", "c1")
    assert query["state"] != request.state
    assert f"state={query['state']}" not in request.url


@pytest.mark.parametrize("status", [400, 401])
async def test_a_client_that_the_server_has_dropped_is_replaced_unseen(registrar, server, clock, status):
    await registrar().client()
    clock.now += ONE_DAY
    server.known = set()
    made = registrar()
    client = await made.client()

    assert (client.client_id, made.notice) == ("c2", None)
    assert server.asked == ["register", "authorize", "register", "authorize"]
    assert (await registrar().client()).client_id == "c2"


@pytest.mark.parametrize(
    "answer",
    [
        200,
        302,
        303,
        307,
        403,
        404,
        405,
        410,
        429,
        500,
        502,
        503,
        504,
        httpx.ConnectError("no"),
        httpx.ReadTimeout("late"),
        httpx.ReadError("broken"),
        OSError("no route"),
    ],
)
@pytest.mark.parametrize("base_url", [LOCAL, "https://api.example.com"])
async def test_anything_else_proves_nothing_and_drops_nobody(registrar, server, clock, answer, base_url):
    await registrar(base_url).client()
    clock.now += ONE_DAY
    server.check = answer
    made = registrar(base_url)
    client = await made.client()

    assert (client.client_id, made.notice) == ("c1", None)
    assert len(server.registered) == 1
    assert set(server.asked[1:]) == {"authorize"}


@pytest.mark.parametrize("status", [400, 401])
async def test_a_fresh_client_that_is_refused_too_is_used_with_a_notice(registrar, server, clock, status):
    await registrar().client()
    clock.now += ONE_DAY
    server.check = status
    made = registrar()
    client = await made.client()

    assert client.client_id == "c2"
    assert "error page" in made.notice
    assert server.asked == ["register", "authorize", "register", "authorize"]


@pytest.mark.parametrize(
    "refusal",
    [
        {"error": "invalid_redirect_uri"},
        {"error": "invalid_client_metadata"},
        {"redirect_uris": ["Enter a valid URL."]},
    ],
    ids=str,
)
async def test_a_server_that_refuses_127_0_0_1_gets_localhost_and_is_asked_once(registrar, server, refusal):
    server.refuse_host, server.refusal = "127.0.0.1", refusal
    made = registrar()
    client = await made.client()

    assert client.redirect_uris == ("http://localhost:1001/callback", "http://localhost:1002/callback")
    assert made.authorization_request(client, 1).redirect_uri == "http://localhost:1002/callback"
    assert await registrar().client() == client
    assert server.asked == ["register", "register"]


async def test_a_server_that_refuses_both_says_why(registrar, server):
    server.refuse_host = "127.0.0.1"

    async def refuse(request):
        return httpx.Response(400, stream=httpx.ByteStream(b'{"error": "invalid_redirect_uri"}'))

    server.handle_async_request = refuse
    with pytest.raises(OAuthError, match="invalid_redirect_uri"):
        await registrar().client()


@pytest.mark.parametrize("refusal", ["invalid_software_statement", "access_denied"])
async def test_another_refusal_is_not_asked_about_twice(registrar, server, refusal):
    server.refuse_host, server.refusal = "127.0.0.1", {"error": refusal}
    with pytest.raises(OAuthError, match=refusal):
        await registrar().client()

    assert server.asked == ["register"]


async def test_a_registration_without_an_answer_is_not_repeated(registrar, server):
    async def broken(request):
        server.asked.append("register")
        raise httpx.ReadError("broken")

    server.handle_async_request = broken
    with pytest.raises(ServiceUnavailable):
        await registrar().client()

    assert server.asked == ["register"]


async def test_another_scope_is_registered_anew(registrar, server):
    await registrar().client()
    client = await registrar(scope="other").client()

    assert (client.client_id, client.scope) == ("c2", "other")


async def test_a_server_without_registration_is_refused_in_words(registrar):
    made = registrar()
    made.server = ServerMetadata(
        issuer="https://a",
        base_url="https://a",
        authorization_endpoint="https://a/a",
        token_endpoint="https://a/t",
    )
    with pytest.raises(ConfigurationError, match="lets no program register"):
        await made.client()


class Broken(ClientStore):
    """Its disk is full, or a newer version wrote it."""

    def find(self, *_arguments):
        raise StorageError("clients.json was written by a newer ic_notebook.")

    def save(self, *_arguments, **_options):
        raise StorageError("clients.json cannot be written.")

    drop = signed_in = save


async def test_a_store_that_fails_costs_a_warning_and_no_sign_in(registrar, server, tmp_path, caplog):
    made = registrar(store=Broken(tmp_path / "clients.json", machine="here"))
    client = await made.client()
    await made.signed_in(client)
    await made.drop(client)

    assert client.client_id == "c1"
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert any("cannot be written" in line and "register again" in line for line in warned)


@pytest.mark.parametrize("place", [0, 1])
async def test_the_request_returns_to_the_port_that_is_listened_on(registrar, place):
    made = registrar()
    client = await made.client()

    assert made.authorization_request(client, place).redirect_uri == client.redirect_uris[place]


@pytest.mark.parametrize(
    ("machine", "name"),
    [
        ("lab-7", "ic_notebook on lab-7"),
        ("", "ic_notebook on a computer"),
        ("a\nb\u202ec", "ic_notebook on a b c"),
        ("x" * 500, ("ic_notebook on " + "x" * 199)[:100]),
        ("\udcff", "ic_notebook on a computer"),
    ],
)
def test_the_name_says_program_and_computer(machine, name):
    assert client_name(machine) == name


# -- a client made by hand


@pytest.mark.parametrize("base_url", [LOCAL, "https://api.example.com"])
async def test_a_client_made_by_hand_is_neither_registered_checked_nor_stored(
    registrar, server, tmp_path, base_url
):
    made = registrar(base_url, client_id="by-hand")
    client = await made.client()
    await made.signed_in(client)
    await made.drop(client)

    assert (client.client_id, client.client_name, client.scope) == ("by-hand", "", "all")
    assert client.redirect_uris == ("http://127.0.0.1:1001/callback", "http://127.0.0.1:1002/callback")
    assert made.authorization_request(client, 1).client_id == "by-hand"
    assert server.asked == []
    assert not (tmp_path / "clients.json").exists()


async def test_a_client_made_by_hand_leaves_a_stored_one_of_the_same_name_alone(registrar):
    await registrar().client()
    made = registrar(client_id="c1")
    await made.drop(await made.client())

    assert (await registrar().client()).client_id == "c1"


async def test_a_server_without_registration_takes_a_client_made_by_hand(registrar):
    made = registrar(client_id="by-hand")
    made.server = replace(made.server, registration_endpoint=None)

    assert (await made.client()).client_id == "by-hand"


async def test_a_server_without_registration_says_which_client_to_ask_for(registrar):
    made = registrar()
    made.server = replace(made.server, registration_endpoint=None)
    with pytest.raises(ConfigurationError) as caught:
        await made.client()

    words = str(caught.value)
    assert "http://127.0.0.1:PORT/callback for the ports 1001, 1002" in words
    assert "client_id=" in words


# -- registered anew on request


async def test_a_new_client_takes_the_place_of_the_stored_one_unchecked(registrar, server):
    await registrar().client()
    client = await registrar(new_client=True).client()

    assert client.client_id == "c2"
    assert server.asked == ["register", "register", "authorize"]
    assert (await registrar().client()).client_id == "c2"


async def test_a_new_client_where_none_is_stored_is_registered_once(registrar, server):
    assert (await registrar(new_client=True).client()).client_id == "c1"
    assert server.asked == ["register"]


@pytest.mark.parametrize("by", ["new_client", "replace"])
async def test_a_client_that_cannot_be_replaced_stays(registrar, server, by):
    old = await registrar().client()
    answer = server.handle_async_request

    async def refuse(request):
        if request.method == "GET":
            return await answer(request)
        return httpx.Response(403, stream=httpx.ByteStream(b'{"error": "access_denied"}'))

    server.handle_async_request = refuse
    with pytest.raises(OAuthError, match="access_denied"):
        await (registrar(new_client=True).client() if by == "new_client" else registrar().replace(old))
    server.handle_async_request = answer

    assert await registrar().client() == old


async def test_a_replacement_that_returns_to_localhost_leaves_no_old_client_behind(
    registrar, server, tmp_path
):
    old = await registrar().client()
    server.refuse_host = "127.0.0.1"
    fresh = await registrar().replace(old)

    kept = json.loads((tmp_path / "clients.json").read_text())["clients"]
    assert [entry["client_id"] for entry in kept] == [fresh.client_id]


# -- servers that want a secret of everybody


@pytest.mark.parametrize(
    ("methods", "warned"), [(None, False), (("none",), False), (("client_secret_basic",), True), ((), True)]
)
async def test_a_server_that_wants_secrets_is_tried_with_a_warning(registrar, caplog, methods, warned):
    made = registrar()
    made.server = replace(made.server, token_endpoint_auth_methods_supported=methods)
    client = await made.client()

    assert client.client_id == "c1"
    assert any("needs a secret" in record.getMessage() for record in caplog.records) is warned
