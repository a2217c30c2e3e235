"""The browser and the JupyterLab of the browser tests, at its most talkative."""

from __future__ import annotations

import pytest

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.conftest import (  # noqa: F401 - fixtures
    _playwright_may_run,
    browser,
    browser_context,
    jupyterlab,
    notebook,
    notebooks,
    playwright_loop,
    start_jupyterlab,
)
from tests.leaks.life import LOG_EVERYTHING


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings()) as running:
        yield running


@pytest.fixture(scope="module")
def lab(start_jupyterlab, sandbox):  # noqa: F811 - the fixture
    """JupyterLab that logs everything, and whose kernels do."""
    lab = start_jupyterlab({"IC_BASE_URL": sandbox.url}, base_url="/user/ann/")
    startup = lab.root.parent / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00-log.py").write_text(LOG_EVERYTHING)
    return lab
