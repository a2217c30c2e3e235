"""Presenter: fills a panel's page, and does what a person asks for there. There is no protocol in it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ic_notebook.background import background
from ic_notebook.errors import ICNotebookError, own_fault
from ic_notebook.jupyter.veil import Veil
from ic_notebook.jupyter.view import View, apps_view, may_list, view_of
from ic_notebook.notices import notices
from ic_notebook.redirect.routes import Findings
from ic_notebook.sessions.session import Session
from ic_notebook.sign_in import SignIn, log_fault


class Presenter:
    """What one panel shows and hears.

    Args:
        sign_in: what is shown.
        send: passes a message to the page.
    """

    def __init__(self, sign_in: SignIn, send: Callable[[dict[str, Any]], object]) -> None:
        self.sign_in = sign_in
        self._send = send
        self._veil = Veil()
        self._telling = threading.RLock()
        self._untold = self._at_it = False
        self._apps: View | None = None
        self._busy: str | None = None
        self._alert: str | None = None
        self._intents: dict[str, Callable[[dict[str, Any]], None]] = {
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
        sign_in.in_page = True
        self._unwatch = (sign_in.watch(self.tell), notices.watch(self.tell))

    def close(self) -> None:
        """Show no more."""
        for unwatch in self._unwatch:
            unwatch()

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
        view = view_of(self.sign_in, apps=self._apps, busy=self._busy, notice=notices.latest)
        if view["state"] != "connected":
            # What was shown of a session is not shown of the next.
            self._apps = self._alert = None
        elif self._alert:
            view["text"] = self._alert
        if self.sign_in.phase is not None:
            view["veil"] = self._veil.fresh()
        self._send({"type": "view", "view": view})

    def heard(self, message: Any) -> None:
        """Do what the page says."""
        kind = str(message.get("type")) if isinstance(message, dict) else ""
        if kind == "paste":
            self.sign_in.paste(self._veil.lifted(message))
        elif kind == "answer" and self.sign_in.login is not None:
            query = self._veil.lifted(message).removeprefix("?")
            background().submit(self.sign_in.login.respond, query)
        elif kind in self._intents:
            self._intents[kind](message)

    def _hello(self, _message: dict[str, Any]) -> None:
        self.sign_in.viewed()
        self.tell()

    def _with_session(self, act: Callable[..., Any], *arguments: Any) -> None:
        session = self.sign_in.session
        if session is not None and may_list(session):
            background().submit(self._safely, act, session, *arguments)

    async def _safely(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            await act(*arguments)
        except Exception as error:  # noqa: BLE001 - nobody waits for it: it is shown and logged
            log_fault("The panel could not do what it was asked", error)
            self._show_apps({"problem": str(own_fault(error))})

    async def _load_apps(self, session: Session) -> None:
        self._show_apps({"loading": True})
        try:
            self._show_apps(apps_view(await session.load_apps()))
        except ICNotebookError as error:
            self._show_apps({"problem": str(error)})

    async def _revoke(self, session: Session, app_id: Any) -> None:
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
            self.sign_in.note = result.message
        except ICNotebookError as error:
            self._alert = str(error)
        finally:
            self._busy = self._apps = None
            self.tell()

    def _show_apps(self, apps: View) -> None:
        self._apps = apps
        self.tell()
