"""The way from a worker to the notebook that shares its sign-in: through the scheduler, by Dask's comms."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ic_notebook.cluster.words import GONE, LATE, LOST, NOT_SHARED
from ic_notebook.errors import (
    ICNotebookError,
    OAuthError,
    ServiceUnavailable,
    SignInRequired,
    StorageError,
    UnexpectedAnswer,
)

if TYPE_CHECKING:
    from distributed import Worker

logger = logging.getLogger(__name__)

Answer = dict[str, Any]

PATIENCE = 30.0
"""Seconds for which a question is repeated while the scheduler cannot be reached."""
_PAUSE = 0.25


class Link:
    """Asks the notebook, from any thread of the worker's process.

    Args:
        operation: the name of the scheduler's handler.
        heard: gets what the notebook tells unasked.
    """

    def __init__(self, operation: str, *, heard: Callable[[Answer], None]) -> None:
        self._operation = operation
        self._heard = heard
        self._workers: dict[Worker, asyncio.AbstractEventLoop] = {}
        self._process = os.getpid()

    def add(self, worker: Worker) -> None:
        """Ask by way of this worker too; called on its event loop."""
        self._workers[worker] = asyncio.get_running_loop()
        worker.handlers[f"{self._operation}-told"] = self.told

    def remove(self, worker: Worker) -> bool:
        """Ask by way of it no more; whether there is another."""
        self._workers.pop(worker, None)
        worker.handlers.pop(f"{self._operation}-told", None)
        return bool(self._workers)

    async def told(self, event: Answer) -> None:
        """The handler of what the notebook tells unasked."""
        self._heard(event)

    def ask(self, question: Answer, *, within: float) -> concurrent.futures.Future[Answer]:
        """The notebook's answer.

        Raises (the future):
            ServiceUnavailable: there is none within so many seconds (30 at most).
            SignInRequired, OAuthError, UnexpectedAnswer, StorageError: what the notebook got when it tried.
        """
        worker = next(iter(self._workers), None)
        if worker is None or os.getpid() != self._process:
            return _refused()
        asking = self._answer(worker, question, min(within, PATIENCE))
        try:
            return asyncio.run_coroutine_threadsafe(asking, self._workers[worker])
        except RuntimeError:  # the worker's loop has ended
            asking.close()
            return _refused()

    async def _answer(self, worker: Worker, question: Answer, within: float) -> Answer:
        deadline = time.monotonic() + within
        while (left := deadline - time.monotonic()) > 0:
            try:
                send = getattr(worker.scheduler, f"{self._operation}-ask")
                reply = await asyncio.wait_for(send(question=question, within=left), left + _PAUSE)
            except (OSError, asyncio.TimeoutError) as failure:
                logger.debug("The scheduler did not pass a question on: %s", type(failure).__name__)
                await asyncio.sleep(_PAUSE)
                continue
            return _read(reply)
        raise ServiceUnavailable(LOST)


def _refused() -> concurrent.futures.Future[Answer]:
    refused: concurrent.futures.Future[Answer] = concurrent.futures.Future()
    refused.set_exception(ServiceUnavailable(NOT_SHARED))
    return refused


def _read(reply: Any) -> Answer:
    if not isinstance(reply, dict):
        raise ServiceUnavailable(NOT_SHARED)
    if reply["status"] != "answered":
        raise ServiceUnavailable(GONE if reply["status"] == "gone" else LATE)
    answer: Answer = json.loads(reply["answer"])
    if "failure" in answer:
        raise _failure(**answer["failure"])
    return answer


def failure_fields(failure: ICNotebookError) -> Answer:
    """What is sent of an error."""
    fields = {"kind": type(failure).__name__, "message": str(failure)}
    for name in ("error", "status_code", "retry_after"):
        if getattr(failure, name, None) is not None:
            fields[name] = getattr(failure, name)
    return fields


def _failure(kind: str, message: str, **fields: Any) -> ICNotebookError:
    for known in (SignInRequired, UnexpectedAnswer, StorageError):
        if kind == known.__name__:
            return known(message)
    if kind == OAuthError.__name__:
        return OAuthError(message, error=fields["error"], status_code=fields.get("status_code"))
    known_fields = {name: fields[name] for name in ("status_code", "retry_after") if name in fields}
    return ServiceUnavailable(message, **known_fields)
