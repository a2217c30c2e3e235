"""A link, somebody else's file or one that is open to all, in the place of each file that we write."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ic_notebook.errors import StorageError
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.redirect.rendezvous import Rendezvous, _name_of
from ic_notebook.storage.clients import ClientStore
from tests.sessions.vaults import Vault, shared

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links"),
]

ISSUER = "https://api.example.com"
CLIENT = ClientInformation(client_id="c", client_name="n", redirect_uris=("http://127.0.0.1:1/callback",))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(frozen=True)
class Written:
    """A file of ours: where it is in a folder, and how it comes to be written."""

    place: Callable[[Path], Path]
    write: Callable[[Path], object]


FILES = {
    "clients.json": Written(
        lambda folder: folder / "clients.json",
        lambda folder: ClientStore(folder / "clients.json").save(ISSUER, CLIENT, now=1.0),
    ),
    "note": Written(
        lambda folder: shared(Vault(), ISSUER, folder)._renewing,
        lambda folder: shared(Vault(), ISSUER, folder).renewal_begins("a-token"),
    ),
    "rendezvous": Written(
        lambda folder: folder / _name_of("key"), lambda folder: Rendezvous(folder, 21873).announce("key")
    ),
}


@pytest.mark.parametrize("planted", ["link", "dangling link", "open to all", "another user's"])
@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_what_is_planted_in_its_place_is_replaced_by_a_file_of_our_own(tmp_path, file, planted):
    folder, victim = tmp_path / "folder", tmp_path / "victim"
    folder.mkdir(mode=0o700)
    path = file.place(folder)
    if "link" in planted:
        path.symlink_to(victim)
    else:
        path.write_text("{}")
        path.chmod(0o666)
    if planted == "link":
        victim.write_text("untouched")
    if planted == "another user's":
        _give_away(path)
    file.write(folder)

    assert not path.is_symlink()
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (0o600, os.getuid())
    assert path.read_text() != "{}"
    assert victim.exists() is (planted == "link")
    assert not victim.exists() or victim.read_text() == "untouched"


@pytest.mark.parametrize("there", [True, False])
def test_a_marker_that_is_a_link_is_not_followed(tmp_path, there):
    store, victim = shared(Vault(), ISSUER, tmp_path), tmp_path / "victim"
    if there:
        victim.write_text("untouched")
        os.utime(victim, ns=(1, 1))
    store._marker.symlink_to(victim)
    store.changed()

    assert victim.exists() is there
    assert not there or victim.stat().st_mtime_ns == 1


async def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    store, victim = shared(Vault(), ISSUER, tmp_path), tmp_path / "victim"
    victim.write_text("untouched")
    store._lock.symlink_to(victim)
    with pytest.raises(StorageError, match="cannot be locked"):
        async with store.exclusive():
            pass
    assert victim.read_text() == "untouched"


def _give_away(path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(path, 65_534, 65_534)
