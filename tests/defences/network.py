"""Switches against somebody on the network."""

from __future__ import annotations

from tests.defences.switch import Edit, Switch

TRANSPORT = "ic_notebook/transport.py"

NETWORK_SWITCHES = (
    Switch(
        "tls",
        "a base URL may do without TLS",
        (
            Edit(
                "ic_notebook/oauth/metadata.py",
                'secure = url.scheme == "https" or (url.scheme == "http" and is_loopback(host))',
                "secure = True",
            ),
        ),
        (
            "tests/oauth/test_discovery.py::test_base_url_that_tokens_must_not_go_to_is_refused_before_anything_is_sent",
        ),
    ),
    Switch(
        "certificates",
        "certificates are not looked at",
        (Edit(TRANSPORT, "verify=ssl_context(),", "verify=False,"),),
        ("tests/transport/test_transport.py::test_certificate_that_is_not_trusted_names_ssl_cert_file",),
    ),
    Switch(
        "proxies",
        "proxy variables count for this computer",
        (Edit(TRANSPORT, "return not is_loopback(host)", "return True"),),
        (
            "tests/transport/test_transport.py::test_loopback_is_never_asked_through_a_proxy",
            "tests/sessions/test_session.py::test_no_spelling_of_this_computer_sends_the_token_to_a_proxy",
        ),
    ),
    Switch(
        "code-once",
        "a code is sent again",
        (Edit("ic_notebook/oauth/tokens.py", "repeat=Repeat.NEVER", "repeat=Repeat.IF_LOST"),),
        ("tests/transport/test_transport.py::test_code_is_sent_once_whatever_happens",),
    ),
    Switch(
        "servers-pkce",
        "the server (our sandbox) takes a code with any verifier, or none",
        (
            Edit(
                "ic_notebook/sandbox/grants.py",
                "        super().__init__(required=True)\n",
                "        super().__init__(required=True)\n\n"
                "    def validate_code_verifier(self, grant: Any, result: Any) -> None:\n        pass\n",
            ),
        ),
        (
            "tests/login/test_codes_of_others.py::test_a_stolen_code_gets_no_token_without_the_verifier_and_still_connects_its_owner",
        ),
    ),
    Switch(
        "challenge",
        "the link holds the verifier itself",
        (
            Edit(
                "ic_notebook/oauth/authorization.py",
                "code_challenge(self.code_verifier)",
                "self.code_verifier",
            ),
        ),
        (
            "tests/oauth/test_authorization_request.py::test_url_holds_the_challenge_and_never_the_verifier",
            "tests/scripts/test_children.py::test_the_browser_is_told_the_link_and_nothing_secret",
        ),
    ),
    Switch(
        "confirmed",
        "nothing is asked of the service at the end",
        (
            Edit(
                "ic_notebook/sessions/session.py",
                "if await self._call(disconnect_app(self._apps_endpoint(), own.id)):",
                "if own.id:",
            ),
        ),
        (
            "tests/sessions/test_apps_and_ending.py::test_disconnect_is_confirmed_where_the_service_confirmed_it",
        ),
    ),
)
