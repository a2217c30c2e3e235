"""Switches against a hostile or broken authorization server: where it leads to, and how much it sends."""

from __future__ import annotations

from tests.defences.switch import Edit, Switch

ANSWERS = "ic_notebook/oauth/answers.py"
METADATA = "ic_notebook/oauth/metadata.py"
KEYRING = "ic_notebook/storage/keyring.py"
TRANSPORT = "ic_notebook/transport.py"

SERVER_SWITCHES = (
    Switch(
        "iss",
        "the issuer of an answer is not compared",
        (
            Edit(
                "ic_notebook/oauth/authorization.py",
                '_check_issuer(parameters.get("iss"), to.server)',
                "pass",
            ),
        ),
        ("tests/login/test_login.py::test_an_answer_of_another_issuer_never_ends_the_wait",),
    ),
    Switch(
        "issuer",
        "metadata may be another server's",
        (
            Edit(
                METADATA,
                'if not isinstance(issuer, str) or issuer.rstrip("/") != base_url:',
                "if False:",
            ),
        ),
        ("tests/oauth/test_discovery.py::test_another_issuer_is_refused",),
    ),
    Switch(
        "keyring-issuer-saved",
        "another server's tokens are stored",
        (
            Edit(
                KEYRING,
                'if tokens.issuer != self.issuer:\n            raise StorageError("The sign-in',
                'if False:\n            raise StorageError("The sign-in',
            ),
        ),
        ("tests/storage/test_keyring.py::test_another_issuers_tokens_are_neither_saved_nor_returned",),
    ),
    Switch(
        "keyring-issuer-loaded",
        "another server's tokens are used",
        (
            Edit(
                KEYRING,
                'if tokens.issuer != self.issuer:\n            raise StorageError("The stored',
                'if False:\n            raise StorageError("The stored',
            ),
        ),
        ("tests/storage/test_keyring.py::test_another_issuers_tokens_are_neither_saved_nor_returned",),
    ),
    Switch(
        "endpoints",
        "metadata may name any endpoint",
        (
            Edit(
                METADATA,
                "    if url is None:\n        raise UnexpectedAnswer(",
                "    if url is None:\n        return str(value)\n        raise UnexpectedAnswer(",
            ),
        ),
        ("tests/oauth/test_discovery.py::test_endpoint_that_must_not_be_trusted_is_refused",),
    ),
    Switch(
        "readings",
        "only what is no JSON counts as none, not what is too deep or in a coding that nobody knows",
        (
            Edit(
                ANSWERS,
                "except (ValueError, RecursionError, LookupError):",
                "except ValueError:",
            ),
        ),
        ("tests/transport/test_hostile_metadata.py::test_hostile_metadata_is_refused_in_one_line",),
    ),
    Switch(
        "s256",
        "a server may do without PKCE",
        (
            Edit(
                METADATA,
                'if methods is not None and not (isinstance(methods, list) and "S256" in methods):',
                "if False:",
            ),
        ),
        ("tests/oauth/test_discovery.py::test_server_without_s256_is_refused",),
    ),
    Switch(
        "redirects",
        "redirects are followed",
        (Edit(TRANSPORT, "follow_redirects=False", "follow_redirects=True"),),
        (
            "tests/transport/test_transport.py::test_no_redirect_is_followed",
            "tests/transport/test_hostile_metadata.py::test_metadata_that_redirects_is_not_followed_a_single_step",
        ),
    ),
    Switch(
        "answer-size",
        "an answer may be as long as it likes",
        (Edit(TRANSPORT, "if len(content) > MAX_ANSWER:", "if False:"),),
        ("tests/transport/test_transport.py::test_answer_larger_than_the_bound_is_refused",),
    ),
    Switch(
        "coding",
        "a content coding that was not asked for is undone",
        (
            Edit(
                TRANSPORT,
                'content = _decoded(bytes(raw), coding=response.headers.get("content-encoding", "identity"))',
                "content = httpx.Response(200, headers=response.headers, content=bytes(raw)).content",
            ),
        ),
        ("tests/transport/test_transport.py::test_bombs_within_bombs_cost_no_memory",),
    ),
    Switch(
        "answer-time",
        "an answer may take as long as it likes",
        (
            Edit(
                TRANSPORT,
                "await asyncio.wait_for(_once(client, request, auth), self._timeout)",
                "await _once(client, request, auth)",
            ),
        ),
        ("tests/transport/test_transport.py::test_dripping_server_ends_at_the_time_limit",),
    ),
    Switch(
        "next-link",
        "the next page of the list is asked for wherever it is said to be",
        (
            Edit(
                "ic_notebook/oauth/connected_apps.py",
                "return str(httpx.URL(str(own.copy_with(raw_path=own.join(link).raw_path))))",
                "return str(own.join(link))",
            ),
        ),
        ("tests/oauth/test_connected_apps.py::test_no_next_link_whatsoever_leaves_our_origin",),
    ),
    Switch(
        "origin",
        "a token goes to any origin",
        (
            Edit(
                "ic_notebook/sessions/auth.py",
                "if url.raw_host != self._host or url.port != self._port or url.scheme != self._scheme:",
                "if False:",
            ),
        ),
        ("tests/sessions/test_three_clients.py::test_the_token_goes_to_no_other_origin",),
    ),
    Switch(
        "origin-requests",
        "a token goes to any origin (requests)",
        (Edit("ic_notebook/sessions/requests_auth.py", "if theirs != origin:", "if False:"),),
        ("tests/sessions/test_three_clients.py::test_the_token_goes_to_no_other_origin",),
    ),
    Switch(
        "foreign-401",
        "a 401 of elsewhere counts as one of ours",
        (
            Edit(
                "ic_notebook/sessions/auth.py",
                'return _origin(sent.url) == self._origin and sent.headers.get("Authorization") == _bearer(tokens)',
                "return sent is not None",
            ),
        ),
        (
            "tests/sessions/test_three_clients.py::test_a_redirect_to_another_origin_carries_no_token_and_its_401_is_its_own",
        ),
    ),
    Switch(
        "registration",
        "the whole answer of a registration is kept",
        (
            Edit(
                "ic_notebook/oauth/registration.py",
                "        client_id=client_id,\n        client_name=client.client_name,",
                "        client_id=client_id,\n        client_name=response.text,",
            ),
        ),
        ("tests/login/test_registrar.py::test_no_secret_of_a_registration_is_kept",),
    ),
)
