"""Where this process runs, whether a person is there, and what the environment variables say."""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Any

from ic_notebook.errors import ConfigurationError
from ic_notebook.oauth.answers import visible
from ic_notebook.oauth.metadata import SERVICE, checked_base_url

ACCESS_TOKEN = "IC_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
BASE_URL = "IC_BASE_URL"
_TEXT_BROWSERS = ("www-browser", "links", "elinks", "lynx", "w3m", "browsh")


def base_url(given: str | None = None) -> str:
    """The API's base URL: what is given, else `IC_BASE_URL`, else the service's.

    Raises:
        ConfigurationError: for one that a token must not go to.
    """
    return checked_base_url(given or os.environ.get(BASE_URL, "").strip() or SERVICE)


def access_token() -> str | None:
    """The token or API key in `IC_ACCESS_TOKEN`, or None; a pasted `Bearer ` in front is dropped.

    Raises:
        ConfigurationError: it holds something that cannot be one.
    """
    text = os.environ.get(ACCESS_TOKEN, "").strip()
    scheme, *words = text.split(maxsplit=1) or [""]
    if scheme.lower() == "bearer":
        text = "".join(words)
    if not text:
        return None
    if visible(text) is None:
        raise ConfigurationError(
            f"{ACCESS_TOKEN} holds something that is not a token: spaces, line breaks or foreign characters. "
            "Copy the token or API key once more."
        )
    return text


def in_notebook() -> bool:
    """Whether this process is a Jupyter kernel."""
    return _kernel() is not None


def somebody_is_there() -> bool:
    """Whether a person can be asked to approve: not under `CI`, and with a notebook, terminal or browser.

    A kernel tells by its execute request: nbclient, papermill and nbconvert send `allow_stdin` false.
    """
    kernel = _kernel()
    if kernel is not None:
        parent = kernel.get_parent()
        return bool(parent.get("content", {}).get("allow_stdin", True))
    if os.environ.get("CI", "").lower() not in {"", "0", "false"}:
        return False
    return has_terminal() or has_browser()


def has_terminal() -> bool:
    """Whether a person can read what the standard error stream says, and type an answer."""
    try:
        return sys.stdin.isatty() and sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


def has_browser() -> bool:
    """Whether a graphical browser of this computer can be opened."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("BROWSER")
    ):
        return False
    try:
        name = getattr(webbrowser.get(), "name", "")
    except webbrowser.Error:
        return False
    return os.path.basename(str(name)) not in _TEXT_BROWSERS  # noqa: PTH119 - a name, not a path of ours


def _kernel() -> Any:
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)
