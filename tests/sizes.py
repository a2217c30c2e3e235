"""How large a test is: short in `make test`, with its full numbers in `make test-long`; the code is the same."""

from __future__ import annotations

import os

import pytest

LONG = bool(os.environ.get("IC_TEST_LONG"))

EXAMPLES = 20_000 if LONG else 200
"""Inputs that Hypothesis makes up for each parser."""

PROCESSES, THREADS, TASKS = (8, 64, 1_000) if LONG else (3, 8, 60)
"""Callers on one sign-in: so many processes with so many threads each, or so many tasks in all."""
SECONDS = 30.0 if LONG else 3.0
"""How long they call."""
LIFETIME = 2
"""Seconds that their access tokens live."""
CALLS_PER_SECOND = 100.0 if LONG else 60.0
"""Of all callers together: two cores bear it beside the server and a keyring that takes one call at a time."""
KILLS = 200 if LONG else 4
INTERRUPTIONS = 200 if LONG else 6

needs_time = pytest.mark.skipif(not LONG, reason="in make test-long alone")
"""For a test that has one size only, and takes long."""
