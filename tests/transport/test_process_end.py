"""How a process ends, is interrupted and forks while the background thread is at work; real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = """
import asyncio, os, sys, threading, time
import ic_notebook.background as module
from ic_notebook.background import background

def say(*words):
    # In one piece, whatever other threads say.
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

async def for_ever():
    say("waiting")
    try:
        await asyncio.Event().wait()
    finally:
        say("cleaned up")

async def answer(value=42):
    await asyncio.sleep(0)
    return value
"""


def start(script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HEAD + textwrap.dedent(script)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, *, within: float = 15.0) -> tuple[str, str, float]:
    """What a script wrote, and the seconds that its end took from `say("end")` on."""
    process = start(script)
    assert process.stdout is not None
    written, ended = [], None
    for line in process.stdout:
        written.append(line)
        if line == "end\n":
            ended = time.monotonic()
    _, errors = process.communicate(timeout=within)
    assert process.returncode == 0, errors
    return "".join(written), errors, time.monotonic() - (ended or time.monotonic())


def test_script_that_ends_while_a_task_waits_for_ever_ends() -> None:
    written, errors, took = run("""
        background().submit(for_ever)
        background().run(answer)
        say("end")
    """)
    assert "cleaned up" in written
    assert errors == ""
    assert took < 3


def test_script_ends_while_a_look_up_of_a_name_hangs() -> None:
    _, errors, took = run("""
        import socket
        from ic_notebook.oauth.registration import ClientMetadata, register
        from ic_notebook.transport import Transport

        hanging = threading.Event()
        def hang(*args, **options):
            hanging.set()
            threading.Event().wait()
        socket.getaddrinfo = hang
        client = ClientMetadata(client_name="n", redirect_uris=("http://127.0.0.1:1/cb",))
        background().submit(Transport().drive, register("https://api.invalid/r/", client))
        assert hanging.wait(10)
        say("end")
    """)
    assert errors == ""
    assert took < 3


def test_exit_waits_for_work_that_must_finish_even_if_it_had_not_begun() -> None:
    written, errors, took = run("""
        async def work():
            await asyncio.sleep(0.5)
            say("finished")
        background().submit_to_finish(work)
        say("end")
    """)
    assert "finished" in written
    assert errors == ""
    assert took < 3


def test_exit_waits_no_longer_than_its_grace() -> None:
    written, errors, took = run("""
        module.EXIT_GRACE = 0.5
        background().submit_to_finish(for_ever)
        say("end")
    """)
    assert "cleaned up" in written
    assert errors == ""
    assert 0.4 < took < 3


def test_uncaught_error_ends_the_script_as_well() -> None:
    process = start("background().submit(for_ever); background().run(answer); 1 / 0")
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert "ZeroDivisionError" in errors


@pytest.mark.parametrize(
    "call", ["background().run(for_ever)", "background().wait(background().submit(for_ever))"]
)
def test_wait_hears_an_interrupt_at_once(call: str) -> None:
    process = start(f"""
        try:
            {call}
        except KeyboardInterrupt:
            say("interrupted", len(module._background._tasks))
        deadline = time.monotonic() + 5
        while "run" in {call!r} and module._background._tasks and time.monotonic() < deadline:
            time.sleep(0.002)
        say("tasks", len(module._background._tasks))
        assert background().run(answer) == 42
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    while not process.stdout.readline().startswith("interrupted"):
        assert time.monotonic() - began < 5
    assert time.monotonic() - began < 1
    written = process.stdout.read()
    assert process.communicate(timeout=10) == ("", "")
    assert process.returncode == 0
    assert f"tasks {0 if 'run' in call else 1}" in written


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")


@forks
def test_multiprocessing_with_fork_works_in_the_child_and_in_the_parent() -> None:
    written, errors, _ = run("""
        import multiprocessing

        def work(number):
            return background().run(answer, number)

        assert background().run(answer) == 42
        waiting = background().submit(for_ever)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(work, range(20)) == list(range(20))
            pool.close()
            pool.join()
        assert background().run(answer, 7) == 7
        assert not waiting.done()
        say("end")
    """)
    assert written.count("cleaned up") == 1
    assert errors == ""


@forks
def test_fork_while_a_request_is_under_way_leaves_it_to_the_parent() -> None:
    """The selector is shared with the child: what it takes out there the parent would never hear of."""
    written, errors, _ = run("""
        import contextlib, gc, socket
        server = socket.create_server(("127.0.0.1", 0))

        async def ask():
            reader, writer = await asyncio.open_connection("127.0.0.1", server.getsockname()[1])
            try:
                say("asked")
                return await reader.readline()
            finally:
                writer.close()

        future = background().submit(ask)
        connection, _ = server.accept()
        background().run(answer)
        child = os.fork()
        if child == 0:
            assert not background().running
            assert background().run(answer) == 42
            # However hard the child clears up after the parent:
            for transport in [each for each in gc.get_objects() if isinstance(each, asyncio.Transport)]:
                with contextlib.suppress(RuntimeError, AttributeError):  # as a closed selector answers
                    transport.abort()
            gc.collect()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        connection.sendall(b"answered\\n")
        assert background().wait(future, timeout=5) == b"answered\\n"
        assert background().run(answer) == 42
        connection.close()
        server.close()
        say("end")
    """)
    assert "asked" in written
    assert errors == ""


@forks
def test_forked_child_that_ends_in_the_ordinary_way_leaves_a_request_to_the_parent() -> None:
    written, errors, _ = run("""
        import socket
        server = socket.create_server(("127.0.0.1", 0))

        async def ask():
            reader, writer = await asyncio.open_connection("127.0.0.1", server.getsockname()[1])
            try:
                return await reader.readline()
            finally:
                writer.close()
                say("asked")

        future = background().submit(ask)
        connection, _ = server.accept()
        background().run(answer)
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            connection.sendall(b"answered\\n")
            assert background().wait(future, timeout=5) == b"answered\\n"
            say("end")
        connection.close()
        server.close()
    """)
    assert written == "asked\nend\n"
    assert errors == ""


@forks
def test_forked_child_that_ends_in_the_ordinary_way_says_nothing_and_ends() -> None:
    written, errors, took = run("""
        background().submit(for_ever)
        background().run(answer)
        child = os.fork()
        if child:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert background().run(answer) == 42
            say("end")
        else:
            assert background().run(answer) == 42
    """)
    assert written.count("cleaned up") == 1
    assert errors == ""
    assert took < 3


@forks
def test_holders_hear_of_a_fork_in_the_child_alone() -> None:
    written, _, _ = run("""
        class Holder:
            def __init__(self, name): self.name = name
            def after_fork(self): say(self.name, "forked in", "child" if os.getpid() != parent else "parent")

        parent = os.getpid()
        kept, gone = Holder("kept"), Holder("gone")
        for holder in (kept, gone): module.reset_after_fork(holder)
        del holder, gone
        child = os.fork()
        if child == 0: os._exit(0)
        os.waitpid(child, 0)
        say("end")
    """)
    assert written == "kept forked in child\nend\n"


@forks
def test_fork_while_another_thread_submits_never_blocks_the_child() -> None:
    _, errors, _ = run(
        """
        ended = threading.Event()
        def keep_busy():
            while not ended.is_set():
                background().run(answer)
        threads = [threading.Thread(target=keep_busy) for _ in range(2)]
        for each in threads: each.start()
        for _ in range(30):
            child = os.fork()
            if child == 0:
                os._exit(0 if background().run(answer) == 42 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        ended.set()
        for each in threads: each.join()
        say("end")
    """,
        within=30,
    )
    assert errors == ""
