"""A process killed at any moment, in the middle of a renewal or of a save: one whole sign-in is left, or one clear end."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import pytest

from ic_notebook.sessions.token_source import CUT_SHORT
from tests.load.crowd import Place, Process, Tally
from tests.sizes import KILLS, LIFETIME, LONG
from tests.storage.secret_service import needs_secret_service

pytestmark = [needs_secret_service, pytest.mark.timeout(max(120, KILLS * 6))]

POOL = 3
SETTINGS = {"access_token_lifetime": LIFETIME, "token_delay": 0.05}
RENEWAL = 0.35
"""Seconds from the note that a renewal begins until its outcome is stored, on a busy machine."""


class Killing:
    """Processes that call for ever on one sign-in, of which one after another is killed."""

    def __init__(self, place: Place, *, may_be_lost: bool) -> None:
        self.place, self.may_be_lost = place, may_be_lost
        self.tally = Tally(place.sandbox)
        self.chance = random.Random(7)
        self.counts: Counter[str] = Counter()
        self.helper, *self.pool = place.start(POOL + 1)
        assert self.helper.ask("sign_in") == {"kept": True}
        for process in self.pool:
            process.order("until_killed", threads=2, pause=0.1)

    def run(self, kills: int) -> None:
        coming = self.place.begin()
        for number in range(kills):
            # The next one starts while this round goes on.
            fresh, coming = coming, self.place.begin()
            self.kill_one(aimed=number % 4 != 3)
            fresh.await_ready()
            self.see_what_is_stored()
            self.see_that_the_next_call_works(fresh)
            fresh.order("until_killed", threads=2, pause=0.1)
            self.pool.append(fresh)

    @property
    def figures(self) -> dict[str, int]:
        begun, done = self.place.noted("begun"), self.place.noted("done")
        return {
            **self.counts,
            "saves cut short": len(begun) - len(done),
            "saves": len(done),
            "refreshes": self.tally.of("token", 200),
        }

    def kill_one(self, *, aimed: bool) -> None:
        for process in self.pool:
            self.see_failures(process)
        if aimed:
            victim = self.place.wait_for("renewing", self.pool)
            time.sleep(self.chance.uniform(0, RENEWAL))
            self.counts["aimed at a renewal"] += 1
        else:
            time.sleep(self.chance.uniform(0, 1.0))
            victim = self.chance.choice(self.pool)
        self.refused_before = self.tally.of("token", 400)
        victim.kill()
        self.see_failures(victim)
        self.pool.remove(victim)
        victim.close()
        self.counts["kills"] += 1

    def see_what_is_stored(self) -> None:
        """One complete set that somebody meant to save, and none that is older than the last one saved."""
        completed = self.place.noted("done")
        stored = self.helper.ask("load")["stored"]
        begun = self.place.noted("begun")
        if stored is None:
            assert self.may_be_lost
            return
        assert stored in begun
        behind = begun.index(completed[-1]) - begun.index(stored)
        self.counts["older than the last completed save"] += behind > 0
        assert behind <= 1

    def see_that_the_next_call_works(self, fresh: Process) -> None:
        answer = fresh.ask("call")
        if answer == {"status": 200}:
            return
        assert self.may_be_lost, answer
        assert answer["error"] == "SignInRequired", answer
        # Asked again, it says so again, and asks the server nothing more.
        assert fresh.ask("call")["error"] == "SignInRequired"
        assert self.tally.of("token", 400) == self.refused_before + 1
        told = [answer["words"]]
        for process in self.pool:
            told += [words["words"] for words in self.see_failures(process)]
        assert CUT_SHORT in told
        self.counts["cost the sign-in"] += 1
        assert self.helper.ask("sign_in") == {"kept": True}
        assert fresh.ask("call") == {"status": 200}

    def see_failures(self, process: Process) -> list[dict[str, Any]]:
        """What did not succeed in a process that goes on: nothing, unless the sign-in was lost."""
        failures = [words for words in process.hear() if words["event"] == "failed"]
        if not self.may_be_lost:
            assert failures == []
        assert {words.get("error") for words in failures} <= {"SignInRequired"}, failures
        return failures


def test_the_store_is_whole_and_the_next_call_works_or_says_once_why_not(place, report):
    killing = Killing(place(**SETTINGS), may_be_lost=True)
    killing.run(KILLS)
    report(killing.figures)


FORGIVING = {"grace": {"refresh_grace": 60.0}, "not-rotating": {"rotation": False}}


@pytest.mark.parametrize("server", FORGIVING if LONG else ["grace"])
def test_the_store_is_whole_and_the_next_call_works(place, report, server):
    killing = Killing(place(**SETTINGS, **FORGIVING[server]), may_be_lost=False)
    killing.run(KILLS // 2)
    report(killing.figures)
