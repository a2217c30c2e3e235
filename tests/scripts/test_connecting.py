"""connect() and connect_async() in a process without a notebook, with a browser given as open_url."""

from __future__ import annotations

import asyncio
import threading

import pytest

import ic_notebook as ic
from ic_notebook import sign_in
from ic_notebook.login.options import LoginOptions
from tests.scripts.processes import approve, deny, run

pytestmark = pytest.mark.anyio


class Browser:
    """A person at a browser of their own: `url` is what it was sent to, `page` what it ended on."""

    def __init__(self, act) -> None:
        self.urls: list[str] = []
        self.thread: str | None = None
        self.page: str | None = None
        self._act = act
        self._acting: threading.Thread | None = None

    def __call__(self, url: str) -> None:
        self.urls.append(url)
        self.thread = threading.current_thread().name
        self._acting = threading.Thread(target=self._run, args=(url,), daemon=True)
        self._acting.start()

    def _run(self, url: str) -> None:
        self.page = self._act(url)

    def last_page(self) -> str:
        self._acting.join(20)
        assert self.page is not None
        return self.page


@pytest.fixture(params=["connect", "connect_async"])
def connect(request):
    """Both functions behind one call."""
    if request.param == "connect":
        return ic.connect
    return lambda **options: asyncio.run(ic.connect_async(**options))


def test_connect_gives_a_session_that_calls_the_api(sandbox, connect):
    browser = Browser(approve)
    session = connect(base_url=sandbox.url, open_url=browser, timeout=20)
    assert session.credits() == 627.13
    assert ic.session() is session
    assert len(browser.urls) == 1
    assert "onnected" in browser.last_page()


def test_a_first_sign_in_makes_two_requests_and_the_next_one_token_request(sandbox, connect):
    for expected in (["register", "authorize", "token"], ["authorize", "authorize", "token"]):
        sandbox.requests.clear()
        connect(base_url=sandbox.url, open_url=Browser(approve), timeout=20).forget()
        # of the two authorize requests of the second, one is the check of the stored client
        assert [path.split("/")[-2] for _, path, _ in sandbox.requests] == expected


def test_a_person_who_denies_is_told_apart(new_sandbox, connect):
    browser = Browser(deny)
    with pytest.raises(ic.SignInDeclined, match="declined"):
        connect(base_url=new_sandbox().url, open_url=browser, timeout=20)
    assert "declined" in browser.last_page().lower()
    with pytest.raises(ic.SignInRequired):
        ic.session()


def test_nobody_who_approves_is_a_timeout(sandbox, connect):
    with pytest.raises(ic.SignInTimeout, match="Connect again") as caught:
        connect(base_url=sandbox.url, open_url=lambda url: None, timeout=0.4)
    assert isinstance(caught.value, TimeoutError)


def test_a_timeout_before_there_is_a_link_is_one_too(sandbox, connect):
    with pytest.raises(ic.SignInTimeout):
        connect(base_url=sandbox.url, open_url=lambda url: None, timeout=0.001)


def test_after_a_timeout_connect_works(sandbox, connect):
    with pytest.raises(ic.SignInTimeout):
        connect(base_url=sandbox.url, open_url=lambda url: None, timeout=0.3)
    assert connect(base_url=sandbox.url, open_url=Browser(approve), timeout=20).credits() == 627.13


def test_what_open_url_raises_reaches_the_caller_and_ends_the_attempt(sandbox, connect):
    class Broken(Exception):
        pass

    def break_down(_url: str) -> None:
        raise Broken

    with pytest.raises(Broken):
        connect(base_url=sandbox.url, open_url=break_down, timeout=20)
    assert connect(base_url=sandbox.url, open_url=Browser(approve), timeout=20).credits() == 627.13


def test_an_open_url_that_waits_for_the_browser_does_not_hold_up_the_sign_in(sandbox, connect):
    assert connect(base_url=sandbox.url, open_url=approve, timeout=20).credits() == 627.13


def test_open_url_is_called_on_the_callers_own_thread(sandbox, connect):
    browser = Browser(approve)
    connect(base_url=sandbox.url, open_url=browser, timeout=20)
    assert browser.thread == threading.current_thread().name


def test_an_attempt_whose_link_is_ready_already_is_opened_too(sandbox, connect):
    face = sign_in.sign_in(LoginOptions(base_url=sandbox.url))
    ready = threading.Event()
    face.watch(lambda: ready.set() if face.url else None)
    face.prepare()
    assert ready.wait(20)
    browser = Browser(approve)
    assert connect(base_url=sandbox.url, open_url=browser, timeout=20).credits() == 627.13
    assert len(browser.urls) == 1


