"""A person with a sign-in of their own, and files to put its secrets in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import keyring
import pytest

from ic_notebook.background import background
from ic_notebook.cli import main
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.sandbox import RunningSandbox, SandboxSettings, serve_in_thread
from ic_notebook.storage.choice import keyring_store
from tests.sessions.people import nobody_else
from tests.storage.keyrings import ModelKeyring

SERVICE = "https://api-dashboard.influencers.club"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch) -> Iterator[None]:
    with nobody_else(tmp_path, monkeypatch):
        yield


@pytest.fixture
def new_sandbox() -> Iterator[Callable[..., RunningSandbox]]:
    with ExitStack() as stack:

        def start(**settings: Any) -> RunningSandbox:
            return stack.enter_context(serve_in_thread(SandboxSettings(**{"rate_limit": 0} | settings)))

        yield start


@pytest.fixture
def tree(tmp_path) -> Path:
    """A folder to scan, apart from the person's configuration."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def system_keyring() -> Iterator[ModelKeyring]:
    before = keyring.get_keyring()
    model = ModelKeyring()
    keyring.set_keyring(model)
    yield model
    keyring.set_keyring(before)


@pytest.fixture
def keep(system_keyring) -> Callable[..., TokenSet]:
    """Puts a sign-in into the keyring, as connecting does."""

    def keep(access_token: str, refresh_token: str | None = None, *, profile: str = "default") -> TokenSet:
        tokens = TokenSet(
            access_token=Secret(access_token),
            refresh_token=Secret(refresh_token) if refresh_token else None,
            issuer=SERVICE,
        )

        async def save() -> None:
            async with keyring_store(SERVICE, profile).exclusive() as alone:
                await alone.save(tokens)

        background().run(save)
        return tokens

    return keep


@pytest.fixture
def scan(capsys) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; gives its exit code, output and errors."""

    def scan(*arguments: object) -> tuple[int, str, str]:
        try:
            code = main(["scan", *map(str, arguments)])
        except SystemExit as exit_:
            code = exit_.code
        said = capsys.readouterr()
        return code, said.out, said.err

    return scan


def notebook(*sources: str, **more: Any) -> dict[str, Any]:
    """A notebook of code cells, as Jupyter writes them: lines in a list."""
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"c{number}",
            "metadata": {},
            "outputs": [],
            "source": source.splitlines(keepends=True),
        }
        for number, source in enumerate(sources)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5} | more


def written(path: Path, document: Any) -> Path:
    """Write it as Jupyter does."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path
