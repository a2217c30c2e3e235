"""Switches against a web page that is open in the same browser."""

from __future__ import annotations

from tests.defences.switch import Edit, Switch

LISTENER = "ic_notebook/redirect/listener.py"
PAGES = "ic_notebook/redirect/pages.py"
DOORS = "ic_notebook/redirect/doors.py"
LOGIN = "ic_notebook/login/login.py"
AUTHORIZATION = "ic_notebook/oauth/authorization.py"
EXTENSION = "ic_notebook/server_extension.py"

PAGE_SWITCHES = (
    Switch(
        "host",
        "the listener takes any Host",
        (
            Edit(
                LISTENER,
                """return host is not None and host.decode("ascii", "replace").lower() in ours""",
                "return host is not None",
            ),
        ),
        ("tests/redirect/test_listener.py::test_foreign_host_gets_nothing",),
    ),
    Switch(
        "second-host",
        "a second Host is passed over (both by us and by h11)",
        (
            Edit(
                LISTENER,
                "connection.receive_data(await reader.read(4096))",
                """connection.receive_data((await reader.read(4096)).replace(b"\\nhost:", b"\\nx:"))""",
            ),
        ),
        ("tests/redirect/test_listener.py::test_two_hosts_get_nothing",),
    ),
    Switch(
        "state",
        "the state is not compared",
        (Edit(AUTHORIZATION, """if not same(parameters.get("state", ""), to.state):""", "if False:"),),
        (
            "tests/redirect/test_answers.py::test_a_wrong_answer_never_ends_the_wait",
            "tests/redirect/test_answers.py::test_a_nearly_right_answer_never_ends_the_wait",
        ),
    ),
    Switch(
        "verifier",
        "every sign-in has the same verifier",
        (
            Edit(
                AUTHORIZATION,
                "code_verifier=new_code_verifier(random_bytes)",
                "code_verifier=new_code_verifier(bytes)",
            ),
        ),
        (
            "tests/login/test_codes_of_others.py::test_a_code_of_another_sign_in_signs_nobody_in_even_with_the_right_state",
            "tests/login/test_codes_of_others.py::test_a_stolen_code_gets_no_token_without_the_verifier_and_still_connects_its_owner",
        ),
    ),
    Switch(
        "one-answer",
        "an answer that has come is no end to listening",
        (
            Edit(
                LOGIN,
                "if self.request is None or self._answer.done() or self.state in OVER:\n            return pages.OVER",
                "if self.request is None:\n            return pages.OVER",
            ),
        ),
        (
            "tests/redirect/test_answers.py::test_an_answer_is_accepted_once_and_then_the_sign_in_is_over",
            "tests/browser/test_survival.py::test_a_double_click_opens_two_tabs_of_one_sign_in",
        ),
    ),
    Switch(
        "room",
        "connections that idle make no room",
        (Edit(LISTENER, "if len(self._idle) >= MAX_CONNECTIONS:", "if False:"),),
        ("tests/redirect/test_listener.py::test_300_idle_connections_lock_nobody_out",),
    ),
    Switch(
        "latecomers",
        "connections that idle stay, and whoever comes late is turned away",
        (
            Edit(
                LISTENER,
                "if len(self._idle) >= MAX_CONNECTIONS:\n",
                "if len(self._idle) >= MAX_CONNECTIONS:\n            writer.close()\n            return\n",
            ),
        ),
        (
            "tests/redirect/test_listener.py::test_300_idle_connections_lock_nobody_out",
            "tests/redirect/test_under_load.py::test_strays_and_idle_connections_neither_stop_a_sign_in_nor_cost_memory",
        ),
    ),
    Switch(
        "request-time",
        "a request may take as long as it likes",
        (
            Edit(
                LISTENER,
                "await asyncio.wait_for(_read_request(connection, reader), REQUEST_TIMEOUT)",
                "await _read_request(connection, reader)",
            ),
        ),
        ("tests/redirect/test_listener.py::test_a_trickle_of_bytes_does_not_prolong_a_request",),
    ),
    Switch(
        "request-size",
        "a request may be as long as it likes",
        (Edit(LISTENER, "max_incomplete_event_size=MAX_REQUEST", "max_incomplete_event_size=1 << 30"),),
        ("tests/redirect/test_listener.py::test_huge_request_is_refused",),
    ),
    Switch(
        "door-key",
        "the door asks for no key and no origin",
        (
            Edit(
                DOORS,
                """if not same(message["key"], self.key) or origin is None or message.get("origin") != origin:""",
                "if False:",
            ),
        ),
        (
            "tests/redirect/test_doors.py::test_any_other_does_not",
            "tests/login/test_routes.py::test_nobody_else_is_heard_at_the_door",
        ),
    ),
    Switch(
        "door-origin",
        "the door hears a second origin",
        (Edit(DOORS, "if self._origin not in {None, origin}:", "if False:"),),
        ("tests/redirect/test_doors.py::test_the_first_page_with_the_key_is_the_only_one",),
    ),
    Switch(
        "door-answer",
        "whoever knocks may read the door's answer",
        (
            Edit(
                LISTENER,
                "return _Said(403)",
                """return _Said(403, headers=(("Access-Control-Allow-Origin", "*"),))""",
            ),
        ),
        ("tests/redirect/test_doors.py::test_what_does_not_count_gets_nothing",),
    ),
    Switch(
        "xsrf",
        "the door in the Jupyter server asks for no XSRF token",
        (
            Edit(
                EXTENSION,
                "    @allow_unauthenticated\n    async def post(",
                "    def check_xsrf_cookie(self) -> None:\n        pass\n\n"
                "    @allow_unauthenticated\n    async def post(",
            ),
        ),
        (
            "tests/redirect/test_server_extension.py::test_a_page_that_has_only_jupyters_cookie_needs_its_xsrf_token_too",
        ),
    ),
    Switch(
        "door-login",
        "the door in the Jupyter server asks for no login (nor for an XSRF token, which a stranger lacks too)",
        (
            Edit(
                EXTENSION,
                "    @allow_unauthenticated\n    async def post(",
                "    def check_xsrf_cookie(self) -> None:\n        pass\n\n"
                "    @allow_unauthenticated\n    async def post(",
            ),
            Edit(
                EXTENSION,
                "if self.current_user is None or len(body) > MAX_MESSAGE:",
                "if len(body) > MAX_MESSAGE:",
            ),
        ),
        ("tests/redirect/test_server_extension.py::test_a_stranger_cannot_knock",),
    ),
    Switch(
        "start-word",
        "the start page sends on whoever asks",
        (Edit(LOGIN, " or not same(word, self.door.start)", ""),),
        ("tests/redirect/test_answers.py::test_no_address_of_the_listener_sends_a_browser_anywhere",),
    ),
    Switch(
        "start-anywhere",
        "the start page sends on to where it is told",
        (
            Edit(
                LISTENER,
                "target = self._started(path.removeprefix(START))",
                "target = path.removeprefix(START)",
            ),
        ),
        (
            "tests/redirect/test_answers.py::test_no_address_of_the_listener_sends_a_browser_anywhere",
            "tests/redirect/test_doors.py::test_a_browser_that_begins_with_the_right_word_goes_on",
        ),
    ),
    Switch(
        "headers",
        "any page may read ours",
        (
            Edit(
                PAGES,
                """("Cross-Origin-Resource-Policy", "same-origin"),""",
                """("Access-Control-Allow-Origin", "*"),""",
            ),
        ),
        (
            "tests/redirect/test_pages.py::test_headers_are_these_and_no_others",
            "tests/redirect/test_pages_in_browser.py::test_another_page_can_neither_frame_nor_read_one",
        ),
    ),
    Switch(
        "frames",
        "any page may frame ours",
        (Edit(PAGES, "; frame-ancestors 'none'", ""),),
        (
            "tests/redirect/test_pages.py::test_the_policy_lets_in_what_is_served_and_nothing_else",
            "tests/redirect/test_pages_in_browser.py::test_another_page_can_neither_frame_nor_read_one",
        ),
    ),
    Switch(
        "local-network",
        "every page tries this computer",
        (Edit("ic_notebook/jupyter/doors.js", "if (isLocal()) ways.push", "if (true) ways.push"),),
        (
            "tests/browser/test_hosted.py::test_this_computer_is_tried_from_its_own_pages_and_from_vs_code_alone",
        ),
    ),
)
