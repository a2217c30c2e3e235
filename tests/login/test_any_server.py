"""Servers other than the service: where their metadata is, and what it leaves out."""

from __future__ import annotations

import pytest

from ic_notebook.errors import ServiceUnavailable, UnexpectedAnswer
from ic_notebook.oauth.revocation import revoke_tokens
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sandbox import Faults
from ic_notebook.transport import Transport

pytestmark = pytest.mark.anyio

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"
REVOKE = "/public/v1/oauth/revoke/"


async def test_a_server_with_openid_metadata_alone_connects(start, turn, sandbox):
    turn(metadata="openid", iss=True)
    attempt = await start(discover=True).reach()
    await attempt.answer()
    await attempt.run

    assert [request[1:] for request in sandbox.requests[:2]] == [(OAUTH, 404), (OPENID, 200)]
    assert attempt.login.request.server.issuer == sandbox.url


async def test_a_server_with_no_metadata_is_refused_in_words(start, turn):
    turn(metadata="none")
    with pytest.raises(UnexpectedAnswer, match="Connect without discover=True"):
        await start(discover=True).run


async def test_scopes_that_are_not_named_are_not_asked_for(start, turn):
    turn(scopes_supported=False)
    attempt = await start(discover=True).reach()

    assert "scope=" not in attempt.url


async def test_a_scope_that_is_given_goes_before_those_that_are_named(start):
    attempt = await start(discover=True, scope="all other").reach()

    assert "scope=all+other" in attempt.url


async def test_what_is_not_announced_is_none(start):
    attempt = await start(discover=True).reach()

    assert attempt.login.request.server.revocation_endpoint is None
    assert attempt.login.request.server.connected_apps_endpoint is None


# -- revocation, where it is announced


@pytest.fixture
async def revoke(sandbox, turn):
    """Revokes a token at the sandbox, by the real driver, without its pauses."""
    turn(revocation=True)

    async def no_wait(_seconds: float) -> None:
        return

    async def revoke(tokens: TokenSet) -> None:
        await Transport(sleep=no_wait).drive(revoke_tokens(f"{sandbox.url}{REVOKE}", tokens))

    return revoke


def client_of(sandbox) -> str:
    return sandbox.store.seed_client(["http://127.0.0.1/callback"])


async def test_the_endpoint_is_the_announced_one(start, turn, sandbox):
    turn(revocation=True)
    attempt = await start(discover=True).reach()

    assert attempt.login.request.server.revocation_endpoint == f"{sandbox.url}{REVOKE}"


@pytest.mark.parametrize("refresh_token", [None, Secret("never-there")])
async def test_a_token_that_has_ended_is_revoked_all_the_same(sandbox, revoke, refresh_token):
    tokens = TokenSet(
        access_token=Secret("unknown"), refresh_token=refresh_token, client_id=client_of(sandbox)
    )
    await revoke(tokens)
    await revoke(tokens)

    assert [request.status for request in sandbox.requests] == [200, 200]


@pytest.mark.parametrize("stage", ["before", "after"])
@pytest.mark.parametrize("kind", ["status", "dropped"])
async def test_a_revocation_without_an_answer_is_repeated(sandbox, turn, revoke, kind, stage):
    turn(faults=Faults(kind=kind, count=2, paths=(REVOKE,), stage=stage))
    await revoke(TokenSet(access_token=Secret("unknown"), client_id=client_of(sandbox)))

    assert [request.status for request in sandbox.requests] == [0 if kind == "dropped" else 503] * 2 + [200]


async def test_a_revocation_that_stays_without_an_answer_is_none(sandbox, turn, revoke):
    turn(faults=Faults(fraction=1.0, paths=(REVOKE,)))
    with pytest.raises(ServiceUnavailable, match="503"):
        await revoke(TokenSet(access_token=Secret("unknown"), client_id=client_of(sandbox)))
