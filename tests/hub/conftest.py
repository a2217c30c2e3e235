"""Where browser, Jupyter server and kernel are not on one computer, or not of one person: what is common."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.browser.conftest import (  # noqa: F401 - fixtures
    PATIENCE,
    _playwright_may_run,
    free_port,
    launch,
    marked_as_running,
    playwright_loop,
    start_jupyterlab,
)
from tests.hub.hubs import HOST

PUBLIC = f"--host-resolver-rules=MAP {HOST} 127.0.0.1,MAP *.{HOST} 127.0.0.1"


@pytest.fixture(scope="module")
def sandbox():
    with serve_in_thread(SandboxSettings()) as running:
        yield running


@pytest.fixture(autouse=True)
def _defaults(sandbox) -> Iterator[None]:
    sandbox.settings = SandboxSettings()
    sandbox.requests.clear()
    yield
    for client_id in sandbox.store.clients():
        sandbox.store.end_client(client_id)


@pytest.fixture(scope="module")
def port() -> int:
    """The port of the server that a page comes from, which the browser takes for one out on the internet."""
    return free_port()


@pytest.fixture(scope="module")
def browser(playwright_loop, port) -> Iterator[Browser]:  # noqa: F811 - the fixture
    """A browser that is not on the computer of the servers, as far as it can tell."""
    playwright, loop = playwright_loop
    with marked_as_running(loop):
        browser = launch(playwright, PUBLIC, f"--ip-address-space-overrides=127.0.0.1:{port}=public")
    yield browser
    with marked_as_running(loop):
        browser.close()


@pytest.fixture(scope="module")
def person(browser, playwright_loop) -> Iterator[Callable]:  # noqa: F811 - the fixture
    """``person()``: the browser of one more person, with cookies of their own."""
    loop = playwright_loop[1]
    made = []

    def one_more():
        context = browser.new_context(
            viewport={"width": 1280, "height": 900}, reduced_motion="reduce", ignore_https_errors=True
        )
        context.set_default_timeout(PATIENCE)
        made.append(context)
        return context

    yield one_more
    with marked_as_running(loop):
        for context in made:
            context.close()
