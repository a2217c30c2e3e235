"""A refresh that was sent runs to its end and is saved, whatever becomes of whoever asked for it."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ic_notebook as ic
from ic_notebook import background
from tests.sessions.people import Caller, refreshes, seen, signed_in

pytestmark = pytest.mark.anyio


def stale_session(sandbox, *, delay: float):
    session = signed_in(sandbox)
    sandbox.store.end_access_tokens()
    sandbox.settings = dataclasses.replace(sandbox.settings, token_delay=delay)
    return session


async def test_a_refresh_goes_on_when_its_caller_is_cancelled(sandbox):
    session = stale_session(sandbox, delay=0.6)
    first = session._source.current()
    caller = Caller(session, "async", timeout=20)
    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.wait_for(caller.get(), 0.3)
    assert session._source.current() is first
    assert (await caller.get()).status_code == 200
    assert refreshes(sandbox) == 1
    await caller.close()


async def test_a_refresh_goes_on_when_the_callers_loop_has_ended(sandbox):
    session = stale_session(sandbox, delay=0.6)

    async def give_up() -> None:
        caller = Caller(session, "async", timeout=20)
        try:
            await asyncio.wait_for(caller.get(), 0.3)
        finally:
            await caller.close()

    with pytest.raises((TimeoutError, asyncio.TimeoutError)):
        await asyncio.to_thread(asyncio.run, give_up())
    with session.client(timeout=20) as client:
        assert client.get("/public/v1/accounts/credits/").status_code == 200
    assert refreshes(sandbox) == 1


async def test_a_refresh_goes_on_when_its_waiter_runs_out_of_time(sandbox):
    session = stale_session(sandbox, delay=0.4)
    renewal = session._source.replace(session._source.current())
    with pytest.raises(TimeoutError):
        background.background().wait(renewal, timeout=0.05)
    assert session.credits() == 627.13
    assert refreshes(sandbox) == 1


PRELUDE = """
import atexit, os, signal, sys, threading, time
def told():
    if told.session is not None:
        print("renewed" if told.session._source.current() is not told.first else "as before", flush=True)
    if told.client is not None:
        print("closed" if told.client.is_closed else "open", flush=True)
told.session = told.client = None
atexit.register(told)  # registered first, so it is the last to run
import ic_notebook as ic
from tests.sessions.people import approve
session = ic.connect(open_url=lambda url: threading.Thread(target=approve, args=(url,)).start(), timeout=20)
first = session._source.current()
"""


def test_a_refresh_goes_on_when_its_caller_is_interrupted(sandbox, tmp_path):
    script = """
def interrupt():
    while not session._source._flights:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)
sys.stdin.readline()
threading.Thread(target=interrupt).start()
try:
    session.client().get("/public/v1/accounts/credits/")
except KeyboardInterrupt:
    print("interrupted", session._source.current() is first)
print(session.client().get("/public/v1/accounts/credits/").status_code)
"""
    assert stale(script, sandbox, tmp_path, delay=0.5) == ["interrupted True", "200"]
    assert seen(sandbox)[-2:] == ["POST token 200", "GET credits 200"]
    assert refreshes(sandbox) == 1


def test_an_exit_waits_for_a_refresh_that_is_under_way(sandbox, tmp_path):
    script = """
told.session, told.first = session, first
sys.stdin.readline()
session._source.replace(first)
"""
    assert stale(script, sandbox, tmp_path, delay=0.8) == ["renewed"]
    assert refreshes(sandbox) == 1


def test_an_exit_waits_for_a_refresh_for_a_bounded_time(new_sandbox, tmp_path):
    script = """
from ic_notebook import background
assert background.EXIT_GRACE == 5.0
background.EXIT_GRACE = 0.5
told.session, told.first = session, first
sys.stdin.readline()
session._source.replace(first)
"""
    began = time.monotonic()
    # One of its own: nobody waits for this answer, which is recorded once it is sent.
    assert stale(script, new_sandbox(), tmp_path, delay=30) == ["as before"]
    assert time.monotonic() - began < 25


def stale(script: str, sandbox, tmp_path, *, delay: float) -> list[str]:
    """What a script prints that signs in, says so by asking for a line, and finds its token ended."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + "print('in', flush=True)\n" + script],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "PYTHONPATH": str(Path.cwd()),
            "IC_BASE_URL": sandbox.url,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "in\n", process.stderr.read()
        sandbox.store.end_access_tokens()
        sandbox.requests.clear()
        sandbox.settings = dataclasses.replace(sandbox.settings, token_delay=delay)
        output, errors = process.communicate("go\n", timeout=40)
    assert process.returncode == 0, errors
    assert errors == ""
    return output.split("\n")[:-1]


def test_a_client_is_closed_at_exit(sandbox, tmp_path):
    script = """
told.client = session.client()
sys.stdin.readline()
told.client.get("/public/v1/accounts/credits/").raise_for_status()
"""
    assert stale(script, sandbox, tmp_path, delay=0) == ["closed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_forked_children_call_but_leave_the_renewal_to_the_parent(sandbox, tmp_path):
    script = """
import multiprocessing
client = session.client()
def child(alive):
    assert ic.client() is not client
    try:
        assert ic.client().get("/public/v1/accounts/credits/").status_code == 200
        assert session.credits() == 627.13
        assert alive
    except ic.SignInRequired as error:
        assert "only the process that signed in" in str(error)
        assert not alive
    print("child", flush=True)
def in_children(alive):
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=child, args=(alive,)) for _ in range(3)]
    for each in children: each.start()
    for each in children: each.join(20)
    assert [each.exitcode for each in children] == [0, 0, 0]
sys.stdin.readline()
in_children(alive=False)
assert client.get("/public/v1/accounts/credits/").status_code == 200
assert session._source.current() is not first
in_children(alive=True)
print("parent", flush=True)
"""
    assert stale(script, sandbox, tmp_path, delay=0) == [*["child"] * 6, "parent"]
    assert refreshes(sandbox) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_calls_own_time_limit_bounds_its_wait_for_a_refresh_which_goes_on(sandbox, kind):
    session = stale_session(sandbox, delay=0.8)
    first = session._source.current()
    caller = Caller(session, kind, timeout=0.2)
    with pytest.raises(ic.ServiceUnavailable, match="send the call again"):
        await caller.get()
    assert session._source.current() is first
    patient = Caller(session, kind, timeout=20)
    assert (await patient.get()).status_code == 200
    assert refreshes(sandbox) == 1
    await caller.close()
    await patient.close()
