"""A keyring of the test's own, and a server with processes around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ic_notebook.sandbox import SandboxSettings, serve_in_thread
from tests.load.crowd import Place
from tests.load.report import KEY
from tests.storage.secret_service import unlocked_keyring


@pytest.fixture
def keyring(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of processes that find a real, unlocked GNOME Keyring."""
    with unlocked_keyring(tmp_path) as env:
        yield env


@pytest.fixture
def place(keyring: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Place]]:
    """Starts a server with these settings, and gives where processes find a sign-in at it."""
    with ExitStack() as stack:

        def start(*, in_keyring: bool = True, **settings: Any) -> Place:
            options = {"auto_approve": True, "rate_limit": 0} | settings
            sandbox = stack.enter_context(serve_in_thread(SandboxSettings(**options)))
            there = Place(tmp_path, sandbox, env=keyring, keyring=in_keyring)
            stack.callback(there.close)
            return there

        yield start


@pytest.fixture
def report(record_property: Callable[[str, Any], None]) -> Callable[[dict[str, Any]], None]:
    """Has figures shown at the end of the run."""
    return lambda figures: record_property(KEY, figures)
