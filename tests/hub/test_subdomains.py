"""A Hub that gives each person a host name of their own."""

from __future__ import annotations

import pytest

from tests.browser.conftest import marked_as_running, notebooks_of
from tests.hub.hubs import HOST, running_hub
from tests.hub.people import (
    Traffic,
    connects_with_one_click_while_a_cell_blocks,
    log_in,
    server_of,
    wait_for_server,
    watch_loopback,
)
from tests.sizes import LONG

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not LONG, reason="with IC_TEST_LONG=1")]


@pytest.fixture(scope="module")
def hub(tmp_path_factory, sandbox, port):
    folder, environment = tmp_path_factory.mktemp("hub"), {"IC_BASE_URL": sandbox.url}
    with running_hub(folder, environment, port=port, subdomains=True) as running:
        yield running


@pytest.fixture(scope="module")
def context(person, playwright_loop):
    with marked_as_running(playwright_loop[1]):
        return person()


def test_a_persons_own_host_name_is_what_the_browser_comes_back_to(context, hub, port, request):
    traffic = Traffic(context)
    wait_for_server(log_in(context, hub, "ann"), "ann")
    server = server_of(hub, "ann", base=f"https://ann.{HOST}:{port}/")
    with notebooks_of(context, server, request.node.name) as one_more:
        notebook = one_more()
        asked = watch_loopback(notebook.page)
        connects_with_one_click_while_a_cell_blocks(notebook, server)
    assert asked == []
    log = hub.log.read_text()
    assert len(traffic.secrets) == 2
    assert not [secret for secret in traffic.secrets if secret in log]
