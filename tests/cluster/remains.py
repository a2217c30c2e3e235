"""What a cluster leaves behind, or shows, anywhere: bytes in which a secret would be found."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dask
from bokeh.client import pull_session
from distributed import Client
from distributed.dashboard.scheduler import applications

from tests.sizes import LONG

FEWER = ("/status", "/tasks", "/exceptions", "/events", "/graph")
CANARY = "canary-in-the-mine-"
LOG_EVERYTHING = """
import logging, os
handler = logging.FileHandler({folder!r} + f"/worker-{{os.getpid()}}.log")
logging.basicConfig(level=logging.DEBUG, handlers=[handler], force=True)
for name in list(logging.root.manager.loggerDict):
    logging.getLogger(name).setLevel(logging.NOTSET)
    logging.getLogger(name).propagate = True
"""


def marked(make: Callable[..., str]) -> Callable[..., str]:
    """As `secrets.token_urlsafe`, with a mark by which every token is found."""
    return lambda length=None: CANARY + make(length)


def logging_workers(folder: Path) -> dict[str, Any]:
    """Settings by which every worker process logs all at DEBUG into a file of the folder."""
    script = folder / "log_everything.py"
    script.write_text(LOG_EVERYTHING.format(folder=str(folder)))
    return {"distributed.worker.preload": [str(script)]}


def spill(dask_worker: Any) -> int:
    """Write all that a worker holds in memory to its disk; the number of things there."""
    while dask_worker.data.fast:
        dask_worker.data.evict()
    return len(dask_worker.data.slow)


def pages(client: Client) -> Iterator[tuple[str, bytes]]:
    """Every page that the scheduler's and the workers' HTTP servers have."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    scheduler = client.cluster.scheduler
    servers = [("scheduler", scheduler.http_server.port)]
    servers += [("worker", worker.services["dashboard"]) for worker in scheduler.workers.values()]
    names = [quote(address, safe="") for address in scheduler.workers]
    of_workers = [f"info/{page}/{name}.html" for page in ("logs", "worker", "call-stacks") for name in names]
    for kind, port in servers:
        for path in [*_served_by(kind), *of_workers]:
            url = f"http://127.0.0.1:{port}/{path}"
            try:
                with opener.open(url, timeout=10) as page:
                    yield url, page.read()
            except OSError as failure:
                yield url, str(failure).encode()


def _served_by(kind: str) -> Iterator[str]:
    for module in dask.config.get(f"distributed.{kind}.http.routes"):
        for path, *_ in importlib.import_module(module).routes:
            # What it streams has no end.
            if "(" not in path and path != "eventstream":
                yield path.strip("/")


def dashboard(client: Client) -> Iterator[tuple[str, bytes]]:
    """What the dashboard draws, with its data, as a browser gets it over its WebSocket."""
    port = client.cluster.scheduler.http_server.port
    # To look at /hardware is to have every worker's disk and network measured.
    for path in sorted(applications.keys() - {"/hardware"}) if LONG else FEWER:
        with contextlib.closing(pull_session(url=f"http://127.0.0.1:{port}{path}")) as session:
            yield f"dashboard {path}", json.dumps(session.document.to_json(deferred=False)).encode()


def remains(client: Client, folder: Path, log: str) -> dict[str, bytes]:
    """By name: logs, files, events, plugins, the state of scheduler and workers, configuration, web pages."""
    scheduler = client.cluster.scheduler
    found = {"log of this process": log.encode(), "events": repr(client.get_events()).encode()}
    found |= {f"plugin {name}": plugin for name, plugin in scheduler.worker_plugins.items()}
    found |= {f"plugin {name}": repr(vars(plugin)).encode() for name, plugin in scheduler.plugins.items()}
    client.dump_cluster_state(str(folder / "state"), format="yaml")
    found["configuration"] = repr((dask.config.config, client.run(lambda: dask.config.config))).encode()
    found["logs"] = repr((client.get_scheduler_logs(), client.get_worker_logs())).encode()
    found |= dict(pages(client)) | dict(dashboard(client))
    return found | {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


class Log(logging.Handler):
    """Everything that this process logs, at DEBUG."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))
