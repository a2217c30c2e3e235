"""The servers that are asked, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def own_environment(folder: Path, **more: str) -> dict[str, str]:
    """The caller's environment, with none of the caller's own sign-ins."""
    foreign = ("IC_", "HF_", "GLOBUS_", "JUPYTER", "IPYTHON", "DBUS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    home = {name: str(folder / name) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")}
    return kept | home | {"HOME": str(folder), "PYTHONPATH": str(ROOT)} | more


@contextlib.contextmanager
def process(
    *arguments: str, env: dict[str, str] | None = None, life: float = 1_200.0
) -> Iterator[subprocess.Popen[str]]:
    """Python with these arguments, with pipes to talk by.

    It is gone at the end of the `with`, or after `life` seconds: then what waits for its words gets an error.
    """
    pipe = subprocess.PIPE
    started = subprocess.Popen(
        [sys.executable, *arguments], stdin=pipe, stdout=pipe, text=True, env=env, cwd=ROOT
    )
    end = threading.Timer(life, started.kill)
    end.start()
    try:
        yield started
    finally:
        end.cancel()
        started.kill()
        started.wait(10)
        for stream in (started.stdin, started.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


@contextlib.contextmanager
def loopback(*, token_seconds: float = 0.0, call_seconds: float = 0.0) -> Iterator[str]:
    """The address of a server of `loopback.py`."""
    arguments = ("-m", "tests.benchmarks.loopback", str(token_seconds), str(call_seconds))
    with process(*arguments) as server:
        yield _ready(server)


@contextlib.contextmanager
def sandbox(*options: str) -> Iterator[str]:
    """The address of a sandbox whose requests are not counted."""
    with process("-m", "ic_notebook.sandbox", *options) as server:
        yield _ready(server)


def seen(url: str) -> list[str]:
    """What a server of `loopback.py` was asked since the last time, such as `POST /token`."""
    with _OPENER.open(f"{url}/seen", timeout=10) as answer:
        found: list[str] = json.load(answer)["seen"]
    return found


def get(url: str) -> bytes:
    """What is there; redirects are followed, proxies are not used."""
    with _OPENER.open(url, timeout=20) as answer:
        content: bytes = answer.read()
    return content


class _NotFollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def redirect_of(url: str) -> str:
    """Where a server that approves by itself sends the browser."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NotFollowed)
    try:
        opener.open(url, timeout=20)
    except urllib.error.HTTPError as redirect:
        redirect.close()
        return str(redirect.headers["Location"])
    raise AssertionError("the server did not redirect")


def _ready(server: subprocess.Popen[str]) -> str:
    assert server.stdout is not None
    word, url = server.stdout.readline().split()
    assert word == "ready"
    return url
