"""clients.json: which client this computer is registered as, per server."""

from __future__ import annotations

import asyncio
import gc
import json
import multiprocessing
import multiprocessing.connection
import os
import stat
import sys
import threading
import warnings
from pathlib import Path

import pytest

from ic_notebook.errors import StorageError
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.storage import clients, files
from ic_notebook.storage.clients import ClientStore, StoredClient

ISSUER = "https://api.example.com"
URIS = ("http://127.0.0.1:1001/callback", "http://127.0.0.1:1002/callback")


def client(
    client_id: str = "c1", *, uris: tuple[str, ...] = URIS, scope: str | None = "all"
) -> ClientInformation:
    return ClientInformation(client_id=client_id, client_name="a name", redirect_uris=uris, scope=scope)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def store(tmp_path) -> ClientStore:
    return ClientStore(tmp_path / "ic" / "clients.json", machine="here")


def document(store: ClientStore) -> dict:
    return json.loads(store.path.read_text())


def put(store: ClientStore, content: str | bytes) -> None:
    store.path.parent.mkdir(parents=True, exist_ok=True)
    store.path.write_bytes(content if isinstance(content, bytes) else content.encode())


def entry(**fields) -> dict:
    known = {"issuer": ISSUER, "machine": "here", "client_id": "c1", "client_name": "a name"}
    return known | {"redirect_uris": list(URIS), "scope": "all", "signed_in_at": 5.0} | fields


def test_nothing_is_found_and_nothing_made_before_the_first_save(store):
    assert store.find(ISSUER, URIS) is None
    assert not store.path.parent.exists()


@pytest.mark.parametrize("scope", ["all", None])
def test_what_is_saved_is_found_also_by_another_store(store, scope):
    store.save(ISSUER, client(scope=scope), now=5.0)

    found = ClientStore(store.path, machine="here").find(ISSUER, URIS)
    assert found == StoredClient(client=client(scope=scope), signed_in_at=5.0)


def test_the_file_has_a_format_and_only_what_is_needed(store):
    store.save(ISSUER, client(), now=5.0)

    assert document(store) == {"format": 1, "clients": [entry()]}


@pytest.mark.parametrize(
    ("issuer", "uris", "machine"),
    [
        ("https://other.example.com", URIS, "here"),
        (f"{ISSUER}/", URIS, "here"),
        (ISSUER, URIS[:1], "here"),
        (ISSUER, URIS[::-1], "here"),
        (ISSUER, (*URIS, URIS[0]), "here"),
        (ISSUER, (), "here"),
        (ISSUER, URIS, "there"),
        (ISSUER, URIS, ""),
    ],
)
def test_issuer_redirect_uris_and_machine_are_the_key(store, issuer, uris, machine):
    store.save(ISSUER, client("c1"), now=5.0)
    other = ClientStore(store.path, machine=machine)

    assert other.find(issuer, uris) is None
    other.save(issuer, client("c2", uris=uris), now=6.0)
    assert store.find(ISSUER, URIS).client.client_id == "c1"
    assert other.find(issuer, uris).client.client_id == "c2"


def test_a_save_takes_the_place_of_the_client_with_the_same_key(store):
    store.save(ISSUER, client("c1"), now=5.0)
    store.save(ISSUER, client("c2"), now=6.0)

    assert [kept["client_id"] for kept in document(store)["clients"]] == ["c2"]


def test_signed_in_notes_the_time_of_that_client_alone(store):
    store.save(ISSUER, client("c1"), now=5.0)
    store.save(ISSUER, client("c2", uris=URIS[:1]), now=6.0)
    store.signed_in(ISSUER, "c1", now=9.0)

    assert store.find(ISSUER, URIS).signed_in_at == 9.0
    assert store.find(ISSUER, URIS[:1]).signed_in_at == 6.0


def test_drop_forgets_that_client_alone(store):
    store.save(ISSUER, client("c1"), now=5.0)
    store.save(ISSUER, client("c2", uris=URIS[:1]), now=6.0)
    ClientStore(store.path, machine="there").drop(ISSUER, "c1")
    store.drop("https://other.example.com", "c1")
    store.drop(ISSUER, "c2")
    store.drop(ISSUER, "never there")

    assert [kept["client_id"] for kept in document(store)["clients"]] == ["c1"]


def test_unknown_fields_are_kept(store):
    theirs = entry(machine="there", later={"deep": [1]})
    put(store, json.dumps({"format": 1, "later": [2], "clients": [entry(later=3), theirs]}))
    store.signed_in(ISSUER, "c1", now=9.0)
    store.save(ISSUER, client("c2", uris=URIS[:1]), now=6.0)

    kept = document(store)
    assert kept["later"] == [2]
    assert kept["clients"][:2] == [entry(later=3, signed_in_at=9.0), theirs]


