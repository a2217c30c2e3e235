"""What a failing or a chatty sign-in shows: verbose tracebacks, logs at DEBUG, reprs of what is left."""

from __future__ import annotations

import gc
import inspect
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from IPython.core import ultratb

from ic_notebook.background import Background
from ic_notebook.errors import ICNotebookError
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.connected_apps import disconnect_app, list_apps
from ic_notebook.oauth.flow import Flow
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.registration import ClientMetadata, register
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import exchange_code, refresh
from ic_notebook.transport import Transport
from tests.oauth.flows import authorization_request
from tests.transport.servers import Exchange, Server, answer, cut, flood, garbage, hang_up, silent

# IPython 8, the last for Python 3.10, has another name for it.
_newer = "theme_name" in inspect.signature(ultratb.VerboseTB.__init__).parameters
PLAIN: dict[str, Any] = {"theme_name": "nocolor"} if _newer else {"color_scheme": "NoColor"}

Start = Callable[..., Server]
CODE, STATE, VERIFIER = Secret("PLANTED-CODE"), Secret("PLANTED-STATE"), Secret("PLANTED-VERIFIER")
OLD = TokenSet(access_token=Secret("PLANTED-OLD"), refresh_token=Secret("PLANTED-REFRESH"), client_id="c")
NEW = {
    "access_token": "PLANTED-NEW",
    "refresh_token": "PLANTED-NEXT",
    "token_type": "Bearer",
    "expires_in": 60,
}
CLIENT = ClientMetadata(client_name="n", redirect_uris=("http://127.0.0.1:1/cb",))


@pytest.fixture
def background() -> Iterator[Background]:
    ours = Background()
    yield ours
    ours.close()


def flows(server: Server) -> dict[str, Flow[Any]]:
    metadata = service_metadata(server.url)
    to = authorization_request(server=metadata, state=STATE, code_verifier=VERIFIER)
    return {
        "code": exchange_code(AuthorizationResponse(code=CODE), to=to, now=0.0),
        "code as json": exchange_code(AuthorizationResponse(code=CODE), to=to, now=0.0, encoding="json"),
        "refresh": refresh(metadata, OLD, now=0.0),
    }


async def no_sleep(_seconds: float) -> None: ...


def verbose(error: BaseException) -> str:
    """As IPython shows it under `%xmode Verbose`, the traceback's locals as well."""
    shown = io.StringIO()
    handler = ultratb.VerboseTB(include_vars=True, long_header=True, **PLAIN)
    shown.write("\n".join(handler.structured_traceback(type(error), error, error.__traceback__)))
    frame = error.__traceback__
    while frame is not None:
        if "ic_notebook/" in frame.tb_frame.f_code.co_filename:
            shown.write(repr(frame.tb_frame.f_locals))
        frame = frame.tb_next
    return shown.getvalue()


def echo(status: int) -> Any:
    """An error answer that repeats everything that was sent."""

    def step(exchange: Exchange) -> None:
        sent = exchange.body.decode() + (exchange.header("authorization") or "")
        answer(status, {"error": "invalid_grant", "error_description": sent})(exchange)

    return step


FAILURES = {
    "refused": echo(400),
    "refused in a redirect": answer(302, Location="/?code=PLANTED-CODE"),
    "not json": answer(200, body=b"PLANTED-NEW"),
    "no token": answer(200, {**NEW, "access_token": "PLANTED NEW"}),
    "wrong type": answer(200, {**NEW, "token_type": "PLANTED"}),
    "fault": echo(500),
    "busy": echo(429),
    "lost": hang_up,
    "cut": cut,
    "garbage": garbage,
    "silent": silent,
    "too long": flood,
}


