"""The limit of calls: the budget of the notebook, the lots that a worker takes, and clients that wait."""

from __future__ import annotations

import concurrent.futures
import itertools
import random

import pytest

from ic_notebook.cluster import leases
from ic_notebook.cluster.budget import MARGIN, PERIOD, Budget
from ic_notebook.cluster.leases import Lease
from ic_notebook.errors import ServiceUnavailable
from ic_notebook.sessions.client import AsyncSessionClient, SessionClient
from ic_notebook.sessions.patience import Pace
from tests.cluster.clusters import call, person
from tests.sessions.people import CREDITS, Clock

ROUND = PERIOD + MARGIN


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_full_budget_gives_all_at_once_and_the_next_a_round_later(clock):
    budget = Budget(3, clock=clock)
    assert budget.take(5, within=10) == [0.0, 0.0, 0.0]
    assert (budget.left, budget.pause) == (0, ROUND)
    clock.now += 2
    assert budget.take(2, within=ROUND) == [ROUND - 2, ROUND - 2]
    assert budget.take(9, within=2 * ROUND) == [ROUND - 2, 2 * ROUND - 2, 2 * ROUND - 2, 2 * ROUND - 2]
    clock.now += 3 * ROUND
    assert budget.left == 3


@pytest.mark.parametrize("seed", range(5))
def test_no_window_ever_sees_more_than_the_limit_however_late_a_call_comes_within_the_margin(clock, seed):
    chance, budget, limit, counted = random.Random(seed), Budget(20, clock=clock), 20, []
    for _ in range(400):
        clock.now += chance.expovariate(1)
        for delay in budget.take(chance.randrange(4), within=30):
            counted.append(clock.now + delay + chance.uniform(0, MARGIN - 0.001))
    counted.sort()
    assert len(counted) > 100
    assert all(late - early > PERIOD for early, late in zip(counted, counted[limit:], strict=False))


def test_a_budget_whose_limit_changes_keeps_count(clock):
    budget = Budget(4, clock=clock)
    budget.take(4, within=0)
    budget.limit = 6
    assert len(budget.take(9, within=0)) == 2
    budget.limit = 2
    assert budget.take(1, within=0) == []


def test_who_would_wait_too_long_is_told_for_how_long(clock):
    budget = Budget(1, clock=clock)
    assert budget.ask(within=1).result() == 0.0
    with pytest.raises(
        ServiceUnavailable, match="the next is free in 62 s, after this call's time limit"
    ) as told:
        budget.ask(within=30).result()
    assert told.value.retry_after == ROUND


class Notebook:
    """Answers a lease's questions out of a budget when it is told to."""

    def __init__(self, clock: Clock, limit: int = 1000) -> None:
        self.budget = Budget(limit, clock=clock)
        self.questions: list[dict] = []
        self.answers: list[concurrent.futures.Future] = []

    def ask(self, question: dict, *, within: float) -> concurrent.futures.Future:
        self.questions.append(question)
        self.answers.append(concurrent.futures.Future())
        return self.answers[-1]

    def reply(self) -> None:
        question, answer = self.questions[-1], self.answers[-1]
        delays = self.budget.take(question["calls"], within=question["within"])
        delays += self.budget.take(question["ahead"], within=0)
        answer.set_result({"delays": delays, "pause": self.budget.pause})


def test_callers_that_come_together_share_one_question_and_are_served_in_turn(clock):
    notebook = Notebook(clock)
    lease = Lease(notebook.ask, clock=clock)
    first, *others = [lease.ask(within=10) for _ in range(5)]
    assert len(notebook.questions) == 1
    notebook.reply()
    assert first.result(timeout=1) == 0.0
    assert [question["calls"] for question in notebook.questions] == [1, 4]
    notebook.reply()
    assert [other.result(timeout=1) for other in others] == [0.0] * 4


def test_a_busy_worker_takes_ever_more_ahead_and_an_idle_one_nothing(clock):
    notebook = Notebook(clock)
    lease = Lease(notebook.ask, clock=clock)

    def one() -> None:
        answer = lease.ask(within=10)
        if not answer.done():
            notebook.reply()
        assert answer.result(timeout=1) == 0.0

    for _ in range(100):
        clock.now += 0.01
        one()
    asked = [question["ahead"] for question in notebook.questions]
    assert asked[:6] == [0, 1, 2, 4, 8, 16]
    assert max(asked) == leases.LOT
    assert len(asked) < 12
    for _ in range(5):
        clock.now += 5
        one()
    assert [question["ahead"] for question in notebook.questions[-5:]] == [0] * 5


