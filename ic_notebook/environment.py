"""Where this process runs, whether a person is there, and what the environment variables say."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import webbrowser
from pathlib import Path
from typing import Any

from ic_notebook.errors import ConfigurationError
from ic_notebook.oauth.answers import visible
from ic_notebook.oauth.metadata import SERVICE, checked_base_url

ACCESS_TOKEN = "IC_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
BASE_URL = "IC_BASE_URL"
PROFILE = "IC_PROFILE"
STORAGE = "IC_STORAGE"
DEFAULT_PROFILE = "default"
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_told_mode: str | None = None
_TEXT_BROWSERS = ("www-browser", "links", "elinks", "lynx", "w3m", "browsh")


def base_url(given: str | None = None) -> str:
    """The API's base URL: what is given, else `IC_BASE_URL`, else the service's.

    Raises:
        ConfigurationError: for one that a token must not go to.
    """
    return checked_base_url(given or os.environ.get(BASE_URL, "").strip() or SERVICE)


def profile(given: str | None = None) -> str:
    """Which of a person's accounts: what is given, else `IC_PROFILE`, else `default`.

    Raises:
        ConfigurationError: for a name that cannot be one.
    """
    name = given if given is not None else os.environ.get(PROFILE, "").strip() or DEFAULT_PROFILE
    if not isinstance(name, str) or not _PROFILE.fullmatch(name):
        raise ConfigurationError(
            "A profile's name has 1 to 64 letters, digits, dots, hyphens or underscores, such as agency-a. "
            "Check profile, or IC_PROFILE."
        )
    return name


def storage() -> str | None:
    """What `IC_STORAGE` says: `memory`, `keyring`, or None where it is not set.

    Raises:
        ConfigurationError: it says something else.
    """
    name = os.environ.get(STORAGE, "").strip().lower()
    if name not in {"", "memory", "keyring"}:
        raise ConfigurationError(f"{STORAGE} is either memory or keyring.")
    return name or None


def serves_many() -> bool:
    """Whether a sign-in that is kept here could be taken for another person's: Voila, `marimo run`."""
    return in_voila() or is_marimo_app()


def in_voila() -> bool:
    """Whether this is the kernel of one visitor of Voila."""
    return os.environ.get("SERVER_SOFTWARE", "").lower().startswith("voila/")


def is_marimo_app() -> bool:
    """Whether this is `marimo run`, whose visitors are all served by threads of this one process."""
    mode = _marimo_mode()
    # A thread of the user's own, before any cell has asked: marimo's server is only where `marimo run` is.
    return mode == "run" or (mode is None and "marimo._server.main" in sys.modules)


def in_marimo_editor() -> bool:
    """Whether this is the process of a notebook that is open in `marimo edit`."""
    return _marimo_mode() == "edit"


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


def kernel_folder() -> Path | None:
    """Where the kernel's connection file is, which a Jupyter server on the same files reads too; or None."""
    kernel = _kernel()
    connection_file = getattr(getattr(kernel, "parent", None), "abs_connection_file", None)
    return Path(connection_file).parent if isinstance(connection_file, str) and connection_file else None


@functools.cache
def shares_jupyter() -> bool:
    """Whether the Jupyter server that started this kernel runs in the environment of this kernel."""
    try:
        import psutil  # type: ignore[import-untyped]

        command = psutil.Process(int(os.environ["JPY_PARENT_PID"])).cmdline()[:2]
    except (ImportError, KeyError, ValueError, OSError, psutil.Error):
        return False
    folder = Path(sys.prefix)
    return any(folder in Path(word).parents for word in command)


def shows_panels() -> bool:
    """Whether a widget can be displayed from a running cell."""
    return in_notebook() or in_marimo_editor()


def somebody_is_there() -> bool:
    """Whether a person can be asked to approve: not under `CI`, and with a notebook, terminal or browser.

    A kernel tells by its execute request: nbclient, papermill and nbconvert send `allow_stdin` false.
    """
    if in_marimo_editor():
        return True
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


def _marimo_mode() -> str | None:
    """How marimo runs a notebook here: `edit`, `run`, `script`; None where none of its cells has asked yet.

    marimo tells it to its own threads alone; the others go by what one of them was told. `marimo export` says
    `edit` too, but no browser has asked for anything then.
    """
    global _told_mode  # noqa: PLW0603 - it does not change as long as the process lives
    marimo = sys.modules.get("marimo")
    if marimo is not None:
        with contextlib.suppress(Exception):
            meta = marimo.app_meta()
            told = "script" if meta.mode == "edit" and meta.request is None else meta.mode
            _told_mode = _told_mode if told is None or _told_mode == "edit" else told
    return _told_mode


def _kernel() -> Any:
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)
