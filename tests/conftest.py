"""What the whole run has: the load tests' figures at its end, which xdist's controller prints."""

from tests.load.report import pytest_terminal_summary  # noqa: F401 - a hook
