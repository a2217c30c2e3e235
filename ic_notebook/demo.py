"""`ic-notebook demo`: a sandbox server with a few connected apps, and JupyterLab on the quickstart."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from ic_notebook.environment import ACCESS_TOKEN, BASE_URL
from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread

_SEEDED = (("ic_notebook on old-laptop", 21), ("Claude", 43))
_STOP_WITHIN = 10.0


def run_demo(notebook: str, *, port: int = 0, open_browser: bool = True) -> int:
    """Run until JupyterLab ends; Ctrl-C ends both.

    Args:
        notebook: the notebook to open; it is a copy that is opened, and gone when the demo ends.
        port: JupyterLab's port, 0 for a free one.
        open_browser: open the browser; otherwise JupyterLab prints its address.

    Returns:
        The exit code.
    """
    path = Path(notebook).resolve()
    if not path.is_file():
        print(f"ic-notebook: there is no {notebook}. Run this in a clone of the project.", file=sys.stderr)
        return 1
    with serve_in_thread(SandboxSettings()) as sandbox, tempfile.TemporaryDirectory() as folder:
        _seed(sandbox)
        copy = Path(shutil.copy(path, folder))
        print(f"The sandbox answers at {sandbox.url}. JupyterLab starts; Ctrl-C ends both.", flush=True)
        print(f"It opens a copy of {path.name}, which is gone when the demo ends.", flush=True)
        environment = {key: value for key, value in os.environ.items() if key != ACCESS_TOKEN}
        lab = subprocess.Popen(  # noqa: S603 - our own interpreter, with a path that was checked to be a file
            _command(copy, port=port, open_browser=open_browser), env=environment | {BASE_URL: sandbox.url}
        )
        return _until_ended(lab)


def _seed(sandbox: RunningSandbox) -> None:
    now = datetime.fromtimestamp(sandbox.store.now(), tz=timezone.utc)
    for name, days in _SEEDED:
        sandbox.store.seed_app(name, created=now - timedelta(days=days))


def _command(path: Path, *, port: int, open_browser: bool) -> list[str]:
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={path.parent}",
        f"--LabApp.default_url=/lab/tree/{path.name}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.news_url=None",
    ]
    if not open_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    return command


def _until_ended(lab: subprocess.Popen[bytes]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: lab.terminate())
    try:
        return lab.wait()
    except KeyboardInterrupt:
        lab.terminate()
        try:
            lab.wait(_STOP_WITHIN)
        except subprocess.TimeoutExpired:
            lab.kill()
            lab.wait()
        return 0