def test_a_server_that_cannot_be_reached_is_said_to_be_so(connect):
    with pytest.raises(ic.ServiceUnavailable, match=r"No connection to 127\.0\.0\.1:1\."):
        connect(base_url="http://127.0.0.1:1", open_url=lambda url: None, timeout=20)


@pytest.mark.parametrize(
    "base_url",
    ["http://example.com", "ftp://example.com", "nonsense", "https://user:pw@example.com", "https://"],
)
def test_a_base_url_that_a_token_must_not_go_to_is_refused(connect, base_url):
    with pytest.raises(ic.ConfigurationError):
        connect(base_url=base_url, open_url=lambda url: None)


def test_discovery_and_a_scope_of_ones_own_work(sandbox, connect):
    session = connect(base_url=sandbox.url, open_url=Browser(approve), discover=True, scope="all", timeout=20)
    assert session.credits() == 627.13
    result = session.disconnect()
    assert not result.confirmed


def test_an_empty_scope_is_explained(sandbox, connect):
    with pytest.raises(ic.ICNotebookError, match="scope"):
        connect(base_url=sandbox.url, open_url=Browser(approve), scope="nothing-known", timeout=20)


async def test_connect_async_does_not_hold_up_the_loop(sandbox):
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    session = await ic.connect_async(base_url=sandbox.url, open_url=Browser(approve), timeout=20)
    ticking.cancel()
    assert ticks > 10
    async with session.async_client() as client:
        assert (await client.get("/public/v1/accounts/credits/")).status_code == 200


async def test_a_cancelled_connect_async_ends_the_attempt(sandbox):
    opened = asyncio.Event()
    waiting = asyncio.create_task(
        ic.connect_async(base_url=sandbox.url, open_url=lambda url: opened.set(), timeout=20)
    )
    await asyncio.wait_for(opened.wait(), 20)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert sign_in.sign_in(LoginOptions(base_url=sandbox.url)).phase is None


async def test_connect_async_without_a_notebook_asks_for_open_url(monkeypatch):
    monkeypatch.setattr("ic_notebook.environment.somebody_is_there", lambda: True)
    with pytest.raises(ic.NobodyThere, match="open_url"):
        await ic.connect_async()


@pytest.mark.parametrize("setting", [{}, {"CI": "true", "BROWSER": "firefox"}, {"CI": "1", "DISPLAY": ":0"}])
def test_nobody_there_names_the_ways_out(tmp_path, setting, sandbox):
    script = "import ic_notebook as ic\ntry: ic.connect()\nexcept ic.NobodyThere as error: print(error)"
    done = run("-c", script, home=tmp_path, IC_BASE_URL=sandbox.url, **setting)
    assert (done.returncode, done.stderr) == (0, "")
    assert "IC_ACCESS_TOKEN" in done.stdout
    assert sandbox.requests == []


def test_giving_open_url_means_that_somebody_is_there(tmp_path, sandbox):
    done = run("-c", SCRIPT, home=tmp_path, IC_BASE_URL=sandbox.url, CI="true")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "627.13\n"


SCRIPT = """
import threading
import ic_notebook as ic
from tests.scripts.processes import approve
session = ic.connect(open_url=lambda url: threading.Thread(target=approve, args=(url,)).start(), timeout=20)
print(ic.client().get("/public/v1/accounts/credits/").json()["credits_available"])
"""


def test_a_script_opens_the_browser_that_BROWSER_names_and_prints_the_link_to_stderr(tmp_path, sandbox):
    browser = tmp_path / "browser"
    browser.write_text(
        "#!/bin/sh\nexec python3 -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' \"$1\"\n"
    )
    browser.chmod(0o700)
    script = "import ic_notebook as ic; print(ic.connect(timeout=20).credits())"
    done = run("-c", script, home=tmp_path, IC_BASE_URL=sandbox.url, BROWSER=str(browser))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "627.13\n"
    assert "Your browser shows this page" in done.stderr
    assert f"{sandbox.url}/public/v1/oauth/authorize/?" in done.stderr


def test_a_script_leaves_no_file_but_the_registration(tmp_path, sandbox):
    assert run("-c", SCRIPT, home=tmp_path, IC_BASE_URL=sandbox.url).returncode == 0
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in files if not name.endswith(".lock")} <= {"clients.json"}


def test_a_script_that_ends_while_it_waits_ends(tmp_path, sandbox):
    script = """
import threading
import ic_notebook as ic
opened = threading.Event()
def wait():
    try:
        ic.connect(open_url=lambda url: opened.set())
    except ic.SignInCancelled:
        pass
threading.Thread(target=wait, daemon=True).start()
print(opened.wait(20))
"""
    done = run("-c", script, home=tmp_path, IC_BASE_URL=sandbox.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
