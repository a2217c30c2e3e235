"""Servers of other front ends, each in a folder of its own, and their notebooks."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.conftest import environment_of_its_own, free_port, stop
from tests.storage.secret_service import unlocked_keyring

SIGN_IN = """
import threading, ic_notebook as ic
from tests.scripts.processes import approve
open_url = lambda url: threading.Thread(target=approve, args=(url,)).start()
print(ic.connect(storage="keyring", open_url=open_url, timeout=20).credits())
"""
AS_ROOT = ("--allow-root",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()


@dataclass(frozen=True)
class Server:
    """A running server: its address (with the slash), the folder of its notebooks, its log."""

    url: str
    root: Path
    log: Path
    process: subprocess.Popen


@contextlib.contextmanager
def running(
    folder: Path, *command: str, ready: str = "", executable: str = sys.executable, **variables: str
) -> Iterator[Server]:
    """A server; in its command, PORT is a free port. It is there once its page `ready` answers."""
    for name in ("home", "notebooks"):
        (folder / name).mkdir(exist_ok=True)
    port = free_port()
    log = folder / "server.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [executable, "-m", *(part.replace("PORT", str(port)) for part in command)],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder / "notebooks",
            env={**environment_of_its_own(folder), **variables},
        )
    server = Server(f"http://127.0.0.1:{port}/", folder / "notebooks", log, process)
    try:
        _wait_until_it_answers(server, ready)
        yield server
    finally:
        stop(process)


def _wait_until_it_answers(server: Server, path: str) -> None:
    local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(OSError), local.open(server.url + path, timeout=5):
            return
        time.sleep(0.05)
    pytest.fail(f"the server did not start:\n{server.log.read_text()[-4000:]}")


@contextlib.contextmanager
def signed_in_keyring(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of a person who has signed in with their keyring, at a sandbox that it names."""
    folder.mkdir()
    settings = SandboxSettings(rate_limit=0, auto_approve=True)
    with unlocked_keyring(folder) as keyring, serve_in_thread(settings) as sandbox:
        variables = keyring | {"IC_BASE_URL": sandbox.url}
        done = subprocess.run(
            [sys.executable, "-c", SIGN_IN],
            env=variables | {"PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.stdout == "627.13\n", done.stderr
        yield variables


def write_notebook(path: Path, *cells: str) -> None:
    """An .ipynb of these code cells, for the kernel `python3`."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}},
    )
    nbformat.write(notebook, path)
