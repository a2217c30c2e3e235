"""The httpx clients that a session hands out: its base URL, its auth, and refusals in words."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx

from ic_notebook.errors import APIError
from ic_notebook.oauth.answers import readable, reason_of
from ic_notebook.sessions.auth import SessionAuth
from ic_notebook.transport import CONNECT_TIMEOUT, TIMEOUT, USER_AGENT, ssl_context, uses_environment

_NEXT_STEP = {
    400: "Check what the call sends.",
    401: "This endpoint refuses the sign-in, which is otherwise valid. Check that the account may use it.",
    402: "The account has too few credits left.",
    403: "The account, or the network on the way, does not allow this call.",
    404: "Check the path; the service's paths end with a slash.",
    422: "Check what the call sends.",
    429: "The account's limit of calls a minute is reached; wait a minute.",
}


class APIStatusError(APIError, httpx.HTTPStatusError):
    """What `raise_for_status()` raises; also an httpx.HTTPStatusError, with `request` and `response`."""

    def __init__(self, message: str, *, response: httpx.Response, reason: str | None) -> None:
        httpx.HTTPStatusError.__init__(self, message, request=response.request, response=response)
        self.status_code = response.status_code
        self.reason = reason

    def __reduce__(self) -> tuple[object, ...]:
        # To another process go the words alone: request and response hold the token and the body.
        return partial(APIError, status_code=self.status_code, reason=self.reason), self.args


def raise_for_status(response: httpx.Response) -> httpx.Response:
    """The response itself where it is a success.

    Raises:
        APIStatusError: otherwise, with what failed, why, and what to do, in one line.
    """
    if response.is_success:
        return response
    status = response.status_code
    try:
        reason = reason_of(response)
    except httpx.StreamError:
        reason = None
    step = _NEXT_STEP.get(
        status, "The service has a fault of its own; try again later." if status >= 500 else ""
    )
    called = f"{response.request.method} {readable(response.request.url.path)}"
    answered = f"{called}: {status} {response.reason_phrase}".rstrip()
    why = (reason or "").rstrip(".")
    told = why and why.casefold() != response.reason_phrase.casefold()
    words = f"{answered}{': ' + why if told else ''}. {step}".rstrip()
    raise APIStatusError(words, response=response, reason=reason) from None


class SessionClient(httpx.Client):
    """An httpx.Client whose responses explain a refusal when `raise_for_status()` is called."""

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx.Client.send; a status alone never raises."""
        return _explaining(super().send(request, **options))


class AsyncSessionClient(httpx.AsyncClient):
    """An httpx.AsyncClient whose responses explain a refusal when `raise_for_status()` is called."""

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """As httpx.AsyncClient.send; a status alone never raises."""
        return _explaining(await super().send(request, **options))


def client_options(auth: SessionAuth, base_url: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a session's client is made with; what the caller gives wins, but for the auth."""
    options: dict[str, Any] = {
        "base_url": base_url,
        "timeout": httpx.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT),
        "trust_env": uses_environment(httpx.URL(base_url).host),
        "headers": {"Accept": "application/json", "User-Agent": USER_AGENT},
    }
    if "verify" not in given:
        options["verify"] = ssl_context()
    return options | given | {"auth": auth}


def _explaining(response: httpx.Response) -> httpx.Response:
    response.raise_for_status = partial(raise_for_status, response)  # type: ignore[method-assign]
    return response
