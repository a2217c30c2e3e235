from __future__ import annotations

import contextlib
import gzip
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ic_notebook.errors import (
    ConfigurationError,
    ICNotebookError,
    OAuthError,
    ServiceUnavailable,
    UnexpectedAnswer,
)
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.connected_apps import disconnect_app, list_apps
from ic_notebook.oauth.flow import Flow, Repeat, request
from ic_notebook.oauth.metadata import discover, service_metadata
from ic_notebook.oauth.registration import ClientMetadata, register
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import exchange_code, refresh
from ic_notebook.transport import MAX_ANSWER, MAX_SENDS, MAX_WAIT, Transport, ssl_context
from tests.oauth.flows import authorization_request
from tests.transport.servers import (
    Certificate,
    Exchange,
    Server,
    answer,
    cut,
    drip,
    flood,
    garbage,
    hang_up,
    silent,
)

pytestmark = pytest.mark.anyio

TOKENS = {"access_token": "NEW", "token_type": "Bearer", "expires_in": 60}
CLIENT = ClientMetadata(client_name="n", redirect_uris=("http://127.0.0.1:1/cb",))
Start = Callable[..., Server]


class Naps:
    """A sleep that takes no time, and the clock that goes with it."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.taken.append(seconds)

    def clock(self) -> float:
        return sum(self.taken)


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def transport(naps: Naps) -> Transport:
    return Transport(timeout=5.0, sleep=naps.sleep, clock=naps.clock)


def a_code(server: Server) -> Flow[TokenSet]:
    to = authorization_request(server=service_metadata(server.url))
    return exchange_code(AuthorizationResponse(code=Secret("CODE")), to=to, now=0.0)


def a_refresh(server: Server) -> Flow[TokenSet]:
    old = TokenSet(access_token=Secret("OLD"), refresh_token=Secret("R"), client_id="c")
    return refresh(service_metadata(server.url), old, now=0.0)


def a_registration(server: Server) -> Flow[Any]:
    return register(f"{server.url}/register/", CLIENT)


def a_list(server: Server) -> Flow[Any]:
    return list_apps(f"{server.url}/apps/")


def a_disconnect(server: Server) -> Flow[Any]:
    return disconnect_app(f"{server.url}/apps/", "1")


LOST = {"hang up": hang_up, "cut": cut, "garbage": garbage, "502": answer(502), "504": answer(504)} | {
    "503": answer(503, body=b"<html>")
}
BUSY = {
    "429": answer(429),
    "429 in 3": answer(429, Retry_After="3"),
    "503 in 3": answer(503, Retry_After="3"),
}


@pytest.mark.parametrize("step", [*LOST.values(), *BUSY.values()], ids=[*LOST, *BUSY])
async def test_code_is_sent_once_whatever_happens(
    serve: Start, transport: Transport, naps: Naps, step: Any
) -> None:
    server = serve(step, answer(200, TOKENS))
    with pytest.raises(ServiceUnavailable):
        await transport.drive(a_code(server))
    assert len(server.requests) == 1
    assert naps.taken == []


async def test_code_is_not_sent_again_after_silence(serve: Start, naps: Naps) -> None:
    server = serve(silent, answer(200, TOKENS))
    with pytest.raises(ServiceUnavailable, match="No answer") as failure:
        await Transport(timeout=0.2, sleep=naps.sleep).drive(a_code(server))
    assert failure.value.answer_lost
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
async def test_refresh_is_sent_again_when_its_answer_was_lost(
    serve: Start, transport: Transport, naps: Naps, step: Any
) -> None:
    server = serve(step, step, answer(200, TOKENS))
    assert (await transport.drive(a_refresh(server))).access_token == "NEW"
    assert len(server.requests) == 3
    assert len({each.body for each in server.requests}) == 1
    first, second = naps.taken
    assert 0 < first < second < 2


async def test_refresh_is_sent_again_after_silence(serve: Start, naps: Naps) -> None:
    server = serve(silent, answer(200, TOKENS))
    tokens = await Transport(timeout=0.3, sleep=naps.sleep).drive(a_refresh(server))
    assert tokens.access_token == "NEW"
    assert len(server.requests) == 2


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
async def test_repeats_come_to_an_end(serve: Start, transport: Transport, naps: Naps, step: Any) -> None:
    server = serve(step)
    with pytest.raises(ServiceUnavailable) as failure:
        await transport.drive(a_refresh(server))
    assert failure.value.answer_lost
    assert len(server.requests) == MAX_SENDS
    assert len(naps.taken) == MAX_SENDS - 1
    assert sum(naps.taken) < 6


async def test_repeats_end_with_the_time_as_well(serve: Start) -> None:
    server = serve(silent)
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable):
        await Transport(timeout=0.2, sleep=lambda _: _at_once()).drive(a_refresh(server))
    assert time.monotonic() - began < 5
    assert 2 <= len(server.requests) < MAX_SENDS


async def _at_once() -> None: ...


@pytest.mark.parametrize("flow", [a_registration, a_disconnect])
@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
async def test_registration_and_disconnecting_are_not_repeated_on_a_lost_answer(
    serve: Start, transport: Transport, flow: Any, step: Any
) -> None:
    server = serve(step, answer(201, {"client_id": "c"}))
    with pytest.raises(ServiceUnavailable) as failure:
        await transport.drive(flow(server))
    assert failure.value.answer_lost
    assert len(server.requests) == 1


@pytest.mark.parametrize("flow", [a_registration, a_refresh, a_list, a_disconnect])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_waited_for(
    serve: Start, transport: Transport, naps: Naps, flow: Any, status: int
) -> None:
    value = {**TOKENS, "client_id": "c", "results": []}
    server = serve(answer(status, Retry_After="7"), answer(200, value))
    await transport.drive(flow(server))
    assert len(server.requests) == 2
    assert naps.taken == [7.0]


async def test_429_without_retry_after_is_repeated_with_growing_pauses(
    serve: Start, transport: Transport, naps: Naps
) -> None:
    server = serve(answer(429), answer(429, Retry_After="soon"), answer(201, {"client_id": "c"}))
    await transport.drive(a_registration(server))
    assert len(naps.taken) == 2
    assert naps.taken[0] < naps.taken[1]


@pytest.mark.parametrize(("seconds", "words"), [(21, "21 s"), (60, "60 s"), (999_999, "12 days")])
async def test_long_retry_after_is_left_to_the_person(
    serve: Start, transport: Transport, naps: Naps, seconds: int, words: str
) -> None:
    server = serve(answer(429, Retry_After=str(seconds)), answer(200, TOKENS))
    with pytest.raises(ServiceUnavailable, match=f"in {words}") as failure:
        await transport.drive(a_refresh(server))
    assert failure.value.retry_after == seconds
    assert len(server.requests) == 1
    assert naps.taken == []


async def test_waits_are_bounded_in_all(serve: Start, naps: Naps) -> None:
    server = serve(answer(429, Retry_After="12"))
    with pytest.raises(ServiceUnavailable):
        await Transport(sleep=naps.sleep, clock=naps.clock).drive(a_refresh(server))
    assert naps.taken == [12.0]
    assert sum(naps.taken) <= MAX_WAIT


async def test_retry_after_of_zero_is_repeated_at_once_and_not_for_ever(
    serve: Start, transport: Transport
) -> None:
    server = serve(answer(429, Retry_After="0"))
    with pytest.raises(ServiceUnavailable):
        await transport.drive(a_list(server))
    assert len(server.requests) == MAX_SENDS


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 500, 501])
async def test_answers_that_are_answers_are_not_asked_for_again(
    serve: Start, transport: Transport, status: int
) -> None:
    server = serve(answer(status, {"error": "invalid_grant"}))
    with pytest.raises(ICNotebookError):
        await transport.drive(a_refresh(server))
    assert len(server.requests) == 1


@pytest.mark.parametrize("flow", [a_code, a_refresh, a_registration, a_list, a_disconnect])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(serve: Start, transport: Transport, flow: Any, status: int) -> None:
    thief = serve(answer(200, TOKENS))
    server = serve(answer(status, Location=f"{thief.url}/steal"))
    with pytest.raises(UnexpectedAnswer, match="not followed"):
        await transport.drive(flow(server))
    assert len(server.requests) == 1
    assert thief.requests == []


@pytest.mark.parametrize(
    "step",
    [
        answer(200, body=b" " * (MAX_ANSWER + 1)),
        flood,
        answer(200, body=gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"),
        answer(400, body=gzip.compress(b" " * 50_000_000), Content_Encoding="X-GZIP"),
    ],
    ids=["long", "endless", "bomb", "bomb in an error"],
)
@pytest.mark.parametrize("flow", [a_code, a_refresh])
async def test_answer_larger_than_the_bound_is_refused(
    serve: Start, transport: Transport, flow: Any, step: Any
) -> None:
    server = serve(step)
    with pytest.raises(UnexpectedAnswer, match="more than 1048576 bytes"):
        await transport.drive(flow(server))
    assert len(server.requests) == 1


async def test_bombs_within_bombs_cost_no_memory(serve: Start, transport: Transport) -> None:
    bomb = gzip.compress(gzip.compress(b" " * 100_000_000))
    server = serve(answer(200, body=bomb, Content_Encoding="gzip, gzip"))
    with pytest.raises(UnexpectedAnswer, match="not a JSON object"):
        await transport.drive(a_code(server))


@pytest.mark.parametrize("extra", [0, -1, -1000])
async def test_answer_within_the_bound_is_read(serve: Start, transport: Transport, extra: int) -> None:
    body = json.dumps(TOKENS).encode()
    server = serve(answer(200, body=body + b" " * (MAX_ANSWER + extra - len(body))))
    assert (await transport.drive(a_code(server))).access_token == "NEW"


async def test_compressed_answer_is_read(serve: Start, transport: Transport) -> None:
    body = gzip.compress(json.dumps(TOKENS).encode())
    server = serve(answer(200, body=body, Content_Encoding="gzip"))
    assert (await transport.drive(a_code(server))).access_token == "NEW"
    assert server.requests[0].header("accept-encoding") == "gzip"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip", "nonsense", "gzip, br"])
async def test_body_that_cannot_be_decoded_is_no_json(
    serve: Start, transport: Transport, coding: str
) -> None:
    server = serve(answer(200, TOKENS, Content_Encoding=coding))
    with pytest.raises(UnexpectedAnswer, match="not a JSON object"):
        await transport.drive(a_code(server))


async def test_body_of_a_fault_is_not_even_read(serve: Start, transport: Transport) -> None:
    page = answer(502, body=b"x" * (MAX_ANSWER + 5))
    assert (await transport.drive(a_refresh(serve(page, answer(200, TOKENS))))).access_token == "NEW"


async def test_dripping_server_ends_at_the_time_limit(serve: Start) -> None:
    server = serve(drip)
    began = time.monotonic()
    with pytest.raises(ServiceUnavailable, match="No answer") as failure:
        await Transport(timeout=0.5).drive(a_code(server))
    assert 0.4 < time.monotonic() - began < 5
    assert failure.value.answer_lost


async def test_request_names_the_program_and_says_what_it_takes(serve: Start, transport: Transport) -> None:
    server = serve(answer(200, TOKENS))
    await transport.drive(a_code(server))
    (sent,) = server.requests
    assert sent.line == "POST /public/v1/oauth/token/ HTTP/1.1"
    assert (sent.header("user-agent") or "").startswith("ic_notebook")
    assert sent.header("accept") == "application/json"
    assert sent.header("cookie") is None
    assert sent.header("authorization") is None


async def test_nobody_listening_is_told_and_nothing_is_lost(serve: Start, transport: Transport) -> None:
    server = serve(answer(200))
    server.close()
    with pytest.raises(ServiceUnavailable, match="No connection to") as failure:
        await transport.drive(a_code(server))
    assert not failure.value.answer_lost
    assert f"127.0.0.1:{server.port}" in str(failure.value)


def failing(failure: Exception) -> httpx.AsyncBaseTransport:
    class Failing(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise failure

    return Failing()


def every_httpx_failure() -> list[type[Exception]]:
    kinds = [httpx.HTTPError, httpx.StreamError]
    for kind in kinds:
        kinds += [each for each in kind.__subclasses__() if each.__module__.startswith("httpx")]
    raised = {httpx.HTTPStatusError, httpx.ResponseNotRead, httpx.RequestNotRead, httpx.StreamClosed}
    return [
        *(k for k in kinds if k not in raised and k is not httpx.StreamConsumed),
        httpx.InvalidURL,
        OSError,
    ]


NEVER_SENT = {
    *(httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.InvalidURL),
    *(httpx.UnsupportedProtocol, httpx.LocalProtocolError),
}


@pytest.mark.parametrize("kind", every_httpx_failure())
async def test_every_failure_of_httpx_becomes_service_unavailable(kind: type[Exception], naps: Naps) -> None:
    transport = Transport(http=failing(kind("S3CRET")), sleep=naps.sleep, clock=naps.clock)
    with pytest.raises(ServiceUnavailable) as failure:
        await transport.drive(register("https://api.example/register/", CLIENT))
    assert failure.value.answer_lost is (kind not in NEVER_SENT)
    assert "S3CRET" not in str(failure.value)
    assert "api.example" in str(failure.value)
    assert failure.value.__cause__ is failure.value.__context__ is None


async def test_error_of_the_signer_is_passed_on_as_it_is(
    serve: Start, transport: Transport, naps: Naps
) -> None:
    class Signer(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            raise ServiceUnavailable("of the refresh", answer_lost=True)
            yield request

    server = serve(answer(200, []))
    with pytest.raises(ServiceUnavailable, match="of the refresh"):
        await transport.drive(a_list(server), auth=Signer())
    assert (server.requests, naps.taken) == ([], [])


async def test_signer_signs_each_request_of_a_flow(serve: Start, transport: Transport) -> None:
    class Signer(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            request.headers["Authorization"] = "Bearer T"
            yield request

    server = serve(answer(200, {"next": "?page=2", "results": []}), answer(200, []))
    assert await transport.drive(a_list(server), auth=Signer()) == ()
    assert [each.header("authorization") for each in server.requests] == ["Bearer T", "Bearer T"]


async def test_flow_without_a_request_gives_its_value_or_its_error(transport: Transport) -> None:
    def empty() -> Flow[int]:
        return 5
        yield

    assert await transport.drive(empty()) == 5
    with pytest.raises(ConfigurationError, match="IC_BASE_URL"):
        await transport.drive(discover("http://api.example"))


async def test_flow_is_closed_however_it_ends(serve: Start, transport: Transport) -> None:
    flows = [
        a_code(serve(answer(200, TOKENS))),
        a_code(serve(answer(400, {"error": "x"}))),
        a_code(serve(hang_up)),
    ]
    for flow in flows:
        with contextlib.suppress(ICNotebookError):
            await transport.drive(flow)
        assert flow.gi_frame is None  # type: ignore[attr-defined]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1"])
async def test_loopback_is_never_asked_through_a_proxy(
    serve: Start, transport: Transport, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(answer(200, TOKENS | {"access_token": "STOLEN"}))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    server = serve(answer(200, TOKENS), host="127.0.0.1" if host == "localhost" else host)
    server.url = server.url.replace("127.0.0.1", host) if host == "localhost" else server.url
    assert (await transport.drive(a_code(server))).access_token == "NEW"
    assert proxy.requests == []


async def test_proxy_of_the_environment_is_used_for_everything_else(
    serve: Start, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(answer(403))
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(
        ServiceUnavailable, match=r"The proxy let no request to api\.invalid through"
    ) as failure:
        await transport.drive(register("https://api.invalid/register/", CLIENT))
    assert [each.line for each in proxy.requests] == ["CONNECT api.invalid:443 HTTP/1.1"]
    assert not failure.value.answer_lost


@pytest.mark.parametrize(
    "value", ["socks5://127.0.0.1:1", "gopher://127.0.0.1:1", "http://[::1", "http://127.0.0.1:port"]
)
async def test_proxy_that_cannot_be_used_is_named(
    transport: Transport, serve: Start, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(ConfigurationError, match="ALL_PROXY"):
        await transport.drive(register("https://api.invalid/register/", CLIENT))
    assert (await transport.drive(a_code(serve(answer(200, TOKENS))))).access_token == "NEW"


async def test_a_header_of_any_bytes_spoils_no_answer(serve: Start, transport: Transport) -> None:
    body = json.dumps(TOKENS).encode()

    def odd(exchange: Exchange) -> None:
        head = b"HTTP/1.1 200 OK\r\nX-Served-By: caf\xc3\xa9 \xff\r\nContent-Length: %d\r\n\r\n" % len(body)
        exchange.send(head + body)

    assert (await transport.drive(a_code(serve(odd)))).access_token == "NEW"


async def test_certificate_that_is_not_trusted_names_ssl_cert_file(
    serve: Start, transport: Transport, certificate: Certificate
) -> None:
    server = serve(answer(200, TOKENS), tls=certificate.server_side())
    with pytest.raises(ServiceUnavailable, match="SSL_CERT_FILE") as failure:
        await transport.drive(a_code(server))
    assert not failure.value.answer_lost
    assert server.requests == []


async def test_ssl_cert_file_helps_without_a_restart(
    serve: Start, transport: Transport, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(answer(200, TOKENS), tls=certificate.server_side())
    with pytest.raises(ServiceUnavailable, match="SSL_CERT_FILE"):
        await transport.drive(a_code(server))
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    assert (await transport.drive(a_code(server))).access_token == "NEW"
    assert ssl_context() is ssl_context()


@pytest.mark.parametrize("content", [None, "not a certificate"])
async def test_ssl_cert_file_that_cannot_be_read_is_named(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, content: str | None
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        await transport.drive(register("https://api.invalid/register/", CLIENT))


async def test_server_that_demands_a_client_certificate_is_service_unavailable(
    serve: Start, transport: Transport, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TLS 1.3 its alert comes after the handshake, and httpx lets an ssl.SSLError through."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    server = serve(answer(200), tls=certificate.server_side(demands_one_of_the_client=True))
    with pytest.raises(ServiceUnavailable):
        await transport.drive(a_code(server))


async def test_plain_http_on_a_tls_port_is_service_unavailable(serve: Start, transport: Transport) -> None:
    server = serve(garbage)
    to = authorization_request(
        server=replace(service_metadata(server.url), token_endpoint=f"https://127.0.0.1:{server.port}/token/")
    )
    with pytest.raises(ServiceUnavailable):
        await transport.drive(exchange_code(AuthorizationResponse(code=Secret("C")), to=to, now=0.0))


@pytest.mark.parametrize(
    "host", ["nowhere.invalid", "a" * 64 + ".example", "a..example", "x" * 250 + ".example"]
)
async def test_host_that_does_not_exist_is_service_unavailable(transport: Transport, host: str) -> None:
    with pytest.raises((ServiceUnavailable, ConfigurationError)):
        await transport.drive(register(f"https://{host}/register/", CLIENT))


async def test_request_that_does_not_say_how_far_it_may_be_repeated_is_sent_once(
    serve: Start, transport: Transport
) -> None:
    def flow(url: str) -> Flow[int]:
        response = yield httpx.Request("GET", url)
        return response.status_code

    server = serve(hang_up)
    with pytest.raises(ServiceUnavailable):
        await transport.drive(flow(server.url))
    assert len(server.requests) == 1


async def test_two_requests_of_a_flow_each_have_their_repeats(serve: Start, transport: Transport) -> None:
    def flow(url: str) -> Flow[list[int]]:
        first = yield request("GET", f"{url}/1", repeat=Repeat.IF_LOST)
        second = yield request("GET", f"{url}/2", repeat=Repeat.IF_LOST)
        return [first.status_code, second.status_code]

    server = serve(hang_up, hang_up, hang_up, answer(200), hang_up, hang_up, hang_up, answer(201))
    assert await transport.drive(flow(server.url)) == [200, 201]


async def test_refusal_is_what_the_flow_made_of_it(serve: Start, transport: Transport) -> None:
    with pytest.raises(OAuthError) as refusal:
        await transport.drive(a_refresh(serve(answer(400, {"error": "invalid_grant"}))))
    assert refusal.value.error == "invalid_grant"
