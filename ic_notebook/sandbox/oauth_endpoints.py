"""The endpoints of the authorization server: metadata, registration, authorization, tokens, revocation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc7591 import InvalidClientMetadataError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response

from ic_notebook.sandbox import pages
from ic_notebook.sandbox.authorization_server import ParameterRequest, RegistrationRequest, SandboxServer
from ic_notebook.sandbox.bodies import form, media_type, parse_json, revocation_parameters, token_parameters
from ic_notebook.sandbox.metadata import CONSENT, server_metadata

if TYPE_CHECKING:
    from starlette.requests import Request


def _server(request: Request) -> SandboxServer:
    server: SandboxServer = request.app.state.server
    return server


def origin(request: Request) -> str:
    """Scheme, host and port by which the server was asked: its issuer."""
    return str(request.base_url).rstrip("/")


async def metadata(request: Request) -> Response:
    """RFC 8414 §3."""
    _there_if(_server(request).settings.metadata == "oauth")
    return JSONResponse(server_metadata(origin(request), _server(request).settings))


async def openid_metadata(request: Request) -> Response:
    """The same where OpenID Connect has it (Discovery §4, RFC 8414 §5)."""
    _there_if(_server(request).settings.metadata == "openid")
    return JSONResponse(server_metadata(origin(request), _server(request).settings))


async def register(request: Request) -> Response:
    """RFC 7591 §3."""
    server = _server(request)
    _there_if(server.settings.registration)
    try:
        body = parse_json(await request.body(), pairs=dict)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        error = InvalidClientMetadataError("The body is not a JSON object.")
        return _plain(server.handle_error_response(None, error))
    return _plain(server.create_endpoint_response("client_registration", RegistrationRequest(body)))


async def authorize(request: Request) -> Response:
    """RFC 6749 §4.1.1: on to the consent page, or back with an error, or a page where that is not safe."""
    server = _server(request)
    oauth_request = ParameterRequest("GET", parse_qsl(request.url.query, keep_blank_values=True))
    try:
        grant = server.get_consent_grant(oauth_request)
    except OAuth2Error as error:
        return _refused(request, oauth_request, error)
    if "none" in oauth_request.payload.data.get("prompt", "").split():
        # OpenID Connect Core §3.1.2.6: the person is signed in, but is always asked
        return _refused(request, oauth_request, _consent_required(grant.redirect_uri, oauth_request))
    if server.settings.auto_approve:
        return _finished(request, oauth_request, account=server.settings.account)
    consent_id = server.store.sign_ins.open_consent(
        oauth_request.payload.data,
        account=server.settings.account,
        lifetime=server.settings.consent_lifetime,
    )
    return RedirectResponse(f"{CONSENT}{consent_id}", status_code=302)


async def show_consent(request: Request) -> Response:
    """The page on which a person approves or denies."""
    server = _server(request)
    consent = server.store.sign_ins.consent(request.path_params["consent_id"])
    if consent is None:
        return pages.consent_over()
    oauth_request = ParameterRequest("GET", consent.parameters.items())
    try:
        grant = server.get_consent_grant(oauth_request)
    except OAuth2Error as error:
        return _refused(request, oauth_request, error)
    return pages.consent(
        app=oauth_request.client.name,
        account=consent.account,
        redirect_uri=grant.redirect_uri,
        scope=oauth_request.scope,
        csrf_token=consent.csrf_token,
    )


async def answer_consent(request: Request) -> Response:
    """The person's answer: taken once, from the page itself."""
    server = _server(request)
    consent = server.store.sign_ins.consent(request.path_params["consent_id"])
    if consent is None:
        return pages.consent_over()
    try:
        answer = dict(form(await request.body()))
    except InvalidRequestError:
        answer = {}
    # the page's Referrer-Policy makes browsers send "Origin: null", so Sec-Fetch-Site is what tells
    foreign = request.headers.get("sec-fetch-site", "same-origin") != "same-origin"
    if foreign or answer.get("decision") not in {"approve", "deny"}:
        return pages.answer_refused()
    if not server.store.sign_ins.take_consent(consent, csrf_token=answer.get("csrf_token", "")):
        return pages.answer_refused()
    approved = answer["decision"] == "approve"
    oauth_request = ParameterRequest("GET", consent.parameters.items())
    response = _finished(request, oauth_request, account=consent.account if approved else None)
    if response.headers.get("location"):
        response.status_code = 303  # RFC 9700 §4.12: the form is not sent on
    return response


async def token(request: Request) -> Response:
    """RFC 6749 §3.2, by form or by JSON."""
    server = _server(request)
    try:
        pairs = token_parameters(media_type(request), await request.body())
    except InvalidRequestError as error:
        return _plain(server.handle_error_response(None, error))
    response = server.create_token_response(ParameterRequest("POST", pairs, headers=request.headers))
    if server.settings.token_delay:
        await asyncio.sleep(server.settings.token_delay)
    return _plain(response)


async def revoke(request: Request) -> Response:
    """RFC 7009 §2."""
    server = _server(request)
    _there_if(server.settings.revocation)
    try:
        pairs = revocation_parameters(media_type(request), await request.body())
    except InvalidRequestError as error:
        return _plain(server.handle_error_response(None, error))
    oauth_request = ParameterRequest("POST", pairs, headers=request.headers)
    return _plain(server.create_endpoint_response("revocation", oauth_request))


def _there_if(switched_on: bool) -> None:  # noqa: FBT001 - one condition
    if not switched_on:
        raise HTTPException(404)


def _finished(request: Request, oauth_request: ParameterRequest, *, account: str | None) -> Response:
    server = _server(request)
    try:
        grant = server.get_consent_grant(oauth_request, end_user=account)
    except OAuth2Error as error:
        return _refused(request, oauth_request, error)
    return _send_back(
        request, server.create_authorization_response(oauth_request, grant_user=account, grant=grant)
    )


def _consent_required(redirect_uri: str, oauth_request: ParameterRequest) -> OAuth2Error:
    return OAuth2Error(
        "The person has to be asked.",
        error="consent_required",
        redirect_uri=redirect_uri,
        state=oauth_request.payload.state,
    )


def _refused(request: Request, oauth_request: ParameterRequest, error: Any) -> Response:
    if error.redirect_uri:
        return _send_back(request, _server(request).handle_error_response(oauth_request, error))
    # RFC 6749 §4.1.2.1: an unknown client or redirect URI is told to the person, never redirected to
    if error.error == "invalid_client":
        return pages.unknown_client()
    return pages.bad_redirect_uri()


def _send_back(request: Request, response: Response) -> Response:
    if _server(request).settings.iss:
        # RFC 9207 §2: in every authorization response, errors included
        location = response.headers["location"]
        response.headers["location"] = add_params_to_uri(location, [("iss", origin(request))])
    response.headers["referrer-policy"] = "no-referrer"
    return response


def _plain(response: Any) -> Response:
    assert isinstance(response, Response)
    return response
