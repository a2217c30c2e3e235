"""A whole life by each route, in a real JupyterLab at its most talkative; then every file that it left is searched."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import expect

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.test_routes import no_loopback
from tests.browser.test_sign_in import CREDITS, LOAD, STOP_LISTENING, approve, says, tab
from tests.leaks.hunt import files_below, forms, hunt
from tests.sizes import needs_time

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.browser

LOG_EVERYTHING = """
import logging, os, sys
logging.basicConfig(level=logging.DEBUG, handlers=[
    logging.FileHandler(os.path.join(os.environ["HOME"], "kernel.log")), logging.StreamHandler(sys.__stderr__)])
"""
# Into a file that is not searched: by messages they would be in the logs.
KEEP = """
def _keep(place):
    import json, time, ic_notebook as ic
    now = time.monotonic_ns()
    from ic_notebook.sign_in import _sign_ins
    kept = {}
    for face in _sign_ins.values():
        if face.login and face.login.request:
            door, request = face.login.door, face.login.request
            kept |= {"state": request.state, "verifier": request.code_verifier, "door key": door.key,
                     "door answer": door.answer, "start word": door.start}
    if ic.status().connected:
        held = ic.session().auth._source.current()
        kept |= {f"access token {now}": held.access_token, f"refresh token {now}": held.refresh_token}
    with open(place, "a") as file:
        file.write(json.dumps({name: str(value) for name, value in kept.items()}) + "\\n")
