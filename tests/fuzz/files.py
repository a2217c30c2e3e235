"""Targets: the files of ours that somebody else, or another version, may have written."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from ic_notebook.oauth.answers import visible
from ic_notebook.oauth.registration import ClientInformation
from ic_notebook.redirect import rendezvous
from ic_notebook.storage import clients
from ic_notebook.storage.clients import ClientStore
from tests.fuzz.building import JSON_WORDS, Reader, bytes_of, text_of
from tests.fuzz.protocol import breaks
from tests.fuzz.targets import Target
from tests.oauth.hostile import SERVER, only_ours

KEY = "K" * 43
MACHINE = "machine"
URIS = ("http://127.0.0.1:1001/callback", "http://127.0.0.1:1002/callback")
OURS = ClientInformation(client_id="ours", client_name="a name", redirect_uris=URIS, scope="all")
FOLDER = Path(tempfile.mkdtemp())
RENDEZVOUS = FOLDER / rendezvous._name_of(KEY)
STORE = ClientStore(FOLDER / "clients.json", machine=MACHINE)
CHANGES: tuple[tuple[Callable[[], None], float | None], ...] = (
    (lambda: STORE.save(SERVER, OURS, now=1.0), 1.0),
    (lambda: STORE.signed_in(SERVER, "ours", now=2.0), 2.0),
    (lambda: STORE.drop(SERVER, "ours"), None),
)
MODES = (0o600, 0o600, 0o600, 0o400, 0o640, 0o604, 0o666)


# Nobody else is here, and the lock takes longer than all the rest.
clients.locked = lambda path: contextlib.nullcontext()


def content_of(reader: Reader) -> bytes:
    """What stands in a file: three times of four JSON."""
    return text_of(reader.value()).encode() if reader.byte() % 4 else reader.rest()


def check_rendezvous(data: bytes) -> None:
    reader = Reader(data)
    mode = MODES[reader.byte() % len(MODES)]
    content = content_of(reader)
    RENDEZVOUS.write_bytes(content)
    RENDEZVOUS.chmod(mode)
    port = rendezvous.find(FOLDER, KEY)
    RENDEZVOUS.chmod(0o600)
    if port is not None:
        assert not mode & 0o077
        assert 1_024 <= port <= 65_535
        assert json.loads(content)["port"] == port


def check_clients(data: bytes) -> None:
    reader = Reader(data)
    how = reader.byte()
    before = _completed(reader) if how % 2 else content_of(reader)
    STORE.path.write_bytes(before)
    _found(None)
    for change, expected in CHANGES[: how // 2 % 4]:
        if only_ours(_done, change):
            _found(expected)
            before = STORE.path.read_bytes()
        else:
            assert STORE.path.read_bytes() == before
            assert set(FOLDER.iterdir()) <= {STORE.path, RENDEZVOUS}


def _done(change: Callable[[], None]) -> bool:
    change()
    return True


def _found(signed_in_at: float | None) -> None:
    """Whatever is found can be used; after a save it is what was saved."""
    stored = only_ours(STORE.find, SERVER, URIS)
    if signed_in_at is not None:
        assert (stored.client, stored.signed_in_at) == (OURS, signed_in_at)
    elif stored is not None:
        client = stored.client
        assert visible(client.client_id)
        assert client.client_name.isprintable()
        assert 0 < len(client.client_name) <= 200
        assert client.redirect_uris == URIS
        assert client.scope is None or isinstance(client.scope, str)
        assert isinstance(stored.signed_in_at, float)
        hash(client)


def _completed(reader: Reader) -> bytes:
    """Entries of this server and machine, with any other fields."""
    entries = [
        entry for entry in (reader.value() for _ in range(1 + reader.byte() % 3)) if isinstance(entry, dict)
    ]
    given = {
        "issuer": SERVER,
        "machine": MACHINE,
        "redirect_uris": list(URIS),
        "client_id": "c",
        "client_name": "n",
    }
    return text_of({"format": 1, "clients": [given | entry for entry in entries]}).encode()


CLIENT = {"client_id": "other", "client_name": "x", "scope": "all", "signed_in_at": 1_700_000_000}

TARGETS = {
    "rendezvous": Target(
        check=check_rendezvous,
        seeds=(
            b"\0\1" + bytes_of({"format": 1, "port": 21_873}),
            b"\4\1" + bytes_of({"format": 1, "port": 21_873}),
            b"\0\1" + bytes_of({"format": 1, "port": "21873"}),
            b'\0\0{"format": 1, "port": 1024}',
            b"\0\0" + b" " * 4_096,
        ),
        words=(*JSON_WORDS, '{"format": 1, "port": ', "1024", "65535", "65536"),
        longest=4_200,
        defect=breaks(rendezvous, "_is_ours", lambda file: True),
    ),
    "clients": Target(
        check=check_clients,
        seeds=(
            b"\5\0" + bytes_of(CLIENT),
            b"\7\1" + bytes_of(CLIENT) + bytes_of(CLIENT | {"machine": "x"}),
            b"\4\1" + bytes_of({"format": 1, "clients": [CLIENT, {}, 1], "data": "(nested 900)"}),
            b"\2\1" + bytes_of({"format": 2, "clients": []}),
            b'\6\0{"clients": {}}',
            b"\2\0\xff",
        ),
        words=(*JSON_WORDS, '"clients":', '"format":', '"machine":', '"redirect_uris":', '"signed_in_at":'),
        defect=breaks(clients, "visible", lambda value: value if isinstance(value, str) else None),
    ),
}
