"""The panel is displayed before what it shows is imported; nothing that the page says meanwhile is lost."""

from __future__ import annotations

import pytest

from tests.jupyter.people import paths

pytestmark = pytest.mark.kernel

DISPLAY = """
from ic_notebook.jupyter.panel import ConnectPanel
panel = ConnectPanel()
display(panel)
"""
SHOW = "from ic_notebook import connecting\nconnecting.show_in(panel)"
DISPLAYED = """
import IPython.display, sys
shown = IPython.display.display
def display(panel):
    print("imported already:", [name for name in ("httpx", "ic_notebook.sign_in") if name in sys.modules])
    shown(panel)
IPython.display.display = display
"""


def test_what_the_page_says_before_there_is_a_sign_in_is_heard_once_there_is(kernel, sandbox):
    page = kernel.displayed(kernel.run(DISPLAY))
    page.say("hello")
    kernel.run("None")
    assert paths(sandbox) == []
    kernel.run(SHOW)
    assert page.shows("ready")["url"]


def test_a_panel_that_shows_no_sign_in_yet_can_be_printed_told_and_closed(kernel):
    kernel.run(DISPLAY)
    assert kernel.run("panel").result["text/plain"]
    assert (
        kernel.run("panel.tell(); print(repr(panel)); panel.close()").printed
        == "<ConnectPanel: not connected>\n"
    )


def test_the_panel_is_displayed_before_the_rest_is_imported(new_kernel):
    kernel = new_kernel()
    ran = kernel.run(DISPLAYED + "get_ipython().run_line_magic('load_ext', 'ic_notebook')")
    assert ran.printed == "imported already: []\n"
    assert len(ran.panels) == 1
