"""What `%load_ext ic_notebook` does: a notebook gets the panel at once, a terminal gets a line.

The kernel often shares a computer with the page: what it imports while the page draws, a person waits for.
So what fills the panel, and the magics, are imported once the page has drawn it and says so.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ic_notebook.sign_in import SignIn

MAGICS = ("ic_connect", "ic_status", "ic_apps", "ic_revoke", "ic_disconnect", "ic_forget", "ic_cells")


def load(shell: InteractiveShell) -> None:
    """Show the Connect panel, or say how things stand; the `%ic_` magics work from now on."""
    if getattr(shell, "kernel", None) is not None:
        _show_panel(shell)
    else:
        _load_magics(shell)
        _say_how_it_stands()
    _watch_for_the_next_cell(shell)


def _show_panel(shell: InteractiveShell) -> None:
    from IPython.display import display

    from ic_notebook.jupyter.panel import ConnectPanel

    panel = ConnectPanel(functools.partial(_meant, os.environ.get("IC_BASE_URL", "")))
    display(panel)  # type: ignore[no-untyped-call]
    for name in MAGICS:
        shell.magics_manager.register_lazy(name, "ic_notebook.magics")
    # The panel itself hears the page first, and answers it.
    panel.on_msg(lambda *_: _load_magics(shell))


def _meant(base_url: str) -> SignIn:
    """The sign-in of a panel that was displayed where `IC_BASE_URL` was this."""
    from ic_notebook.oauth.metadata import SERVICE
    from ic_notebook.signed_in import sign_in_for

    return sign_in_for(base_url.strip() or SERVICE, None, None, discover=False, client_id=None, scope=None)


def _say_how_it_stands() -> None:
    from ic_notebook import signed_in

    found = signed_in.status()
    print(found if found.connected else "Run %ic_connect to sign in.")


def _load_magics(shell: InteractiveShell) -> None:
    if MAGICS[0] not in shell.magics_manager.magics["line"]:
        from ic_notebook.magics import load_ipython_extension

        load_ipython_extension(shell)


def _watch_for_the_next_cell(shell: InteractiveShell) -> None:
    """IPython ignores an extension that is loaded; here, running its cell again shows the panel again."""

    def next_cell(*_: object) -> None:
        shell.events.unregister("pre_run_cell", next_cell)
        if shell.extension_manager is not None:
            shell.extension_manager.loaded.discard("ic_notebook")
        # Where no page draws the panel, nothing has loaded them yet; they can be completed then.
        _load_magics(shell)

    shell.events.register("pre_run_cell", next_cell)
