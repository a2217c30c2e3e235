"""What the programs that we start are told: no token and no verifier, in their arguments or their environment."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ic_notebook.demo import run_demo
from tests.scripts.processes import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for the programs")

LIFE = """
import json, os, sys
started = []
def note(event, arguments):
    if event in {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork"}:
        started.append(f"{event} {[str(each) for each in arguments]} {dict(os.environ)}")
sys.addaudithook(note)

import ic_notebook as ic
from ic_notebook.background import background
from ic_notebook.sign_in import _sign_ins

session = ic.connect(timeout=20)
(face,) = _sign_ins.values()
secrets = [str(face.login.request.code_verifier)]
for _ in range(2):
    tokens = session._source.current()
    secrets += [str(tokens.access_token), str(tokens.refresh_token)]
    background().wait(session._source.replace(tokens))
session.credits()
session.disconnect()
print(json.dumps({"started": started, "secrets": secrets}))
"""


def stand_in(folder: Path, *, then: str) -> Path:
    """A program that notes what it was told, and goes on."""
    program = folder / "program"
    told = folder / "told"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> '{told}'\nenv >> '{told}'\n{then}\n")
    program.chmod(0o700)
    return program


def test_the_browser_is_told_the_link_and_nothing_secret(tmp_path, sandbox):
    fetch = (
        f"exec '{sys.executable}' -c 'import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()' \"$1\""
    )
    browser = stand_in(tmp_path, then=fetch)
    ended = run("-c", LIFE, home=tmp_path, BROWSER=str(browser), IC_BASE_URL=sandbox.url, IC_STORAGE="memory")
    assert ended.returncode == 0, ended.stderr
    life, told = json.loads(ended.stdout), (tmp_path / "told").read_text()

    assert "/public/v1/oauth/authorize/?" in told
    assert "PATH=" in told
    assert len([event for event in life["started"] if event.startswith("subprocess.Popen")]) == 1
    assert len(set(life["secrets"])) == 5
    for place in (told, "\n".join(life["started"]), ended.stderr):
        assert [secret for secret in life["secrets"] if secret in place] == []


def test_the_demos_jupyterlab_is_not_told_the_token_of_whoever_starts_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(stand_in(tmp_path, then="exit 0")))
    monkeypatch.setenv("IC_ACCESS_TOKEN", "a-token-of-the-real-service")
    notebook = tmp_path / "quickstart.ipynb"
    notebook.write_text("{}")

    assert run_demo(str(notebook), open_browser=False) == 0
    told = (tmp_path / "told").read_text()
    assert "IC_BASE_URL=http://127.0.0.1:" in told
    assert "a-token-of-the-real-service" not in told
