"""ConnectPanel: the widget. It shows a SignIn and passes on what a person does; there is no protocol in it.

Kernel and page talk by custom messages alone. A trait can be saved in the notebook file; a message cannot.
The page's side is one module to anywidget; here it is several files, put one behind the other.
"""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import anywidget

from ic_notebook.background import background
from ic_notebook.errors import ICNotebookError, own_fault
from ic_notebook.jupyter.veil import Veil
from ic_notebook.notices import notices

# What a sign-in needs is imported once there is one to show: by then the page draws the panel.
if TYPE_CHECKING:
    from ic_notebook.jupyter.view import View
    from ic_notebook.sessions.session import Session
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
        sign_in: what it shows; two panels of one SignIn show the same. None where `show` is to follow.
    """

    _esm = "\n".join((_HERE / f"{source}.js").read_text(encoding="utf-8") for source in _SOURCES)
    _css = _HERE / "panel.css"

    def __init__(self, sign_in: SignIn | None = None) -> None:
        super().__init__()
        self._sign_in: SignIn | None = None
        self._early: list[Any] = []
        self._veil = Veil()
        self._unwatch: tuple[Callable[[], None], ...] = ()
        self._telling = threading.RLock()
        self._untold = self._at_it = False
        self._apps: View | None = None
        self._busy: str | None = None
        self._alert: str | None = None
        self._intents: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.on_msg(self._heard)
        if sign_in is not None:
            self.show(sign_in)

    def show(self, sign_in: SignIn) -> None:
        """From now on show this sign-in; what the page has said before is heard now."""
        from ic_notebook.redirect.routes import Findings

        sign_in.in_page = True
        self._intents = {
            "hello": self._hello,
            "goodbye": lambda _: sign_in.unviewed(),
            "near": lambda _: sign_in.prepare(),
            "retry": lambda _: sign_in.prepare(),
            "routes": lambda message: sign_in.found(Findings.of(message)),
            "opened": lambda _: sign_in.opened(),
            "cancel": lambda _: sign_in.cancel(),
            "register": lambda _: sign_in.register_again(),
            "remember": lambda message: sign_in.remember(on=message.get("on") is True),
            "without": lambda _: sign_in.keeping.go_on_without(),
            "apps": lambda _: self._with_session(self._load_apps),
            "revoke": lambda message: self._with_session(self._revoke, message.get("id")),
            "disconnect": lambda _: self._with_session(self._disconnect),
        }
        self._unwatch = (sign_in.watch(self.tell), notices.watch(self.tell))
        with self._telling:
            self._sign_in, early = sign_in, self._early
        for message in early:
            self._heard(self, message, None)

    def __repr__(self) -> str:
        connected = self._sign_in is not None and self._sign_in.connected
        return f"<ConnectPanel: {'connected' if connected else 'not connected'}>"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle: Any = super()._repr_mimebundle_(**options)
        (bundle[0] if isinstance(bundle, tuple) else bundle)["text/plain"] = FALLBACK
        return bundle

    def close(self) -> None:
        """End the widget."""
        for unwatch in self._unwatch:
            unwatch()
        super().close()

    def tell(self) -> None:
        """Send the page the whole picture, from whichever thread."""
        # One at a time: of two threads, the one with the older picture could be the last to send it.
        with self._telling:
            self._untold = True
            if self._at_it:
                # A garbage collection in the lines below has ended a notice; they go on to tell it.
                return
            self._at_it = True
            try:
                while self._untold:
                    self._untold = False
                    self._tell_once()
            finally:
                self._at_it = False

    def _tell_once(self) -> None:
        from ic_notebook.jupyter.view import view_of

        if self._sign_in is None:
            return
        view = view_of(self._sign_in, apps=self._apps, busy=self._busy, notice=notices.latest)
        if view["state"] != "connected":
            # What was shown of a session is not shown of the next.
            self._apps = self._alert = None
        elif self._alert:
            view["text"] = self._alert
        if self._sign_in.phase is not None:
            view["veil"] = self._veil.fresh()
        self.send({"type": "view", "view": view})

    def _heard(self, _widget: Any, message: Any, _buffers: Any) -> None:
        with self._telling:
            if self._sign_in is None:
                self._early.append(message)
                return
        kind = str(message.get("type")) if isinstance(message, dict) else ""
        if kind == "paste":
            self._sign_in.paste(self._veil.lifted(message))
        elif kind == "answer" and self._sign_in.login is not None:
            query = self._veil.lifted(message).removeprefix("?")
            background().submit(self._sign_in.login.respond, query)
        elif kind in self._intents:
            self._intents[kind](message)

    def _hello(self, _message: dict[str, Any]) -> None:
        assert self._sign_in is not None
        self._sign_in.viewed()
        self.tell()

    def _with_session(self, act: Callable[..., Any], *arguments: Any) -> None:
        from ic_notebook.jupyter.view import may_list

        session = self._sign_in.session if self._sign_in is not None else None
        if session is not None and may_list(session):
            background().submit(self._safely, act, session, *arguments)

    async def _safely(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            await act(*arguments)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is shown and logged
            from ic_notebook.sign_in import log_fault

            log_fault("The panel could not do what it was asked", error)
            self._show_apps({"problem": str(own_fault(error))})

    async def _load_apps(self, session: Session) -> None:
        from ic_notebook.jupyter.view import apps_view

        self._show_apps({"loading": True})
        try:
            self._show_apps(apps_view(await session.load_apps()))
        except ICNotebookError as error:
            self._show_apps({"problem": str(error)})

    async def _revoke(self, session: Session, app_id: Any) -> None:
        from ic_notebook.jupyter.view import apps_view

        self._busy = "Disconnecting…"
        self.tell()
        try:
            # Anything but text is no id, and is refused as none.
            await session.revoke_app(app_id if isinstance(app_id, str) else "")
            apps = apps_view(await session.load_apps())
        except ICNotebookError as error:
            apps = {"problem": str(error)}
        finally:
            self._busy = None
        self._show_apps(apps)

    async def _disconnect(self, session: Session) -> None:
        self._busy, self._alert = "Disconnecting…", None
        self.tell()
        try:
            result = await session.end()
            assert self._sign_in is not None
            self._sign_in.note = result.message
        except ICNotebookError as error:
            self._alert = str(error)
        finally:
            self._busy = self._apps = None
            self.tell()

    def _show_apps(self, apps: View) -> None:
        self._apps = apps
        self.tell()
