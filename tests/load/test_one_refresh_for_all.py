"""Processes full of threads or tasks on one keyring sign-in with short-lived tokens: no call fails for it."""

from __future__ import annotations

from itertools import product

import pytest

from tests.load.crowd import each, run_load
from tests.sizes import LIFETIME, LONG, SECONDS
from tests.storage.secret_service import needs_secret_service

pytestmark = [needs_secret_service, pytest.mark.timeout(240)]

ROTATING = {"rotation": True}
REVOKING = {"rotation": True, "revoke_family_on_reuse": True}
NOT_ROTATING = {"rotation": False}
SERVERS = {"rotating": ROTATING, "revoking": REVOKING, "not-rotating": NOT_ROTATING}
ALL = list(product(SERVERS, ("told", "untold"), ("threads", "tasks")))
SOME = [
    ("revoking", "told", "threads"),
    ("revoking", "untold", "tasks"),
    ("not-rotating", "untold", "threads"),
    ("rotating", "told", "tasks"),
]


@pytest.mark.parametrize(("server", "lifetime", "callers"), ALL if LONG else SOME)
def test_no_call_fails_and_each_token_is_refreshed_once(place, report, server, lifetime, callers):
    without = frozenset({"expires_in"}) if lifetime == "untold" else frozenset()
    there = place(access_token_lifetime=LIFETIME, without=without, **SERVERS[server])
    processes, many = each(there, callers)
    figures = run_load(there, processes, **many)
    report(figures)
    assert figures["failed"] == 0, figures["failures"]
    assert figures["most refreshes of one token"] == 1
    assert figures["refreshes"] >= SECONDS / (2 * LIFETIME) - 1
    assert [process.end() for process in processes] == [0] * len(processes)


def test_a_vault_object_is_shared_as_the_keyring_is(place, report):
    there = place(access_token_lifetime=LIFETIME, revoke_family_on_reuse=True, in_keyring=False)
    processes, many = each(there, "threads")
    figures = run_load(there, processes, **many)
    report(figures)
    assert figures["failed"] == 0, figures["failures"]
    assert figures["most refreshes of one token"] == 1
