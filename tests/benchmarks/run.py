"""What an import and a warm request cost, beside what they are compared with, all in one run.

    python tests/benchmarks/run.py [--runs N] [--requests N]

Each row is measured in turns with the others, round by round, so that a busy computer is busy for all of them.
The row that measures the same thing twice shows what is noise.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2]))

from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.auth import SessionAuth
from ic_notebook.sessions.token_source import StoredTokens

BASE_URL = "https://api.example.com"
PATH = "/public/v1/accounts/credits/"
TOKEN = "t" * 40


class MinimalAuth(httpx.Auth):
    """As little as an httpx.Auth can do."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {TOKEN}"
        yield request


def session_auth() -> SessionAuth:
    tokens = TokenSet(
        access_token=Secret(TOKEN),
        refresh_token=Secret("r" * 40),
        lifetime=86_400.0,
        obtained_at=time.time(),
        client_id="c",
    )
    return SessionAuth(StoredTokens(service_metadata(BASE_URL), tokens), base_url=BASE_URL)


def answer(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"credits_available": 1.0})


KINDS: dict[str, Callable[[], dict[str, object]]] = {
    "a header set on the client": lambda: {"headers": {"Authorization": f"Bearer {TOKEN}"}},
    "the same again (noise)": lambda: {"headers": {"Authorization": f"Bearer {TOKEN}"}},
    "a minimal httpx.Auth": lambda: {"auth": MinimalAuth()},
    "SessionAuth": lambda: {"auth": session_auth()},
}


def options(kind: str) -> dict[str, object]:
    return {"base_url": BASE_URL, "transport": httpx.MockTransport(answer), **KINDS[kind]()}


def sync_cost(kind: str, requests: int) -> float:
    """CPU microseconds of one request."""
    with httpx.Client(**options(kind)) as client:  # type: ignore[arg-type]
        for _ in range(20):
            client.get(PATH)
        began = time.process_time()
        for _ in range(requests):
            client.get(PATH)
        return (time.process_time() - began) / requests * 1e6


def async_cost(kind: str, requests: int) -> float:
    """CPU microseconds of one request."""

    async def calls() -> float:
        async with httpx.AsyncClient(**options(kind)) as client:  # type: ignore[arg-type]
            for _ in range(20):
                await client.get(PATH)
            began = time.process_time()
            for _ in range(requests):
                await client.get(PATH)
            return (time.process_time() - began) / requests * 1e6

    return asyncio.run(calls())


def import_cost(statement: str) -> float:
    """Milliseconds of a whole Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-c", statement], check=True)
    return (time.perf_counter() - began) * 1e3


def in_turns(measure: Callable[[str], float], what: list[str], runs: int) -> dict[str, list[float]]:
    measured: dict[str, list[float]] = {one: [] for one in what}
    for one in what:
        measure(one)
    for turn in range(runs):
        for one in what if turn % 2 else reversed(what):
            gc.collect()
            measured[one].append(measure(one))
    return measured


def show(
    title: str, unit: str, measured: dict[str, list[float]], *, names: dict[str, str] | None = None
) -> None:
    """A table against the first row: the median, what it adds, and the ratio."""
    medians = {one: statistics.median(values) for one, values in measured.items()}
    base = next(iter(medians.values()))
    print(f"\n{title}\n{'':32}{'median ' + unit:>12}{'adds':>9}{'ratio':>8}{'least':>9}{'most':>9}")
    for one, median in medians.items():
        least, most = min(measured[one]), max(measured[one])
        name = (names or {}).get(one, one)
        print(f"{name:32}{median:12.1f}{median - base:9.1f}{median / base:8.2f}{least:9.1f}{most:9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="of each import (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=500, help="in each round (default: %(default)s)")
    given = parser.parse_args()
    print(f"Python {sys.version.split()[0]}, httpx {httpx.__version__}, {given.runs} runs of each import")
    imports = {
        "pass": "bare Python",
        "pass  # again": "the same again (noise)",
        "import ic_notebook": "import ic_notebook",
        "import httpx": "import httpx",
        "import ic_notebook; ic_notebook.client": "ic_notebook.client, first use",
    }
    show("Import", "ms", in_turns(import_cost, list(imports), given.runs), names=imports)
    for title, cost in (("Warm request, sync", sync_cost), ("Warm request, async", async_cost)):
        measured = in_turns(lambda kind, cost=cost: cost(kind, given.requests), list(KINDS), 11)
        show(f"{title} (CPU, no network)", "µs", measured)


if __name__ == "__main__":
    main()
