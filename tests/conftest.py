"""What the whole run has: what its load tests, kernels and leak hunts came to, at its end, which xdist's controller prints."""

import gc

pytest_plugins = ["tests.load.report", "tests.kernels.report", "tests.leaks.figures"]


def pytest_collection_finish() -> None:
    """Thousands of tests are there for good: a collection of garbage need not look at them each time."""
    gc.collect()
    gc.freeze()
