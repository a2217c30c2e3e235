"""The `%ic_…` magics."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_magic, magics_class
from IPython.core.magic_arguments import argument, magic_arguments, parse_argstring
from IPython.display import display

from ic_notebook import connecting, signed_in
from ic_notebook.errors import ConfigurationError
from ic_notebook.jupyter.cells import CELLS, find_cell
from ic_notebook.sessions.status import Disconnected, Status

if TYPE_CHECKING:
    from ic_notebook.sessions.apps import ConnectedApps
    from ic_notebook.sessions.session import Session


def _unquoted(text: str) -> str:
    """IPython leaves the quotes around an argument."""
    return text.strip().strip("\"'")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError("a number of seconds above 0 is needed")
    return seconds


_PROFILE = argument("--profile", type=_unquoted, help="one of several accounts; IC_PROFILE where not given")


@magics_class
class SignInMagics(Magics):
    """Sign in, look at it, end it."""

    @magic_arguments()
    @argument("--wait", action="store_true", help="hold this cell until you have connected, for Run All")
    @argument(
        "--paste",
        action="store_true",
        help="where the panel does not show: a plain link, and a box to paste the answer into",
    )
    @argument(
        "--timeout",
        type=_seconds,
        default=connecting.TIMEOUT,
        help="with --wait or --paste: seconds, 300 where not given",
    )
    @argument(
        "--storage",
        type=_unquoted,
        choices=("memory", "keyring"),
        help="where the sign-in is kept: this kernel, or the system's keyring; IC_STORAGE where not given",
    )
    @_PROFILE
    @argument("--base-url", type=_unquoted, help="the API; IC_BASE_URL, else the service, where not given")
    @argument("--discover", action="store_true", help="read the server's own metadata (RFC 8414)")
    @argument("--client-id", type=_unquoted, help="a client registered by hand at the server")
    @argument("--scope", type=_unquoted, help="the scope to ask for; the server's default where not given")
    @argument("--new-client", action="store_true", help="register anew: the browser showed an error page")
    @line_magic
    def ic_connect(self, line: str) -> Session | None:
        """Show the Connect panel: click Connect, approve in the browser, and every cell can call the API.

        With --paste the cell shows a plain link and waits; what is pasted into its box is neither shown nor
        saved. In a terminal it opens the browser and waits, as with --wait.

        Examples::

            %ic_connect
            %ic_connect --wait --timeout 600
            %ic_connect --paste
            %ic_connect --profile agency-a --storage keyring
        """
        given = vars(parse_argstring(self.ic_connect, line))
        wait, paste, timeout = given.pop("wait"), given.pop("paste"), given.pop("timeout")
        if paste and _in_kernel(self.shell):
            connecting.connect_with_link(timeout=timeout, **given)
            return None
        if wait or not _in_kernel(self.shell):
            return connecting.connect(timeout=timeout, **given)
        display(connecting.panel(**given))
        return None

    @magic_arguments()
    @_PROFILE
    @line_magic
    def ic_status(self, line: str) -> Status:
        """Tell how the sign-in stands: for which API, since when, where the token is kept. Makes no call."""
        return signed_in.status(profile=parse_argstring(self.ic_status, line).profile)

    @magic_arguments()
    @_PROFILE
    @line_magic
    def ic_apps(self, line: str) -> ConnectedApps:
        """List the apps connected to the account, this one marked."""
        return signed_in.apps(profile=parse_argstring(self.ic_apps, line).profile)

    @magic_arguments()
    @argument("app_id", nargs="?", default="", type=_unquoted, help="an id from %%ic_apps")
    @_PROFILE
    @line_magic
    def ic_revoke(self, line: str) -> None:
        """Have the service end the access of one app: `%ic_revoke APP_ID`, with an id from `%ic_apps`."""
        given = parse_argstring(self.ic_revoke, line)
        signed_in.revoke(given.app_id, profile=given.profile)
        print("Revoked. The service has ended its access.")

    @magic_arguments()
    @_PROFILE
    @line_magic
    def ic_disconnect(self, line: str) -> Disconnected:
        """End this sign-in at the service, and forget it here. To forget it here alone: %ic_forget."""
        return signed_in.disconnect(profile=parse_argstring(self.ic_disconnect, line).profile)

    @magic_arguments()
    @_PROFILE
    @line_magic
    def ic_forget(self, line: str) -> None:
        """Forget the sign-in here. At the service the app stays connected: %ic_disconnect ends it there."""
        signed_in.forget(profile=parse_argstring(self.ic_forget, line).profile)
        print("Forgotten here. At the service the app stays connected.")

    @line_magic
    def ic_cells(self, line: str) -> None:
        """Insert a helper cell below: `%ic_cells NAME`. Without a name, list them.

        The names: first-call, apps, revoke, pandas.
        """
        name = _unquoted(line)
        if not name:
            width = max(len(cell.name) for cell in CELLS)
            print("\n".join(f"%ic_cells {cell.name:{width}}  {cell.title}" for cell in CELLS))
            return
        try:
            cell = find_cell(name)
        except ConfigurationError as error:
            raise UsageError(str(error)) from None
        assert self.shell is not None
        self.shell.set_next_input(cell.code)


def _in_kernel(shell: InteractiveShell | None) -> bool:
    return getattr(shell, "kernel", None) is not None


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add them to a shell."""
    shell.register_magics(SignInMagics)
