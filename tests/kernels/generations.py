"""The generations of ipykernel that people have, each in an environment of its own beside this one.

They differ in how a message of the page reaches Python while a cell runs, so what waits in a cell is tried on each.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import time
from importlib.metadata import requires, version
from pathlib import Path

import filelock
import platformdirs

ROOT = Path(__file__).parents[2]
PINS = {
    "6.31": ("ipykernel==6.31.0", "nest-asyncio==1.6.0"),
    "7.0": ("ipykernel==7.0.1", "nest-asyncio==1.6.0"),
    "7.3": ("ipykernel==7.3.0",),
    "7.4": ("ipykernel==7.4.0",),
}
NEEDS_PYTHON = {"7.4": (3, 11)}
UNUSED = 7 * 24 * 3600.0
"""Seconds after which an environment goes that nobody used; a change of the pinned versions makes new ones."""
INSTALLED = ".".join(version("ipykernel").split(".")[:2])
GENERATIONS = [name for name in PINS if sys.version_info >= NEEDS_PYTHON.get(name, (3, 10))]
if INSTALLED not in GENERATIONS:
    GENERATIONS.append(INSTALLED)


def python_of(generation: str) -> str:
    """A Python with this generation and with all that ic_notebook needs, but not ic_notebook itself."""
    if generation == INSTALLED:
        return sys.executable
    wanted = [*PINS[generation], *(line for line in requires("ic-notebook") or [] if "extra ==" not in line)]
    ours = (ROOT / "constraints.txt").read_text().splitlines()
    constraints = "\n".join(line for line in ours if not line.startswith("ipykernel=="))
    named_by = hashlib.sha256("\n".join([sys.version, *wanted, constraints]).encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("ic_notebook-tests") / f"{generation}-{named_by}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    complete = folder / "complete"
    with filelock.FileLock(f"{folder}.lock"):
        if not complete.exists():
            _forget_old(folder.parent)
            _make(folder, wanted, constraints)
        complete.touch()
    return str(_python_in(folder))


def _forget_old(folder: Path) -> None:
    for complete in folder.glob("*/complete"):
        with filelock.FileLock(f"{complete.parent}.lock"):
            if complete.exists() and complete.stat().st_mtime < time.time() - UNUSED:
                shutil.rmtree(complete.parent, ignore_errors=True)


def _make(folder: Path, wanted: list[str], constraints: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if uv := shutil.which("uv"):
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        install = [uv, "pip", "install", "--quiet", "--python", str(_python_in(folder))]
    else:
        _run(sys.executable, "-m", "venv", str(folder))
        install = [str(_python_in(folder)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = folder / "constraints.txt"
    pinned.write_text(constraints)
    _run(*install, "--constraint", str(pinned), *wanted)


def _python_in(folder: Path) -> Path:
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def _run(*command: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
