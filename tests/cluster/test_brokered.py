"""A worker's tokens: asked for once for all, aged by its own clock, forgotten when they have to be."""

from __future__ import annotations

import concurrent.futures
import json

import pytest

from ic_notebook.cluster.brokered import AHEAD, REST, BrokeredTokens
from ic_notebook.cluster.link import PATIENCE, _read, failure_fields
from ic_notebook.errors import (
    ForeignOrigin,
    ICNotebookError,
    OAuthError,
    ServiceUnavailable,
    SignInRequired,
    StorageError,
    UnexpectedAnswer,
)
from tests.sessions.people import Clock


class Notebook:
    """A link whose answers are given when they are told to."""

    def __init__(self) -> None:
        self.questions: list[tuple[int, float]] = []
        self.answers: list[concurrent.futures.Future] = []

    def ask(self, question: dict, *, within: float) -> concurrent.futures.Future:
        self.questions.append((question["refused"], within))
        self.answers.append(concurrent.futures.Future())
        return self.answers[-1]

    def give(self, number: int, *, lifetime: float | None = 60.0, due_in: float | None = 54.0) -> None:
        token = {"number": number, "access_token": f"a-{number}", "lifetime": lifetime, "due_in": due_in}
        self.answers[-1].set_result({"token": token, "refreshed": number > 1})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def tokens(notebook, clock) -> BrokeredTokens:
    return BrokeredTokens(notebook, monotonic=clock)


def had(tokens: BrokeredTokens, notebook: Notebook, number: int = 1, **options):
    """The token of this number, asked for and given."""
    renewal = tokens.renew(tokens.current())
    notebook.give(number, **options)
    return renewal.result(timeout=1).tokens


def test_before_the_first_answer_there_is_one_question_whoever_asks(tokens, notebook):
    none = tokens.current()
    assert (tokens.due(none), tokens.expired(none), none.access_token) == (True, True, "")
    renewals = [tokens.renew(none) for _ in range(5)]
    assert notebook.questions == [(0, PATIENCE)]
    notebook.give(1)
    assert {renewal.result(timeout=1).tokens.access_token for renewal in renewals} == {"a-1"}
    assert tokens.current().refresh_token is None
    assert not tokens.due(tokens.current())


def test_its_life_is_counted_from_the_question_by_this_clock(tokens, notebook, clock):
    renewal = tokens.renew(tokens.current())
    clock.now += 10
    notebook.give(1)
    held = renewal.result(timeout=1).tokens
    clock.now += 43.9
    assert not tokens.due(held)
    clock.now += 0.2
    assert tokens.due(held)
    assert not tokens.expired(held)
    clock.now += 6
    assert tokens.expired(held)


def test_a_token_of_unknown_life_is_never_due(tokens, notebook, clock):
    held = had(tokens, notebook, lifetime=None, due_in=None)
    clock.now += 1e6
    assert (tokens.due(held), tokens.expired(held)) == (False, False)


def test_a_refused_token_is_named_by_its_number_and_asked_about_once(tokens, notebook):
    held = had(tokens, notebook, 7)
    renewals = [tokens.replace(held) for _ in range(3)]
    assert notebook.questions[1:] == [(7, PATIENCE)]
    notebook.give(8)
    assert {renewal.result(timeout=1).tokens.access_token for renewal in renewals} == {"a-8"}
    assert renewals[0].result().refreshed
    late = tokens.replace(held).result(timeout=1)
    assert (late.tokens.access_token, late.refreshed) == ("a-8", False)
    assert len(notebook.questions) == 2


def test_ahead_of_its_end_a_failing_renewal_is_short_and_then_left_alone_for_a_while(tokens, notebook, clock):
    held = had(tokens, notebook)
    clock.now += 54.5
    renewal = tokens.renew(held)
    assert notebook.questions[-1] == (0, AHEAD)
    notebook.answers[-1].set_exception(ServiceUnavailable("away"))
    assert str(renewal.exception(timeout=1)) == "away"
    assert not tokens.due(held)
    assert not tokens.expired(held)
    clock.now += REST
    assert tokens.due(held)


def test_a_renewal_that_a_token_might_not_outlive_has_all_the_time_that_its_callers_have(
    tokens, notebook, clock
):
    held = had(tokens, notebook, lifetime=2.0, due_in=1.8)
    clock.now += 1.9
    assert not tokens.expired(held)
    tokens.renew(held)
    assert notebook.questions[-1] == (0, PATIENCE)


def test_what_the_notebook_gives_again_stays_the_same_with_its_new_life(tokens, notebook, clock):
    held = had(tokens, notebook)
    clock.now += 55
    had(tokens, notebook, lifetime=30.0, due_in=20.0)
    assert not tokens.due(held)
    clock.now += 31
    assert tokens.expired(held)


def test_dropped_it_is_asked_for_again_and_finished_it_says_why(tokens, notebook):
    ended = []
    tokens.on_end = lambda: ended.append(True)
    held = had(tokens, notebook)
    tokens.drop()
    assert tokens.due(tokens.current())
    tokens.renew(tokens.current())
    tokens.finish("It is over.")
    notebook.give(2)
    assert ended == [True]
    for ask in (tokens.current, lambda: tokens.renew(held), lambda: tokens.replace(held)):
        with pytest.raises(SignInRequired, match=r"It is over\."):
            ask()
    assert "a-2" not in repr(vars(tokens))


def test_another_way_begins_without_a_token_and_a_late_answer_of_the_old_one_is_not_kept(tokens, notebook):
    under_way = tokens.renew(tokens.current())
    other = Notebook()
    tokens.relink(other)
    notebook.give(1)
    assert under_way.result(timeout=1).tokens.access_token == "a-1"
    assert tokens.current().access_token == ""
    assert had(tokens, other, 2).access_token == "a-2"


@pytest.mark.parametrize(
    "failure",
    [
        SignInRequired("a"),
        UnexpectedAnswer("b"),
        StorageError("c"),
        OAuthError("d", error="slow_down", status_code=400),
        ServiceUnavailable("e", status_code=503, retry_after=7.0, answer_lost=True),
    ],
)
def test_an_error_of_the_notebook_is_the_same_on_the_worker(failure):
    packed = json.dumps({"failure": failure_fields(failure)}).encode()
    with pytest.raises(ICNotebookError) as raised:
        _read({"status": "answered", "answer": packed})
    assert type(raised.value) is type(failure)
    assert str(raised.value) == str(failure)
    for name in ("error", "status_code", "retry_after"):
        assert getattr(raised.value, name, None) == getattr(failure, name, None)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (None, "not shared with this worker any more"),
        ({"status": "gone"}, "is gone, or has lost the scheduler"),
        ({"status": "late"}, "did not answer in time"),
        ({"status": "answered", "answer": json.dumps({"failure": failure_fields(ForeignOrigin("x"))})}, "x"),
    ],
)
def test_whatever_else_happens_is_one_error_that_dask_tries_again(reply, words):
    with pytest.raises(ServiceUnavailable, match=words):
        _read(reply)