def test_a_turn_that_was_kept_too_long_is_not_used(clock):
    notebook = Notebook(clock)
    lease = Lease(notebook.ask, clock=clock)
    for _ in range(2):
        lease.ask(within=10)
        notebook.reply()
    clock.now += leases.LIFE + 0.01
    lease.ask(within=10)
    assert len(notebook.questions) == 3


def test_a_caller_that_gave_up_leaves_its_turn_to_the_next(clock):
    notebook = Notebook(clock)
    lease = Lease(notebook.ask, clock=clock)
    gone, stays = lease.ask(within=10), lease.ask(within=10)
    assert gone.cancel()
    notebook.reply()
    assert stays.result(timeout=1) == 0.0
    assert len(notebook.questions) == 1


def test_who_can_wait_gets_a_later_turn_and_who_cannot_is_told(clock):
    notebook = Notebook(clock, limit=1)
    lease = Lease(notebook.ask, clock=clock)
    first = lease.ask(within=10)
    patient, hasty = lease.ask(within=100), lease.ask(within=10)
    notebook.reply()
    notebook.reply()
    assert (first.result(timeout=1), patient.result(timeout=1)) == (0.0, ROUND)
    assert type(hasty.exception(timeout=1)) is ServiceUnavailable


def test_a_question_that_fails_is_the_callers_error_and_the_next_asks_anew(clock):
    notebook = Notebook(clock)
    lease = Lease(notebook.ask, clock=clock)
    unlucky = lease.ask(within=10)
    notebook.answers[-1].set_exception(ServiceUnavailable("gone"))
    assert str(unlucky.exception(timeout=1)) == "gone"
    lucky = lease.ask(within=10)
    notebook.reply()
    assert lucky.result(timeout=1) == 0.0


class Slow:
    """A limiter whose turns come after so many seconds, as they are given."""

    def __init__(self, *delays: float) -> None:
        self.delays, self.within = itertools.cycle(delays), []

    def ask(self, *, within: float) -> concurrent.futures.Future:
        self.within.append(within)
        answer: concurrent.futures.Future = concurrent.futures.Future()
        answer.set_result(next(self.delays))
        return answer


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_client_waits_for_its_turn_before_each_send_and_then_has_its_time(
    sandbox, anyio_backend, kind, caplog
):
    session, waits = person(sandbox), []

    async def wait(seconds: float) -> None:
        waits.append(seconds)

    pace = Pace(wait=waits.append, wait_async=wait)
    session.turns.limiter = limiter = Slow(40.0, 0.0)
    made = session.client(pace=pace) if kind == "sync" else session.async_client(pace=pace)
    assert type(made) is (SessionClient if kind == "sync" else AsyncSessionClient)
    for _ in range(2):
        answer = made.get(CREDITS)
        assert (answer if kind == "sync" else await answer).status_code == 200
    assert waits == [40.0, 0.0]
    assert limiter.within == [pytest.approx(120, abs=1)] * 2
    assert "The account's limit of calls a minute is reached. Going on in 40 s." in caplog.text
    if kind == "sync":
        made.close()
    else:
        await made.aclose()


def test_the_notebooks_own_calls_count_too(sandbox, client, shares):
    session = person(sandbox)
    shared = shares(client, rate_limit=7)
    for _ in range(2):
        assert session.client().get(CREDITS).status_code == 200
    assert client.submit(call, pure=False).result(timeout=20) == 200
    assert shared.session.turns.limiter.left == 4
    assert [client.submit(call, pure=False).result(timeout=20) for _ in range(4)] == [200] * 4
    failure = client.submit(call, timeout=5, pure=False).exception(timeout=20)
    assert str(failure).startswith(
        "The account's limit of calls a minute is reached, and the next is free in"
    )
    with session.client(timeout=5) as hasty, pytest.raises(ServiceUnavailable):
        hasty.get(CREDITS)
    assert session.credits() == 627.13
    again = shares(client, rate_limit=7)
    assert "7 calls a minute, 0 of them left now" in repr(again)
    unlimited = shares(client, rate_limit=None)
    assert "no limit of calls" in repr(unlimited)
    assert client.submit(call, timeout=5, pure=False).result(timeout=20) == 200
    assert session.client().get(CREDITS).status_code == 200


def test_a_cluster_that_waits_is_told_of_in_the_notebook_and_on_the_worker(
    sandbox, client, shares, caplog, monkeypatch
):
    monkeypatch.setattr("ic_notebook.cluster.budget.PERIOD", 1.0)
    person(sandbox)
    shares(client, rate_limit=2)
    assert client.gather(client.map(call, range(3), pure=False)) == [200] * 3
    assert "The cluster waits for the account's limit of 2 calls a minute. Going on in" in caplog.text
