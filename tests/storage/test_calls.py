"""A storage that blocks never holds anybody up: answers by the deadline, and nothing queues behind a stuck call."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from ic_notebook.errors import ConfigurationError, StorageError
from ic_notebook.notices import notices
from ic_notebook.storage import calls as calls_module
from ic_notebook.storage.calls import StorageCalls

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def told_soon(monkeypatch):
    monkeypatch.setattr(calls_module, "TELL_AFTER", 0.05)
    monkeypatch.setattr(calls_module, "_SLICE", 0.02)


@pytest.fixture
def gate():
    """What a stuck call waits for; opened at the end in any case."""
    gate = threading.Event()
    yield gate
    gate.set()


def calls(deadline: float) -> StorageCalls:
    return StorageCalls("your keyring", advice="Unlock it.", deadline=deadline)


async def test_the_caller_gets_what_the_call_returns():
    assert await calls(5).run(lambda: 7) == 7


async def test_an_error_of_ours_comes_through_and_any_other_is_named_without_its_words():
    def ours():
        raise ConfigurationError("no keyring here")

    def foreign():
        raise RuntimeError("the secret is s3cret")

    with pytest.raises(ConfigurationError, match="no keyring here"):
        await calls(5).run(ours)
    with pytest.raises(StorageError, match=r"Your keyring failed \(RuntimeError\)\. Unlock it") as failure:
        await calls(5).run(foreign)
    assert "s3cret" not in str(failure.value)
    assert failure.value.__cause__ is None


async def test_a_stuck_call_is_told_of_and_ends_at_the_deadline(gate):
    shown = []
    stop = notices.watch(lambda: shown.append(notices.latest))
    began = time.monotonic()
    with pytest.raises(StorageError, match=r"Your keyring does not answer\. Unlock it\."):
        await calls(0.3).run(gate.wait)
    stop()
    assert time.monotonic() - began < 3
    assert shown == ["Your keyring does not answer yet. Unlock it.", None]


async def test_nothing_queues_behind_a_stuck_call_and_all_is_well_once_it_has_returned(gate):
    keyring = calls(0.2)
    with pytest.raises(StorageError):
        await keyring.run(gate.wait)
    ran = []
    began = time.monotonic()
    with pytest.raises(StorageError):
        await keyring.run(lambda: ran.append(1))
    assert time.monotonic() - began < 0.15
    assert ran == []
    assert keyring.under_way is not None
    gate.set()
    while keyring.under_way is not None:
        await asyncio.sleep(0.01)
    assert await keyring.run(lambda: "well") == "well"


async def test_calls_come_one_after_the_other():
    keyring, running, most = calls(10), [], []

    def call() -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    await asyncio.gather(*(keyring.run(call) for _ in range(8)))
    assert most == [1] * 8


async def test_calls_of_several_processes_come_one_after_the_other_where_the_storage_needs_it(tmp_path):
    others = [StorageCalls("your keyring", turn=lambda: tmp_path / "state" / "lock") for _ in range(4)]
    running, most = [], []

    def call() -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    await asyncio.gather(*(one.run(call) for one in others for _ in range(4)))
    assert most == [1] * 16


async def test_a_turn_that_never_comes_is_not_waited_for_without_end(tmp_path, gate, monkeypatch):
    monkeypatch.setattr(calls_module, "TURN", 0.1)
    stuck, keyring = (StorageCalls("your keyring", turn=lambda: tmp_path / "lock") for _ in range(2))
    waiting = asyncio.ensure_future(stuck.run(gate.wait))
    while stuck.under_way is None:
        await asyncio.sleep(0.01)
    assert await keyring.run(lambda: 7) == 7
    gate.set()
    await waiting


async def test_a_folder_that_cannot_be_written_does_not_end_the_calls(tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert await StorageCalls("your keyring", turn=lambda: tmp_path / "file" / "lock").run(lambda: 7) == 7


async def test_giving_up_ends_the_wait_at_once(gate):
    keyring = calls(30)
    waiting = asyncio.ensure_future(keyring.run(gate.wait))
    while keyring.under_way is None:
        await asyncio.sleep(0.01)
    keyring.give_up()
    with pytest.raises(StorageError):
        await asyncio.wait_for(waiting, 2)


async def test_a_cancelled_caller_leaves_the_call_to_its_end_and_shows_nothing(gate):
    keyring = calls(30)
    waiting = asyncio.ensure_future(keyring.run(gate.wait))
    while notices.latest is None:
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert notices.latest is None
    assert keyring.under_way is not None


def test_a_process_with_a_stuck_call_ends_at_once():
    script = """
import asyncio, threading
from ic_notebook.errors import StorageError
from ic_notebook.storage.calls import StorageCalls
try:
    asyncio.run(StorageCalls("it", deadline=0.2).run(threading.Event().wait))
except StorageError as error:
    print(error)
"""
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stdout.strip() == "It does not answer."
    assert time.monotonic() - began < 10


def test_a_forked_child_does_not_wait_for_its_parents_stuck_call():
    script = """
import asyncio, os, threading, warnings
from ic_notebook.errors import StorageError
from ic_notebook.storage.calls import StorageCalls
warnings.simplefilter("ignore")
calls = StorageCalls("it", deadline=0.2)
try:
    asyncio.run(calls.run(threading.Event().wait))
except StorageError:
    pass
if (child := os.fork()) == 0:
    print(asyncio.run(calls.run(lambda: "in the child")), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert ended.stdout == "in the child\n"
