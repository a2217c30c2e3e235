"""Scripts in processes of their own, with or without a terminal, and the people who sit before them."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

WITHIN = 30.0
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/public/v1/oauth/authorize/\?\S+")


def environment(home: Path, **variables: str) -> dict[str, str]:
    """A bare environment: no browser, no display, no sign-in, nobody's configuration."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PYTHONPATH": str(Path.cwd()),
        **variables,
    }


def run(
    *arguments: str, home: Path, stdin: int = subprocess.DEVNULL, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments to its end, with pipes where a terminal could be."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        env=environment(home, **variables),
        stdin=stdin,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


# The terminal that a process is to control, and to be interrupted by, must be made so by the process itself.
_IN_TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"


class Terminal:
    """Python in a terminal of its own: what it shows, and a person who types."""

    def __init__(self, *arguments: str, home: Path, **variables: str) -> None:
        self._ours, theirs = os.openpty()
        command = [sys.executable, "-c", _IN_TERMINAL, sys.executable, "-W", "error", *arguments]
        self.process = subprocess.Popen(
            command,
            env=environment(home, **variables),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def until(self, pattern: str) -> str:
        """What the terminal shows, once the pattern is in it; gives the match."""
        deadline = time.monotonic() + WITHIN
        while not (found := re.search(pattern, self.shown)):
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{pattern!r} did not come; the terminal shows:\n{self.shown}")
        return found[0]

    def type(self, text: str) -> None:
        """Type a line, or a control character."""
        os.write(self._ours, text.encode())

    def ends(self) -> int:
        """The exit code, once the process has ended by itself."""
        deadline = time.monotonic() + WITHIN
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(WITHIN)

    def _read(self, within: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(within, 0))
        try:
            octets = os.read(self._ours, 65_536) if ready else b""
        except OSError:  # how Linux tells that nobody holds the other end any more
            octets = b""
        self.shown += octets.decode().replace("\r\n", "\n")
        return bool(octets)


def approve(url: str) -> str:
    """A browser at a sandbox that approves by itself; gives the text of the last page."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=20) as page:
        return page.read().decode()


def deny(url: str) -> str:
    """A browser whose person presses Deny."""
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with browser.open(url, timeout=10) as page:
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.read().decode())[1]
        form = urllib.parse.urlencode({"csrf_token": token, "decision": "deny"}).encode()
        with browser.open(page.url, data=form, timeout=20) as last:
            return last.read().decode()
