"""Schedulers and workers as processes of their own: without the package, out of reach, in networks of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

import ic_notebook as ic
from ic_notebook.cluster import share
from ic_notebook.errors import ConfigurationError
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.cluster.clusters import call, name, person, until
from tests.cluster.processes import Processes, connected, end, lacking_the_package
from tests.sessions.people import CREDITS
from tests.sizes import LONG, needs_time

AWAY = 10.0 if LONG else 2.5
"""Seconds for which a scheduler does not answer."""


@pytest.fixture(scope="module")
def processes(tmp_path_factory) -> Iterator[Processes]:
    """A scheduler and two workers that are there for several tests."""
    with Processes(tmp_path_factory.mktemp("processes")) as started:
        started.scheduler()
        started.worker()
        started.worker()
        yield started


@pytest.fixture
def short_lived() -> Iterator:
    with serve_in_thread(
        SandboxSettings(auto_approve=True, rate_limit=0, access_token_lifetime=2)
    ) as sandbox:
        yield sandbox


@needs_time
def test_a_scheduler_needs_no_package_of_ours_and_a_worker_that_lacks_it_is_named(sandbox, tmp_path):
    person(sandbox)
    with Processes(tmp_path) as processes:
        processes.scheduler(*lacking_the_package(tmp_path))
        processes.worker()
        with connected(processes, workers=1) as client:

            def found(dask_scheduler):
                import importlib.util

                return importlib.util.find_spec("ic_notebook")

            def imports(number):
                import ic_notebook

                return ic_notebook.client().get("/public/v1/accounts/credits/").status_code + number

            with pytest.raises(ModuleNotFoundError):
                client.run_on_scheduler(found)
            with share(client):
                assert client.submit(imports, 0).result(timeout=20) == 200
                processes.worker(*lacking_the_package(tmp_path))
                client.wait_for_workers(2, timeout=30)
                lacking = next(
                    w
                    for w, worker in client.scheduler_info()["workers"].items()
                    if worker["name"] == "worker-2"
                )
                failure = client.submit(imports, 1, workers=[lacking]).exception(timeout=20)
                assert name(failure) == "ModuleNotFoundError: No module named 'ic_notebook'"
            assert "This worker lacks ic_notebook" in processes.log
            with pytest.raises(
                ConfigurationError, match=f"1 of 2 workers lack ic_notebook, such as {lacking}"
            ):
                share(client)


def loop_of_calls(seconds: float) -> Counter[int]:
    """A task: calls for so long."""
    ends, statuses = time.monotonic() + seconds, Counter()
    while time.monotonic() < ends:
        statuses[ic.client().get(CREDITS).status_code] += 1
        time.sleep(0.05)
    return statuses


@contextlib.contextmanager
def stopped(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    timer = threading.Timer(seconds, process.send_signal, [signal.SIGCONT])
    timer.start()
    try:
        yield
    finally:
        timer.join()


def test_while_the_scheduler_is_away_tasks_go_on_or_fail_with_what_dask_tries_again(short_lived, processes):
    person(short_lived)
    with connected(processes, workers=2) as client, share(client, rate_limit=None):
        first, second = client.scheduler_info()["workers"]
        assert client.submit(call, workers=[first], pure=False).result(timeout=20) == 200
        going_on = client.submit(loop_of_calls, AWAY + 1, workers=[first])
        impatient = client.submit(loop_of_calls, 1, workers=[second])
        trying = [client.submit(hasty, workers=[second], retries=20, pure=False) for _ in range(2)]
        until(lambda: len(short_lived.requests) > 5, within=20)
        with stopped(processes.schedulers[0], AWAY):
            pass
        statuses = going_on.result(timeout=40)
        assert statuses.keys() == {200}
        assert set(client.gather(trying, errors="raise")) == {200}
        assert impatient.result(timeout=40).keys() == {200}
    refreshes = Counter(refresh.access_token for refresh in short_lived.store.refreshes())
    assert set(refreshes.values()) == {1}


def hasty() -> int:
    """A task that waits for nobody: its token has ended, and the notebook is out of reach for longer."""
    http = ic.client(timeout=0.5)
    for _ in range(30 if LONG else 10):
        assert http.get(CREDITS).status_code == 200
        time.sleep(0.1)
    return 200


def test_with_the_scheduler_gone_a_call_says_so_in_one_line_of_ours(short_lived, processes):
    """Measured on the worker itself: nobody could fetch it."""
    person(short_lived)
    scheduler = processes.schedulers[0]
    with connected(processes, workers=2) as client, share(client, rate_limit=None):
        told = processes.folder / "told"
        until_it_fails = client.submit(write_failure, str(told))
        until(lambda: len(short_lived.requests) > 2, within=20)
        scheduler.send_signal(signal.SIGSTOP)
        until(told.exists, within=20)
        assert told.read_text().startswith("ServiceUnavailable: ")
        scheduler.send_signal(signal.SIGCONT)
        assert until_it_fails.result(timeout=20) is None


def write_failure(path: str) -> None:
    from pathlib import Path

    import ic_notebook as ic

    http, ends = ic.client(timeout=0.5), time.monotonic() + 20
    while time.monotonic() < ends:
        try:
            http.get("/public/v1/accounts/credits/")
        except Exception as failure:
            Path(path).write_text(f"{type(failure).__name__}: {failure}")
            return
        time.sleep(0.1)


def uses(session, http, auth, other) -> list[int]:
    """A task that is given what the notebook has."""
    import httpx

    assert session is ic.session()
    answers = http.get(CREDITS), httpx.get(session.base_url + CREDITS, auth=auth), other.get(CREDITS)
    return [answer.status_code for answer in answers]


def test_what_is_given_to_a_task_survives_a_scheduler_that_has_no_such_sign_in(sandbox, processes):
    """On its way an argument is unpickled by the scheduler, and pickled again."""
    person(sandbox)
    with connected(processes, workers=2) as client, share(client):
        given = ic.session(), ic.client(), ic.session().auth, ic.client(timeout=7)
        assert client.submit(uses, *given, pure=False).result(timeout=20) == [200, 200, 200]


def test_a_killed_notebook_is_an_error_at_once_on_the_workers(sandbox, processes):
    script = (
        "import sys, time, pickle; from distributed import Client; import ic_notebook as ic\n"
        "client = Client(sys.argv[1]); shared = ic.cluster.share(client); print('shared', flush=True); time.sleep(60)"
    )
    environment = os.environ | {"IC_BASE_URL": sandbox.url, "IC_ACCESS_TOKEN": sandbox.store.issue_token()}
    notebook = subprocess.Popen(
        [sys.executable, "-c", script, processes.address], env=environment, stdout=subprocess.PIPE
    )
    try:
        assert notebook.stdout.readline() == b"shared\n"
        with connected(processes, workers=2) as client:
            assert client.submit(call, pure=False).result(timeout=20) == 200
            notebook.kill()
            notebook.wait(5)
            until(lambda: client.submit(call, pure=False).exception(timeout=20), within=2)
            began = time.monotonic()
            failure = client.submit(call, pure=False).exception(timeout=20)
            assert time.monotonic() - began < 1
            assert name(failure).startswith("ServiceUnavailable: The notebook that shares its sign-in")
    finally:
        end(notebook)
        notebook.stdout.close()
