"""Many tasks on tokens that live two seconds, under a limit of calls, with and without workers that are killed."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from distributed import Client, Security

import ic_notebook as ic
from ic_notebook.cluster import budget
from ic_notebook.sandbox import RunningSandbox, SandboxSettings, api, authorization_server, serve_in_thread
from tests.browser.conftest import free_port
from tests.cluster.clusters import call, person, running
from tests.cluster.processes import Processes, connected, namespaces
from tests.cluster.remains import CANARY, Log, logging_workers, marked, remains, spill
from tests.sizes import LONG, needs_time

SECONDS = 60 if LONG else 4
WORKERS = 4 if LONG else 2
KILL_EVERY = 5.0 if LONG else 2.0
PERIOD = 4.0 if LONG else 2.0
LIMIT = 240 if LONG else 64
"""Calls in PERIOD seconds, for the sandbox and the budget: a minute is too long for a test."""


@pytest.fixture
def log() -> Iterator[Log]:
    """At DEBUG, where nothing else listens: the sandbox of this process logs too."""
    handler, names = Log(), ("", "distributed", "ic_notebook", "httpx", "httpcore", "asyncio", "tornado")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger().addHandler(handler)
    logging.getLogger("distributed").addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    logging.getLogger("distributed").removeHandler(handler)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
def sandbox(monkeypatch):
    monkeypatch.setattr(api, "MINUTE", PERIOD)
    monkeypatch.setattr(budget, "PERIOD", PERIOD)
    monkeypatch.setattr(
        authorization_server.secrets, "token_urlsafe", marked(authorization_server.secrets.token_urlsafe)
    )
    settings = SandboxSettings(auto_approve=True, rate_limit=LIMIT, access_token_lifetime=2)
    with serve_in_thread(settings) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("storm")


@pytest.fixture(scope="module")
def client(folder) -> Iterator[Client]:
    """Of a cluster that speaks TLS, and logs all at DEBUG into the folder."""
    security = Security.temporary()
    with running(folder, workers=WORKERS, settings=logging_workers(folder), security=security) as client:
        assert client.scheduler.address.startswith("tls://")
        yield client


@contextlib.contextmanager
def killing(client: Client, every: float) -> Iterator[list[int]]:
    """Kill one worker after the other, by its own process id, as long as this lasts."""
    over, killed = threading.Event(), []

    def kill() -> None:
        for turn in itertools.count():
            if over.wait(every):
                return
            pids = [pid for pid in client.run(os.getpid, on_error="ignore").values() if pid != os.getpid()]
            if pids:
                killed.append(pids[turn % len(pids)])
                os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def test_no_secret_is_left_behind_or_shown_anywhere(sandbox, client, folder, log):
    session = person(sandbox)
    sandbox.settings = replace(sandbox.settings, rate_limit=0, access_token_lifetime=3600)
    assert CANARY in session.access_token()

    def hold(_):
        session = ic.session()
        return session, session.client(), session.auth, session.client(timeout=7), "x" * 1000

    with ic.cluster.share(client):
        held = client.map(hold, range(8), pure=False)
        mine = client.scatter({"session": session, "client": session.client(), "auth": session.auth})
        assert client.gather(client.map(call, range(8), pure=False)) == [200] * 8
        sandbox.store.end_access_tokens()
        assert client.gather(client.map(call, range(8), pure=False)) == [200] * 8
        failing = client.submit(call, profile="nobody", pure=False)
        assert failing.exception(timeout=20)
        assert sum(client.run(spill).values()) >= len(held) + len(mine)
        found = remains(client, folder, "\n".join(log.lines))
        del held, mine
    names = " ".join(found)
    for part in (
        "worker-",
        "state.yaml",
        "storage",
        "/metrics",
        "/info/main/workers.html",
        "plugin ic-notebook",
        "dashboard /status",
    ):
        assert part in names
    assert b"ic-notebook" in found["log of this process"]
    assert [
        name for name, page in found.items() if "/info/logs/" in name and b"Starting Worker plugin" in page
    ]
    assert min(len(content) for name, content in found.items() if name.endswith(".log")) > 10_000
    # What failed is on it, and with it the words of an error.
    assert b"SignInRequired" in found["dashboard /exceptions"]
    assert [name for name, content in found.items() if CANARY.encode() in content] == []
    assert b"this cluster has no TLS" not in found["log of this process"]


def storm(sandbox: RunningSandbox, client: Client) -> None:
    """Tasks for SECONDS, of which none fails; each token is refreshed once, and no call is one too many."""
    statuses: Counter[int] = Counter()
    with ic.cluster.share(client, rate_limit=LIMIT) as shared:
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends or statuses[200] <= LIMIT or len(sandbox.store.refreshes()) < 2:
            statuses.update(client.gather(client.map(call, range(32), pure=False, retries=3)))
        refreshes = Counter(refresh.access_token for refresh in sandbox.store.refreshes())
        print(f"{sum(statuses.values())} tasks, {len(refreshes)} refreshes\n{shared!r}")
    assert statuses.keys() == {200}
    assert set(refreshes.values()) == {1}
    assert not [request for request in sandbox.requests if request.status == 429]


@pytest.mark.timeout(SECONDS + 120)
# A worker that is killed takes a busy computer as long to start again as the whole short run.
@pytest.mark.parametrize(
    "kills", [False, pytest.param(True, marks=needs_time)], ids=["undisturbed", "workers-killed"]
)
def test_no_task_fails_no_token_is_refreshed_twice_and_the_limit_is_never_reached(
    sandbox, client, folder, log, kills
):
    person(sandbox)
    with killing(client, KILL_EVERY) if kills else contextlib.nullcontext() as killed:
        storm(sandbox, client)
    print(f"{killed or 'none'} killed")
    assert killed or not kills
    assert CANARY not in "\n".join(log.lines)
    assert files_with_a_secret(folder) == []


@pytest.mark.timeout(SECONDS + 120)
def test_scheduler_and_workers_in_networks_of_their_own_over_tls(sandbox, tmp_path, log, caplog):
    person(sandbox)
    security = Security.temporary()
    with namespaces("scheduler", "workers") as networks, Processes(tmp_path, security) as processes:
        address, schedulers = networks["scheduler"]
        processes.scheduler(host=address, within=schedulers)
        assert processes.address.startswith(f"tls://{address}:")
        _, workers = networks["workers"]
        # The API is on our loopback interface, and no network reaches the scheduler's.
        api, near = urlsplit(sandbox.url).netloc, f"127.0.0.1:{free_port()}"
        processes.start("tests.relay", str(tmp_path / "api"), api)
        processes.start("tests.relay", api, str(tmp_path / "api"), within=workers)
        processes.start(
            "tests.relay", str(tmp_path / "scheduler"), urlsplit(processes.address).netloc, within=schedulers
        )
        processes.start("tests.relay", near, str(tmp_path / "scheduler"))
        for _ in range(WORKERS):
            processes.worker(within=workers)
        with connected(processes, workers=WORKERS, address=f"tls://{near}", security=security) as client:
            assert client.scheduler_info()["address"] == processes.address
            storm(sandbox, client)
    assert "Starting Worker plugin ic-notebook" in processes.log
    warned = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert not [record for record in warned if "TLS" in record.message]
    assert CANARY not in "\n".join(log.lines)
    assert files_with_a_secret(tmp_path) == []


def files_with_a_secret(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
