"""Nothing of what this package makes or raises prints a token, a code, a state or a verifier."""

from __future__ import annotations

import copy
import json
import pickle
import pprint
import traceback
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from IPython.lib.pretty import pretty

from ic_notebook import errors
from ic_notebook.errors import APIError, ICNotebookError, OAuthError, ServiceUnavailable
from ic_notebook.oauth.authorization import AuthorizationResponse
from ic_notebook.oauth.connected_apps import disconnect_app, list_apps
from ic_notebook.oauth.registration import ClientMetadata, register
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.oauth.tokens import exchange_code, refresh
from tests.oauth.flows import SERVER, answered, authorization_request, message_of

PLANTED = ("PLANTED-ACCESS", "PLANTED-REFRESH", "PLANTED-CODE/+", "PLANTED-STATE", "PLANTED-VERIFIER")
ACCESS, REFRESH, CODE, STATE, VERIFIER = map(Secret, PLANTED)
TOKENS = TokenSet(access_token=ACCESS, refresh_token=REFRESH, client_id="c")
TO = authorization_request(state=STATE, code_verifier=VERIFIER)


@pytest.mark.parametrize(
    "show", [repr, ascii, pretty, pprint.pformat, "{!r}".format, lambda value: f"{[value]}"]
)
@pytest.mark.parametrize(
    "value",
    [ACCESS, TOKENS, TO, AuthorizationResponse(code=CODE), {"a": ACCESS}, (ACCESS,), [TOKENS, TO]],
    ids=lambda value: type(value).__name__,
)
def test_no_form_of_printing_shows_a_secret(value: object, show: Callable[[object], str]) -> None:
    assert "PLANTED" not in show(value)


def test_secret_is_a_string_in_every_other_use() -> None:
    assert ACCESS == "PLANTED-ACCESS"
    assert f"Bearer {ACCESS}" == "Bearer PLANTED-ACCESS"
    assert hash(ACCESS) == hash("PLANTED-ACCESS")
    assert json.loads(json.dumps({"token": ACCESS})) == {"token": "PLANTED-ACCESS"}
    for twin in (pickle.loads(pickle.dumps(ACCESS)), copy.deepcopy(ACCESS)):
        assert (twin, type(twin)) == (ACCESS, Secret)


def test_secrets_of_a_token_set_keep_their_type() -> None:
    response = httpx.Response(200, json={"access_token": "a", "refresh_token": "r"})
    tokens = answered(refresh(SERVER, TOKENS, now=0.0), response)
    assert type(tokens.access_token) is type(tokens.refresh_token) is Secret
    code = AuthorizationResponse.from_redirect("code=x&state=PLANTED-STATE", to=TO).code
    assert type(code) is Secret


def echoing() -> list[httpx.Response]:
    text = " ".join(PLANTED)
    encoded = "code=PLANTED-CODE%2F%2B"
    return [
        httpx.Response(400, json={"error": "invalid_grant", "error_description": f"{text} {encoded}"}),
        httpx.Response(400, json={"error": "PLANTED-CODE/+", "error_description": text}),
        httpx.Response(400, json={"detail": text}),
        httpx.Response(400, json={"error": [text], "x": encoded}),
        httpx.Response(401, json=[text]),
        httpx.Response(200, json={"code": text}),
        httpx.Response(200, json={"access_token": f"{text}"}),
        httpx.Response(200, json={"access_token": "a", "token_type": text}),
        httpx.Response(403, text=text),
        httpx.Response(500, text=text),
        httpx.Response(429, json={"detail": text}, headers={"retry-after": text}),
        httpx.Response(302, headers={"location": f"https://x.example/?{encoded}"}),
    ]


@pytest.mark.parametrize("number", range(len(echoing())))
def test_server_that_echoes_what_it_was_sent_puts_no_secret_into_a_message(number: int) -> None:
    for flow, carried in (
        (exchange_code(AuthorizationResponse(code=CODE), to=TO, now=0.0), PLANTED[2:]),
        (refresh(SERVER, TOKENS, now=0.0), PLANTED[:2]),
    ):
        with pytest.raises(ICNotebookError) as refusal:
            answered(flow, echoing()[number])
        for secret in carried:
            assert secret not in message_of(refusal.value)
            assert quote(secret, safe="") not in message_of(refusal.value)


@pytest.mark.parametrize("number", range(len(echoing())))
def test_calls_of_a_signed_in_person_put_no_token_into_a_message(number: int) -> None:
    for flow in (list_apps("https://x.example/apps/"), disconnect_app("https://x.example/apps/", "1")):
        request = next(flow)
        request.headers["Authorization"] = f"Bearer {ACCESS}"
        response = echoing()[number]
        response.request = request
        try:
            flow.send(response)
        except StopIteration:
            continue
        except ICNotebookError as error:
            shown = message_of(error)
        assert ACCESS not in shown


@pytest.mark.parametrize(
    "read",
    [
        lambda text: AuthorizationResponse.from_redirect(text, to=TO),
        lambda text: AuthorizationResponse.from_pasted(text, to=TO),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "?code=PLANTED-CODE&state=other",
        "?error=x&error_description=PLANTED-VERIFIER+PLANTED-STATE&state=PLANTED-STATE",
        "error=PLANTED-STATE&state=PLANTED-STATE",
        "https://evil.example/PLANTED-CODE?code=PLANTED-CODE&state=PLANTED-STATE",
        "PLANTED CODE",
    ],
)
def test_refused_response_is_not_repeated_in_the_message(read: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ICNotebookError) as refusal:
        read(text)
    assert "PLANTED" not in message_of(refusal.value)
    assert "PLANTED" not in "".join(traceback.format_exception_only(refusal.value))


def tree() -> list[type[ICNotebookError]]:
    found = [ICNotebookError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", tree())
def test_every_error_survives_a_pickle_as_a_pool_of_processes_needs(kind: type[ICNotebookError]) -> None:
    more = {OAuthError: {"error": "invalid_grant", "status_code": 400}, APIError: {"status_code": 404}}
    error = kind("words", **more.get(kind, {}))
    twin = pickle.loads(pickle.dumps(error))
    assert (type(twin), str(twin), vars(twin)) == (kind, "words", vars(error))
    assert str(copy.copy(error)) == "words"


def test_service_unavailable_keeps_what_it_knows_in_a_pickle() -> None:
    error = ServiceUnavailable("words", answer_lost=True, status_code=503, retry_after=3.0)
    twin = pickle.loads(pickle.dumps(error))
    assert (twin.answer_lost, twin.status_code, twin.retry_after) == (True, 503, 3.0)


def test_tree_drawn_in_the_docstring_is_the_tree() -> None:
    drawn = {line.split("(")[0].strip(" ├└│─").split(" ")[0] for line in (errors.__doc__ or "").splitlines()}
    assert {kind.__name__ for kind in tree()} <= drawn


def test_registration_prints_nothing_that_it_does_not_keep() -> None:
    client = ClientMetadata(client_name="n", redirect_uris=("http://127.0.0.1:1/cb",))
    answer = {"client_id": "c", "client_secret": "PLANTED-SECRET", "registration_access_token": "PLANTED"}
    registered = answered(register("https://x.example/r/", client), httpx.Response(201, json=answer))
    assert "PLANTED" not in f"{registered!r} {vars(registered)}"
