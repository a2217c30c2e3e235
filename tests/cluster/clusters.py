"""Clusters of processes for the tests, and what their tasks call."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster

from ic_notebook.sandbox import RunningSandbox
from ic_notebook.sessions.current import current
from ic_notebook.sessions.session import Session
from tests.sessions.people import CREDITS, signed_in

QUICK = {
    "distributed.comm.timeouts.connect": "5s",
    "distributed.comm.retry.delay.max": "1s",
    "distributed.scheduler.allowed-failures": 50,
    "distributed.nanny.environ": {"IC_BASE_URL": "", "IC_ACCESS_TOKEN": ""},
    "distributed.admin.log-format": "%(asctime)s %(name)s %(levelname)s %(message)s",
}


@contextlib.contextmanager
def running(
    folder: Path, *, workers: int = 2, settings: dict[str, Any] | None = None, **options: Any
) -> Iterator[Client]:
    """A client of a cluster of processes on loopback, whose files are in the folder."""
    options = {
        "n_workers": workers,
        "threads_per_worker": 2,
        "dashboard_address": "127.0.0.1:0",
        "local_directory": str(folder / "dask"),
        "silence_logs": False,
    } | options
    with (
        dask.config.set(QUICK | (settings or {})),
        LocalCluster(**options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def person(sandbox: RunningSandbox, **options: Any) -> Session:
    """Somebody signed in, whose session is the one that is meant here."""
    session = signed_in(sandbox, **options)
    current.add(session)
    return session


def call(_number: int = 0, profile: str | None = None, **options: Any) -> int:
    """A task: one call as anybody makes it; its status."""
    import ic_notebook as ic

    return ic.client(profile=profile, **options).get(CREDITS).status_code


def name(error: BaseException | None) -> str:
    """The kind of an error and what it says."""
    return f"{type(error).__name__}: {error}"


def until(holds: Callable[[], Any], *, within: float = 10.0) -> Any:
    """What `holds` gives once it gives something."""
    ends = time.monotonic() + within
    while not (result := holds()):
        assert time.monotonic() < ends, "not in time"
        time.sleep(0.02)
    return result
