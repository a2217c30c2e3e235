"""The magics of a real kernel: what they show, what they refuse, and that none costs anything as it stands."""

from __future__ import annotations

import pytest

from ic_notebook.jupyter.cells import CELLS
from tests.jupyter.kernels import ANSI
from tests.jupyter.people import CREDITS, approve, connect, paths

pytestmark = pytest.mark.kernel

MAGICS = ("ic_apps", "ic_cells", "ic_connect", "ic_disconnect", "ic_forget", "ic_revoke", "ic_status")
NOBODY = (
    "SignInRequired: Nobody is signed in. Connect first: %load_ext ic_notebook, or ic_notebook.connect()."
)


def usage(ran) -> str:
    assert ran.reply["status"] == "error"
    assert ran.error == []
    (line,) = ran.printed.splitlines()
    return line


def test_exactly_the_documented_magics_are_there(kernel):
    kernel.load()
    found = kernel.ask(
        "sorted(n for n in get_ipython().magics_manager.magics['line'] if n.startswith('ic_'))"
    )
    assert tuple(found) == MAGICS


@pytest.mark.parametrize(
    ("magic", "words"),
    [
        ("ic_apps", ["List the apps connected to the account"]),
        ("ic_cells", ["Insert a helper cell", "%ic_cells NAME"]),
        (
            "ic_connect",
            [
                "Show the Connect panel",
                "--wait",
                "--timeout TIMEOUT",
                "--storage {memory,keyring}",
                "--profile",
                "--base-url",
                "--discover",
                "--client-id",
                "--scope",
                "--new-client",
            ],
        ),
        ("ic_disconnect", ["End this sign-in at the service"]),
        ("ic_forget", ["Forget the sign-in here", "stays connected", "%ic_disconnect"]),
        ("ic_revoke", ["end the access of one app", "%ic_revoke APP_ID"]),
        ("ic_status", ["how the sign-in stands", "Makes no call"]),
    ],
)
def test_a_question_mark_shows_what_a_magic_does(kernel, magic, words):
    kernel.load()
    message = kernel.client.inspect(f"%{magic}", detail_level=0)
    reply = kernel.client.get_shell_msg(timeout=10)
    assert reply["parent_header"]["msg_id"] == message
    assert reply["content"]["found"]
    shown = ANSI.sub("", reply["content"]["data"]["text/plain"])
    assert all(word in shown for word in words), shown
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("%ic_connect now", "UsageError: unrecognized arguments: now"),
        ("%ic_connect --storage disk", "UsageError: argument --storage: invalid choice: 'disk'"),
        ("%ic_connect --timeout", "UsageError: argument --timeout: expected one argument"),
        *[
            (
                f"%ic_connect --wait --timeout {text}",
                "UsageError: argument --timeout: a number of seconds above 0 is needed",
            )
            for text in ("soon", "0", "-1", "nan")
        ],
        ("%ic_status all", "UsageError: unrecognized arguments: all"),
        ("%ic_apps all", "UsageError: unrecognized arguments: all"),
        ("%ic_disconnect 3", "UsageError: unrecognized arguments: 3"),
        ("%ic_forget me", "UsageError: unrecognized arguments: me"),
        ("%ic_revoke 7 8", "UsageError: unrecognized arguments: 8"),
        (
            "%ic_cells frist-call",
            "UsageError: There is no helper cell of that name. There are: first-call, apps, revoke, pandas.",
        ),
    ],
)
def test_a_wrong_argument_gets_one_line_and_does_nothing(kernel, sandbox, line, says):
    kernel.load()
    assert usage(kernel.run(line)).startswith(says)
    assert sandbox.requests == []


@pytest.mark.parametrize("line", ["%ic_apps", "%ic_disconnect", "%ic_forget", "%ic_revoke 7"])
def test_without_a_sign_in_a_magic_says_so_in_one_line(kernel, line):
    kernel.load()
    assert kernel.run(line).error == [NOBODY]


def test_status_tells_how_it_stands_and_makes_no_call(kernel, sandbox):
    kernel.load()
    assert kernel.run("%ic_status").text.startswith(f"Not connected to {sandbox.url}.")
    connect(kernel)
    sandbox.requests.clear()
    lines = kernel.run("%ic_status").text.splitlines()
    assert lines[0] == f"Connected to {sandbox.url}"
    assert lines[1].split("  ")[1:] == ["kept", "", "", "", "", " this kernel only"]
    assert sandbox.requests == []


def test_apps_are_a_table_in_a_notebook_and_text_elsewhere(kernel, sandbox):
    sandbox.store.seed_app("<b>Claude</b>")
    connect(kernel)
    shown = kernel.run("%ic_apps").result
    assert "<td style='text-align:left'>&lt;b&gt;Claude&lt;/b&gt;</td>" in shown["text/html"]
    assert "(this one)" in shown["text/html"]
    assert [line.split()[0] for line in shown["text/plain"].splitlines()] == [
        "App",
        "<b>Claude</b>",
        "ic_notebook",
    ]


