"""How large a test is: short in `make test`, with its full numbers in `make test-long`; the code is the same."""

from __future__ import annotations

import os

import pytest

LONG = bool(os.environ.get("IC_TEST_LONG"))

EXAMPLES = 20_000 if LONG else 100
"""Inputs that Hypothesis makes up for each parser."""
FUZZED = 1_000_000 if LONG else 1_000
"""Cases that the fuzzer tries with each of its targets."""

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

SOAK_SECONDS = 1_800.0 if LONG else 4.0
"""How long one process calls whose memory is watched."""
SOAK_EVERY, SOAK_PAUSE = (5.0, 0.2) if LONG else (0.15, 0.1)
"""Seconds between two samples, and between two calls of one caller."""
STRAYS, IDLE = (10_000, 500) if LONG else (600, 300)
"""Requests of strangers to a listener, and connections that they hold open meanwhile."""

needs_time = pytest.mark.skipif(not LONG, reason="in make test-long alone")
"""For a test that has one size only, and takes long."""
