"""A worker that does for long what a person's programs do all day, and tells at rest what it holds."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import requests

import ic_notebook as ic
from ic_notebook import signed_in
from ic_notebook.background import background
from ic_notebook.login.options import LoginOptions
from tests.load.worker import Worker, serve, tell
from tests.sessions.people import CREDITS, free_ports

REST = 0.1
"""Seconds from the last call's end to a sample: what it set off on the background thread ends meanwhile."""
ASYNC_CALLERS = 4


class Soaker(Worker):
    """Signed in with the keyring; calls by every kind of client, and now and then does something else."""

    def __init__(self, url: str, storage: str, saves: Path) -> None:
        super().__init__(url, storage, saves)
        signed_in.LoginOptions = partial(LoginOptions, ports=free_ports())
        self.done: Counter[str] = Counter()
        self._stop = threading.Event()
        self._turns: list[threading.Lock] = []
        self._planted: list[Any] = []

    def soak(
        self, *, seconds: float, samples: int, every: float, pause: float, leaking: bool
    ) -> dict[str, Any]:
        """Call for so long at least, with one other deed and a sample `every` so many seconds."""
        until = time.monotonic() + seconds
        callers = [
            self._caller(self._calls, lambda: self.client().get(CREDITS).status_code, pause),
            self._caller(self._calls, self._with_a_client(), pause),
            self._caller(self._calls, self._with_requests(), pause),
            self._caller(self._async_calls, pause),
        ]
        deeds = (self._cancelled_sign_in, self._apps, self._forgotten_client, self._forgotten_async_client)
        number = 0
        while time.monotonic() < until or number < samples:
            self._stop.wait(every)
            self._turn_of_one(deeds[number % len(deeds)])
            number += 1
            if leaking:
                self._leak()
            self._sample()
        self._stop.set()
        for caller in callers:
            caller.join()
        return {"done": self.done}

    def _caller(self, target: Callable[..., None], *args: Any) -> threading.Thread:
        turn = threading.Lock()
        self._turns.append(turn)
        thread = threading.Thread(target=target, args=(turn, *args))
        thread.start()
        return thread

    def _calls(self, turn: threading.Lock, call: Callable[[], int], pause: float) -> None:
        while not self._stop.wait(pause):
            with turn:
                self._turn_of_one(lambda: f"call {call()}")

    def _with_a_client(self) -> Callable[[], int]:
        client = self.session().client()
        return lambda: client.get(CREDITS).status_code

    def _with_requests(self) -> Callable[[], int]:
        http, url = requests.Session(), self.url + CREDITS
        auth = self.session().auth
        return lambda: http.get(url, auth=auth, timeout=20).status_code

    def _async_calls(self, turn: threading.Lock, pause: float) -> None:
        async def call() -> None:
            async with self.session().async_client() as client:
                while not self._stop.is_set():
                    await asyncio.sleep(pause)
                    with turn:
                        answers = await asyncio.gather(*(client.get(CREDITS) for _ in range(ASYNC_CALLERS)))
                    self.done.update(f"call {answer.status_code}" for answer in answers)

        asyncio.run(call())

    def _turn_of_one(self, deed: Callable[[], str]) -> None:
        try:
            self.done[deed()] += 1
        except Exception as failure:
            self.done["failed"] += 1
            tell(event="failed", words=f"{type(failure).__name__}: {failure}")

    def _cancelled_sign_in(self) -> str:
        """A second account's sign-in, given up when its link is there."""

        async def give_up() -> None:
            link = asyncio.Event()
            attempt = asyncio.ensure_future(
                ic.connect_async(profile="second", open_url=lambda _: link.set(), timeout=30)
            )
            await asyncio.wait_for(link.wait(), 30)
            attempt.cancel()
            await asyncio.wait({attempt})

        asyncio.run(give_up())
        return "sign-in cancelled"

    def _apps(self) -> str:
        assert len(ic.apps()) == 1
        return "apps listed"

    def _forgotten_client(self) -> str:
        self.session().client().get(CREDITS).raise_for_status()
        return "client forgotten"

    def _forgotten_async_client(self) -> str:
        async def call() -> None:
            (await self.session().async_client().get(CREDITS)).raise_for_status()

        asyncio.run(call())
        return "async client forgotten"

    def _leak(self) -> None:
        """Lose one of everything, as a careless program would at each such deed."""
        blocked = threading.Thread(target=threading.Event().wait, daemon=True)
        blocked.start()
        background().submit(asyncio.sleep, 3_600)
        (self.saves.parent / "config" / f"lost-{len(self._planted)}").write_text("lost")
        self._planted.append([os.open(os.devnull, os.O_RDONLY), b"." * 1_000_000, *map(str, range(1_000))])

    def _sample(self) -> None:
        """What is held while nobody calls."""
        for turn in self._turns:
            turn.acquire()
        try:
            time.sleep(REST)
            gc.collect()
            tell(
                event="sample",
                calls=sum(count for deed, count in self.done.items() if deed.startswith("call")),
                rss=_resident(),
                blocks=sys.getallocatedblocks(),
                threads=threading.active_count(),
                fds=sum(1 for _ in Path("/proc/self/fd").iterdir()),
                tasks=len(background()._tasks),
                files=sum(path.is_file() for path in self.saves.parent.rglob("*")),
            )
        finally:
            for turn in self._turns:
                turn.release()


def _resident() -> int:
    """KiB of this process in memory."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))


if __name__ == "__main__":
    serve(Soaker)
