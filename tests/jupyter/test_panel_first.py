"""The panel is displayed before what fills it is imported: that waits until a page has drawn it and says so."""

from __future__ import annotations

import pytest

from ic_notebook.loading import MAGICS
from tests.jupyter.people import paths

pytestmark = pytest.mark.kernel

LATER = (
    "httpx",
    "ic_notebook.errors",
    "ic_notebook.sign_in",
    "ic_notebook.jupyter.presenter",
    "ic_notebook.magics",
)
IMPORTED = f"[name for name in {LATER} if name in sys.modules]"
DISPLAYED = f"""
import IPython.display, sys
shown = IPython.display.display
def display(panel):
    print("imported already:", {IMPORTED})
    shown(panel)
IPython.display.display = display
"""
REGISTERED = "sorted(n for n in get_ipython().magics_manager.magics['line'] if n.startswith('ic_'))"


def test_neither_the_display_nor_its_cell_imports_what_fills_the_panel(new_kernel):
    kernel = new_kernel()
    ran = kernel.run(DISPLAYED + "%load_ext ic_notebook\nprint('and then:', " + IMPORTED + ")")
    assert ran.printed == "imported already: []\nand then: []\n"
    page = kernel.displayed(ran)
    page.say("hello")
    page.shows("ready")
    assert kernel.ask(REGISTERED) == sorted(MAGICS)


def test_nothing_is_asked_of_the_server_before_a_page_speaks(kernel, sandbox):
    page = kernel.load()
    kernel.run("None")
    assert paths(sandbox) == []
    page.say("hello")
    assert page.shows("ready")["url"]


@pytest.mark.parametrize("line", ["%ic_cells", "%ic_status"])
def test_a_magic_works_in_the_very_cell_that_loads_it(new_kernel, line):
    kernel = new_kernel()
    ran = kernel.run(f"%load_ext ic_notebook\n{line}")
    assert ran.error == []
    assert "ic_" in ran.printed or "not connected" in ran.text.lower()


def test_where_no_page_draws_the_panel_the_next_cell_has_every_magic(new_kernel):
    kernel = new_kernel()
    kernel.load()
    kernel.run("None")
    assert kernel.ask(REGISTERED) == sorted(MAGICS)


def test_the_panel_is_of_the_base_url_with_which_it_was_displayed(kernel, sandbox):
    elsewhere = "import os\nos.environ['IC_BASE_URL'] = 'http://127.0.0.1:9'"
    page = kernel.displayed(kernel.run(f"%load_ext ic_notebook\n{elsewhere}"))
    page.say("hello")
    assert page.shows("ready")["url"].startswith(sandbox.url)


def test_a_panel_that_no_page_shows_can_be_printed_and_closed(kernel):
    give = "def give(): raise AssertionError('nobody has asked')\n"
    kernel.run(f"from ic_notebook.jupyter.panel import ConnectPanel\n{give}panel = ConnectPanel(give)")
    assert kernel.run("panel").result["text/plain"]
    assert kernel.run("print(repr(panel)); panel.close()").printed == "<ConnectPanel: not connected>\n"
