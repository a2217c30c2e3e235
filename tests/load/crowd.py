"""Processes that share one sign-in, and what is counted of them and of the server."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ic_notebook.sandbox import RunningSandbox
from tests.sessions.people import TOKEN
from tests.sizes import CALLS_PER_SECOND, PROCESSES, SECONDS, TASKS, THREADS

ROOT = Path(__file__).parents[2]
START = 60.0


class Process:
    """A worker of its own, which ends with its `with` block at the latest."""

    def __init__(self, place: Place, program: str = "tests.load.worker") -> None:
        self._errors = place.folder / f"errors-{time.monotonic_ns()}"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-W",
                    "error",
                    "-m",
                    program,
                    place.url,
                    place.storage,
                    str(place.saves),
                ],
                env=place.env,
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._heard = b""
        self.events: list[dict[str, Any]] = []

    def order(self, do: str, **how: Any) -> None:
        """Tell it what to do; `answer` waits for what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **how}).encode() + b"\n")
        self._process.stdin.flush()

    def ask(self, do: str, *, within: float = START, **how: Any) -> dict[str, Any]:
        """Tell it what to do and wait for what comes of it."""
        self.order(do, **how)
        return self.answer(within=within)

    def answer(self, *, within: float = START) -> dict[str, Any]:
        """The next line that is no event; events before it are kept in `events`."""
        ends = time.monotonic() + within
        while True:
            for words in self._lines(ends):
                if "event" not in words:
                    return words
                self.events.append(words)

    def await_ready(self) -> None:
        """Wait until it takes orders."""
        assert next(self._lines(time.monotonic() + START)) == {"event": "ready"}

    def listen(self) -> None:
        """Take what it has said so far into `events`, where only events are expected."""
        with contextlib.suppress(TimeoutError, EOFError):
            while True:
                self.events.extend(self._lines(time.monotonic()))

    def hear(self) -> list[dict[str, Any]]:
        """All events so far that nobody has heard."""
        self.listen()
        heard, self.events = self.events, []
        return heard

    def fileno(self) -> int:
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def errors(self) -> str:
        """What it wrote to its error stream."""
        return self._errors.read_text(errors="replace")[-4_000:]

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.wait(10)

    def end(self) -> int | None:
        """Let it end by itself, as a program does; None where it had to be killed."""
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        try:
            return self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def close(self) -> None:
        """See that nothing of it is left."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                assert stream is not None
                stream.close()

    def _lines(self, ends: float) -> Iterator[dict[str, Any]]:
        while b"\n" not in self._heard:
            ready, _, _ = select.select([self], [], [], max(0.0, ends - time.monotonic()))
            if not ready:
                raise TimeoutError(f"a worker says nothing; its errors: {self.errors()}")
            octets = os.read(self.fileno(), 1 << 20)
            if not octets:
                raise EOFError(f"a worker has ended; its errors: {self.errors()}")
            self._heard += octets
        line, _, self._heard = self._heard.partition(b"\n")
        yield json.loads(line)


class Place:
    """Where processes find one sign-in: a server, a storage, and the environment that leads to it."""

    def __init__(self, folder: Path, sandbox: RunningSandbox, *, env: dict[str, str], keyring: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.sandbox = sandbox
        self.url = sandbox.url
        # A state folder of its own: there stand the lock and the marker.
        self.state = folder / "state"
        self.env = env | {"XDG_STATE_HOME": str(self.state), "XDG_CONFIG_HOME": str(folder / "config")}
        self.storage = "keyring" if keyring else str(folder / "vault")
        self.saves = folder / "saves"
        self._stack = contextlib.ExitStack()

    def close(self) -> None:
        """End every process that was started here."""
        self._stack.close()

    def begin(self, **options: str) -> Process:
        """A process that is still starting."""
        process = Process(self, **options)
        self._stack.callback(process.close)
        return process

    def start(self, count: int) -> list[Process]:
        """So many processes, ready for orders."""
        processes = [self.begin() for _ in range(count)]
        for process in processes:
            process.await_ready()
        return processes

    def wait_for(self, event: str, processes: list[Process], *, within: float = START) -> Process:
        """The first of these processes that tells of this event."""
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            ready, _, _ = select.select(processes, [], [], ends - time.monotonic())
            for process in ready:
                process.listen()
                if any(words["event"] == event for words in process.events):
                    return process
        raise TimeoutError(f"no process tells of {event}")

    def noted(self, word: str) -> list[str]:
        """The saves that were `begun` or `done`, in order."""
        try:
            text = self.saves.read_text()
        except FileNotFoundError:
            return []
        lines = [line.split() for line in text.splitlines()]
        return [fingerprint for said, fingerprint in lines if said == word]


class Tally:
    """What the server saw, which its record alone would forget after 20,000 requests."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        self._sandbox = sandbox
        self.counts: Counter[tuple[str, int]] = Counter()

    def take(self) -> None:
        """Move what has come since the last time out of the sandbox's record."""
        requests = self._sandbox.requests
        seen = len(requests)
        for _, path, status in requests[:seen]:
            self.counts["token" if path == TOKEN else "call", status] += 1
        del requests[:seen]

    def of(self, kind: str, *statuses: int) -> int:
        """How many of this kind (`call`, `token`), with one of these statuses or any."""
        self.take()
        return sum(n for (k, s), n in self.counts.items() if k == kind and (not statuses or s in statuses))


