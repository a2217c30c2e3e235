"""Runs with nobody there, by the programs that people use for them: each ends at once and names the ways out."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.frontends.servers import write_notebook
from tests.jupyter.kernels import clean_environment
from tests.scripts.processes import run
from tests.sizes import LONG, needs_time

pytestmark = pytest.mark.kernel

ASKS = """
import time
import ic_notebook as ic
asks = {"connect": ic.connect, "magic": lambda: get_ipython().run_line_magic("ic_connect", "--wait")}
asks["paste"] = lambda: get_ipython().run_line_magic("ic_connect", "--paste")
for name, ask in asks.items():
    asked_at = time.monotonic()
    try:
        ask()
    except ic.NobodyThere as error:
        print(name, time.monotonic() - asked_at < 1, error)
"""
SCRIPT = """
import time
import ic_notebook as ic
asked_at = time.monotonic()
try:
    ic.connect()
except ic.NobodyThere as error:
    print(time.monotonic() - asked_at < 1, error)
"""
RUNNERS = {
    "papermill": ("papermill", "--no-progress-bar", "--kernel", "python3", "given.ipynb", "ran.ipynb"),
    "nbconvert": ("nbconvert", "--execute", "--to", "notebook", "--output", "ran.ipynb", "given.ipynb"),
    "jupyter execute": ("jupyter", "execute", "--output", "ran", "given.ipynb"),
}
runners = pytest.mark.parametrize("runner", RUNNERS if LONG else ["papermill"])


def ran(runner: str, folder: Path, *cells: str, **variables: str) -> tuple[subprocess.CompletedProcess, str]:
    """The run, and what the notebook's cells print."""
    write_notebook(folder / "given.ipynb", *cells)
    done = subprocess.run(
        [sys.executable, "-m", *RUNNERS[runner]],
        cwd=folder,
        env=clean_environment(folder, **variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    output = folder / "ran.ipynb"
    written = json.loads(output.read_text()) if output.exists() else {"cells": []}
    return done, "".join(
        "".join(part.get("text", [])) for cell in written["cells"] for part in cell.get("outputs", [])
    )


@runners
def test_every_way_to_ask_ends_within_a_second_and_names_the_ways_out(runner, tmp_path, sandbox):
    done, printed = ran(runner, tmp_path, "%load_ext ic_notebook", ASKS, IC_BASE_URL=sandbox.url)
    assert done.returncode == 0, done.stderr
    lines = [line for line in printed.splitlines() if "True" in line]
    assert [line.split()[0] for line in lines] == ["connect", "magic", "paste"], printed
    for line in lines:
        assert "IC_ACCESS_TOKEN" in line
        assert "ic-notebook connect" in line
    assert sandbox.requests == []


@runners
def test_a_notebook_that_waits_for_a_person_fails_with_that_line(runner, tmp_path, sandbox):
    started_at = time.monotonic()
    done, _ = ran(runner, tmp_path, "import ic_notebook as ic\nic.connect()", IC_BASE_URL=sandbox.url)
    assert done.returncode != 0
    assert "NobodyThere: Nobody can be asked to approve here" in done.stderr
    assert time.monotonic() - started_at < 30


# papermill with one is in the leak hunt too.
@needs_time
@runners
def test_with_a_token_in_the_environment_it_runs_to_its_end(runner, tmp_path, sandbox):
    cells = ("%load_ext ic_notebook", "import ic_notebook as ic\nprint(ic.connect().credits())")
    token = sandbox.store.issue_token()
    done, printed = ran(runner, tmp_path, *cells, IC_BASE_URL=sandbox.url, IC_ACCESS_TOKEN=token)
    assert done.returncode == 0, done.stderr
    assert "627.13" in printed


@pytest.mark.parametrize(
    "variables", [{}, {"CI": "true", "DISPLAY": ":0", "BROWSER": "firefox"}], ids=["cron", "CI"]
)
def test_a_script_ends_within_a_second_and_names_the_ways_out(tmp_path, sandbox, variables):
    done = run("-c", SCRIPT, home=tmp_path, IC_BASE_URL=sandbox.url, **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("True ")
    assert "IC_ACCESS_TOKEN" in done.stdout
    assert "ic-notebook connect" in done.stdout
    assert sandbox.requests == []
