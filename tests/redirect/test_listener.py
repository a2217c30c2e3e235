"""The listener, as a stranger on the same computer sees it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket

import pytest

from ic_notebook.redirect import listener as listening
from ic_notebook.redirect import pages
from ic_notebook.redirect.listener import Listener

pytestmark = pytest.mark.anyio


async def nothing(_query):
    return pages.NOTHING_HERE


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LocalHost"])
async def test_get_callback_with_the_right_host_is_taken(door, status, name):
    response = await door.send(door.request("/callback?code=c&state=s", host=f"{name}:{door.port}"))

    assert (status(response), door.taken) == (200, ["code=c&state=s"])
    assert response.count(b"HTTP/1.1") == 1
    assert b"\r\nConnection: close\r\n" in response


async def test_callback_without_a_query_is_handed_on_as_nothing(door, status):
    assert status(await door.send(door.request("/callback"))) == 200
    assert door.taken == [""]


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.0.0.1:1",
        "localhost:1",
        "evil.example",
        "evil.example:{port}",
        "[::1]:{port}",
        "127.0.0.1:{port}.evil.example",
        "127.0.0.1:{port}@evil.example",
        "127.0.0.1:0{port}",
        "127.1:{port}",
        "127.0.0.1:{port},127.0.0.1:{port}",
        "localhost.:{port}",
        "0.0.0.0:{port}",
        "",
        "127.0.0.1:{port}\x0b",
    ],
)
async def test_foreign_host_gets_nothing(door, status, host):
    request = f"GET /callback?a=b HTTP/1.1\r\nHost: {host.format(port=door.port)}\r\n\r\n".encode()

    assert status(await door.send(request)) == 404
    assert door.taken == []


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_no_host_gets_nothing(door, status, version):
    assert status(await door.send(f"GET /callback?a=b HTTP/{version}\r\n\r\n".encode())) == 404
    assert door.taken == []


@pytest.mark.parametrize("second", ["127.0.0.1:{port}", "evil.example"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_two_hosts_get_nothing(door, status, second, version):
    hosts = f"Host: 127.0.0.1:{door.port}\r\nhost: {second.format(port=door.port)}\r\n"

    assert status(await door.send(f"GET /callback?a=b HTTP/{version}\r\n{hosts}\r\n".encode())) == 404
    assert door.taken == []


@pytest.mark.parametrize(
    "method", ["POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "QUERY"]
)
async def test_other_methods_get_nothing(door, status, method):
    response = await door.send(door.request(method=method))

    assert (status(response), door.taken) == (404, [])
    assert response.endswith(b"\r\n\r\n") is (method == "HEAD")


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/favicon.ico",
        "/callback/",
        "/Callback",
        "//callback",
        "/./callback",
        "/x/../callback",
        "/callbackx",
        "/%63allback",
        "/callback;x",
        "/callback%3Fa=b",
        "/callback#?a=b",
        "*",
        "callback",
        "?a=b",
        "/callback%00",
        "http://127.0.0.1:{port}/callback?a=b",
        "http://evil.example/callback?a=b",
        "//127.0.0.1:{port}/callback",
    ],
)
async def test_other_targets_get_nothing(door, status, target):
    assert status(await door.send(door.request(target.format(port=door.port)))) == 404
    assert door.taken == []


@pytest.mark.parametrize(
    "octets",
    [
        b"\x00\x01\x02\xff" * 64,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /callback HTTP/9.9\r\n\r\n",
        b"GET /callback\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"GET /callb\xc3\xa4ck HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /callback?\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /callback?a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /callback HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /callback HTTP/1.1\r\nHost: a\r\n continued\r\n\r\n",
        b"GET /callback HTTP/1.1\r\n: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /callback HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        b"GET /callback HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"A" * 4096,
    ],
)
async def test_garbage_is_refused_and_the_next_request_is_served(door, status, octets):
    response = await door.send(octets, then_close=True)

    assert status(response) in {404, None}
    assert door.taken == []
    assert status(await door.send(door.request())) == 200


@pytest.mark.parametrize("length", [0, 1, 17, 40])
async def test_half_a_request_gets_no_answer_or_nothing_here(door, status, length):
    assert status(await door.send(door.request()[:length], then_close=True)) in {404, None}
    assert door.taken == []


@pytest.mark.parametrize(
    "request_of_size",
    [
        lambda door: door.request("/callback?" + "a" * 2 * listening.MAX_REQUEST),
        lambda door: door.request()[:-2] + b"X: " + b"a" * 2 * listening.MAX_REQUEST + b"\r\n\r\n",
        lambda door: door.request()[:-2] + b"X: a\r\n" * 20_000 + b"\r\n",
    ],
    ids=["target", "header", "headers"],
)
async def test_huge_request_is_refused(door, status, request_of_size):
    assert status(await door.send(request_of_size(door))) in {404, None}
    assert door.taken == []


async def test_a_long_but_bounded_redirect_is_taken(door, status):
    assert status(await door.send(door.request("/callback?code=" + "a" * 16_000))) == 200


async def test_of_pipelined_requests_only_the_first_is_answered(door):
    response = await door.send(door.request("/callback?first") + door.request("/callback?second") * 3)

    assert door.taken == ["first"]
    assert response.count(b"HTTP/1.1 ") == 1


async def test_a_body_is_not_read(door, status):
    body = b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\nstate=bad"

    assert status(await door.send(door.request("/callback?a=b")[:-2] + body)) == 200
    assert door.taken == ["a=b"]


@pytest.mark.parametrize("octets", [b"", b"GET /callback?a=b HTTP/1.1\r\nHost: "])
async def test_a_slow_request_is_ended(door, monkeypatch, octets):
    monkeypatch.setattr(listening, "REQUEST_TIMEOUT", 0.05)

    assert await door.send(octets) == b""
    assert door.taken == []


async def test_a_trickle_of_bytes_does_not_prolong_a_request(door, monkeypatch):
    monkeypatch.setattr(listening, "REQUEST_TIMEOUT", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)

    async def trickle():
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"X")
                await writer.drain()
                await asyncio.sleep(0.02)

    trickling = asyncio.create_task(trickle())
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    trickling.cancel()
    writer.close()


async def test_300_idle_connections_lock_nobody_out(door, status):
    idle = [await asyncio.open_connection("127.0.0.1", door.port) for _ in range(300)]
    try:
        assert status(await door.send(door.request("/callback?code=c"))) == 200
        assert len(door.listener._connections) <= listening.MAX_CONNECTIONS
    finally:
        for _reader, writer in idle:
            writer.transport.abort()
    assert door.taken == ["code=c"]


async def test_300_idle_connections_do_not_drop_an_answer_under_way(free_ports, status, eventually):
    gate, asked = asyncio.Event(), []

    async def respond(query):
        asked.append(query)
        await gate.wait()
        return pages.CONNECTED

    listener = await Listener.open(respond, ports=free_ports(1))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(f"GET /callback?code=c HTTP/1.1\r\nHost: localhost:{listener.port}\r\n\r\n".encode())
    await eventually(lambda: asked)
    idle = [await asyncio.open_connection("127.0.0.1", listener.port) for _ in range(300)]
    await eventually(lambda: len(listener._idle) == listening.MAX_CONNECTIONS)
    gate.set()
    response = await asyncio.wait_for(reader.read(), 5)
    for _reader, other in [*idle, (reader, writer)]:
        other.transport.abort()
    listener.close()

    assert status(response) == 200


async def test_the_pool_moves_on_to_the_next_free_port(free_ports):
    ports = free_ports(3)
    first = await Listener.open(nothing, ports=ports)
    second = await Listener.open(nothing, ports=ports)
    try:
        assert (first.port, second.port) == ports[:2]
    finally:
        first.close()
        second.close()


async def test_a_pool_of_taken_ports_gives_no_listener(free_ports):
    ports = free_ports(2)
    taken = [await Listener.open(nothing, ports=(port,)) for port in ports]
    assert await Listener.open(nothing, ports=ports) is None
    for listener in taken:
        listener.close()


async def test_a_port_that_another_program_has_bound_but_not_yet_listens_on_is_passed_over(free_ports):
    ports = free_ports(2)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", ports[0]))
        other.listen()
        listener = await Listener.open(nothing, ports=ports)
    assert listener.port == ports[1]
    listener.close()


async def test_of_listeners_that_open_at_once_each_has_its_own_port(free_ports):
    ports = free_ports(8)
    listeners = await asyncio.gather(*(Listener.open(nothing, ports=ports) for _ in range(10)))

    assert sorted(listener.port for listener in listeners if listener) == sorted(ports)
    for listener in filter(None, listeners):
        listener.close()


async def test_a_closed_listener_frees_its_port_and_drops_connections(free_ports, eventually):
    listener = await Listener.open(nothing, ports=free_ports(1))
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    await eventually(lambda: listener._connections)
    listener.close()
    listener.close()

    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    again = await Listener.open(nothing, ports=(listener.port,))
    assert again is not None
    again.close()
    await eventually(lambda: not listener._connections)


async def test_opening_that_is_cancelled_leaves_no_port_taken(free_ports, eventually):
    (port,) = free_ports(1)
    opening = asyncio.create_task(Listener.open(nothing, ports=(port,)))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening

    again = await Listener.open(nothing, ports=(port,))
    assert again is not None
    again.close()


async def test_only_this_computer_is_listened_to(door):
    assert door.listener._socket.getsockname()[0] == "127.0.0.1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_forked_child_does_not_keep_the_port(free_ports):
    (port,) = free_ports(1)
    listener = await Listener.open(nothing, ports=(port,))
    (ended, end), (forked, tell) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        os.write(tell, b"!")
        os.read(ended, 1)
        os._exit(0)
    try:
        assert os.read(forked, 1) == b"!"
        listener.close()
        await asyncio.sleep(0)
        again = await Listener.open(nothing, ports=(port,))
        assert again is not None
        again.close()
    finally:
        for descriptor in (end, ended, forked, tell):
            os.close(descriptor)
        os.waitpid(child, 0)
