"""What is sent to the scheduler and the workers by value, so that none of it needs this package to be loaded.

The scheduler's part passes questions and answers on without reading them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import Any

from distributed import Scheduler, SchedulerPlugin, Worker, WorkerPlugin

_OURS = "ic_notebook_client"
"""The attribute by which a desk is known: a class that came by value is another one each time."""


class Desk(SchedulerPlugin):
    """Passes each worker's question to the client that shares its sign-in, and the answer back.

    Args:
        name: of the plugin; its handlers' names begin with it.
        client: the id of the client.
        profile: the sign-in's.
    """

    def __init__(self, name: str, client: str, profile: str) -> None:
        self.name = name
        self.ic_notebook_client = client
        self.profile = profile

    async def start(self, scheduler: Scheduler) -> None:
        """Add the handlers; what a client that is gone has left behind goes."""
        self.scheduler = scheduler
        self.waiting: dict[int, asyncio.Future[Any]] = {}
        self.numbers = itertools.count()
        self.telling: set[asyncio.Task[Any]] = set()
        desks: list[Any] = [plugin for plugin in scheduler.plugins.values() if hasattr(plugin, _OURS)]
        for desk in desks:
            if desk.ic_notebook_client not in scheduler.clients:
                await desk.stop()
        scheduler.handlers[f"{self.name}-ask"] = self.ask
        scheduler.handlers[f"{self.name}-answer"] = self.answer
        scheduler.handlers[f"{self.name}-tell"] = self.tell
        scheduler.handlers[f"{self.name}-stop"] = self.stop

    async def ask(self, question: dict[str, Any], within: float) -> dict[str, Any]:
        """For a worker: the client's answer, still packed."""
        client = self.ic_notebook_client
        if client not in self.scheduler.clients or client not in self.scheduler.client_comms:
            return {"status": "gone"}
        number = next(self.numbers)
        answer = self.waiting[number] = asyncio.get_running_loop().create_future()
        try:
            event = {"op": "event", "topic": self.name, "event": [number, question]}
            self.scheduler.client_send(client, event)
            return {"status": "answered", "answer": await asyncio.wait_for(answer, within)}
        except asyncio.TimeoutError:
            return {"status": "late"}
        except ConnectionError:
            return {"status": "gone"}
        finally:
            self.waiting.pop(number, None)

    async def answer(self, number: int, answer: Any) -> None:
        """For the client."""
        waiting = self.waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def tell(self, event: dict[str, Any]) -> None:
        """For the client: every worker hears this, which holds no secret."""
        message = {"op": f"{self.name}-told", "event": event}
        await self.scheduler.broadcast(msg=message, on_error="ignore")

    def remove_client(self, scheduler: Scheduler, client: str) -> None:  # noqa: ARG002 - Dask's signature
        """Whoever waits for it waits no more, and the workers forget their tokens until it is back."""
        if client != self.ic_notebook_client:
            return
        for waiting in self.waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError())
        task = asyncio.ensure_future(self.tell({"gone": True}))
        self.telling.add(task)
        task.add_done_callback(self.telling.discard)

    async def stop(self) -> None:
        """Leave the scheduler and the workers."""
        for action in ("ask", "answer", "tell", "stop"):
            self.scheduler.handlers.pop(f"{self.name}-{action}", None)
        if self.name in self.scheduler.plugins:
            self.scheduler.remove_plugin(self.name)
        if self.name in self.scheduler.worker_plugins:
            await self.scheduler.unregister_worker_plugin(comm=None, name=self.name)


class Sharing(WorkerPlugin):
    """Lets a worker use the sign-in, now and whenever it starts.

    Args:
        name: as the desk's.
        offer: what is shared, without any secret.
    """

    def __init__(self, name: str, offer: dict[str, Any]) -> None:
        self.name = name
        self.offer = offer
        self.leave: Callable[[], None] | None = None

    def setup(self, worker: Worker) -> None:
        """Join, where the worker has this package."""
        try:
            from ic_notebook.cluster.worker import join
        except ImportError:
            logging.getLogger("distributed.worker").warning(
                "This worker lacks ic_notebook, so that its tasks cannot use the notebook's sign-in. Install "
                "ic-notebook[dask] where the workers run."
            )
            return
        self.leave = join(worker, self.name, self.offer)

    def teardown(self, worker: Worker) -> None:  # noqa: ARG002 - Dask's signature
        """Leave."""
        if self.leave is not None:
            self.leave()


def others(client: str, dask_scheduler: Scheduler) -> list[str]:
    """The profiles that other clients share, as long as they are connected."""
    desks: list[Any] = [plugin for plugin in dask_scheduler.plugins.values() if hasattr(plugin, _OURS)]
    return [
        desk.profile
        for desk in desks
        if desk.ic_notebook_client != client and desk.ic_notebook_client in dask_scheduler.clients
    ]


def spoken() -> int | None:
    """The form of questions and answers that a worker knows, or None where it lacks this package."""
    try:
        from ic_notebook.cluster.worker import FORMAT
    except ImportError:
        return None
    return FORMAT
