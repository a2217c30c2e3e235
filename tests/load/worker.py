"""A program that calls the API on a sign-in which it shares with others, as any program of a person's would.

    python -m tests.load.worker URL STORAGE SAVES

STORAGE is `keyring`, or the path of a file that a vault object keeps. Orders come as lines of JSON, one at a
time; what became of them goes out the same way. SAVES is a file that tells, for every process, which saves
were begun and which were completed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx

import ic_notebook as ic
from ic_notebook.background import background
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sessions.current import current
from ic_notebook.sessions.stored_tokens import StoredTokens
from ic_notebook.storage.choice import keyring_store, object_store
from ic_notebook.storage.files import read_bytes, write_atomically
from ic_notebook.storage.keyring import KeyringStorage
from ic_notebook.storage.sharing import SharedStore
from tests.sessions.people import CREDITS, signed_in

TASKS_OF_ONE_CLIENT = 25


class FileVault:
    """A team's vault: one file, replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> TokenSet | None:
        text = read_bytes(self._path, at_most=65_536)
        return None if text is None else TokenSet.from_json(text.decode())

    def save(self, tokens: TokenSet) -> None:
        write_atomically(self._path, tokens.to_json().encode())

    def delete(self) -> None:
        self._path.unlink(missing_ok=True)


def fingerprint(tokens: TokenSet) -> str:
    """Tells which complete set this is, and nothing of it."""
    return hashlib.sha256(f"{tokens.access_token}\n{tokens.refresh_token}".encode()).hexdigest()[:20]


def tell(**words: Any) -> None:
    """One line, whole whatever thread it comes from and whenever the process is killed."""
    os.write(1, json.dumps(words).encode() + b"\n")


