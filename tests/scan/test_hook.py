"""The hook for pre-commit, which itself is not run here: what it is told, and what it would run."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scan.conftest import notebook, written
from tests.scan.samples import KEY
from tests.scripts.processes import environment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def hook():
    yaml = pytest.importorskip("yaml")
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    return hook


def test_it_has_what_pre_commit_asks_for(hook):
    assert {"id", "name", "entry", "language"} <= set(hook)
    assert hook["language"] == "python"
    assert hook["types"] == ["text"]


def test_what_it_runs_stops_a_commit_with_a_key_and_lets_one_without_pass(hook, tree, tmp_path):
    command, *arguments = shlex.split(hook["entry"])
    assert command == "ic-notebook"
    for source, code in [("1 + 1", 0), (f'api_key = "{KEY}"', 1)]:
        written(tree / "a.ipynb", notebook(source))
        done = subprocess.run(
            [sys.executable, "-m", "ic_notebook", *arguments, "a.ipynb"],
            cwd=tree,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert KEY not in done.stdout + done.stderr
