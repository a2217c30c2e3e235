"""The Jupyter Server extension: hands redirects, and messages of the panel, to the kernel's listener.

It meets a code on its way, never a token. It goes to no port but the one in the rendezvous file of this very
sign-in, takes no HTML from there, and writes no query to the access log.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.utils import url_path_join
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from ic_notebook.redirect import pages
from ic_notebook.redirect.pages import Page
from ic_notebook.redirect.rendezvous import find

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

try:
    from jupyter_server.auth.decorator import allow_unauthenticated
except ImportError:  # before jupyter_server 2.13 no request needs a login by itself

    def allow_unauthenticated(method: Any) -> Any:  # type: ignore[misc]
        """Leave the check to the method."""
        return method


CALLBACK, DOOR = "/callback", "/door"
MAX_QUERY = 16_384
MAX_MESSAGE = 24_576
MAX_ANSWER = 65_536
CONNECT_TIMEOUT = 2.0
CALLBACK_TIMEOUT = 15.0
"""Seconds; the listener waits up to 10 s for the token request, to say how it ended."""
DOOR_TIMEOUT = 5.0


class _Handler(JupyterHandler):
    """What both have in common: a log without the query, pages of our own, and the way to the listener."""

    def _log(self) -> None:
        # The query holds a code: what is logged is the path.
        self.request.uri = self.request.path
        super()._log()

    def show(self, page: Page, *, hands_over: bool = False) -> None:
        """Answer with a page of ours, under its own policy."""
        self.set_status(page.status)
        for name, value in pages.HAND_OVER_HEADERS if hands_over else pages.HEADERS:
            self.set_header(name, value)
        self.finish(page.to_bytes(hands_over=hands_over))

    async def ask(self, port: int, path: str, *, timeout: float, **request: Any) -> bytes | None:
        """What the listener answers, or None. Nothing else is asked: no redirect followed, no proxy used."""
        client = SimpleAsyncHTTPClient(force_instance=True, max_body_size=MAX_ANSWER)
        try:
            answer = await client.fetch(
                HTTPRequest(
                    f"http://127.0.0.1:{port}{path}",
                    follow_redirects=False,
                    connect_timeout=CONNECT_TIMEOUT,
                    request_timeout=timeout,
                    **request,
                )
            )
        except (OSError, HTTPClientError):
            # Not let out: a server's log shows the query of a request that fails.
            return None
        else:
            return answer.body
        finally:
            client.close()

    def listener_of(self, key: str) -> int | None:
        """The port of the listener that a key belongs to."""
        return find(Path(self.settings["ic_notebook_runtime"]), key)


class CallbackHandler(_Handler):
    """Takes the browser's redirect."""

    @allow_unauthenticated
    async def get(self) -> None:
        """Hand the query on to the listener, else to the panel, which is on the same origin."""
        if self.current_user is None:
            # Jupyter's own redirect to its login page would carry the code along, and into the log.
            self.show(pages.NOT_LOGGED_IN)
            return
        query = self.request.query
        if len(query) > MAX_QUERY:
            self.show(pages.NOTHING_HERE)
            return
        port = self.listener_of(_state_of(query))
        page = None
        if port is not None:
            answer = await self.ask(
                port, f"{CALLBACK}?{query}", timeout=CALLBACK_TIMEOUT, headers={"Accept": pages.JSON}
            )
            page = Page.from_json(answer or b"")
        if page is not None:
            self.show(page)
        else:
            self.show(pages.NOBODY_WAITS, hands_over=True)


class DoorHandler(_Handler):
    """Takes what the panel's page says; Jupyter has checked who sends it, and its XSRF token."""

    @allow_unauthenticated
    async def post(self) -> None:
        """Hand the message on to the listener that its key belongs to."""
        self.set_header("Cache-Control", "no-store")
        body = self.request.body
        if self.current_user is None or len(body) > MAX_MESSAGE:
            self.set_status(403)
            self.finish()
            return
        port = self.listener_of(_key_of(body))
        if port is None:
            # The extension works; this kernel shares no files with it.
            self.finish({"kernel": "out of reach"})
            return
        origin = self.request.headers.get("Origin", "")
        answer = await self.ask(
            port, DOOR, timeout=DOOR_TIMEOUT, method="POST", body=body, headers={"Origin": origin}
        )
        if answer is not None:
            self.finish({"answer": answer.decode("utf-8", "replace")})
        else:
            self.finish({"kernel": "no answer"})


def _state_of(query: str) -> str:
    try:
        states = [value for name, value in parse_qsl(query, max_num_fields=64) if name == "state"]
    except ValueError:
        return ""
    return states[0] if len(states) == 1 else ""


def _key_of(body: bytes) -> str:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    key = message.get("key") if isinstance(message, dict) else None
    return key if isinstance(key, str) else ""


def load(app: ServerApp) -> None:
    """Add the two addresses to a Jupyter server."""
    app.web_app.settings["ic_notebook_runtime"] = app.runtime_dir
    base = app.web_app.settings["base_url"]
    app.web_app.add_handlers(  # type: ignore[no-untyped-call]
        ".*$",
        [
            (url_path_join(base, "ic-notebook", "callback"), CallbackHandler),
            (url_path_join(base, "ic-notebook", "door"), DoorHandler),
        ],
    )
