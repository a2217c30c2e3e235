"""Switches against somebody who gets the notebook, the repository or a log: what is switched off lets a secret out."""

from __future__ import annotations

from tests.defences.switch import Edit, Switch

PANEL = "ic_notebook/jupyter/panel.py"
SESSION = "ic_notebook/sessions/session.py"
TRANSPORT = "ic_notebook/transport.py"
KERNEL = "tests/jupyter/test_secrets_in_a_kernel.py::test_no_secret_is_left_in"

LEAK_SWITCHES = (
    Switch(
        "traits",
        "the panel's picture is a trait",
        (
            Edit(
                PANEL,
                '    _esm = "\\n".join(',
                '    seen = __import__("traitlets").Dict().tag(sync=True)\n    _esm = "\\n".join(',
            ),
            Edit(
                PANEL,
                "Presenter(sign_in, self.send)",
                'Presenter(sign_in, lambda told: (setattr(self, "seen", {**self.seen, **told["view"]}), self.send(told)))',
            ),
        ),
        (
            "tests/browser/test_sign_in.py::test_nothing_secret_is_in_the_saved_notebook_or_the_servers_log",
            f"{KERNEL}[messages]",
        ),
    ),
    Switch(
        "access-log",
        "the Jupyter server logs the query",
        (Edit("ic_notebook/server_extension.py", "self.request.uri = self.request.path", "pass"),),
        ("tests/redirect/test_server_extension.py::test_the_access_log_has_the_path_and_no_code",),
    ),
    Switch(
        "own-question",
        "a stored client is checked with the state of the sign-in, which libraries log",
        (
            Edit(
                "ic_notebook/oauth/authorization.py",
                "question = AuthorizationRequest.new(\n"
                "            self.server, client_id=self.client_id, redirect_uri=self.redirect_uri, scope=self.scope\n"
                "        )",
                "question = self",
            ),
        ),
        ("tests/transport/test_leaks.py::test_log_at_debug_holds_no_secret_of_a_whole_sign_in",),
    ),
    Switch(
        "reprs",
        "a secret prints itself",
        (Edit("ic_notebook/oauth/secret.py", "return \"'…'\"", "return str.__repr__(self)"),),
        (f"{KERNEL}[reprs]",),
    ),
    Switch(
        "frames-of-errors",
        "errors leave with the frames that held a secret, and secrets print themselves",
        (
            Edit(TRANSPORT, "raise failure.with_traceback(None) from None", "raise failure"),
            Edit(
                "ic_notebook/login/login.py",
                "raise error.with_traceback(None) from None",
                "raise",
            ),
            Edit("ic_notebook/oauth/secret.py", "return \"'…'\"", "return str.__repr__(self)"),
        ),
        ("tests/login/test_secrets.py::test_no_exception_and_no_verbose_traceback_shows_a_secret",),
    ),
    Switch(
        "words",
        "an error says with what it was sent",
        (
            Edit(
                "ic_notebook/sessions/client.py",
                "    raise APIStatusError(words, response=response, reason=reason) from None",
                "    words += str(response.request.headers.raw)\n"
                "    raise APIStatusError(words, response=response, reason=reason) from None",
            ),
        ),
        (
            "tests/jupyter/test_secrets_in_a_kernel.py::test_traceback_of_a_script_holds_no_secret",
            f"{KERNEL}[shown]",
        ),
    ),
    Switch(
        "handles",
        "a session's handle takes the token along",
        (
            Edit(
                SESSION,
                "return self.base_url, self.profile, self.is_from_environment",
                "return self.base_url, str(self._source.current().access_token), False",
            ),
        ),
        (
            "tests/sessions/test_handles.py::test_a_pickle_holds_no_token",
            f"{KERNEL}[store]",
            f"{KERNEL}[dump]",
        ),
    ),
    Switch(
        "copies",
        "a session can be copied",
        (
            Edit(
                SESSION,
                "    def __copy__(self) -> NoReturn:\n        raise TypeError(_NOT_COPIED)\n\n"
                "    def __deepcopy__(self, _memo: object) -> NoReturn:\n        raise TypeError(_NOT_COPIED)\n",
                "",
            ),
        ),
        ("tests/sessions/test_session.py::test_a_session_is_not_copied",),
    ),
    Switch(
        "renewal-note",
        "the note of a renewal names the token",
        (
            Edit(
                "ic_notebook/storage/sharing.py",
                "return hashlib.sha256(token.encode()).hexdigest()[:16].encode()",
                "return token.encode()",
            ),
        ),
        ("tests/storage/test_sharing.py::test_the_files_hold_no_secret_no_name_and_are_their_owners",),
    ),
    Switch(
        "rendezvous-name",
        "a rendezvous file is named by its key",
        (
            Edit(
                "ic_notebook/redirect/rendezvous.py",
                "{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:40]}",
                "{key}",
            ),
        ),
        (
            "tests/redirect/test_rendezvous.py::test_who_knows_the_key_finds_the_port_and_nothing_else_is_there",
        ),
    ),
    Switch(
        "demo-environment",
        "the demo's JupyterLab inherits the token of whoever starts it",
        (Edit("ic_notebook/demo.py", " if key != ACCESS_TOKEN}", "}"),),
        (
            "tests/scripts/test_children.py::test_the_demos_jupyterlab_is_not_told_the_token_of_whoever_starts_it",
        ),
    ),
    Switch(
        "hooks",
        "a refresh goes by the client of whoever calls",
        tuple(
            Edit(
                "ic_notebook/sessions/auth.py",
                f"if isinstance(step, Future):\n                    step = {wait}(",
                "if isinstance(step, Future):\n"
                '                    yield httpx.Request("POST", f"{self._origin}/public/v1/oauth/token/")\n'
                f"                    step = {wait}(",
            )
            for wait in ("waited", "await awaited")
        ),
        (
            "tests/sessions/test_event_hooks.py::test_a_hook_sees_the_calls_of_its_own_client_and_no_token_request",
        ),
    ),
    Switch(
        "cluster-offer",
        "what the cluster is offered holds the token",
        (
            Edit(
                "ic_notebook/cluster/sharing.py",
                '"profile": self.session.profile,\n            "limited"',
                '"profile": self.session.profile,\n'
                '            "token": str(self.session._source.current().access_token),\n'
                '            "limited"',
            ),
        ),
        ("tests/cluster/test_storm.py::test_no_secret_is_left_behind_or_shown_anywhere",),
    ),
)
