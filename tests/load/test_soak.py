"""A process that calls for half an hour with tokens of two seconds holds no more at the end than at the beginning."""

from __future__ import annotations

import contextlib
import random
import sys
import time

import pytest

from tests.load.crowd import Tally, refreshes_of_each_token
from tests.load.growth import BOUNDS, grown, thirds
from tests.sizes import LIFETIME, SOAK_EVERY, SOAK_PAUSE, SOAK_SECONDS
from tests.storage.secret_service import needs_secret_service

DEEDS = {"sign-in cancelled", "apps listed", "client forgotten", "async client forgotten"}

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def soak(place, *, seconds: float, samples: int, every: float, pause: float, leaking: bool = False):
    """The samples of a process that calls for so long, beside another on the same sign-in; and what it did."""
    # In half an hour are more calls than GNOME Keyring's daemon bears: a vault keeps the sign-in then.
    there = place(access_token_lifetime=LIFETIME, revoke_family_on_reuse=True, in_keyring=seconds < 600)
    process, other = there.begin(program="tests.load.soaking"), there.begin()
    process.await_ready()
    other.await_ready()
    assert process.ask("sign_in") == {"kept": True}
    tally, answer = Tally(there.sandbox), None
    other.order("calls", threads=2, seconds=seconds, pause=5 * pause)
    process.order("soak", seconds=seconds, samples=samples, every=every, pause=pause, leaking=leaking)
    ends = time.monotonic() + seconds + 60
    while answer is None and time.monotonic() < ends:
        with contextlib.suppress(TimeoutError):
            answer = process.answer(within=max(2.0, 3 * every))
        end_in_mid_life(there.sandbox)
        tally.take()
    assert answer is not None, process.errors()
    others = other.answer()
    events = process.hear()
    assert (process.end(), other.end()) == (0, 0)
    refreshed = refreshes_of_each_token(there.sandbox)
    return [words for words in events if words["event"] == "sample"], answer["done"] | {
        "failures": [words["words"] for words in events if words["event"] == "failed"] + others["failures"],
        "calls of the other process": sum(others["statuses"].values()),
        "refreshes": sum(refreshed.values()),
        "most refreshes of one token": max(refreshed.values()),
        "401": tally.of("call", 401),
        "refused refreshes": tally.of("token", 400),
    }


def end_in_mid_life(sandbox) -> None:
    """End the access tokens before their time; not one that somebody was given just now and has not yet used."""
    ends = time.monotonic() + 2 * LIFETIME
    while time.monotonic() < ends:
        last = max((refresh.at for refresh in sandbox.store.refreshes()), default=0.0)
        if LIFETIME / 4 < sandbox.store.now() - last < LIFETIME / 2:
            sandbox.store.end_access_tokens()
            return
        time.sleep(0.05)


def least(samples) -> dict[str, str]:
    first, last = thirds(samples)
    return {"samples": str(len(samples))} | {kind: f"{first[kind]} → {last[kind]}" for kind in BOUNDS}


@needs_secret_service
@linux
@pytest.mark.timeout(SOAK_SECONDS + 240)
def test_what_a_process_holds_does_not_grow(place, report):
    samples, figures = soak(place, seconds=SOAK_SECONDS, samples=12, every=SOAK_EVERY, pause=SOAK_PAUSE)
    # In the first third caches fill: a sign-in's longest timer is there for ten minutes, cancelled or not.
    samples = samples[len(samples) // 3 :]
    report(figures | least(samples))
    assert grown(samples) == {}, samples
    assert figures["failures"] == []
    assert figures.keys() > DEEDS
    assert figures["401"] >= 1
    assert (figures["most refreshes of one token"], figures["refused refreshes"]) == (1, 0)


@needs_secret_service
@linux
def test_what_is_lost_on_purpose_is_found(place, report):
    samples, figures = soak(place, seconds=1.0, samples=7, every=0.1, pause=0.1, leaking=True)
    report(figures | least(samples))
    assert set(grown(samples)) == set(BOUNDS)


FLAT = {"rss": 90_000, "blocks": 400_000, "threads": 6, "fds": 18, "tasks": 1, "files": 9}


def noisy(count: int, **growth: float) -> list[dict[str, int]]:
    """So many samples that go up by chance and come down again; `growth` is what is lost between two."""
    chance = random.Random(5)
    return [
        {
            kind: round(value + number * growth.get(kind, 0)) + chance.choice((0, 0, 1, value // 10))
            for kind, value in FLAT.items()
        }
        for number in range(count)
    ]


def test_what_goes_up_and_comes_down_again_has_not_grown():
    assert grown(noisy(100)) == {}


def test_what_shrinks_has_not_grown():
    assert grown(noisy(100, rss=-100, blocks=-500, threads=-0.02)) == {}


@pytest.mark.parametrize(
    ("kind", "lost"),
    [("rss", 40.0), ("blocks", 60.0), ("threads", 0.05), ("fds", 0.05), ("tasks", 0.05), ("files", 0.05)],
)
def test_what_is_lost_little_by_little_is_found(kind, lost):
    assert set(grown(noisy(100, **{kind: lost}))) == {kind}


def test_nothing_is_judged_by_too_few_samples():
    with pytest.raises(AssertionError, match="too few samples"):
        grown(noisy(5))
