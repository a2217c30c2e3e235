"""The resource server: the calls a token is for, each counted against its account's rate limit."""

from __future__ import annotations

import inspect
import math
from collections import defaultdict, deque
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc6749 import OAuth2Error, ResourceProtector
from authlib.oauth2.rfc6750 import BearerTokenValidator, InvalidTokenError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ic_notebook.sandbox.metadata import APPS
from ic_notebook.sandbox.oauth_endpoints import origin
from ic_notebook.sandbox.records import Token
from ic_notebook.sandbox.settings import SCOPE
from ic_notebook.sandbox.sign_ins import ACCESS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from ic_notebook.sandbox.catalogue import Credits
    from ic_notebook.sandbox.records import App
    from ic_notebook.sandbox.settings import SandboxSettings
    from ic_notebook.sandbox.store import Store

    Handler = Callable[[Request, Token], Response | Awaitable[Response]]

MINUTE = 60.0

_LANGUAGES = [
    {"language": "English", "abbreviation": "en"},
    {"language": "French", "abbreviation": "fr"},
    {"language": "German", "abbreviation": "de"},
    {"language": "Portuguese", "abbreviation": "pt"},
    {"language": "Spanish", "abbreviation": "es"},
]


class RateLimiter:
    """Counts the calls of each account over the last minute."""

    def __init__(self) -> None:
        self._calls: defaultdict[str, deque[float]] = defaultdict(deque)

    def admit(self, account: str, *, limit: int, now: float) -> float:
        """Count a call and return 0.0, or the seconds until there is room; a refused one is not counted."""
        calls = self._calls[account]
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        if limit and len(calls) >= limit:
            return calls[len(calls) - limit] + MINUTE - now
        calls.append(now)
        return 0.0


class _Validator(BearerTokenValidator):  # type: ignore[misc]
    def __init__(self, store: Store) -> None:
        super().__init__()
        self._store = store

    def authenticate_token(self, token_string: str) -> Token | None:
        return self._store.sign_ins.token(token_string.strip(), kind=ACCESS)


def make_protector(store: Store) -> ResourceProtector:
    """Authlib's guard of the calls, reading tokens from the store."""
    protector = ResourceProtector()
    protector.register_token_validator(_Validator(store))
    return protector


def authenticated(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that a call is, once its token is good, has the scope, and is within the rate limit."""

    async def endpoint(request: Request) -> Response:
        state = request.app.state
        token = _authenticate(state.protector, request)
        _admit(request, token)
        if SCOPE not in token.scope.split():
            raise HTTPException(
                403,
                "This token has no scope. Ask for the scope 'all' when registering and when signing in.",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{SCOPE}"'},
            )
        answer = handler(request, token)
        return await answer if inspect.isawaitable(answer) else answer

    return endpoint


def _authenticate(protector: ResourceProtector, request: Request) -> Token:
    try:
        token = protector.validate_request(None, request)
    except InvalidTokenError:
        raise HTTPException(
            401,
            "The access token is unknown, has expired or was ended.",
            {"WWW-Authenticate": 'Bearer error="invalid_token"'},
        ) from None
    except OAuth2Error:
        # RFC 6750 §3.1: no error code for a request that brought no token at all
        raise HTTPException(
            401, "Authentication credentials were not provided.", {"WWW-Authenticate": "Bearer"}
        ) from None
    assert isinstance(token, Token)
    return token


def _admit(request: Request, token: Token) -> None:
    settings: SandboxSettings = request.app.state.settings
    wait = request.app.state.limiter.admit(
        token.account, limit=settings.rate_limit, now=request.app.state.store.now()
    )
    if wait > 0:
        headers = {"Retry-After": str(max(1, math.ceil(wait)))} if settings.retry_after else None
        detail = f"Too many requests: an account may send {settings.rate_limit} a minute."
        raise HTTPException(429, detail, headers)


def credits_left(request: Request, token: Token) -> Response:
    """The credits of the account; the discovery call spends them."""
    account: Credits = request.app.state.store.credits
    left, used = account.left(token.account), account.used(token.account)
    return JSONResponse({"credits_available": left / 100, "credits_used": used / 100})


def languages(_request: Request, _token: Token) -> Response:
    """A few of the classifier's languages."""
    return JSONResponse(_LANGUAGES)


def list_apps(request: Request, token: Token) -> Response:
    """The apps that the account has authorized, in the shape the settings ask for."""
    settings: SandboxSettings = request.app.state.settings
    shown = [_shown(app, settings) for app in request.app.state.store.apps(token.account)]
    if settings.app_list == "bare":
        return JSONResponse(shown)
    if settings.app_list == "keyed":
        return JSONResponse({"apps": shown})
    return JSONResponse(_page(request, shown, size=settings.app_page_size))


def delete_app(request: Request, token: Token) -> Response:
    """Revoke the app's authorization and deactivate all its access tokens."""
    settings: SandboxSettings = request.app.state.settings
    app_id = request.path_params["app_id"]
    known = app_id.isascii() and app_id.isdigit() and len(app_id) <= len(str(1 << 53))
    if not known or not request.app.state.store.disconnect_app(int(app_id), account=token.account):
        raise HTTPException(404, "Not found.")
    if settings.delete_status == 204:
        return Response(status_code=204)
    return JSONResponse({"detail": "The app is disconnected."}, status_code=settings.delete_status)


def _shown(app: App, settings: SandboxSettings) -> dict[str, Any]:
    created = datetime.fromtimestamp(app.created, tz=timezone.utc).isoformat(timespec="seconds")
    fields = {
        "id": app.id,
        "client_id": app.client_id,
        "name": app.name,
        "scopes": app.scope.split(),
        "created_at": created.replace("+00:00", "Z"),
    }
    return {name: value for name, value in fields.items() if name not in settings.without}


def _page(request: Request, items: list[dict[str, Any]], *, size: int) -> dict[str, Any]:
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else 0
    last = max(1, math.ceil(len(items) / size))
    if not 1 <= number <= last:
        raise HTTPException(404, "Invalid page.")
    url = f"{origin(request)}{APPS}?page="
    return {
        "count": len(items),
        "next": f"{url}{number + 1}" if number < last else None,
        "previous": f"{url}{number - 1}" if number > 1 else None,
        "results": items[(number - 1) * size : number * size],
    }
