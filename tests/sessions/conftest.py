"""A sandbox that approves by itself, sessions at it, and a process that nobody else's sign-in reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from ic_notebook.sessions.session import Session
from tests.sessions.people import Caller, nobody_else

SETTINGS = SandboxSettings(auto_approve=True, rate_limit=0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch) -> Iterator[None]:
    with nobody_else(tmp_path, monkeypatch):
        yield


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[RunningSandbox]:
    with serve_in_thread(SETTINGS) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """A running sandbox with the defaults, which approves at once; its switches may be turned."""
    shared_sandbox.settings = SETTINGS
    yield shared_sandbox
    shared_sandbox.settings = SETTINGS


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., RunningSandbox]]:
    """Starts a sandbox of the test's own, for what the account holds."""
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningSandbox:
            options = {"auto_approve": True, "rate_limit": 0} | settings
            return stack.enter_context(serve_in_thread(SandboxSettings(**options)))

        yield start


@pytest.fixture(params=["sync", "async"])
def kind(request) -> str:
    return request.param


@pytest.fixture
async def caller(anyio_backend, kind) -> AsyncIterator[Callable[..., Caller]]:
    """Gives a session's client, sync or async; closed at the end."""
    made: list[Caller] = []

    def make(session: Session, **options: Any) -> Caller:
        made.append(Caller(session, kind, **({"timeout": 20} | options)))
        return made[-1]

    yield make
    for one in made:
        await one.close()
