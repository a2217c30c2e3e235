"""The browser and the JupyterLab of the browser tests."""

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
