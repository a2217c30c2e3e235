"""What an import and a warm request cost, beside what they are compared with, all in one run.

    python tests/benchmarks/run.py [--runs N] [--requests N] [--rounds N]

Each row is measured in turns with the others, round by round, so that a busy computer is busy for all of them.
The row that measures the same thing twice shows what is noise.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from pathlib import Path

import httpx
import requests

sys.path.insert(0, str(Path(__file__).parents[2]))

from ic_notebook.background import background
from ic_notebook.oauth.metadata import service_metadata
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.auth import auth_class
from ic_notebook.sessions.token_source import StoredTokens
from ic_notebook.storage.calls import StorageCalls
from ic_notebook.storage.sharing import SharedStore

BASE_URL = "https://api.example.com"
PATH = "/public/v1/accounts/credits/"
TOKEN = "t" * 40
WARM_UP = 20


class MinimalAuth(httpx.Auth):
    """As little as an httpx.Auth can do."""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {TOKEN}"
        yield request


def token_source() -> StoredTokens:
    tokens = TokenSet(
        access_token=Secret(TOKEN),
        refresh_token=Secret("r" * 40),
        lifetime=86_400.0,
        obtained_at=time.time(),
        client_id="c",
        issuer=BASE_URL,
    )
    return StoredTokens(service_metadata(BASE_URL), tokens)


class CountingStorage:
    """What a shared session is kept in; a warm request is to call it never."""

    def __init__(self) -> None:
        self.tokens: TokenSet | None = None
        self.calls = 0

    def load(self) -> TokenSet | None:
        self.calls += 1
        return self.tokens

    def save(self, tokens: TokenSet) -> None:
        self.calls += 1
        self.tokens = tokens

    def delete(self) -> None:
        self.calls += 1
        self.tokens = None


def shared_source(storage: CountingStorage, folder: Path) -> StoredTokens:
    """Tokens that other processes have too, so that each request looks whether they have changed."""
    source = token_source()
    store = SharedStore(
        storage,
        issuer=BASE_URL,
        profile="default",
        kept=lambda: "memory",
        calls=StorageCalls("memory"),
        folder=folder,
    )
    background().run(source.keep, store)
    assert not source.outdated
    storage.calls = 0
    return source


def answer(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"credits_available": 1.0})


HEADER = "a header set on the client"
AGAIN = "the same again (noise)"
MINIMAL = "as little as an auth can do"
MEMORY = "Session.auth, in memory"
SHARED = "Session.auth, shared"
KINDS = [HEADER, AGAIN, MINIMAL, MEMORY, SHARED]


class Clients:
    """The clients that are compared; those of one kind share one source of tokens."""

    def __init__(self, folder: Path) -> None:
        self.storage = CountingStorage()
        self._auth = {
            MEMORY: auth_class()(token_source(), base_url=BASE_URL),
            SHARED: auth_class()(shared_source(self.storage, folder), base_url=BASE_URL),
        }

    def options(self, kind: str) -> dict[str, object]:
        """For a client of httpx."""
        options: dict[str, object] = {"base_url": BASE_URL, "transport": httpx.MockTransport(answer)}
        if kind in {HEADER, AGAIN}:
            return options | {"headers": {"Authorization": f"Bearer {TOKEN}"}}
        return options | {"auth": MinimalAuth() if kind == MINIMAL else self._auth[kind]}

    def looks(self, count: int) -> float:
        """How often a shared session looks whether another process has changed something, a request: a `stat`."""
        looks, stamp = 0, SharedStore.stamp

        def counted(store: SharedStore) -> int | None:
            nonlocal looks
            looks += 1
            return stamp(store)

        SharedStore.stamp = counted  # type: ignore[method-assign]
        try:
            self.sync_cost(SHARED, count)
        finally:
            SharedStore.stamp = stamp  # type: ignore[method-assign]
        return looks / (count + WARM_UP)

    def sync_cost(self, kind: str, count: int) -> float:
        """CPU microseconds of one request."""
        with httpx.Client(**self.options(kind)) as client:  # type: ignore[arg-type]
            return cost_of(lambda: client.get(PATH), count)

    def async_cost(self, kind: str, count: int) -> float:
        """CPU microseconds of one request."""

        async def calls() -> float:
            async with httpx.AsyncClient(**self.options(kind)) as client:  # type: ignore[arg-type]
                for _ in range(WARM_UP):
                    await client.get(PATH)
                began = time.process_time()
                for _ in range(count):
                    await client.get(PATH)
                return (time.process_time() - began) / count * 1e6

        return asyncio.run(calls())

    def requests_cost(self, kind: str, count: int) -> float:
        """CPU microseconds of one request."""
        with requests.Session() as session:
            session.trust_env = False
            session.mount("https://", NoNetwork())
            if kind in {HEADER, AGAIN}:
                session.headers["Authorization"] = f"Bearer {TOKEN}"
            else:
                session.auth = minimal_signature if kind == MINIMAL else self._auth[kind]
            return cost_of(lambda: session.get(BASE_URL + PATH), count)


class NoNetwork(requests.adapters.BaseAdapter):
    """Answers at once."""

    def send(self, request, **_options):
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        response.raw, response.connection = io.BytesIO(b'{"credits_available": 1.0}'), self
        return response

    def close(self):
        pass


def minimal_signature(request: requests.PreparedRequest) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {TOKEN}"
    return request


def cost_of(call: Callable[[], object], count: int) -> float:
    """CPU microseconds of one call."""
    for _ in range(WARM_UP):
        call()
    began = time.process_time()
    for _ in range(count):
        call()
    return (time.process_time() - began) / count * 1e6


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
    """A table against the first row: the median, and what each adds, round by round, with its quartiles."""
    base = next(iter(measured.values()))
    print(f"\n{title}\n{'':32}{'median ' + unit:>12}{'adds':>9}{'(middle half)':>18}{'ratio':>8}{'least':>9}")
    for one, values in measured.items():
        median = statistics.median(values)
        added = [value - first for value, first in zip(values, base, strict=True)]
        low, middle, high = statistics.quantiles(added, n=4, method="inclusive")
        half = f"{low:.1f} to {high:.1f}"
        name, ratio = (names or {}).get(one, one), median / statistics.median(base)
        print(f"{name:32}{median:12.1f}{middle:9.1f}{half:>18}{ratio:8.2f}{min(values):9.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=21, help="of each import (default: %(default)s)")
    parser.add_argument("--requests", type=int, default=200, help="in each round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=41, help="of requests (default: %(default)s)")
    given = parser.parse_args()
    if min(given.runs, given.rounds) < 2:
        parser.error("a spread needs two runs and two rounds at least")
    print(f"Python {sys.version.split()[0]}, httpx {httpx.__version__}, {given.runs} runs of each import")
    imports = {
        "pass": "bare Python",
        "pass  # again": "the same again (noise)",
        "import ic_notebook": "import ic_notebook",
        "import httpx": "import httpx",
        "import ic_notebook; ic_notebook.client": "ic_notebook.client, first use",
    }
    show("Import", "ms", in_turns(import_cost, list(imports), given.runs), names=imports)
    with tempfile.TemporaryDirectory() as folder:
        clients = Clients(Path(folder))
        costs = {
            "httpx, sync": clients.sync_cost,
            "httpx, async": clients.async_cost,
            "requests": clients.requests_cost,
        }
        for title, cost in costs.items():
            measured = in_turns(lambda kind, cost=cost: cost(kind, given.requests), KINDS, given.rounds)
            show(f"Warm request, {title} (CPU, no network)", "µs", measured)
        print(
            f"\nA request of a shared session looks {clients.looks(100):g} times whether something changed."
        )
        print(f"Calls of its storage by all of these: {clients.storage.calls}")
        assert clients.storage.calls == 0


if __name__ == "__main__":
    main()