class Figures:
    """What became of the calls."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.failures: list[str] = []
        self.latencies: list[float] = []

    def answered(self, status: int, seconds: float) -> None:
        self.statuses[str(status)] += 1
        self.latencies.append(round(seconds, 4))

    def failed(self, failure: Exception) -> None:
        self.statuses[type(failure).__name__] += 1
        self.failures.append(f"{type(failure).__name__}: {failure}")


class Worker:
    def __init__(self, url: str, storage: str, saves: Path) -> None:
        self.url, self.saves = url, saves
        self.vault = None if storage == "keyring" else FileVault(Path(storage))
        self.adopted = 0
        os.environ["IC_BASE_URL"] = url
        if self.vault is None:
            os.environ["IC_STORAGE"] = "keyring"
        self._count_adoptions()
        self._tell_of_renewals()
        self._note_saves()

    @property
    def store(self) -> SharedStore:
        if self.vault is None:
            return keyring_store(self.url, "default")
        return object_store(self.vault, self.url, "default")

    def session(self) -> ic.Session:
        return ic.session() if self.vault is None else ic.connect(base_url=self.url, storage=self.vault)

    def client(self) -> httpx.Client:
        return ic.client() if self.vault is None else self.session().client()

    def sign_in(self) -> dict[str, Any]:
        """Somebody signs in anew and is remembered, as `connect` does once the browser has answered."""
        sandbox = SimpleNamespace(url=self.url, store=SimpleNamespace(now=time.time), requests=[])
        session = signed_in(sandbox)
        background().run(session.keep, self.store)
        current.add(session)
        return {"kept": True}

    def load(self) -> dict[str, Any]:
        tokens = background().run(self.store.load)
        return {"stored": None if tokens is None else fingerprint(tokens)}

    def call(self) -> dict[str, Any]:
        try:
            return {"status": self.client().get(CREDITS).status_code}
        except Exception as failure:
            return {"error": type(failure).__name__, "words": str(failure)}

    def interrupted(self, *, how: str, after: float) -> dict[str, Any]:
        """A call that its caller gives up after so many seconds, unless it has its answer by then."""
        try:
            if how == "interrupted":
                status = self._until_ctrl_c(after)
            elif how == "timed out":
                status = self.client().get(CREDITS, timeout=after).status_code
            else:
                status = asyncio.run(self._until_cancelled(self.session(), how, after))
        except (KeyboardInterrupt, TimeoutError, asyncio.TimeoutError, asyncio.CancelledError) as given_up:
            return {"gave up": type(given_up).__name__}
        except (httpx.TimeoutException, ic.ServiceUnavailable) as given_up:
            return {"gave up": type(given_up).__name__, "words": str(given_up)}
        return {"status": status}

    def _until_ctrl_c(self, after: float) -> int:
        signals = threading.Timer(after, os.kill, (os.getpid(), signal.SIGINT))
        signals.start()
        status = self.client().get(CREDITS).status_code
        # It comes in any case, and is to meet nobody else.
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(10)
        return status

    async def _until_cancelled(self, session: ic.Session, how: str, after: float) -> int:
        async with session.async_client() as client:
            call = asyncio.ensure_future(client.get(CREDITS))
            if how == "waited for":
                return (await asyncio.wait_for(call, after)).status_code
            await asyncio.sleep(after)
            call.cancel()
            return (await call).status_code

    def calls(
        self, *, threads: int = 0, tasks: int = 0, seconds: float = 0.0, pause: float
    ) -> dict[str, Any]:
        """Call from all of them for so long, with pauses of about this length between one's calls."""
        figures, until = Figures(), time.monotonic() + seconds
        if tasks:
            asyncio.run(self._from_tasks(tasks, figures, until, pause))
        else:
            callers = [
                threading.Thread(target=self._from_thread, args=(figures, until, pause))
                for _ in range(threads)
            ]
            for caller in callers:
                caller.start()
            for caller in callers:
                caller.join()
        return {
            "statuses": figures.statuses,
            "failures": figures.failures[:20],
            "latencies": figures.latencies,
            "adopted": self.adopted,
            "cpu": round(time.process_time(), 1),
        }

    def _from_thread(self, figures: Figures, until: float, pause: float) -> None:
        time.sleep(random.uniform(0, pause))
        while (began := time.monotonic()) < until:
            try:
                status = self.client().get(CREDITS).status_code
            except Exception as failure:
                figures.failed(failure)
            else:
                figures.answered(status, time.monotonic() - began)
            time.sleep(random.uniform(0.5, 1.5) * pause)

    async def _from_tasks(self, tasks: int, figures: Figures, until: float, pause: float) -> None:
        session = await asyncio.to_thread(self.session)

        async def task(client: httpx.AsyncClient) -> None:
            await asyncio.sleep(random.uniform(0, pause))
            while (began := time.monotonic()) < until:
                try:
                    status = (await client.get(CREDITS)).status_code
                except Exception as failure:
                    figures.failed(failure)
                else:
                    figures.answered(status, time.monotonic() - began)
                await asyncio.sleep(random.uniform(0.5, 1.5) * pause)

        async with contextlib.AsyncExitStack() as stack:
            # httpx takes time as the square of a client's calls: 125 that wait at once would keep a core busy
            # for longer than their token lives.
            clients = [
                await stack.enter_async_context(session.async_client())
                for _ in range(-(-tasks // TASKS_OF_ONE_CLIENT))
            ]
            await asyncio.gather(*(task(clients[number % len(clients)]) for number in range(tasks)))

    def until_killed(self, *, threads: int, pause: float) -> None:
        """Call for ever; what is not a 200 is told, and a sign-in that has ended is waited for."""

        def caller() -> None:
            while True:
                answer = self.call()
                if answer.get("status") != 200:
                    tell(event="failed", **answer)
                    time.sleep(0.5)
                time.sleep(random.uniform(0.5, 1.5) * pause)

        for _ in range(threads):
            threading.Thread(target=caller, daemon=True).start()

    def _count_adoptions(self) -> None:
        adopted = StoredTokens._adopted

        async def counted(source: StoredTokens) -> TokenSet:
            before = source._tokens
            tokens = await adopted(source)
            self.adopted += before is not None and before.access_token != tokens.access_token
            return tokens

        StoredTokens._adopted = counted

    def _tell_of_renewals(self) -> None:
        begins = SharedStore.renewal_begins

        def told(store: SharedStore, token: str) -> bool:
            tell(event="renewing")
            return begins(store, token)

        SharedStore.renewal_begins = told

    def _note_saves(self) -> None:
        kind = KeyringStorage if self.vault is None else FileVault
        save = kind.save

        def noted(storage: Any, tokens: TokenSet) -> None:
            self._note("begun", tokens)
            save(storage, tokens)
            self._note("done", tokens)

        kind.save = noted

    def _note(self, word: str, tokens: TokenSet) -> None:
        with self.saves.open("ab", buffering=0) as file:
            file.write(f"{word} {fingerprint(tokens)}\n".encode())


def serve(kind: type[Worker]) -> None:
    """Obey the orders that come in, until none can come any more."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    url, storage, saves = sys.argv[1:]
    worker = kind(url, storage, Path(saves))
    tell(event="ready")
    for line in sys.stdin:
        order = json.loads(line)
        answer = getattr(worker, order.pop("do"))(**order)
        if answer is not None:
            tell(**answer)


if __name__ == "__main__":
    serve(Worker)
