"""A sandbox, and a process that nobody else's sign-in reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from tests.sessions.people import nobody_else


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch) -> Iterator[None]:
    with nobody_else(tmp_path, monkeypatch):
        yield


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., RunningSandbox]]:
    """Starts a sandbox of the test's own."""
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningSandbox:
            return stack.enter_context(serve_in_thread(SandboxSettings(**{"rate_limit": 0} | settings)))

        yield start


SETTINGS = SandboxSettings(auto_approve=True, rate_limit=0)


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with serve_in_thread(SETTINGS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """A sandbox that approves at once, with no app on its list; its switches may be turned."""
    shared_sandbox.settings = SETTINGS
    for app in shared_sandbox.store.apps():
        shared_sandbox.store.disconnect_app(app.id)
    shared_sandbox.requests.clear()
    yield shared_sandbox
    shared_sandbox.settings = SETTINGS
