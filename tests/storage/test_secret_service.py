"""The token set in a real GNOME Keyring over a real D-Bus: unlocked, locked, absent and mute."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.sizes import needs_time
from tests.storage.secret_service import (
    bare_environment,
    locked_keyring,
    needs_secret_service,
    silent,
    unlocked_keyring,
)

pytestmark = [needs_secret_service, pytest.mark.skipif(sys.platform != "linux", reason="Linux's keyring")]

ROOT = Path(__file__).parents[2]
BEGIN = """
import json, sys, time
from ic_notebook.errors import ICNotebookError
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage.keyring import KeyringStorage

storage = KeyringStorage("https://issuer.example", "default")

def tokens(text, name=""):
    return TokenSet(access_token=Secret(text), issuer="https://issuer.example", client_id=name)

def tell(call):
    began = time.monotonic()
    try:
        result, error = call(), None
    except ICNotebookError as failure:
        result, error = str(failure), type(failure).__name__
    print(json.dumps([error, result, time.monotonic() - began]), flush=True)
"""
ENTRIES = """
import contextlib, secretstorage
with contextlib.closing(secretstorage.dbus_init()) as bus:
    collection = secretstorage.get_default_collection(bus)
    print(json.dumps([item.get_label() for item in collection.get_all_items()]))
"""


@pytest.fixture(scope="module")
def unlocked(tmp_path_factory):
    with unlocked_keyring(tmp_path_factory.mktemp("k")) as env:
        yield env


def python(env, script: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + script],
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(process: subprocess.Popen[str]) -> list:
    try:
        output, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait(5)
    assert process.returncode == 0, errors
    assert "access-" not in errors
    return [json.loads(line) for line in output.splitlines()]


def run(env, script: str) -> list:
    return answers(python(env, script))


def test_another_process_loads_what_one_saved_and_a_delete_leaves_no_entry(unlocked):
    long = "access-" + "x" * 5_000
    [[error, name, _]] = run(unlocked, f"storage.save(tokens('{long}')); tell(lambda: storage.name)")
    assert (error, name) == (None, "Secret Service")

    assert run(unlocked, "tell(lambda: str(storage.load().access_token))")[0][:2] == [None, long]
    [labels] = run(unlocked, ENTRIES)
    assert sum("ic_notebook" in label for label in labels) == 5

    run(unlocked, "storage.save(tokens('access-short'))")
    assert run(unlocked, "tell(lambda: str(storage.load().access_token))")[0][:2] == [None, "access-short"]
    assert run(unlocked, "tell(storage.delete); tell(storage.load)" + ENTRIES) == [
        [None, None, pytest.approx(0, abs=5)],
        [None, None, pytest.approx(0, abs=5)],
        [],
    ]


def test_the_desktops_name_is_the_keyrings(unlocked):
    env = unlocked | {"XDG_CURRENT_DESKTOP": "ubuntu:GNOME"}
    assert run(env, "storage.check(); tell(lambda: storage.name)")[0][:2] == [None, "GNOME Keyring"]


IN_TURNS = """
import filelock, os
from ic_notebook.storage import keyring

turn = filelock.FileLock(os.environ["XDG_DATA_HOME"] + "/turn", poll_interval=0.001)
call_backend = keyring.call_backend

def in_turn(*args):
    # Two at once crash the daemon. What a save or a load does between two of them still goes on beside others.
    time.sleep(0.002)
    with turn:
        return call_backend(*args)

keyring.call_backend = in_turn
"""
WRITER = """
for i in range(6):
    storage.save(tokens("access-" + "x" * (10 + i % 2 * 2_000), str(i)))
    print(i, flush=True)
"""
READER = """
seen = []
while not seen or seen[-1] < 5:
    seen.append(int(storage.load().client_id))
