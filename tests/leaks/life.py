"""What a life knew, and everything that was written meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.browser.test_sign_in import CREDITS, LOAD
from tests.leaks.figures import KEY, figures
from tests.leaks.hunt import Hit, files_below, hunt

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
REVOKE = 'ic.revoke(next(app.id for app in ic.apps() if app.name == "Claude"))'
CELLS = (
    LOAD,
    CREDITS,
    'ic.client().get("/public/v1/nowhere/").raise_for_status()',
    '%xmode Verbose\nic.client().get("https://example.com/")',
    REVOKE + "\nic.apps(), ic.session(), ic.status(), ic.client(), ic.session().auth",
    "import logging; logging.getLogger().setLevel(logging.DEBUG)\n" + CREDITS,
    "%who\n%ic_status",
    "%ic_disconnect",
)
KINDS = {
    "state",
    "verifier",
    "door key",
    "door answer",
    "start word",
    "access token",
    "refresh token",
    "code",
}


class Life:
    """What one person's sign-ins knew, and the folder with everything that was written meanwhile."""

    def __init__(self, kept: Path, folder: Path) -> None:
        self._kept, self.folder = kept, folder
        self.codes: list[str] = []
        self.addresses: list[str] = []

    @property
    def secrets(self) -> dict[str, str]:
        lines = [json.loads(line) for line in self._kept.read_text().splitlines()]
        known = {value: f"{name} {n}" for n, line in enumerate(lines) for name, value in line.items()}
        return {name: value for value, name in known.items()} | {
            f"code {n}": code for n, code in enumerate(self.codes)
        }

    @property
    def kinds(self) -> set[str]:
        return {name.rstrip("-0123456789 ") for name in self.secrets}

    @property
    def places(self) -> dict[str, bytes]:
        return files_below(self.folder) | {
            f"address bar {n}": url.encode() for n, url in enumerate(self.addresses)
        }


def searched(
    life: str,
    secrets: Mapping[str, str],
    places: Mapping[str, bytes],
    record_property: Callable[[str, Any], None],
) -> list[Hit]:
    """What is found of these secrets in these places; the figures come into the table."""
    hits = hunt(secrets, places)
    record_property(KEY, figures(life, secrets, places, hits))
    return hits


def export(folder: Path, *notebooks: str, forms: Sequence[str] = ("html",), **environment: str) -> None:
    """Convert notebooks of a folder, with the state of their widgets, into each of these forms."""
    ways = [
        [sys.executable, "-m", "nbconvert", "--to", form, "--output", "{notebook_name}-exported", *notebooks]
        for form in forms
    ]
    env = {**os.environ, **environment}
    running = [
        subprocess.Popen(way, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for way in ways
    ]
    assert [process.wait(60) for process in running] == [0] * len(ways)
