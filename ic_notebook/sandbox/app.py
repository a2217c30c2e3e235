"""The Starlette application: every path the sandbox answers, and nothing else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Route

from ic_notebook.sandbox import api, catalogue, metadata, oauth_endpoints
from ic_notebook.sandbox.authorization_server import SandboxServer
from ic_notebook.sandbox.middleware import FaultInjector, RecordedRequest, Recorder
from ic_notebook.sandbox.settings import SandboxSettings
from ic_notebook.sandbox.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

_ROUTES = [
    Route(metadata.METADATA, oauth_endpoints.metadata, methods=["GET"]),
    Route(metadata.OPENID_METADATA, oauth_endpoints.openid_metadata, methods=["GET"]),
    Route(metadata.REGISTER, oauth_endpoints.register, methods=["POST"]),
    Route(metadata.AUTHORIZE, oauth_endpoints.authorize, methods=["GET"]),
    Route(metadata.CONSENT + "{consent_id}", oauth_endpoints.show_consent, methods=["GET"]),
    Route(metadata.CONSENT + "{consent_id}", oauth_endpoints.answer_consent, methods=["POST"]),
    Route(metadata.TOKEN, oauth_endpoints.token, methods=["POST"]),
    Route(metadata.REVOKE, oauth_endpoints.revoke, methods=["POST"]),
    Route(metadata.APPS, api.authenticated(api.list_apps), methods=["GET"]),
    Route(metadata.APPS + "{app_id}/", api.authenticated(api.delete_app), methods=["DELETE"]),
    Route(metadata.CREDITS, api.authenticated(api.credits_left), methods=["GET"]),
    Route(metadata.DISCOVERY, api.authenticated(catalogue.discover), methods=["POST"]),
    Route(metadata.LANGUAGES, api.authenticated(api.languages), methods=["GET"]),
]


def create_app(
    settings: SandboxSettings | None = None, *, clock: Callable[[], float] = time.time
) -> Starlette:
    """The sandbox as an ASGI application.

    Its state has ``store``, ``settings`` (replace it to turn a switch while it runs) and ``requests``, the
    list of every request so far. Close the store when done.
    """
    settings = settings or SandboxSettings()
    requests: list[RecordedRequest] = []

    def current_settings() -> SandboxSettings:
        current: SandboxSettings = app.state.settings
        return current

    app = Starlette(
        routes=_ROUTES,
        middleware=[
            Middleware(Recorder, requests=requests),
            Middleware(FaultInjector, current_faults=lambda: current_settings().faults),
        ],
        exception_handlers={HTTPException: _detail},
    )
    # a trailing slash is part of the service's paths: without it the path is unknown
    app.router.redirect_slashes = False
    app.state.settings = settings
    app.state.requests = requests
    app.state.store = Store(settings.database, clock=clock, account=settings.account)
    app.state.server = SandboxServer(app.state.store, current_settings=current_settings)
    app.state.protector = api.make_protector(app.state.store)
    app.state.limiter = api.RateLimiter()
    return app


def _detail(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = {404: "Not found.", 405: "Method not allowed."}.get(error.status_code, error.detail)
    return JSONResponse({"detail": detail}, status_code=error.status_code, headers=error.headers)