print(json.dumps(seen))
"""


@needs_time
def test_processes_that_load_beside_one_that_saves_see_whole_sets_in_order(unlocked):
    run(unlocked, "storage.save(tokens('access-before', '-1'))")
    processes = [python(unlocked, IN_TURNS + script) for script in (WRITER, READER, READER)]
    _, *readers = [answers(process) for process in processes]
    run(unlocked, "storage.delete()")

    for [seen] in readers:
        assert seen == sorted(seen)
        assert len(set(seen)) > 1


def test_a_process_that_is_killed_while_it_saves_leaves_a_whole_set(unlocked):
    run(unlocked, "storage.save(tokens('access-before', '-1'))")
    script = "i = 0\nwhile True:\n storage.save(tokens('access-' + 'x' * 3_000, str(i))); print(i, flush=True); i += 1"
    last = -1
    for saves in (1, 3):
        writer = python(unlocked, script.replace("i = 0", f"i = {last + 1}"))
        for _ in range(saves):
            last = int(writer.stdout.readline())
        writer.kill()
        rest, _ = writer.communicate(timeout=10)
        last = max([last, *map(int, rest.split())])
        [[error, found, _]] = run(unlocked, "tell(lambda: int(storage.load().client_id))")
        assert error is None
        assert found in (last, last + 1)
        last = found
    assert run(unlocked, "storage.delete()" + ENTRIES) == [[]]


ALL_CALLS = "tell(storage.check); tell(storage.load); tell(lambda: storage.save(tokens('access-x'))); tell(storage.delete)"


@pytest.mark.parametrize("there", [True, False], ids=["a keyring", "no keyring yet"])
def test_a_locked_keyring_that_nobody_can_unlock_says_so_in_words(tmp_path_factory, there):
    folder = tmp_path_factory.mktemp("k")
    if there:
        with unlocked_keyring(folder) as env:
            run(env, "storage.save(tokens('access-kept'))")
    with locked_keyring(folder) as env:
        check, *calls = run(env, ALL_CALLS)
    assert check[0] is None
    for error, words, seconds in calls:
        assert error == "StorageError"
        assert words.startswith("Your keyring (Secret Service) is locked. Unlock it")
        assert seconds < 5
    if there:
        with unlocked_keyring(folder) as env:
            assert run(env, "tell(lambda: str(storage.load().access_token))")[0][:2] == [None, "access-kept"]


def test_without_d_bus_there_is_no_keyring_and_every_call_says_what_to_do(tmp_path):
    for error, words, _ in run(bare_environment(tmp_path, tmp_path), ALL_CALLS):
        assert error == "ConfigurationError"
        assert "keyring.backends.fail" in words
        assert 'storage="memory"' in words


def test_a_keyring_that_ends_meanwhile_is_a_storage_error(tmp_path_factory):
    with unlocked_keyring(tmp_path_factory.mktemp("k")) as env:
        process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + "tell(storage.load)\nsys.stdin.readline()\ntell(storage.load)"],
            env=env,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        first = json.loads(process.stdout.readline())
    output, _ = process.communicate("go on\n", timeout=20)
    error, words, _ = json.loads(output)

    assert first[:2] == [None, None]
    assert error == "StorageError"
    assert words.startswith("Your keyring (Secret Service)")


WAITING = """
import threading
call = threading.Thread(target=WHAT, daemon=True)
call.start()
call.join(2.0)
print(json.dumps([call.is_alive(), storage.name]), flush=True)
"""


def test_a_silent_keyring_holds_up_the_call_but_neither_the_name_nor_the_end_of_the_process(unlocked):
    with silent(unlocked):
        [[waits, name]] = run(unlocked, "storage.check()" + WAITING.replace("WHAT", "storage.load"))
    assert (waits, name) == (True, "Secret Service")
    assert run(unlocked, "tell(storage.load)")[0][:2] == [None, None]


@contextlib.contextmanager
def mute_bus(folder: Path, *, lets_in: bool):
    """A D-Bus that accepts a connection, lets it in or not, and never says anything more."""
    connections: list[socket.socket] = []

    def serve() -> None:
        connection, _ = bus.accept()
        connections.append(connection)
        with contextlib.suppress(OSError):
            while lets_in and (said := connection.recv(1_000)):
                if b"AUTH" in said:
                    connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")

    with contextlib.closing(socket.socket(socket.AF_UNIX)) as bus:
        bus.bind(str(folder / "bus"))
        bus.listen()
        bus.settimeout(20)
        thread = threading.Thread(target=serve)
        thread.start()
        yield bare_environment(folder, folder) | {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder / 'bus'}"}
        thread.join(20)
        for connection in connections:
            connection.close()


def test_a_mute_d_bus_holds_up_the_check_but_neither_the_name_nor_the_end_of_the_process(tmp_path_factory):
    with mute_bus(tmp_path_factory.mktemp("m"), lets_in=True) as env:
        [[waits, name]] = run(env, WAITING.replace("WHAT", "storage.check"))
    assert (waits, name) == (True, "this computer's keyring")


def test_a_d_bus_that_lets_nobody_in_is_no_keyring_within_seconds(tmp_path_factory):
    with mute_bus(tmp_path_factory.mktemp("m"), lets_in=False) as env:
        [[error, _, seconds]] = run(env, "tell(storage.check)")
    assert error == "ConfigurationError"
    assert seconds < 10
