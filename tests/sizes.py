"""How large a test is: short in `make test`, with its full numbers in `make test-long`; the code is the same."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("IC_TEST_LONG"))

EXAMPLES = 20_000 if LONG else 200
"""Inputs that Hypothesis makes up for each parser."""
