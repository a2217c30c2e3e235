"""A sign-in in a process that may open few files, while strangers ask its listener for all they can."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest

from ic_notebook.redirect import doors, listener
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.redirect.conftest import status_of, until
from tests.sessions.people import approved_location
from tests.sizes import IDLE, STRAYS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
MAY_OPEN = 256
"""Files of the process that signs in: the soft limit of macOS."""
MAY_GROW = 16_384
"""KiB. Of 128 connections each may have sent 32 KiB and the stream have as much again in hand: 8 MiB."""
STREAMS = 3
AT_ONCE = 48
REFUSED = {None, 400, 403, 404, 410}
"""None: hung up on; 410: the sign-in is over."""


def strays(port: int) -> dict[str, bytes]:
    """What strangers send: everything but the one right answer."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    message = json.dumps({"key": "guessed", "type": "cancel"})
    long = "x" * 2 * listener.MAX_REQUEST
    return {
        "wrong path": f"GET /favicon.ico HTTP/1.1\r\n{host}\r\n".encode(),
        "wrong host": b"GET /callback?code=c&state=s HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "wrong state": f"GET /callback?code=c&state={'s' * 43} HTTP/1.1\r\n{host}\r\n".encode(),
        "garbage": random.Random(1).randbytes(600) + b"\r\n\r\n",
        "half a request": f"GET /callback?code=c HTTP/1.1\r\n{host}".encode(),
        "door without the key": (
            f"POST {doors.PATH} HTTP/1.1\r\n{host}Origin: http://localhost:8888\r\n"
            f"Content-Length: {len(message)}\r\n\r\n{message}"
        ).encode(),
        "long target": f"GET /callback?code={long} HTTP/1.1\r\n{host}\r\n".encode(),
        "long message": (
            f"POST {doors.PATH} HTTP/1.1\r\n{host}Content-Length: {len(long)}\r\n\r\n{long}"
        ).encode(),
    }


async def said_to(port: int, octets: bytes, *, patience: float = 30.0) -> bytes | None:
    """What comes back until the listener hangs up; None where it did so before it said anything."""
    received = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return None
    try:
        writer.write(octets)
        with contextlib.suppress(OSError):
            writer.write_eof()
        with contextlib.suppress(ConnectionError):
            while chunk := await asyncio.wait_for(reader.read(65_536), patience):
                received += chunk
    finally:
        writer.transport.abort()
    return received or None


async def idle(port: int) -> None:
    """A connection that says nothing; hung up on, it is back a second later."""
    while True:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                await reader.read()
            finally:
                writer.transport.abort()
        await asyncio.sleep(1)


class Process:
    """The process that signs in, seen from outside."""

    def __init__(self, url: str, home: Path) -> None:
        self.errors = home / "errors"
        errors = self.errors.open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.redirect.signing_in", url],
            env={"PATH": "/usr/bin:/bin", "HOME": str(home)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (MAY_OPEN, MAY_OPEN)),
        )
        errors.close()
        self._seen = psutil.Process(self._process.pid)

    async def told(self) -> dict[str, str | int]:
        line = await asyncio.wait_for(asyncio.to_thread(self._process.stdout.readline), 120)
        return json.loads(line)

    @property
    def peak(self) -> int:
        """The most KiB that were resident at any time."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))

    @property
    def files(self) -> int:
        return self._seen.num_fds()

    def end(self) -> int:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.communicate(timeout=20)
        self._process.kill()
        return self._process.wait(10)


@pytest.fixture
def files():
    """Leave to open as many files as there are idle connections, where the system gives it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, IDLE + 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_strays_and_idle_connections_neither_stop_a_sign_in_nor_cost_memory(tmp_path, report, files):
    with serve_in_thread(SandboxSettings(auto_approve=True, rate_limit=0)) as sandbox:
        process = Process(sandbox.url, tmp_path)
        try:
            url = (await process.told())["url"]
            port = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0]).port
            before, before_files = process.peak, process.files
            answers: Counter[str] = Counter()
            work = itertools.islice(itertools.cycle(strays(port).items()), STRAYS)
            done = asyncio.Event()

            async def stranger() -> None:
                for kind, octets in work:
                    status = status_of(await said_to(port, octets) or b"")
                    answers[f"{kind}: {status}"] += 1
                    assert status in REFUSED, kind
                    if answers.total() >= STRAYS * 0.95:
                        done.set()

            holders = [asyncio.create_task(idle(port)) for _ in range(IDLE)]
            began = time.monotonic()
            crowd = asyncio.gather(*(stranger() for _ in range(AT_ONCE)))
            await asyncio.wait_for(done.wait(), 200)
            # In the midst of it a person approves, and their browser comes back.
            location = urlsplit(await asyncio.to_thread(approved_location, url))
            asked = time.monotonic()
            target = f"{location.path}?{location.query}"
            redirect = f"GET {target} HTTP/1.1\r\nHost: {location.netloc}\r\n\r\n".encode()
            page, asked_times = None, 0
            while page is None and asked_times < 3:  # as a browser that was hung up on
                page, asked_times = await said_to(port, redirect), asked_times + 1
            took = time.monotonic() - asked
            assert status_of(page or b"") == 200, page
            assert b"Connected" in page
            assert await process.told() == {"status": 200}
            await crowd
            took_all = time.monotonic() - began
            for holder in holders:
                holder.cancel()
            await asyncio.gather(*holders, return_exceptions=True)
            await until(lambda: process.files <= STREAMS)
            report(
                {
                    "stray requests": answers.total(),
                    "idle connections": len(holders),
                    "seconds": round(took_all, 1),
                    "the redirect took ms": round(took * 1000),
                    "asked times": asked_times,
                    "peak MiB before": round(before / 1024, 1),
                    "more at the most": round((process.peak - before) / 1024, 1),
                    "files open before": before_files,
                    "after": process.files,
                    "answers": dict(sorted(answers.items())),
                }
            )
            assert process.peak - before < MAY_GROW
        finally:
            ended = process.end()
    assert (ended, process.errors.read_text()) == (0, "")


async def test_a_burst_of_connections_takes_few_files(door):
    seen, theirs, most = psutil.Process(), [], 0
    before = seen.num_fds()
    for _ in range(5):
        theirs += [socket.create_connection(("127.0.0.1", door.port), timeout=5) for _ in range(90)]
        for _ in range(60):
            await asyncio.sleep(0)
            most = max(most, seen.num_fds() - before - len(theirs))
    assert status_of(await door.send(door.request("/callback?code=c"))) == 200
    for one in theirs:
        one.close()
    assert listener.MAX_CONNECTIONS <= most <= listener.MAX_CONNECTIONS + 5 * listener.AT_ONCE