@pytest.mark.parametrize("step", FAILURES.values(), ids=FAILURES)
@pytest.mark.parametrize("name", ["code", "code as json", "refresh"])
def test_verbose_traceback_shows_no_flow_and_no_secret(
    serve: Start, background: Background, name: str, step: Any
) -> None:
    transport = Transport(timeout=0.3 if step is silent else 5.0, sleep=no_sleep)
    flow = flows(serve(step))[name]
    with pytest.raises(ICNotebookError) as failure:
        background.run(transport.drive, flow)
    shown = verbose(failure.value)
    assert "in drive" in shown
    assert "PLANTED" not in shown
    assert "ic_notebook/oauth" not in shown
    assert "Request(" not in shown
    assert failure.value.__context__ is None
    assert failure.value.__cause__ is None


def test_verbose_traceback_does_show_what_a_frame_holds() -> None:
    """So that the test above can fail."""

    def holds(secret: str) -> None:
        raise ValueError(len(secret))

    with pytest.raises(ValueError) as failure:
        holds("PLANTED-CODE")
    assert "PLANTED-CODE" in verbose(failure.value)


def test_error_keeps_no_frame_alive_that_holds_a_secret(serve: Start, background: Background) -> None:
    server = serve(echo(400))
    flow = flows(server)["code"]
    with pytest.raises(ICNotebookError):
        background.run(Transport().drive, flow)
    assert flow.gi_frame is None  # type: ignore[attr-defined]
    del flow
    gc.collect()
    requests = [each for each in gc.get_objects() if isinstance(each, httpx.Request)]
    assert not [each for each in requests if each.url.port == server.port]


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Every logger that exists, at DEBUG."""
    loggers = [logging.getLogger(), *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = [(each, each.level, each.disabled) for each in loggers]
    caplog.set_level(logging.DEBUG)
    for each in loggers:
        each.setLevel(logging.DEBUG)
        each.disabled = False
    yield caplog
    for each, level, disabled in before:
        each.setLevel(level)
        each.disabled = disabled


def test_log_at_debug_holds_no_secret_of_a_whole_sign_in(
    serve: Start, background: Background, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    metadata = service_metadata("http://127.0.0.1:1")
    to = authorization_request(server=metadata, state=STATE, code_verifier=VERIFIER)

    class Signer(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            request.headers["Authorization"] = f"Bearer {OLD.access_token}"
            yield request

    def consent(exchange: Any) -> None:
        """The redirect to the consent page passes everything on, state and all."""
        query = exchange.line.split(" ")[1].partition("?")[2]
        answer(302, Location=f"https://dashboard.example/consent?{query}")(exchange)

    server = serve(
        answer(201, {"client_id": "c", "client_secret": "PLANTED-SECRET"}),
        consent,
        answer(200, NEW),
        hang_up,
        answer(200, NEW),
        echo(400),
        answer(200, []),
        answer(204),
    )
    metadata = service_metadata(server.url)
    to = replace(to, server=metadata)
    transport = Transport(sleep=no_sleep)
    background.run(transport.drive, register(f"{server.url}/register/", CLIENT))
    assert background.run(transport.drive, to.client_is_unknown()) is False
    background.run(transport.drive, exchange_code(AuthorizationResponse(code=CODE), to=to, now=0.0))
    background.run(transport.drive, refresh(metadata, OLD, now=0.0))
    with pytest.raises(ICNotebookError):
        background.run(transport.drive, refresh(metadata, OLD, now=0.0))
    background.run(lambda: transport.drive(list_apps(f"{server.url}/apps/"), auth=Signer()))
    background.run(lambda: transport.drive(disconnect_app(f"{server.url}/apps/", "1"), auth=Signer()))
    assert len(server.requests) == 8
    assert {"httpx", "httpcore.http11"} <= {record.name for record in log.records}
    written = log.text + "".join(f"{record.__dict__!r}" for record in log.records)
    assert "PLANTED" not in written


def test_repr_of_what_drives_shows_nothing(serve: Start) -> None:
    flow = flows(serve(answer(200, NEW)))["code"]
    request = next(flow)
    for value in (flow, request, Transport(), Background()):
        assert "PLANTED" not in repr(value)
    flow.close()
