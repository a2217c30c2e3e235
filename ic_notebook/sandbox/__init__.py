"""An authorization server to develop against: a second, independent reading of the RFCs and of the service.

It imports nothing of the client, so that one mistake cannot pass on both ends. Everything here needs the
extra ``ic-notebook[sandbox]``; importing this package alone does not, its names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ic_notebook.sandbox.app import create_app
    from ic_notebook.sandbox.faults import Faults
    from ic_notebook.sandbox.middleware import RecordedRequest
    from ic_notebook.sandbox.serve import RunningSandbox, serve_in_thread
    from ic_notebook.sandbox.settings import SandboxSettings
    from ic_notebook.sandbox.store import Store

__all__ = [
    "Faults",
    "RecordedRequest",
    "RunningSandbox",
    "SandboxSettings",
    "Store",
    "create_app",
    "serve_in_thread",
]

_HOME = {
    "Faults": "faults",
    "RecordedRequest": "middleware",
    "RunningSandbox": "serve",
    "SandboxSettings": "settings",
    "Store": "store",
    "create_app": "app",
    "serve_in_thread": "serve",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
