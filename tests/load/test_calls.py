"""Processes full of threads or tasks on one keyring sign-in with short-lived tokens: no call fails for it.

All in one file, so that xdist runs one crowd at a time: two would take each other's cores.
"""

from __future__ import annotations

import dataclasses
from itertools import product

import pytest

from ic_notebook.sandbox import Faults
from tests.load.crowd import each, run_load
from tests.sessions.people import TOKEN
from tests.sizes import LIFETIME, LONG, SECONDS
from tests.storage.secret_service import needs_secret_service

pytestmark = [needs_secret_service, pytest.mark.timeout(240)]

ROTATING = {"rotation": True}
REVOKING = {"rotation": True, "revoke_family_on_reuse": True}
NOT_ROTATING = {"rotation": False}
SERVERS = {"rotating": ROTATING, "revoking": REVOKING, "not-rotating": NOT_ROTATING}
ALL = list(product(SERVERS, ("told", "untold"), ("threads", "tasks")))
SOME = [("revoking", "told", "threads")]


@pytest.mark.parametrize(("server", "lifetime", "callers"), ALL if LONG else SOME)
def test_no_call_fails_and_each_token_is_refreshed_once(place, report, server, lifetime, callers):
    without = frozenset({"expires_in"}) if lifetime == "untold" else frozenset()
    there = place(access_token_lifetime=LIFETIME, without=without, **SERVERS[server])
    processes, many = each(there, callers)
    figures = run_load(there, processes, **many)
    report(figures)
    assert figures["failed"] == 0, figures["failures"]
    assert figures["most refreshes of one token"] == 1
    assert figures["refreshes"] >= SECONDS / (2 * LIFETIME)
    assert [process.end() for process in processes] == [0] * len(processes)


def test_a_vault_object_is_shared_as_the_keyring_is(place, report):
    there = place(access_token_lifetime=LIFETIME, revoke_family_on_reuse=True, in_keyring=False)
    processes, many = each(there, "threads")
    figures = run_load(there, processes, **many)
    report(figures)
    assert figures["failed"] == 0, figures["failures"]
    assert figures["most refreshes of one token"] == 1


FIVE_PER_CENT = (
    Faults(kind="dropped", stage="after", fraction=0.015, seed=1),
    Faults(kind="delayed", stage="after", fraction=0.015, seed=2, delay=0.5),
    Faults(kind="status", stage="after", fraction=0.01, seed=3),
    Faults(kind="status", stage="before", fraction=0.01, seed=4),
)
CERTAIN = (
    Faults(kind="dropped", stage="after", count=1, paths=(TOKEN,)),
    Faults(kind="status", stage="after", count=1, paths=(TOKEN,)),
    Faults(kind="delayed", stage="after", count=1, paths=(TOKEN,), delay=0.5),
)
"""What the token endpoint suffers however few requests it gets."""


LOSING = list(product(("with-grace", "not-rotating"), ("told", "untold"), ("threads", "tasks")))
LOSING_SOME = [("with-grace", "untold", "tasks")]


@pytest.mark.parametrize(("server", "lifetime", "callers"), LOSING if LONG else LOSING_SOME)
def test_no_call_fails_of_five_per_cent_lost_answers_where_they_can_be_asked_for_again(
    place, report, server, lifetime, callers
):
    settings = {"rotation": False} if server == "not-rotating" else {"refresh_grace": 60.0}
    without = frozenset({"expires_in"}) if lifetime == "untold" else frozenset()
    there = place(access_token_lifetime=LIFETIME, without=without, **settings)
    processes, many = each(there, callers)
    there.sandbox.settings = dataclasses.replace(there.sandbox.settings, faults=CERTAIN + FIVE_PER_CENT)
    figures = run_load(there, processes, **many)
    report(figures)
    assert figures["failed"] == 0, figures["failures"]
    assert figures["lost answers of the token endpoint"] >= 2
