from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ic_notebook import background as module
from ic_notebook.background import Background

others: set[threading.Thread] = set()
"""What runs before a test begins: a sign-in of another test may linger for a minute."""


@pytest.fixture(autouse=True)
def _note_the_others() -> None:
    others.clear()
    others.update(threading.enumerate())


@pytest.fixture
def background() -> Iterator[Background]:
    ours = Background()
    yield ours
    ours.close()


def until(true: Callable[[], bool], *, within: float = 5.0) -> None:
    """Wait until something is so, and fail if it never is."""
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.002)


def threads_of(name: str = "ic_notebook") -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == name and each not in others]


async def answer(value: int = 42) -> int:
    await asyncio.sleep(0)
    return value


async def for_ever() -> None:
    await asyncio.Event().wait()


def test_nothing_runs_before_something_is_to_be_done(background: Background) -> None:
    assert not background.running
    background.close()
    assert not background.running


def test_thread_starts_on_first_need_and_is_gone_after_the_linger(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER", 0.05)
    seen: list[threading.Thread] = []

    async def note() -> None:
        seen.append(threading.current_thread())

    background.run(note)
    assert background.running
    (thread,) = seen
    assert thread.daemon
    assert thread is not threading.current_thread()
    until(lambda: not thread.is_alive())
    assert not background.running
    assert background.run(answer) == 42


def test_thread_stays_while_something_runs(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LINGER", 0.0)
    waiting = background.submit(for_ever)
    for _ in range(20):
        background.run(answer)
    assert background.running
    assert not waiting.done()
    waiting.cancel()
    until(lambda: not background.running)


def test_results_and_errors_come_back(background: Background) -> None:
    async def fail() -> None:
        raise LookupError("words")

    assert background.submit(answer, 7).result(timeout=5) == 7
    assert background.run(answer, value=8) == 8
    with pytest.raises(LookupError, match="words"):
        background.run(fail)
    assert isinstance(background.submit(fail).exception(timeout=5), LookupError)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_exit_within_a_task_reaches_its_caller_and_nobody_else(
    background: Background, kind: type[BaseException]
) -> None:
    async def leave() -> None:
        raise kind(3)

    other = background.submit(asyncio.sleep, 0.2, result="done")
    with pytest.raises(kind):
        background.run(leave)
    assert other.result(timeout=5) == "done"
    assert background.run(answer) == 42


def test_cancelling_the_future_cancels_the_task(background: Background) -> None:
    cancelled, begun = threading.Event(), threading.Event()

    async def wait() -> None:
        begun.set()
        try:
            await for_ever()
        finally:
            cancelled.set()

    future = background.submit(wait)
    assert begun.wait(5)
    assert future.cancel()
    assert cancelled.wait(5)
    with pytest.raises(concurrent.futures.CancelledError):
        background.wait(future)


def test_task_that_cancels_itself_ends_its_future(background: Background) -> None:
    async def give_up() -> None:
        raise asyncio.CancelledError

    future = background.submit(give_up)
    with pytest.raises(concurrent.futures.CancelledError):
        background.wait(future, timeout=5)
    assert future.cancelled()


def test_work_that_must_finish_is_not_ended_by_cancelling(background: Background) -> None:
    go, done = threading.Event(), threading.Event()

    async def work() -> None:
        while not go.is_set():
            await asyncio.sleep(0.001)
        done.set()

    future = background.submit_to_finish(work)
    future.cancel()
    go.set()
    assert done.wait(5)
    assert background.run(answer) == 42


def test_wait_ends_at_its_time_and_the_work_goes_on(background: Background) -> None:
    go = threading.Event()

    async def work() -> str:
        while not go.is_set():
            await asyncio.sleep(0.001)
        return "done"

    future = background.submit(work)
    for timeout in (0.0, -1.0, 0.01, 0.3):
        with pytest.raises(TimeoutError):
            background.wait(future, timeout=timeout)
    go.set()
    assert background.wait(future, timeout=5) == "done"
    assert background.wait(future, timeout=0) == "done"


def test_time_out_of_the_work_itself_is_its_own(background: Background) -> None:
    async def too_late() -> None:
        await asyncio.sleep(0.25)
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work") as failure:
        background.run(too_late)
    assert failure.value.__context__ is None


def test_waiting_on_the_thread_for_itself_is_refused(background: Background) -> None:
    async def wrong() -> None:
        background.wait(concurrent.futures.Future())

    with pytest.raises(RuntimeError, match="would never end"):
        background.run(wrong)


def test_work_has_begun_once_its_caller_has_held_back_for_it(background: Background) -> None:
    began: list[float] = []

    async def work() -> None:
        began.append(time.monotonic())
        await asyncio.sleep(30)

    before = time.monotonic()
    endless = background.submit(work)
    background.head_start(endless)
    held = time.monotonic() - before
    until(lambda: bool(began))
    assert 0.004 < held < 5
    endless.cancel()
    background.head_start(endless)


def test_the_thread_does_not_hold_back_for_itself(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HEAD_START", 30.0)

    async def asks() -> bool:
        work = background.submit(answer)
        background.head_start(work)
        return work.done()

    assert background.submit(asks).result(10) is False


def test_tasks_may_submit_tasks(background: Background) -> None:
    async def outer() -> int:
        return await asyncio.wrap_future(background.submit(answer, 5))

    assert background.run(outer) == 5


def test_thousand_submits_of_32_threads_all_end(background: Background) -> None:
    results: list[int] = []

    def work(thread: int) -> None:
        futures = [background.submit(answer, thread * 100 + number) for number in range(32)]
        results.extend(future.result(timeout=20) for future in futures)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=30)
    assert sorted(results) == sorted(thread * 100 + number for thread in range(32) for number in range(32))
    assert background._submitted == background._to_finish == 0


def test_no_task_is_lost_where_the_idle_end_and_a_submit_meet(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER", 0.0)
    starts = set()

    async def note(value: int) -> int:
        starts.add(threading.get_ident())
        return value

    def work(offset: int) -> None:
        for number in range(500):
            assert background.submit(note, offset + number).result(timeout=5) == offset + number
            if number % 3 == 0:
                # Let the idle end get in between.
                time.sleep(0)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(work, 0), pool.submit(work, 1000)]:
            each.result(timeout=60)
    until(lambda: not background.running)
    assert background._submitted == 0
    until(lambda: not threads_of())


def test_thousand_starts_and_ends_leave_no_thread_and_no_file_descriptor(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LINGER", 0.0)
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("counts descriptors in /proc")
    gc.collect()
    before = len(list(descriptors.iterdir()))
    for number in range(1000):
        assert background.run(answer, number) == number
        if number % 2:
            until(lambda: not background.running)
    until(lambda: not threads_of())
    # A few may be of whatever else this process has begun meanwhile; a leak has one for each start.
    assert len(list(descriptors.iterdir())) < before + 100


def test_thread_that_cannot_start_is_an_error_and_not_a_wait_for_ever(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more)
        with pytest.raises(RuntimeError, match="can't start"):
            background.submit(answer)
        assert not background.running
    gc.collect()
    assert background.submit(answer).result(timeout=5) == 42


def test_close_lets_finish_what_must_even_if_it_had_not_begun(background: Background) -> None:
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0.05)
        done.append(number)

    for number in range(20):
        background.submit_to_finish(work, number)
    background.close()
    assert sorted(done) == list(range(20))
    until(lambda: not background.running)


def test_close_waits_for_a_bound_only(background: Background, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXIT_GRACE", 0.2)
    futures = [background.submit_to_finish(for_ever), background.submit(for_ever)]
    began = time.monotonic()
    background.close()
    assert 0.2 <= time.monotonic() - began < 2
    until(lambda: all(future.cancelled() for future in futures))


def test_grace_at_an_exit_is_five_seconds() -> None:
    assert module.EXIT_GRACE == 5.0


def test_close_of_an_idle_thread_costs_nothing(background: Background) -> None:
    background.run(answer)
    began = time.monotonic()
    background.close()
    assert time.monotonic() - began < 0.09
    assert not background.running
    assert background.run(answer) == 42


def test_task_that_will_not_be_cancelled_does_not_hold_up_a_close(background: Background) -> None:
    async def stubborn() -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue

    background.submit(stubborn)
    background.run(answer)
    began = time.monotonic()
    background.close()
    assert time.monotonic() - began < 3
    gc.collect()


def test_all_who_wait_in_a_loop_are_woken_together(background: Background) -> None:
    work: concurrent.futures.Future[int] = concurrent.futures.Future()

    async def wait() -> int:
        await module.until_done(work, timeout=None)
        return work.result()

    async def together() -> list[int]:
        waiting = [asyncio.ensure_future(wait()) for _ in range(20)]
        impatient = asyncio.ensure_future(asyncio.wait_for(wait(), 0.01))
        with pytest.raises(asyncio.TimeoutError):
            await impatient
        assert len([key for key in module._waiting if key[0] is work]) == 1
        threading.Timer(0.01, work.set_result, [7]).start()
        return await asyncio.gather(*waiting)

    assert asyncio.run(together()) == [7] * 20
    assert work not in [key[0] for key in module._waiting]


def test_work_that_outlives_the_loop_of_who_waited_tells_nobody(caplog: pytest.LogCaptureFixture) -> None:
    work: concurrent.futures.Future[int] = concurrent.futures.Future()

    async def give_up() -> None:
        await module.until_done(work, timeout=0.01)

    asyncio.run(give_up())
    work.set_result(7)
    assert caplog.records == []
    assert work not in [key[0] for key in module._waiting]


def test_look_up_of_a_name_gives_its_addresses_and_its_errors(
    background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def look_up(host: str) -> object:
        return await asyncio.get_running_loop().getaddrinfo(host, 80)

    assert background.run(look_up, "127.0.0.1")
    with pytest.raises(OSError):
        background.run(look_up, "nowhere.invalid")
    hanging, go = threading.Event(), threading.Event()

    def hang(*_args: object, **_options: object) -> list[object]:
        hanging.set()
        go.wait(10)
        return []

    monkeypatch.setattr(module.socket, "getaddrinfo", hang)
    future = background.submit(look_up, "x.example")
    assert hanging.wait(5)
    until(lambda: len(threads_of("ic_notebook-dns")) == 1)  # those of the look-ups above are at their end
    (thread,) = threads_of("ic_notebook-dns")
    assert thread.daemon
    future.cancel()
    background.close()
    go.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