def refreshes_of_each_token(sandbox: RunningSandbox) -> Counter[str]:
    """How often each access token was refreshed with success."""
    return Counter(refresh.access_token for refresh in sandbox.store.refreshes())


def percentile(values: list[float], share: float) -> float:
    """The value below which this share of all lies, in milliseconds."""
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1) if ordered else 0.0


def each(place: Place, callers: str) -> tuple[list[Process], dict[str, int]]:
    """The processes, one of which has signed in for all, and how many `threads` or `tasks` each has."""
    processes = place.start(PROCESSES)
    assert processes[0].ask("sign_in") == {"kept": True}
    return processes, {callers: THREADS if callers == "threads" else TASKS // PROCESSES}


def run_load(place: Place, processes: list[Process], **many: int) -> dict[str, Any]:
    """All processes call for as long as the sizes say; the figures of them together."""
    pause = sum(many.values()) * len(processes) / CALLS_PER_SECOND
    tally = Tally(place.sandbox)
    place.sandbox.requests.clear()
    for process in processes:
        process.order("calls", seconds=SECONDS, pause=pause, **many)
    answers = []
    for process in processes:
        answers.append(process.answer(within=SECONDS + START))
        tally.take()
    latencies = [seconds for answer in answers for seconds in answer["latencies"]]
    statuses: Counter[str] = Counter()
    for answer in answers:
        statuses.update(answer["statuses"])
    refreshed = refreshes_of_each_token(place.sandbox)
    return {
        "calls": sum(statuses.values()),
        "failed": sum(statuses.values()) - statuses["200"],
        "answers": dict(statuses),
        "failures": sorted({words for answer in answers for words in answer["failures"]})[:20],
        "refreshes": sum(refreshed.values()),
        "most refreshes of one token": max(refreshed.values(), default=0),
        "lost answers of the token endpoint": tally.of("token", 0, 503),
        "401": tally.of("call", 401),
        "adopted": sum(answer["adopted"] for answer in answers),
        "cpu s of the callers": round(sum(answer["cpu"] for answer in answers), 1),
        "p50 ms": percentile(latencies, 0.5),
        "p99 ms": percentile(latencies, 0.99),
        "max ms": percentile(latencies, 1.0),
        # What else the machine had to do: the crowd itself makes about two.
        "load average": round(os.getloadavg()[0], 1),
    }