@pytest.mark.parametrize("line", ["%ic_revoke", '%ic_revoke ""', "%ic_revoke ''"])
def test_revoke_without_an_id_refuses_and_asks_nothing_of_the_service(kernel, sandbox, line):
    connect(kernel)
    sandbox.requests.clear()
    (error,) = kernel.run(line).error
    assert error.startswith("ConfigurationError: Put the id of an app")
    assert sandbox.requests == []


def test_revoke_ends_the_app_of_that_id(kernel, sandbox):
    app = sandbox.store.seed_app("Claude")
    connect(kernel)
    assert kernel.run(f"%ic_revoke '{app}'").error == []
    assert app not in [listed.id for listed in sandbox.store.apps()]
    assert kernel.run(f"app = {app}\n%ic_revoke {{app}}").error == [
        "APIError: No connected app has this id. ic.apps() lists them."
    ]


def test_disconnect_tells_what_the_service_confirmed(kernel, sandbox):
    page = connect(kernel)
    assert (
        kernel.run("%ic_disconnect").text
        == "Disconnected. The service confirmed it: no token of this app works any more."
    )
    assert sandbox.store.apps() == []
    page.shows("ready")
    assert kernel.run("%ic_disconnect").error == [NOBODY]


def test_forget_forgets_here_and_asks_nothing_of_the_service(kernel, sandbox):
    page = connect(kernel)
    sandbox.requests.clear()
    assert kernel.run("%ic_forget").contents("execute_result") == []
    page.shows("ready")
    assert kernel.run("%ic_apps").error == [NOBODY]
    assert len(sandbox.store.apps()) == 1
    assert set(paths(sandbox)) <= {("GET", "/public/v1/oauth/authorize/")}  # the check of a stored client


def test_connect_goes_to_the_server_and_asks_for_the_scope_that_it_names(kernel, sandbox):
    kernel.load()
    kernel.run("import os; os.environ['IC_BASE_URL'] = 'http://127.0.0.1:9'")
    page = kernel.displayed(
        kernel.run(f"%ic_connect --base-url '{sandbox.url}' --scope \"all more\" --discover")
    )
    page.say("hello")
    url = page.shows("ready")["url"]
    assert url.startswith(sandbox.url)
    assert "scope=all+more" in url
    assert ("GET", "/.well-known/oauth-authorization-server") in paths(sandbox)
    approve(url)
    page.shows("connected")


def test_connect_with_wait_holds_its_cell_until_a_person_approved(kernel):
    kernel.load()
    cell = kernel.start("%ic_connect --wait --timeout 30")
    url = kernel.panel_of(cell).shows("ready", "waiting")["url"]
    approve(url)
    assert kernel.finish(cell).text.startswith("<Session connected, http://127.0.0.1:")


def test_cells_are_listed_with_the_line_that_inserts_each(kernel):
    kernel.load()
    ran = kernel.run("%ic_cells")
    assert [line.split("  ")[0].strip() for line in ran.printed.splitlines()] == [
        f"%ic_cells {c.name}" for c in CELLS
    ]
    assert [line.split("  ")[-1].strip() for line in ran.printed.splitlines()] == [c.title for c in CELLS]
    assert ran.next_input == []


@pytest.mark.parametrize("name", ["first-call", "apps", "revoke", "pandas"])
def test_a_named_cell_becomes_the_next_input(kernel, name):
    kernel.load()
    (inserted,) = kernel.run(f"%ic_cells {name}").next_input
    assert inserted == next(cell.code for cell in CELLS if cell.name == name)


def test_every_helper_cell_runs_as_it_stands_and_changes_nothing_at_the_service(kernel, sandbox):
    connect(kernel)
    sandbox.store.seed_app("Claude")
    sandbox.requests.clear()
    ran = {cell.name: kernel.run(kernel.run(f"%ic_cells {cell.name}").next_input[0]) for cell in CELLS}
    assert {name: one.error for name, one in ran.items()} == {name: [] for name in ran}
    assert "627.13" in ran["first-call"].text
    assert "Claude" in ran["apps"].text
    assert ran["revoke"].messages[-1]["content"]["execution_state"] == "idle"
    assert ran["revoke"].contents("execute_result") == []
    assert "<table" in ran["pandas"].result["text/html"]
    assert "abbreviation" in ran["pandas"].text
    assert {method for method, _ in paths(sandbox)} == {"GET"}
    assert len(sandbox.store.apps()) == 2
    assert "627.13" in kernel.run(CREDITS).text


def test_a_cell_may_use_the_names_without_the_extension(kernel):
    assert kernel.run("import ic_notebook as ic\nic.status()").text.startswith(
        "Not connected to http://127.0.0.1:"
    )
    assert kernel.run("ic.client()").error == [NOBODY]
