"""Five per cent of all answers lost, late or a 503, the token endpoint's among them: no call fails for it."""

from __future__ import annotations

import dataclasses
from itertools import product

import pytest

from ic_notebook.sandbox import Faults
from tests.load.crowd import each, run_load
from tests.sessions.people import TOKEN
from tests.sizes import LIFETIME, LONG
from tests.storage.secret_service import needs_secret_service

pytestmark = [needs_secret_service, pytest.mark.timeout(240)]

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


ALL = list(product(("with-grace", "not-rotating"), ("told", "untold"), ("threads", "tasks")))
SOME = [("with-grace", "told", "threads"), ("not-rotating", "untold", "tasks")]


@pytest.mark.parametrize(("server", "lifetime", "callers"), ALL if LONG else SOME)
def test_no_call_fails_where_an_answer_can_be_asked_for_again(place, report, server, lifetime, callers):
    settings = {"rotation": False} if server == "not-rotating" else {"refresh_grace": 60.0}
    without = frozenset({"expires_in"}) if lifetime == "untold" else frozenset()
    there = place(access_token_lifetime=LIFETIME, without=without, **settings)
    processes, many = each(there, callers)
    there.sandbox.settings = dataclasses.replace(there.sandbox.settings, faults=CERTAIN + FIVE_PER_CENT)
    figures = run_load(there, processes, **many)
    report(figures)
    assert figures["failed"] == 0, figures["failures"]
    assert figures["lost answers of the token endpoint"] >= 2
