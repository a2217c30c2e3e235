"""Metadata as a hostile or broken server may send it: each is refused in one line, and nothing else is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ic_notebook.errors import ICNotebookError, ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.metadata import discover
from ic_notebook.transport import MAX_ANSWER, Transport
from tests.transport.servers import Exchange, answer

pytestmark = pytest.mark.anyio


def raw(head: str, body: bytes) -> Any:
    """An answer whose head says what it likes of its body."""

    def step(exchange: Exchange) -> None:
        exchange.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode("latin-1") + body)
        exchange.connection.close()

    return step


DOCUMENT = json.dumps({"issuer": "x", "padding": "é" * 50}, ensure_ascii=False).encode()
HOSTILE = {
    "a login page": answer(200, body=b"<html>Log in</html>", Content_Type="text/html"),
    "a page that says it is JSON": answer(200, body=b"<html></html>", Content_Type="application/json"),
    "a list": answer(200, [1, 2]),
    "null": answer(200, None),
    "nothing": answer(200, body=b""),
    "a length that is too short": raw(f"Content-Length: {len(DOCUMENT) // 2}", DOCUMENT),
    "a length that is too long": raw(f"Content-Length: {len(DOCUMENT) * 2}", DOCUMENT),
    "two lengths": raw(f"Content-Length: {len(DOCUMENT)}\r\nContent-Length: 1", DOCUMENT),
    "a length below zero": raw("Content-Length: -1", DOCUMENT),
    "a length and chunks": raw("Content-Length: 3\r\nTransfer-Encoding: chunked", b"zz\r\n"),
    "more than the bound": answer(200, body=b" " * (MAX_ANSWER + 1)),
    "bytes that are no text": answer(200, body=b"\xff\xfe\xfd{"),
    "UTF-8 called UTF-16": answer(200, body=DOCUMENT[:-1], Content_Type="application/json; charset=utf-16"),
    "a charset that is none": answer(200, body=b"\x80", Content_Type="application/json; charset=klingon"),
    "plain bytes called gzip": answer(200, body=DOCUMENT, Content_Encoding="gzip"),
    "brotli, which nobody asked for": answer(200, body=DOCUMENT, Content_Encoding="br"),
    "lists in lists": answer(200, body=b"[" * 100_000),
    "objects in objects": answer(200, body=b'{"issuer":' * 50_000 + b"1" + b"}" * 50_000),
    "a number without end": answer(200, body=b'{"issuer": ' + b"9" * 100_000 + b"}"),
    "the issuer twice": answer(200, body=b'{"issuer": "SERVER", "issuer": "https://evil.example"}'),
}


async def no_wait(_seconds: float) -> None:
    pass


@pytest.mark.parametrize("step", HOSTILE.values(), ids=HOSTILE)
async def test_hostile_metadata_is_refused_in_one_line(serve: Any, step: Any) -> None:
    server = serve(step)
    with pytest.raises(ICNotebookError) as refusal:
        await Transport(sleep=no_wait, timeout=5).drive(discover(server.url))
    assert isinstance(refusal.value, (UnexpectedAnswer, ServiceUnavailable))
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400
    assert {exchange.line for exchange in server.requests} == {
        "GET /.well-known/oauth-authorization-server HTTP/1.1"
    }


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_metadata_that_redirects_is_not_followed_a_single_step(serve: Any, status: int) -> None:
    thief = serve(answer(200, {"issuer": "x"}))
    chain = serve(answer(status, Location=f"{thief.url}/.well-known/oauth-authorization-server"))
    with pytest.raises(UnexpectedAnswer, match="not followed"):
        await Transport(sleep=no_wait).drive(discover(chain.url))
    assert (len(chain.requests), thief.requests) == (1, [])
