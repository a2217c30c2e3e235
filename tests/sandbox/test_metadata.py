"""RFC 8414."""

from __future__ import annotations

from dataclasses import replace

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

pytestmark = pytest.mark.anyio

PATH = "/.well-known/oauth-authorization-server"


async def test_the_metadata_names_the_endpoints_and_what_they_take(sandbox):
    response = await sandbox.http.get(PATH)
    assert response.status_code == 200
    assert response.json() == {
        "issuer": "http://127.0.0.1:8000",
        "authorization_endpoint": "http://127.0.0.1:8000/public/v1/oauth/authorize/",
        "token_endpoint": "http://127.0.0.1:8000/public/v1/oauth/token/",
        "registration_endpoint": "http://127.0.0.1:8000/public/v1/oauth/register/",
        "scopes_supported": ["all"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
    }


async def test_the_metadata_is_valid_by_the_rfc(sandbox):
    AuthorizationServerMetadata((await sandbox.http.get(PATH)).json()).validate()


async def test_the_metadata_announces_iss_and_secrets_when_they_are_switched_on(sandbox):
    sandbox.settings = replace(sandbox.settings, iss=True, client_secret=True)
    metadata = (await sandbox.http.get(PATH)).json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert "client_secret_post" in metadata["token_endpoint_auth_methods_supported"]


@pytest.mark.parametrize(
    ("form", "answering"), [("oauth", PATH), ("openid", "/.well-known/openid-configuration"), ("none", None)]
)
async def test_the_metadata_is_at_the_place_that_is_chosen_and_no_other(open_sandbox, form, answering):
    sandbox = open_sandbox(metadata=form)
    for path in (PATH, "/.well-known/openid-configuration"):
        response = await sandbox.http.get(path)
        assert response.status_code == (200 if path == answering else 404)
        if path == answering:
            assert response.json()["issuer"] == "http://127.0.0.1:8000"


async def test_the_scopes_need_not_be_named(open_sandbox):
    sandbox = open_sandbox(scopes_supported=False)
    assert "scopes_supported" not in (await sandbox.http.get(PATH)).json()
