"""Sign in to the influencers.club API from a notebook: one Connect button, no key in a cell.

In a notebook: `%load_ext ic_notebook`. In a script: `ic_notebook.connect()`.
Then `ic_notebook.client()` is an httpx client that is signed in.
"""

from __future__ import annotations

__version__ = "0.1.0"

# Type checkers know it by its name; to import `typing` for it would be most of what this import costs.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from IPython.core.interactiveshell import InteractiveShell
    from jupyter_server.serverapp import ServerApp

    from ic_notebook import cluster
    from ic_notebook.connecting import connect, connect_async, panel
    from ic_notebook.errors import (
        APIError,
        AuthorizationResponseError,
        ConfigurationError,
        ForeignOrigin,
        ICNotebookError,
        NobodyThere,
        NotResent,
        OAuthError,
        ServiceUnavailable,
        SignInCancelled,
        SignInDeclined,
        SignInError,
        SignInRequired,
        SignInTimeout,
        StorageError,
        UnexpectedAnswer,
    )
    from ic_notebook.oauth.connected_apps import ConnectedApp
    from ic_notebook.oauth.token_set import TokenSet
    from ic_notebook.sessions.apps import ConnectedApps
    from ic_notebook.sessions.session import Session
    from ic_notebook.sessions.status import Disconnected, Status
    from ic_notebook.signed_in import (
        apps,
        async_client,
        client,
        disconnect,
        forget,
        revoke,
        session,
        status,
    )
    from ic_notebook.storage.base import TokenStorage

__all__ = [
    "APIError",
    "AuthorizationResponseError",
    "ConfigurationError",
    "ConnectedApp",
    "ConnectedApps",
    "Disconnected",
    "ForeignOrigin",
    "ICNotebookError",
    "NobodyThere",
    "NotResent",
    "OAuthError",
    "ServiceUnavailable",
    "Session",
    "SignInCancelled",
    "SignInDeclined",
    "SignInError",
    "SignInRequired",
    "SignInTimeout",
    "Status",
    "StorageError",
    "TokenSet",
    "TokenStorage",
    "UnexpectedAnswer",
    "apps",
    "async_client",
    "client",
    "cluster",
    "connect",
    "connect_async",
    "disconnect",
    "forget",
    "load_ipython_extension",
    "panel",
    "revoke",
    "session",
    "status",
]

# Where the names live that are neither functions of signed_in.py nor exceptions. A public name is resolved on
# first use (PEP 562), so that the import costs next to nothing.
_HOMES = {
    "ConnectedApp": "ic_notebook.oauth.connected_apps",
    "ConnectedApps": "ic_notebook.sessions.apps",
    "Disconnected": "ic_notebook.sessions.status",
    "Session": "ic_notebook.sessions.session",
    "Status": "ic_notebook.sessions.status",
    "TokenSet": "ic_notebook.oauth.token_set",
    "TokenStorage": "ic_notebook.storage.base",
    "connect": "ic_notebook.connecting",
    "connect_async": "ic_notebook.connecting",
    "panel": "ic_notebook.connecting",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    if name == "cluster":
        return import_module(f"{__name__}.cluster")
    home = _HOMES.get(name) or f"ic_notebook.{'signed_in' if name.islower() else 'errors'}"
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Tells a Jupyter server which module is its extension."""
    return [{"module": "ic_notebook"}]


def _load_jupyter_server_extension(app: ServerApp) -> None:
    """What a Jupyter server does on its start: adds the way by which a redirect reaches a kernel."""
    from ic_notebook.server_extension import load

    load(app)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What `%load_ext ic_notebook` does: adds the `%ic_` magics, shows the Connect panel in a notebook."""
    from ic_notebook.loading import load

    load(shell)
