"""A caller that is cancelled, timed out or interrupted in the middle of a renewal: the sign-in is whole afterwards."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from tests.load.crowd import Tally, refreshes_of_each_token
from tests.sizes import INTERRUPTIONS
from tests.storage.secret_service import needs_secret_service

pytestmark = [needs_secret_service, pytest.mark.timeout(max(90, INTERRUPTIONS * 4))]

WAYS = ("cancelled", "waited for", "timed out", "interrupted")


def test_whoever_gives_up_during_a_renewal_leaves_it_to_its_end(place, report):
    there = place(revoke_family_on_reuse=True, token_delay=0.05)
    caller, other = there.start(2)
    assert caller.ask("sign_in") == {"kept": True}
    tally, chance, counts = Tally(there.sandbox), random.Random(3), Counter()
    for number in range(INTERRUPTIONS):
        how = WAYS[number % len(WAYS)]
        there.sandbox.store.end_access_tokens()
        outcome = caller.ask("interrupted", how=how, after=chance.uniform(0.005, 0.25))
        assert outcome.get("status") in {None, 200}, outcome
        counts[f"{how}, {'gave up' if 'gave up' in outcome else 'had its answer'}"] += 1
        # Whoever comes next has the sign-in, in this process and in another.
        first, second = (caller, other) if chance.random() < 0.5 else (other, caller)
        assert first.ask("call") == {"status": 200}, (how, outcome)
        assert second.ask("call") == {"status": 200}, (how, outcome)
        assert other.ask("load")["stored"] == there.noted("done")[-1]
    refreshed = refreshes_of_each_token(there.sandbox)
    report(dict(counts) | {"refreshes": sum(refreshed.values()), "refused": tally.of("token", 400)})
    assert max(refreshed.values()) == 1
    assert tally.of("token", 400) == 0
    assert any("gave up" in name for name in counts)
