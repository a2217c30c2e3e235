"""How a kernel or terminal begins: with a token in the environment, with a wrong one, without a notebook."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ic_notebook.sandbox import serve_in_thread
from tests.jupyter.conftest import SETTINGS
from tests.jupyter.kernels import ANSI, clean_environment
from tests.jupyter.people import CREDITS, approve, connect, paths

pytestmark = pytest.mark.kernel

BAD_URL = "The base URL must look like https://api.example.com"


def set_token(kernel, token: str) -> None:
    kernel.run(f"__import__('os').environ['IC_ACCESS_TOKEN'] = {token!r}", silent=True)


@pytest.mark.parametrize("prefix", ["", "Bearer "])
def test_a_token_of_the_environment_connects_without_a_person(kernel, sandbox, prefix):
    set_token(kernel, prefix + sandbox.store.issue_token())
    page = kernel.displayed(kernel.run("%load_ext ic_notebook", allow_stdin=False))
    page.say("hello")
    view = page.shows("connected", text="627.13 credits · from the environment, not renewed here")
    assert view["title"] == "Connected with IC_ACCESS_TOKEN"
    assert view["can_disconnect"] is False
    assert "627.13" in kernel.run(f"import ic_notebook as ic\n{CREDITS}", allow_stdin=False).text
    assert kernel.run("ic.connect() is ic.session()", allow_stdin=False).text == "True"
    assert not [path for _, path in paths(sandbox) if "oauth" in path]
    page.say("disconnect")
    kernel.run("None")
    page.shows("connected", busy=None, text=lambda text: "not disconnected or forgotten here" in text)
    for line in ("%ic_disconnect", "%ic_forget"):
        (error,) = kernel.run(line).error
        assert error.startswith("ConfigurationError: This session's token is in IC_ACCESS_TOKEN")


def test_a_token_that_the_service_refuses_is_said_in_one_line(kernel, sandbox):
    set_token(kernel, "no-such-token")
    kernel.load()
    (error,) = kernel.run(f"import ic_notebook as ic\n{CREDITS}").error
    assert error.startswith("SignInRequired: The service refused the token in IC_ACCESS_TOKEN.")


def test_something_that_is_no_token_is_said_by_the_panel_and_in_one_line(kernel, sandbox):
    set_token(kernel, "two words")
    page = kernel.load()
    page.say("hello")
    view = page.shows("failed")
    assert view["text"].startswith("IC_ACCESS_TOKEN holds something that is not a token")
    assert view["url"] is None
    assert sandbox.requests == []
    for line in ("%ic_status", "import ic_notebook as ic\nic.client()"):
        (error,) = kernel.run(line).error
        assert error.startswith("ConfigurationError: IC_ACCESS_TOKEN holds something")


@pytest.mark.parametrize(
    "url",
    ["http://example.com", "example.com", "https://user:secret@example.com", "https://[", "\N{SNOWMAN}"],
)
def test_a_base_url_that_cannot_be_used_is_said_and_the_next_try_works(kernel, sandbox, url):
    kernel.run(f"__import__('os').environ['IC_BASE_URL'] = {url!r}", silent=True)
    page = kernel.load()
    page.say("hello")
    view = page.shows("dead", title="Not connected")
    assert view["text"].endswith("Check IC_BASE_URL, or base_url. Then run this cell again.")
    (error,) = kernel.run("%ic_connect").error
    assert error.startswith(f"ConfigurationError: {BAD_URL}")
    assert "secret" not in error + view["text"]
    kernel.run(f"__import__('os').environ['IC_BASE_URL'] = {sandbox.url!r}", silent=True)
    connect(kernel)


def test_a_second_server_has_a_session_of_its_own(kernel, sandbox):
    connect(kernel)
    with serve_in_thread(SETTINGS) as other:
        kernel.run(f"__import__('os').environ['IC_BASE_URL'] = {other.url!r}", silent=True)
        connect(kernel)
        assert (
            kernel.run("import ic_notebook as ic\nic.session().base_url == " + repr(other.url)).text == "True"
        )
        kernel.run("ic.forget()")
    assert (
        kernel.ask(
            "[s.base_url for s in __import__('ic_notebook.sessions.current', fromlist=['_']).current._sessions.values()]"
        )[0]
        == sandbox.url
    )


def test_an_ipython_terminal_gets_a_line_and_the_magics(tmp_path, sandbox):
    lines = [
        "%load_ext ic_notebook",
        "%load_ext ic_notebook",
        "%ic_status",
        "%ic_cells",
        "import ic_notebook as ic",
        "ic.apps()",
        "ic.connect()",
    ]
    ended = subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
        input="\n".join([*lines, ""]),
        env=clean_environment(tmp_path, IC_BASE_URL=sandbox.url),
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = ANSI.sub("", ended.stdout)
    assert said.count("Run %ic_connect to sign in.") == 2
    assert said.count(f"Not connected to {sandbox.url}. Connect: %ic_connect") == 1
    assert "%ic_cells first-call  First call" in said
    assert "SignInRequired: Nobody is signed in." in said
    assert "NobodyThere: Nobody can be asked to approve here" in said
    assert "Traceback" not in said + ended.stderr
    assert ended.returncode == 0
    assert sandbox.requests == []


def test_an_extension_that_the_configuration_loads_is_there_and_shows_its_panel_when_asked(
    sandbox, new_kernel
):
    kernel = new_kernel(config="get_config().InteractiveShellApp.extensions = ['ic_notebook']")
    assert kernel.run("%ic_status").text.startswith("Not connected")
    page = kernel.displayed(kernel.run("%ic_connect"))
    page.say("hello")
    page.shows("ready")
    connect(kernel)
    assert "Traceback" not in kernel.log.read_text()


def test_a_keyring_that_was_asked_for_and_is_not_there_is_said_before_and_after(new_kernel):
    kernel = new_kernel(IC_STORAGE="keyring")
    page = kernel.load()
    page.say("hello")
    view = page.shows("ready", remember=lambda box: box["problem"])
    approve(view["url"])
    connected = page.shows("connected", text=lambda text: "this kernel only" in text)
    assert "keyring.backends.fail" in connected["remark"]
    assert connected["remark"].endswith("This sign-in ends with this process.")
