"""Kernels: one that a file's tests share, pointed at a sandbox of the test's own, and others as asked for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from tests.jupyter.kernels import Kernel, running_kernel

SETTINGS = SandboxSettings(auto_approve=True, rate_limit=0)
FRESH = """
import os, shutil
shutil.rmtree(os.path.join(os.environ["XDG_CONFIG_HOME"], "ic_notebook"), ignore_errors=True)
os.environ.pop("IC_ACCESS_TOKEN", None)
os.environ["IC_BASE_URL"] = {url!r}
get_ipython().run_line_magic("reset", "-f")
import ic_notebook.login.login
ic_notebook.login.login.LINGER = 60.0
get_ipython().extension_manager.loaded.discard("ic_notebook")
"""
LEAVE = """
def _leave():
    from ic_notebook.background import background
    from ic_notebook.sessions.current import current
    from ic_notebook.sign_in import _sign_ins
    async def end():
        for face in _sign_ins.values():
            face._viewers = 0
            face._watchers.clear()
            for login in [face.login, *face._lingering]:
                if login is not None:
                    login.cancel()
                    login.close()
    background().run(end)
    current._watchers.clear()
    current._sessions.clear()
    current._from_environment = None
    _sign_ins.clear()
_leave()
del _leave
"""


@pytest.fixture(scope="module")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with serve_in_thread(SETTINGS) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox) -> RunningSandbox:
    """A server that approves by itself, and to which nobody has come yet."""
    store = shared_sandbox.store
    for client_id in store.clients():
        store.end_client(client_id)
    for app in store.apps():
        store.disconnect_app(app.id)
    shared_sandbox.settings = SETTINGS
    shared_sandbox.requests.clear()
    return shared_sandbox


@pytest.fixture(scope="module")
def shared_kernel() -> Iterator[Kernel]:
    with running_kernel() as kernel:
        yield kernel


@pytest.fixture
def kernel(shared_kernel, sandbox) -> Iterator[Kernel]:
    """A kernel in which nobody is signed in, and which has no client registered; for the sandbox."""
    shared_kernel.run(FRESH.format(url=sandbox.url), silent=True)
    shared_kernel.messages.clear()
    shared_kernel.pages.clear()
    yield shared_kernel
    shared_kernel.run(LEAVE, silent=True)


@pytest.fixture
def new_kernel(sandbox) -> Iterator[Callable[..., Kernel]]:
    """``new_kernel(IC_ACCESS_TOKEN=…)``: a kernel that begins with these variables."""
    with contextlib.ExitStack() as running:

        def start(**variables: str) -> Kernel:
            return running.enter_context(running_kernel(**{"IC_BASE_URL": sandbox.url, **variables}))

        yield start
