"""What the users of one stored sign-in agree on: a lock, a marker, and a note of a renewal under way."""

from __future__ import annotations

import asyncio
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ic_notebook.errors import StorageError
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage import sharing
from tests.sessions.vaults import Vault, shared

pytestmark = pytest.mark.anyio

ISSUER = "https://api.example.com"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def tokens(name: str) -> TokenSet:
    return TokenSet(access_token=Secret(name), issuer=ISSUER)


@pytest.fixture
def gate():
    gate = threading.Event()
    yield gate
    gate.set()


async def test_every_save_and_delete_changes_the_stamp_of_all(tmp_path):
    vault = Vault()
    first, second = shared(vault, ISSUER, tmp_path), shared(vault, ISSUER, tmp_path)
    stamps = [second.stamp()]
    assert stamps == [None]
    for _ in range(50):
        async with first.exclusive() as exclusive:
            await exclusive.save(tokens("a"))
        stamps.append(second.stamp())
    async with second.exclusive() as exclusive:
        await exclusive.delete()
    stamps.append(first.stamp())
    assert len(set(stamps)) == len(stamps)


async def test_the_stamp_moves_on_also_where_the_clock_was_set_back(tmp_path):
    store = shared(Vault(), ISSUER, tmp_path)
    store.changed()
    future = (store._marker.stat().st_mtime_ns + 10**12,) * 2
    os.utime(store._marker, ns=future)
    before = store.stamp()
    store.changed()
    assert store.stamp() > before


async def test_only_one_at_a_time_holds_the_lock(tmp_path):
    holding, most = [], []

    async def hold() -> None:
        async with shared(Vault(), ISSUER, tmp_path).exclusive():
            holding.append(1)
            most.append(len(holding))
            await asyncio.sleep(0.005)
            holding.pop()

    await asyncio.gather(*(hold() for _ in range(10)))
    assert most == [1] * 10


async def test_another_profile_or_server_has_a_lock_of_its_own(tmp_path):
    first = shared(Vault(), ISSUER, tmp_path)
    async with first.exclusive(), shared(Vault(), "https://other.example.com", tmp_path).exclusive():
        pass


async def test_a_holder_that_is_killed_frees_the_lock(tmp_path):
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path.cwd())!r})
from pathlib import Path
from tests.sessions.vaults import Vault, shared
async def main():
    async with shared(Vault(), {ISSUER!r}, Path({str(tmp_path)!r})).exclusive():
        print("held", flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        waiting = asyncio.ensure_future(_locked_once(tmp_path))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        holder.kill()
        await asyncio.wait_for(waiting, 10)


async def _locked_once(folder: Path) -> None:
    async with shared(Vault(), ISSUER, folder).exclusive():
        pass


async def test_a_save_that_is_late_keeps_the_lock_so_that_nothing_newer_is_overwritten(tmp_path, gate):
    vault = Vault()

    def stuck(name: str) -> None:
        if name == "save" and len(vault.calls) == 1:
            gate.wait()

    vault.before = stuck
    slow = shared(vault, ISSUER, tmp_path, deadline=0.2)
    with pytest.raises(StorageError, match="does not answer"):
        async with slow.exclusive() as exclusive:
            await exclusive.save(tokens("older"))

    async def save_newer() -> None:
        async with shared(vault, ISSUER, tmp_path).exclusive() as exclusive:
            await exclusive.save(tokens("newer"))

    newer = asyncio.ensure_future(save_newer())
    await asyncio.sleep(0.2)
    assert not newer.done()
    gate.set()
    await asyncio.wait_for(newer, 10)
    assert vault.load() == tokens("newer")


async def test_who_waits_too_long_for_the_lock_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(sharing, "LOCK_TIMEOUT", 0.2)
    async with shared(Vault(), ISSUER, tmp_path).exclusive():
        with pytest.raises(StorageError, match="Another program"):
            await _locked_once(tmp_path)


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be locked"):
        await _locked_once(tmp_path / "file" / "below")


async def test_a_renewal_that_was_cut_short_is_told_by_the_next_one_of_the_same_token(tmp_path):
    store = shared(Vault(), ISSUER, tmp_path)
    assert not store.renewal_begins("one")
    assert shared(Vault(), ISSUER, tmp_path).renewal_begins("one")
    assert not store.renewal_begins("two")
    store.renewal_ends()
    assert not store.renewal_begins("two")


async def test_the_files_hold_no_secret_no_name_and_are_their_owners(tmp_path):
    store = shared(Vault(), ISSUER, tmp_path / "state")
    store_token = "very-secret-token"
    async with store.exclusive() as exclusive:
        store.renewal_begins(store_token)
        await exclusive.save(tokens(store_token))
    for path in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert "example" not in path.name
        assert store_token.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "stored", [tokens("x").to_json(), "no token set"], ids=["another server's", "a text"]
)
async def test_what_is_not_a_token_set_of_this_server_is_refused(tmp_path, stored):
    vault = Vault()
    if stored.startswith("{"):
        vault.text = stored
    else:
        vault.load = lambda: stored
    with pytest.raises(StorageError, match="not one of this server"):
        await shared(vault, "https://another.example.com", tmp_path).load()
