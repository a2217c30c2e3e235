"""ConnectPanel: the widget. A page draws it before the kernel has imported presenter.py, which fills it.

Kernel and page talk by custom messages alone. A trait can be saved in the notebook file; a message cannot.
The page's side is one module to anywidget; here it is several files, put one behind the other.
"""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anywidget

# Imported once there is something to show: by then the page has drawn the panel.
if TYPE_CHECKING:
    from ic_notebook.jupyter.presenter import Presenter
    from ic_notebook.sign_in import SignIn

_HERE = pathlib.Path(__file__).parent
_SOURCES = ("elements", "focus", "controls", "pasting", "remembering", "foot", "tables", "doors", "panel")
FALLBACK = (
    "The influencers.club sign-in panel is a widget, which this page does not show. Run this cell again; if "
    "the panel is still not there, run %ic_connect --paste, which needs none."
)


class ConnectPanel(anywidget.AnyWidget):
    """The Connect panel of one sign-in.

    Nothing is registered and nothing listens before a view of it says, from a browser, that it is seen.

    Args:
        sign_in: what it shows, or what gives that when a page first speaks; two panels of one SignIn show the
            same.
    """

    _esm = "\n".join((_HERE / f"{source}.js").read_text(encoding="utf-8") for source in _SOURCES)
    _css = _HERE / "panel.css"

    def __init__(self, sign_in: SignIn | Callable[[], SignIn]) -> None:
        super().__init__()
        self._given = sign_in
        self._presenter: Presenter | None = None
        self._presenting = threading.Lock()
        self.on_msg(self._heard)
        if not callable(sign_in):
            self._present()

    def __repr__(self) -> str:
        connected = self._presenter is not None and self._presenter.sign_in.connected
        return f"<ConnectPanel: {'connected' if connected else 'not connected'}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle: Any = super()._repr_mimebundle_(**options)
        (bundle[0] if isinstance(bundle, tuple) else bundle)["text/plain"] = FALLBACK
        return bundle

    def close(self) -> None:
        """End the widget."""
        if self._presenter is not None:
            self._presenter.close()
        super().close()

    def _heard(self, _widget: Any, message: Any, _buffers: Any) -> None:
        # A kernel may hear two pages on two threads.
        with self._presenting:
            presenter = self._presenter or self._present()
        if presenter is not None:
            presenter.heard(message)

    def _present(self) -> Presenter | None:
        """What shows the sign-in from now on; None where there can be none, which the page is told."""
        from ic_notebook.errors import ConfigurationError
        from ic_notebook.jupyter.presenter import Presenter
        from ic_notebook.jupyter.view import unusable

        try:
            sign_in = self._given() if callable(self._given) else self._given
        except ConfigurationError as error:
            self.send({"type": "view", "view": unusable(error)})
            return None
        self._presenter = Presenter(sign_in, self.send)
        return self._presenter
