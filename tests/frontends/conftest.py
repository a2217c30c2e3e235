"""Front ends other than JupyterLab, which `tests/browser` drives: what all of these tests use."""

from __future__ import annotations

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
from tests.jupyter.conftest import kernel, new_kernel, sandbox, shared_kernel, shared_sandbox  # noqa: F401 - fixtures
