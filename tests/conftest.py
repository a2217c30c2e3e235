"""What the whole run has: what its load tests and kernels came to, at its end, which xdist's controller prints."""

pytest_plugins = ["tests.load.report", "tests.kernels.report"]
