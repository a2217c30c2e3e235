"""A process of a refresh storm: it calls when it is told to, from so many tasks or threads.

python -m tests.benchmarks.storm_caller KIND URL FOLDER
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.benchmarks.storm_kinds import Kind
from tests.benchmarks.storm_peers import KINDS


class Calls:
    """When the last of them had its answer, and which had none."""

    def __init__(self) -> None:
        self.last = 0.0
        self.failures: Counter[str] = Counter()
        self._lock = threading.Lock()

    def ended(self, failure: Exception | None) -> None:
        with self._lock:
            self.last = max(self.last, time.time())
            if failure is not None:
                self.failures[f"{type(failure).__name__}: {failure}"[:200]] += 1


def from_threads(kind: Kind, count: int, go: Callable[[], object]) -> Calls:
    calls, gate = Calls(), threading.Barrier(count + 1)

    def one() -> None:
        failure = None
        gate.wait()
        try:
            kind.call()
        except Exception as error:
            failure = error
        calls.ended(failure)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    go()
    gate.wait()
    for thread in threads:
        thread.join()
    return calls


def from_tasks(kind: Kind, count: int, go: Callable[[], object]) -> Calls:
    calls = Calls()

    async def one() -> None:
        failure = None
        try:
            await kind.call_async()
        except Exception as error:
            failure = error
        calls.ended(failure)

    async def all_of_them() -> None:
        go()
        await asyncio.gather(*(one() for _ in range(count)))

    asyncio.run(all_of_them())
    return calls


def main(name: str, url: str, folder: str) -> None:
    kind = KINDS[name][1](url, Path(folder))

    def say(**words: Any) -> None:
        print(json.dumps(words), flush=True)

    def go() -> None:
        say(ready=True)
        sys.stdin.readline()

    for line in sys.stdin:
        order = json.loads(line)
        if order["do"] == "seed":
            kind.seed(order["number"])
            say(seeded=True)
            continue
        kind.prepare(order["number"])
        run = from_tasks if order["do"] == "tasks" else from_threads
        calls = run(kind, order["count"], go)
        say(last=calls.last, failures=calls.failures)


if __name__ == "__main__":
    main(*sys.argv[1:])
