"""A disk that is full: whatever we were writing is whole or not there, and the reason is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ic_notebook.errors import StorageError
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.redirect.rendezvous import Rendezvous
from ic_notebook.storage.clients import ClientStore
from tests.sessions.vaults import Vault, shared

FULL = Path("/dev/full")
pytestmark = pytest.mark.skipif(not FULL.exists(), reason="needs the device /dev/full")

ISSUER = "https://api.example.com"


@pytest.fixture
def full_disk(monkeypatch):
    """From now on a file that is made or emptied takes no byte: the kernel says so, at the write itself."""
    really = os.open

    def opened(path, flags, mode=0o777, *, dir_fd=None):
        descriptor = really(path, flags, mode, dir_fd=dir_fd)
        if not flags & os.O_EXCL and not (flags & os.O_TRUNC and flags & os.O_WRONLY):
            return descriptor
        os.close(descriptor)
        return really(FULL, os.O_WRONLY)

    return lambda: monkeypatch.setattr(os, "open", opened)


def kept(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and path.suffix not in {".lock", ".changed"}
    }


def test_clients_json_stands_as_it_was_and_the_reason_is_said(tmp_path, full_disk):
    store = ClientStore(tmp_path / "clients.json")
    old, new = (
        ClientInformation(client_id=name, client_name=name, redirect_uris=(f"http://127.0.0.1:1/{name}",))
        for name in ("old", "new")
    )
    store.save(ISSUER, old, now=1.0)
    before = kept(tmp_path)
    full_disk()
    with pytest.raises(StorageError, match="No space left on device"):
        store.save(ISSUER, new, now=2.0)

    assert kept(tmp_path) == before
    assert store.find(ISSUER, old.redirect_uris).client == old


def test_a_rendezvous_file_is_whole_or_not_there(tmp_path, full_disk):
    full_disk()
    with pytest.raises(OSError, match="No space left on device"):
        Rendezvous(tmp_path, 21873).announce("key")

    assert kept(tmp_path) == {}


def test_a_renewal_goes_on_and_tells_the_others(tmp_path, full_disk):
    store = shared(Vault(), ISSUER, tmp_path)
    store.renewal_begins("one-token")
    store.changed()
    before, stamp = kept(tmp_path), store.stamp()
    full_disk()

    assert store.renewal_begins("another-token") is False
    store.changed()
    assert kept(tmp_path) == before
    assert store.stamp() != stamp
