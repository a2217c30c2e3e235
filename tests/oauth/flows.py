"""Driving a flow by hand: what it asks, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import httpx

from ic_notebook.oauth.authorization import AuthorizationRequest
from ic_notebook.oauth.flow import Flow
from ic_notebook.oauth.metadata import ServerMetadata, service_metadata
from ic_notebook.oauth.secret import Secret

SERVER = service_metadata()
REDIRECT_URI = "http://127.0.0.1:8765/callback"


def sent_by(flow: Flow[Any]) -> httpx.Request:
    """The first request of a flow."""
    request = next(flow)
    flow.close()
    return request


def answered(flow: Flow[Any], *responses: httpx.Response) -> Any:
    """What a flow returns when its requests get these responses; each must be asked for."""
    return conversation(flow, *responses)[0]


def conversation(flow: Flow[Any], *responses: httpx.Response) -> tuple[Any, list[httpx.Request]]:
    """What a flow returns, and the requests that it made."""
    requests, waiting = [], list(responses)
    try:
        request = next(flow)
        while True:
            requests.append(request)
            response = waiting.pop(0)
            response.request = request
            request = flow.send(response)
    except StopIteration as stop:
        assert not waiting, "the flow ended before it had every answer"
        return stop.value, requests


def authorization_request(
    *, server: ServerMetadata = SERVER, redirect_uri: str = REDIRECT_URI, **changes: Any
) -> AuthorizationRequest:
    """A request with a state and a verifier that are easy to find again."""
    given = {
        "client_id": "client-1",
        "scope": "all",
        "state": Secret("STATE"),
        "code_verifier": Secret("V" * 43),
    }
    return AuthorizationRequest(server=server, redirect_uri=redirect_uri, **{**given, **changes})


def message_of(error: BaseException) -> str:
    """Everything that an exception says."""
    return f"{error!s} {error!r} {vars(error)!r}"
