"""A sandbox, one cluster of two processes for all tests that leave it as it was, and sharings that end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from distributed import Client

from ic_notebook.cluster import share
from ic_notebook.cluster.sharing import Shared
from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from tests.cluster.clusters import running
from tests.sessions.people import nobody_else

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
    """A running sandbox without a limit of calls; its switches may be turned."""
    shared_sandbox.settings = SETTINGS
    yield shared_sandbox
    shared_sandbox.settings = SETTINGS


@pytest.fixture(scope="session")
def shared_client(tmp_path_factory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("cluster")) as client:
        yield client


@pytest.fixture
def client(shared_client: Client) -> Client:
    """Of a cluster of two worker processes, which all tests use."""
    return shared_client


@pytest.fixture
def shares() -> Iterator[Callable[..., Shared]]:
    """`share`, closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def begin(client: Client, **options) -> Shared:
            return stack.enter_context(share(client, **options))

        yield begin