"""
CELLS = (
    LOAD,
    CREDITS,
    'ic.client().get("/public/v1/nowhere/").raise_for_status()',
    "%xmode Verbose",
    'ic.client().get("https://example.com/")',
    "ic.apps(), ic.session(), ic.status(), ic.client(), ic.session().auth",
    "import logging; logging.getLogger().setLevel(logging.DEBUG)\n" + CREDITS,
    "%who\n%ic_status",
    "%ic_disconnect",
)
ROUTES = [
    pytest.param("extension"),
    pytest.param("loopback", marks=needs_time),
    pytest.param("paste", marks=needs_time),
]


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings()) as running:
        yield running


@pytest.fixture(scope="module")
def lab(start_jupyterlab, sandbox):
    """JupyterLab that logs everything, and whose kernels do."""
    lab = start_jupyterlab({"IC_BASE_URL": sandbox.url}, base_url="/user/ann/")
    startup = lab.root.parent / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00-log.py").write_text(LOG_EVERYTHING)
    return lab


class Life:
    """What one sign-in knew, and the folder with everything that was written meanwhile."""

    def __init__(self, kept: Path, folder: Path) -> None:
        self._kept, self.folder = kept, folder
        self.codes: dict[str, str] = {}
        self.addresses: list[str] = []

    @property
    def secrets(self) -> dict[str, str]:
        lines = [json.loads(line) for line in self._kept.read_text().splitlines()]
        return {**{name: value for line in lines for name, value in line.items()}, **self.codes}

    @property
    def places(self) -> dict[str, bytes]:
        return files_below(self.folder) | {
            f"address bar {n}": url.encode() for n, url in enumerate(self.addresses)
        }


@pytest.fixture
def live(notebook, lab, sandbox, tmp_path) -> Callable[[str], Life]:
    """``live("extension")``: a whole life whose approval came back by this route."""

    def one(route: str) -> Life:
        life = Life(tmp_path / "kept", lab.root.parent)
        if route != "loopback":
            no_loopback(notebook)
        if route == "paste":
            notebook.page.route("**/door", lambda request: request.abort())
        notebook.open(*CELLS, server=lab)

        def keep() -> None:
            notebook.kernel(f"{KEEP}\n_keep({str(life._kept)!r})\ndel _keep")

        notebook.run(0)
        panel = notebook.panel(0)
        expect(panel.get_by_role("link", name="Connect", exact=True)).to_be_visible(timeout=20_000)
        keep()
        with tab(notebook, panel) as page:
            if route == "paste":
                notebook.kernel(STOP_LISTENING)
            with page.expect_request(lambda request: "/callback?" in request.url) as redirect:
                approve(page)
            life.codes["code"] = parse_qs(urlsplit(redirect.value.url).query)["code"][0]
            if route == "paste":
                field = panel.get_by_role("textbox")
                field.fill(redirect.value.url)
                field.press("Enter")
            else:
                expect(page.get_by_role("heading")).to_have_text("Connected", timeout=20_000)
                life.addresses.append(page.url)
                page.reload()
                life.addresses.append(page.url)
        says(panel, "Connected")
        keep()
        for index in range(1, len(CELLS) - 1):
            notebook.run(index)
            sandbox.store.end_access_tokens()
        keep()
        panel.get_by_role("button", name="Apps").click()
        panel.get_by_role("table").wait_for()
        notebook.run(len(CELLS) - 1)
        notebook.page.evaluate(
            "() => window.jupyterapp.commands.execute('@jupyter-widgets/jupyterlab-manager:saveWidgetState')"
        )
        notebook.save()
        notebook.save()  # the second one makes the first a checkpoint
        for form in ("html", "markdown", "script"):
            convert(notebook.path, form)
        return life

    return one


def convert(path: Path, form: str) -> None:
    command = [
        sys.executable,
        "-m",
        "nbconvert",
        "--to",
        form,
        "--output",
        f"{path.stem}-exported",
        path.name,
    ]
    subprocess.run(command, cwd=path.parent, check=True, capture_output=True, timeout=60)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_that_a_life_leaves_behind_holds_a_secret(live, route, record_property):
    life = live(route)
    secrets, places = life.secrets, life.places
    # A life had all of them, and was written down in all these places.
    kinds = {name.rstrip("-0123456789 ") for name in secrets}
    assert kinds == {
        "state",
        "verifier",
        "door key",
        "door answer",
        "start word",
        "access token",
        "refresh token",
        "code",
    }
    assert len([name for name in secrets if name.startswith("access token")]) >= 2
    for part in (
        "jupyterlab.log",
        "kernel.log",
        "history.sqlite",
        "-checkpoint.ipynb",
        "-exported.html",
        "clients.json",
    ):
        assert any(part in place for place in places), part
    assert hunt(secrets, places) == []
    record_property(
        "searched", f"{len(places)} files, {sum(map(len, places.values()))} bytes, {len(secrets)} secrets"
    )


@pytest.mark.parametrize(
    "cell", ["print(ic.session().access_token())", "ic.session().auth._source.current().refresh_token + ''"]
)
@needs_time
def test_a_leak_that_a_cell_makes_is_found(notebook, lab, tmp_path, cell):
    kept = tmp_path / "kept"
    notebook.open(LOAD, CREDITS, cell, server=lab)
    notebook.run(0)
    with tab(notebook, notebook.panel(0)) as page:
        approve(page)
    says(notebook.panel(0), "Connected")
    notebook.run(1)
    notebook.kernel(f"{KEEP}\n_keep({str(kept)!r})\ndel _keep")
    notebook.run(2)
    notebook.save()
    secrets = json.loads(kept.read_text())
    found = hunt(secrets, files_below(lab.root))
    assert {hit.form for hit in found} == {"plain"}
    assert all("token" in hit.secret for hit in found)
    notebook.path.unlink()
    for checkpoint in lab.root.rglob("*-checkpoint.ipynb"):
        checkpoint.unlink()


SECRET = "tO-ken_0123456789.abcdefghij~"


@pytest.mark.parametrize(
    "planted",
    [
        SECRET.encode(),
        quote(SECRET, safe="").encode(),
        "".join(f"%{octet:02X}" for octet in SECRET.encode()).encode(),
        json.dumps({"a": json.dumps({"b": SECRET})}).encode(),
        SECRET.encode().hex().encode(),
        SECRET.encode("utf-16"),
        *(
            base64.b64encode(b"{" * start + SECRET.encode() + b"}" * end)
            for start in range(4)
            for end in range(3)
        ),
        *(base64.urlsafe_b64encode(b"\xfb" * start + SECRET.encode()) for start in range(4)),
    ],
)
def test_the_hunt_finds_what_is_planted_in_every_form_and_nothing_else(planted):
    assert hunt({"token": SECRET}, {"file": b"before " + planted + b" after"}) != []
    assert hunt({"token": SECRET[::-1]}, {"file": b"before " + planted + b" after"}) == []


def test_no_form_is_so_short_that_chance_makes_it():
    assert min(len(piece) for pieces in forms(SECRET).values() for piece in pieces) >= 20