@pytest.mark.parametrize("number", [2, 1.5, "1", "2", None, [], {}, 10**30])
def test_a_newer_format_is_refused_and_never_overwritten(store, number):
    content = json.dumps({"format": number, "clients": {"of": "another shape"}})
    put(store, content)
    for attempt in (
        lambda: store.find(ISSUER, URIS),
        lambda: store.save(ISSUER, client(), now=5.0),
        lambda: store.signed_in(ISSUER, "c1", now=5.0),
        lambda: store.drop(ISSUER, "c1"),
    ):
        with pytest.raises(StorageError, match="Upgrade"):
            attempt()

    assert store.path.read_text() == content


@pytest.mark.parametrize(
    "content",
    [
        "",
        " ",
        "{",
        "null",
        "[]",
        "1",
        '"text"',
        "{}",
        "[" * 100_000,
        b"\xff\xfe\x00",
        b"\x00" * 100,
        '{"clients": null}',
        '{"clients": {}}',
        '{"clients": [null, 1, "x", [], {}]}',
        '{"clients": [{"issuer": 1}]}',
        "1" * 10_000,
        "NaN",
        '{"format": 1, "clients": "x"}',
        b'\xef\xbb\xbf{"format": 1}',
        '{"format": true}',
    ],
    ids=lambda content: repr(content[:24]),
)
def test_a_corrupt_or_foreign_file_counts_as_none_and_is_replaced(store, content):
    put(store, content)
    assert store.find(ISSUER, URIS) is None
    store.save(ISSUER, client(), now=5.0)

    assert store.find(ISSUER, URIS).client == client()
    assert document(store)["format"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": 7},
        {"client_id": "\ud800"},
        {"client_id": "a\nb"},
        {"client_id": "x" * 20_000},
        {"client_name": None},
        {"client_name": 7},
        {"client_id": ["c1"]},
    ],
)
def test_an_entry_that_cannot_be_one_counts_as_none(store, damage):
    put(store, json.dumps({"format": 1, "clients": [entry(**damage)]}))

    assert store.find(ISSUER, URIS) is None
    store.save(ISSUER, client(), now=5.0)
    assert store.find(ISSUER, URIS).client == client()


@pytest.mark.parametrize("damage", ["null", '"x"', "[]", "{}", "1" + "0" * 400, "-1" + "0" * 400])
def test_a_time_that_cannot_be_one_counts_as_long_ago(store, damage):
    put(store, json.dumps({"format": 1, "clients": [entry()]}).replace("5.0", damage))

    assert store.find(ISSUER, URIS) == StoredClient(client=client(), signed_in_at=0.0)


def test_a_huge_file_is_refused_and_left_as_it_is(store):
    put(store, b" " * (clients.MAX_BYTES + 1))
    with pytest.raises(StorageError, match="not ours"):
        store.find(ISSUER, URIS)
    with pytest.raises(StorageError, match="not ours"):
        store.save(ISSUER, client(), now=5.0)

    assert store.path.stat().st_size == clients.MAX_BYTES + 1


