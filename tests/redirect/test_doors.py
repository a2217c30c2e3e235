"""The door: what the panel's page says past a busy kernel, and who else is refused."""

from __future__ import annotations

import json

import pytest

from ic_notebook.redirect import pages
from ic_notebook.redirect.doors import MAX_MESSAGE, Door
from ic_notebook.redirect.listener import Listener
from tests.redirect.conftest import Door as Stranger

pytestmark = pytest.mark.anyio

HERE = "http://127.0.0.1:8888"
TARGET = "https://as.example/authorize?state=s"


def message(door: Door, **parts: object) -> bytes:
    return json.dumps({"key": door.key, "origin": HERE, "type": "probe", **parts}).encode()


def test_a_message_counts_with_the_key_and_the_origin_it_names():
    door = Door()
    assert door.open(message(door, text="x"), HERE)["text"] == "x"


@pytest.mark.parametrize(
    ("parts", "origin"),
    [
        ({"key": "another"}, HERE),
        ({"key": None}, HERE),
        ({"key": ["k"]}, HERE),
        ({"key": "\ud800"}, HERE),
        ({}, None),
        ({}, "https://evil.example"),
        ({"origin": None}, None),
        ({"origin": "null"}, HERE),
    ],
)
def test_any_other_does_not(parts, origin):
    door = Door()
    assert door.open(message(door, **parts), origin) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"\xff", b"{", b'{"key":1}', b"[" * 50_000])
def test_what_is_no_message_is_refused(body):
    assert Door().open(body, HERE) is None


def test_the_first_page_with_the_key_is_the_only_one():
    door = Door()
    assert door.open(message(door), HERE)
    elsewhere = "https://evil.example"
    assert door.open(message(door, origin=elsewhere), elsewhere) is None
    assert door.open(message(door), HERE)


def test_no_two_doors_have_a_word_in_common():
    words = [word for door in (Door(), Door()) for word in (door.key, door.answer, door.start)]
    assert len(set(words)) == 6
    assert door_is_hidden(Door())


def door_is_hidden(door: Door) -> bool:
    return not any(word in repr(vars(door)) for word in (door.key, door.answer, door.start))


@pytest.fixture
async def at(free_ports):
    """A listener that answers at its door, and what was said there."""
    said: list[tuple[bytes, str | None]] = []

    async def respond(_query: str) -> pages.Page:
        return pages.DECLINED

    def at_door(body: bytes, origin: str | None) -> str | None:
        said.append((body, origin))
        return "the answer" if body == b"right" else None

    def started(word: str) -> str | None:
        return TARGET if word == "right" else None

    listener = await Listener.open(respond, ports=free_ports(1), at_door=at_door, started=started)
    yield listener, said
    listener.close()


async def send(listener: Listener, octets: bytes) -> bytes:
    return await Stranger(listener, []).send(octets)


def post(listener: Listener, body: bytes, *, origin: str | None = HERE, host: str = "") -> bytes:
    lines = [f"POST /door HTTP/1.1\r\nHost: {host or f'127.0.0.1:{listener.port}'}"]
    lines += [f"Origin: {origin}"] if origin else []
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


async def test_what_counts_is_answered_to_its_origin_alone(at, status):
    listener, said = at
    response = await send(listener, post(listener, b"right"))
    assert (status(response), said) == (200, [(b"right", HERE)])
    assert response.endswith(b"\r\n\r\nthe answer")
    assert f"\r\nAccess-Control-Allow-Origin: {HERE}\r\n".encode() in response


@pytest.mark.parametrize(("body", "origin"), [(b"wrong", HERE), (b"right", None)])
async def test_what_does_not_count_gets_nothing(at, status, body, origin):
    listener, _ = at
    response = await send(listener, post(listener, body, origin=origin))
    assert status(response) == 403
    assert b"Access-Control" not in response
    assert b"the answer" not in response


async def test_a_message_through_a_proxy_may_have_its_host(at, status):
    listener, _ = at
    assert status(await send(listener, post(listener, b"right", host="hub.example"))) == 200


async def test_a_message_that_is_too_long_is_not_read_to_its_end(at):
    listener, said = at
    await send(listener, post(listener, b"a" * (MAX_MESSAGE + 1)))
    assert said == []


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "PUT"])
async def test_the_door_takes_posts_alone(at, status, method):
    listener, said = at
    response = await send(listener, post(listener, b"right").replace(b"POST", method.encode(), 1))
    assert (status(response), said) == (404, [])


async def test_who_shows_the_page_elsewhere_gets_it_as_json(at):
    listener, _ = at
    request = f"GET /callback?a=b HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\nAccept: {pages.JSON}\r\n\r\n"
    response = await send(listener, request.encode())
    assert pages.Page.from_json(response.partition(b"\r\n\r\n")[2]) == pages.DECLINED


@pytest.mark.parametrize(("word", "expected"), [("right", 302), ("wrong", 404), ("", 404), ("right/x", 404)])
async def test_a_browser_that_begins_with_the_right_word_goes_on(at, status, word, expected):
    listener, _ = at
    request = f"GET /start/{word} HTTP/1.1\r\nHost: 127.0.0.1:{listener.port}\r\n\r\n".encode()
    response = await send(listener, request)
    assert status(response) == expected
    assert (f"\r\nLocation: {TARGET}\r\n".encode() in response) is (expected == 302)


async def test_a_redirect_through_a_proxy_needs_a_host_that_was_proven(at, status):
    listener, _ = at
    request = b"GET /callback?a=b HTTP/1.1\r\nHost: Hub.example:8000\r\n\r\n"
    assert status(await send(listener, request)) == 404
    listener.hosts.add("hub.example:8000")
    assert status(await send(listener, request)) == 200
