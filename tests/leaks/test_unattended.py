"""Notebooks that nbconvert and papermill run and save, on a sign-in of the keyring or a token of the environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from tests.browser.test_sign_in import CREDITS, LOAD
from tests.frontends.servers import write_notebook
from tests.leaks.life import KEEP, LOG_EVERYTHING, Life, export, searched
from tests.sizes import LONG, needs_time
from tests.storage.secret_service import needs_secret_service, unlocked_keyring

pytestmark = [pytest.mark.kernel, needs_secret_service, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
FAILS = """%xmode Verbose
for wrong in ('/public/v1/nowhere/', 'https://example.com/'):
    try:
        ic.client().get(wrong).raise_for_status()
    except Exception:
        get_ipython().showtraceback()"""
CELLS = (
    LOAD,
    CREDITS,
    "ic.apps(), ic.session(), ic.status(), ic.client(), ic.session().auth",
    FAILS,
    "import logging; logging.getLogger().setLevel(logging.DEBUG)\n" + CREDITS,
    "%who\n%ic_status",
)
SIGN_IN = f"""{KEEP}
import sys, threading, ic_notebook as ic
from tests.scripts.processes import approve
open_url = lambda url: threading.Thread(target=approve, args=(url,)).start()
ic.connect(storage="keyring", open_url=open_url, timeout=30)
_keep(sys.argv[1])
"""
LOOK = f"""{KEEP}
import sys, ic_notebook as ic
ic.client().get("/public/v1/accounts/credits/").raise_for_status()
_keep(sys.argv[1])
"""
PAPERMILL = ("papermill", "--no-progress-bar", "--log-output", "--log-level", "DEBUG", "given.ipynb")
NBCONVERT = ("nbconvert", "--debug", "--execute", "--to", "notebook", "given.ipynb", "--output")
ALL = {
    "papermill, keyring": PAPERMILL,
    "nbconvert, keyring": NBCONVERT,
    "papermill, environment": PAPERMILL,
    "nbconvert, environment": NBCONVERT,
}
RUNS = dict(list(ALL.items())[: 4 if LONG else 1])


class Person:
    """Somebody who has signed in with their keyring, and whose notebooks run while they are away."""

    def __init__(self, sandbox: RunningSandbox, env: dict[str, str], life: Life) -> None:
        self.sandbox, self.life = sandbox, life
        self.env = env | {"IC_BASE_URL": sandbox.url}
        self.token = sandbox.store.issue_token()
        startup = life.folder / ".ipython/profile_default/startup"
        startup.mkdir(parents=True)
        (startup / "00-log.py").write_text(LOG_EVERYTHING)
        self.script(SIGN_IN)

    @property
    def secrets(self) -> dict[str, str]:
        return self.life.secrets | {"token of the environment": self.token}

    def script(self, source: str) -> None:
        """Run a script of theirs, which keeps what it knows where nobody searches."""
        command = [sys.executable, "-c", source, str(self.life._kept)]
        subprocess.run(command, env=self.env | {"PYTHONPATH": str(ROOT)}, check=True, timeout=60)

    def run(self, *cells: str) -> list[str]:
        """The notebooks that were run and saved; no access token that was known before was good for them."""
        write_notebook(self.life.folder / "given.ipynb", *cells)
        self.sandbox.store.end_access_tokens()
        self.token = self.sandbox.store.issue_token()
        running = [(name, self._begin(name, command)) for name, command in RUNS.items()]
        ended = {name: process.wait(90) for name, process in running}
        errors = [(self.life.folder / f"{name}-stderr").read_text()[-2_000:] for name in RUNS]
        # papermill ends with 1 where a cell shows an error, and has saved the notebook.
        assert set(ended.values()) <= {0, 1}, errors
        self.script(LOOK)
        saved = [f"{name}.ipynb" for name in RUNS]
        export(self.life.folder, *saved, **self.env)
        return saved

    def _begin(self, name: str, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        token = {"IC_ACCESS_TOKEN": self.token} if "environment" in name else {}
        with (
            (self.life.folder / f"{name}-stdout").open("wb") as out,
            (self.life.folder / f"{name}-stderr").open("wb") as errors,
        ):
            return subprocess.Popen(
                [sys.executable, "-m", *command, f"{name}.ipynb"],
                cwd=self.life.folder,
                env=self.env | token,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
            )


@pytest.fixture
def person(tmp_path) -> Iterator[Callable[[], Person]]:
    folder = tmp_path / "home"
    folder.mkdir()
    settings = SandboxSettings(rate_limit=0, auto_approve=True)
    with unlocked_keyring(folder) as env, serve_in_thread(settings) as sandbox:
        yield Person(sandbox, env, Life(tmp_path / "kept", folder))


def test_nothing_that_a_run_leaves_behind_holds_a_secret(person, record_property):
    saved = person.run(*CELLS)
    for name in saved:
        notebook = (person.life.folder / name).read_text()
        assert "627.13" in notebook
        assert "application/vnd.jupyter.widget-state+json" in notebook
        assert "NotFound" in notebook or "404" in notebook
    places = person.life.places
    for part in ("kernel.log", "stdout", "stderr", "-exported.html", "clients.json", "state/"):
        assert any(part in place for place in places), part
    assert {"access token", "refresh token", "state", "verifier"} <= person.life.kinds
    assert searched("unattended", person.secrets, places, record_property) == []


@needs_time
def test_a_leak_that_a_cell_makes_is_found(person):
    saved = person.run(LOAD, CREDITS, "print(ic.session().access_token())")
    hits = searched("", person.secrets, person.life.places, lambda *_: None)
    assert {hit.place for hit in hits} >= {*saved, *(f"{name[:-6]}-exported.html" for name in saved)}
    assert {hit.secret.rstrip(" 0123456789") for hit in hits} == {"access token", "token of the environment"}
