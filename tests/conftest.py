"""What the whole run has: what its load tests, kernels and leak hunts came to, at its end, which xdist's controller prints."""

pytest_plugins = ["tests.load.report", "tests.kernels.report", "tests.leaks.figures"]
