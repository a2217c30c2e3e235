"""A real GNOME Keyring of the test's own, on a D-Bus of its own, for subprocesses."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

TOOLS = ("dbus-run-session", "dbus-send", "gnome-keyring-daemon")
START = 20.0

needs_secret_service = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in TOOLS) and not os.environ.get("CI"),
    reason=f"needs {', '.join(TOOLS)} (packages dbus and gnome-keyring)",
)

UNLOCK = "echo -n test | gnome-keyring-daemon --unlock --components=secrets >/dev/null"
ADDRESS = 'echo "$DBUS_SESSION_BUS_ADDRESS"'
OWNER = (
    "dbus-send --print-reply=literal --dest=org.freedesktop.DBus / "
    "org.freedesktop.DBus.GetConnectionUnixProcessID string:org.freedesktop.secrets"
)
READY = f"for i in $(seq 500); do {OWNER} >/dev/null 2>&1 && break; sleep 0.02; done"
LAST_WORDS = f"read -r _; {OWNER} 2>/dev/null || echo"


@contextlib.contextmanager
def unlocked_keyring(folder: Path) -> Iterator[dict[str, str]]:
    """The environment in which subprocesses find a running, unlocked keyring whose files are in `folder`.

    It is the whole environment, and nothing in it points outside `folder` but PATH, the bus's socket and a
    short-lived runtime directory. The keyring's daemon is gone when this ends.
    """
    with _session(folder, unlock=True) as env:
        yield env


@contextlib.contextmanager
def locked_keyring(folder: Path) -> Iterator[dict[str, str]]:
    """The same, with a keyring that nobody has unlocked and nobody can be asked to unlock."""
    with _session(folder, unlock=False) as env:
        yield env


@contextlib.contextmanager
def silent(env: dict[str, str]) -> Iterator[None]:
    """As long as this lasts, the keyring of `env` answers nobody: calls of it wait without end."""
    words = subprocess.run(
        ["bash", "-c", OWNER], env=env, capture_output=True, text=True, timeout=10, check=True
    )
    pid = int(words.stdout.split()[1])
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def bare_environment(folder: Path, runtime: Path) -> dict[str, str]:
    """An environment without any D-Bus, in which nothing of the person who runs the tests is found."""
    return {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_RUNTIME_DIR": str(runtime),
    }


@contextlib.contextmanager
def _session(folder: Path, *, unlock: bool) -> Iterator[dict[str, str]]:
    script = "; ".join([UNLOCK, READY, ADDRESS, LAST_WORDS] if unlock else [ADDRESS, LAST_WORDS])
    # Of its own and short: a socket's path has at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="ic-", ignore_cleanup_errors=True) as runtime:
        env = bare_environment(folder, Path(runtime))
        session = subprocess.Popen(
            ["dbus-run-session", "--", "bash", "-c", script],
            env=env,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            address = _line(session)
            assert address.startswith("unix:"), f"no D-Bus session: {address!r}"
            yield env | {"DBUS_SESSION_BUS_ADDRESS": address}
        finally:
            daemon = ""
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon, _ = session.communicate("end\n", timeout=START)
            session.kill()
            session.wait(5)
            _see_it_end(daemon.split())


def _line(session: subprocess.Popen[str]) -> str:
    assert session.stdout is not None
    ready, _, _ = select.select([session.stdout], [], [], START)
    return session.stdout.readline().strip() if ready else ""


def _see_it_end(words: list[str]) -> None:
    """GNOME Keyring ends with its bus; if not, it is the process that answered under its name there."""
    if len(words) != 2 or not words[1].isdigit():
        return
    pid, until = int(words[1]), time.monotonic() + 5
    while _runs_as_keyring(pid) and time.monotonic() < until:
        time.sleep(0.02)
    if _runs_as_keyring(pid):
        os.kill(pid, signal.SIGKILL)


def _runs_as_keyring(pid: int) -> bool:
    try:
        return b"gnome-keyring" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