def test_the_oldest_clients_make_room(store, monkeypatch):
    monkeypatch.setattr(clients, "MAX_CLIENTS", 3)
    for i in range(5):
        store.save(ISSUER, client(f"c{i}", uris=(f"http://127.0.0.1:{i + 1}/callback",)), now=float(i))

    assert [kept["client_id"] for kept in document(store)["clients"]] == ["c2", "c3", "c4"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")
def test_the_file_is_private_and_a_link_in_its_place_is_replaced(store, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("{}")
    store.path.parent.mkdir(mode=0o700)
    store.path.symlink_to(elsewhere)
    store.save(ISSUER, client(), now=5.0)

    assert elsewhere.read_text() == "{}"
    assert not store.path.is_symlink()
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(store.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_whole(store, monkeypatch, name):
    store.save(ISSUER, client("c1"), now=5.0)
    before = store.path.read_bytes()

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, name, full)
    if name == "replace":
        monkeypatch.setattr(Path, name, full)  # Python 3.10's does not ask `os` for it
    with pytest.raises(StorageError, match="No space left"):
        store.save(ISSUER, client("c2"), now=6.0)
    monkeypatch.undo()

    assert store.path.read_bytes() == before
    assert {path.name for path in store.path.parent.iterdir()} <= {"clients.json", "clients.json.lock"}


def test_the_default_place_is_the_users_configuration(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    path = ClientStore().path

    assert path.name == "clients.json"
    assert path.parent.name == "ic_notebook"
    assert tmp_path in path.parents
    assert ClientStore().machine


# -- one registration at a time


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(clients, "REGISTERING_TIMEOUT", 0.2)


def warnings_in(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.anyio
async def test_registrations_at_one_server_come_one_after_the_other_and_the_loop_goes_on(store):
    inside, most, ticks = 0, 0, 0

    async def register() -> None:
        nonlocal inside, most
        async with ClientStore(store.path, machine="here").registering(ISSUER):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.03)
            inside -= 1

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    await asyncio.gather(*(register() for _ in range(5)))
    ticking.cancel()

    assert most == 1
    assert ticks > 20


@pytest.mark.anyio
async def test_another_server_and_another_computer_are_not_waited_for(store, caplog):
    other = ClientStore(store.path, machine="there")
    async with (
        store.registering(ISSUER),
        store.registering("https://other.example.com"),
        other.registering(ISSUER),
    ):
        pass

    assert warnings_in(caplog) == []


@pytest.mark.anyio
async def test_who_waited_long_enough_goes_on_with_a_warning(store, quick, caplog):
    async with store.registering(ISSUER):
        async with store.registering(ISSUER):
            pass
        assert "another program has been registering" in warnings_in(caplog)[0]
    caplog.clear()
    async with store.registering(ISSUER):
        pass

    assert warnings_in(caplog) == []


@pytest.mark.anyio
async def test_a_folder_that_cannot_be_written_costs_a_warning(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    async with ClientStore(tmp_path / "file" / "clients.json", machine="here").registering(ISSUER):
        pass

    assert "cannot be locked" in warnings_in(caplog)[0]


@pytest.mark.anyio
async def test_a_file_system_without_locks_costs_a_warning(store, monkeypatch, caplog):
    def unable(*_arguments, **_options):
        raise NotImplementedError

    monkeypatch.setattr(clients.filelock, "FileLock", unable)
    async with store.registering(ISSUER):
        pass

    assert "no locks on this file system" in warnings_in(caplog)[0]


@pytest.mark.anyio
@pytest.mark.parametrize("ending", [ZeroDivisionError, asyncio.CancelledError])
async def test_a_registration_that_fails_lets_go(store, quick, caplog, ending):
    with pytest.raises(ending):
        async with store.registering(ISSUER):
            raise ending
    async with store.registering(ISSUER):
        pass

    assert warnings_in(caplog) == []


@pytest.mark.anyio
async def test_who_stops_waiting_takes_nothing_with_them(store, quick, caplog):
    async def register() -> None:
        async with store.registering(ISSUER):
            pass

    async with store.registering(ISSUER):
        waiting = asyncio.create_task(register())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with store.registering(ISSUER):
        pass

    assert warnings_in(caplog) == []


@pytest.mark.anyio
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
async def test_a_forked_child_neither_holds_nor_frees_its_parents_lock(store, quick, caplog):
    async with store.registering(ISSUER):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if not child:
            gc.collect()
            os._exit(0)
        os.waitpid(child, 0)
        async with store.registering(ISSUER):
            assert len(warnings_in(caplog)) == 1
    async with store.registering(ISSUER):
        assert len(warnings_in(caplog)) == 1


PROCESSES, SAVES = 8, 50


def uris_of(process: int, save: int) -> tuple[str, ...]:
    return (f"http://127.0.0.1:{1000 + process * SAVES + save}/callback",)


def save_many(path, process: int, start) -> None:
    clients.MAX_CLIENTS, files.LOCK_TIMEOUT = PROCESSES * SAVES, 30.0
    store = ClientStore(path, machine="here")
    start.wait(30)
    for save in range(SAVES):
        store.save(ISSUER, client(f"c{process}-{save}", uris=uris_of(process, save)), now=1.0)


def test_8_processes_that_save_at_once_lose_nothing_and_show_no_half_file(store):
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(PROCESSES + 1)
    script = [context.Process(target=save_many, args=(store.path, i, start)) for i in range(PROCESSES)]
    for process in script:
        process.start()
    start.wait(30)
    seen = 0
    while any(process.is_alive() for process in script):
        multiprocessing.connection.wait([process.sentinel for process in script], timeout=0.01)
        content = store.path.read_bytes() if store.path.exists() else b"{}"
        seen = max(seen, len(json.loads(content).get("clients", [])))
    for process in script:
        process.join(30)

    assert [process.exitcode for process in script] == [0] * PROCESSES
    assert seen > 0
    saved = {kept["client_id"] for kept in document(store)["clients"]}
    assert saved == {f"c{process}-{save}" for process in range(PROCESSES) for save in range(SAVES)}


def test_threads_that_save_at_once_lose_nothing(store):
    def save(i: int) -> None:
        for j in range(5):
            store.save(ISSUER, client(f"c{i}-{j}", uris=uris_of(i, j)), now=1.0)

    threads = [threading.Thread(target=save, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(document(store)["clients"]) == 30
