"""The token set in a keyring: whole or not there, whatever dies, whoever writes, whatever stands in it."""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import sys
import threading
import time
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyring.backends import chainer, fail, null
from keyring.errors import InitError, KeyringError, KeyringLocked, PasswordDeleteError, PasswordSetError

from ic_notebook.errors import ConfigurationError, StorageError
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage import backends
from ic_notebook.storage import keyring as storage_keyring
from ic_notebook.storage.keyring import USER, KeyringStorage
from ic_notebook.storage.slots import CHUNK, MAX_LENGTH, SEQUENCES, entries_of, void_head
from tests.sizes import EXAMPLES, LONG
from tests.storage.keyrings import KEYRINGS, Died, MacKeyring, ModelKeyring, WindowsKeyring

ISSUER = "https://issuer.example"
SIZES = {"short": 40, "two parts": 1_500, "long": 6_000}


@pytest.fixture(autouse=True, scope="module")
def no_pauses():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage_keyring, "PAUSE", 0.0)
        yield


@pytest.fixture(params=KEYRINGS)
def keyring(request) -> ModelKeyring:
    return KEYRINGS[request.param]()


def storage_in(keyring, *, issuer: str = ISSUER, profile: str = "default") -> KeyringStorage:
    return KeyringStorage(issuer, profile, backend=keyring)


def tokens_of(name: str, size: int = 40, **fields) -> TokenSet:
    filler = name * (size // len(name) + 1)
    return TokenSet(access_token=Secret(f"{name}-{filler[:size]}"), issuer=ISSUER, client_id=name, **fields)


def entry(slot: str, part: int, **names) -> str:
    return f"{storage_in(None, **names)._service} {slot}{part}"


# What is kept


@pytest.mark.parametrize("size", [1, 700, 1_000, 1_200, 1_201, 2_300, 5_000, 16_000])
def test_a_token_of_any_size_is_kept(keyring, size):
    tokens = tokens_of("t", size, refresh_token=Secret("r" * size), extra={"later": {"field": [1, "ü"]}})
    storage_in(keyring).save(tokens)

    assert storage_in(keyring).load() == tokens
    assert all(len(password) <= CHUNK for _, password in keyring.entries.values())
    assert len({user for user, _ in keyring.entries.values()}) == 1


def test_too_long_a_set_is_refused_and_the_last_one_stands(keyring):
    storage_in(keyring).save(tokens_of("old"))
    with pytest.raises(StorageError, match="too long"):
        storage_in(keyring).save(tokens_of("new", extra={"x": "x" * MAX_LENGTH}))

    assert storage_in(keyring).load() == tokens_of("old")


def test_sizes_that_change_leave_only_the_two_newest_sets_and_a_delete_leaves_nothing(keyring):
    storage = storage_in(keyring)
    for name, size in [("first", 15_000), ("second", 9_000), ("third", 40), ("fourth", 3_000), ("fifth", 40)]:
        storage.save(tokens_of(name, size))
        assert storage.load() == tokens_of(name, size)

    kept = "".join(password for _, password in keyring.entries.values())
    assert "fifth" in kept
    for gone in ("first", "second", "third"):
        assert gone not in kept
    storage.delete()
    assert keyring.entries == {}
    assert storage.load() is None


def test_sequence_numbers_wrap_around(keyring):
    last = tokens_of("last")
    [head] = entries_of(last.to_json(), SEQUENCES - 1)
    keyring.set_password(entry("a", 0), USER, str(head))
    assert storage_in(keyring).load() == last
    for i in range(3):
        storage_in(keyring).save(tokens_of(f"n{i}"))
        assert storage_in(keyring).load() == tokens_of(f"n{i}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((ISSUER, "a"), (ISSUER, "b")),
        (("https://x.example a", "b"), ("https://x.example", "a b")),
        ((ISSUER, "Team"), (ISSUER, "team")),
        ((ISSUER, "p" * 500 + "1"), (ISSUER, "p" * 500 + "2")),
        ((ISSUER, "a%20b"), (ISSUER, "a b")),
        ((ISSUER, "\ud800"), (ISSUER, "?")),
        ((ISSUER, "default a0"), (ISSUER, "default")),
        ((ISSUER, ""), ("", ISSUER)),
    ],
)
def test_no_two_issuers_and_profiles_share_an_entry(keyring, one, other):
    first = storage_in(keyring, issuer=one[0], profile=one[1])
    second = storage_in(keyring, issuer=other[0], profile=other[1])
    first.save(TokenSet(access_token=Secret("t1"), issuer=one[0]))
    assert second.load() is None
    second.save(TokenSet(access_token=Secret("t2"), issuer=other[0]))
    second.delete()

    assert first.load() == TokenSet(access_token=Secret("t1"), issuer=one[0])


@pytest.mark.parametrize("issuer", ["https://another.example", ""])
def test_another_issuers_tokens_are_neither_saved_nor_returned(keyring, issuer):
    tokens = TokenSet(access_token=Secret("theirs"), issuer=issuer)
    with pytest.raises(StorageError, match="another server"):
        storage_in(keyring).save(tokens)
    assert keyring.entries == {}

    keyring.set_password(entry("a", 0), USER, str(entries_of(tokens.to_json(), 0)[0]))
    with pytest.raises(StorageError, match="another server") as refused:
        storage_in(keyring).load()
    assert "theirs" not in str(refused.value)
    storage_in(keyring).save(tokens_of("ours"))
    assert storage_in(keyring).load() == tokens_of("ours")


# What dies


def crashes(keyring_class, history, change):
    """The keyring after a change that dies at its first step, its second, and so on until it does not die."""
    die_at = 0
    while True:
        keyring = keyring_class()
        for tokens in history:
            storage_in(keyring).save(tokens)
        keyring.die_at = keyring.steps + die_at
        died = True
        with contextlib.suppress(Died, StorageError):
            change(storage_in(keyring))
            died = False
        keyring.die_at = None
        yield keyring
        if not died:
            return
        die_at += 1


HISTORIES = [
    [],
    ["short"],
    ["long"],
    ["short", "short"],
    ["long", "short"],
    ["short", "long"],
    ["long", "two parts", "short"],
    ["short", "long", "long", "short"],
]


@pytest.fixture(
    params=[Died(), OSError("gone"), KeyringError("gone")], ids=["killed", "OSError", "KeyringError"]
)
def death(request, monkeypatch):
    monkeypatch.setattr(ModelKeyring, "death", request.param)


@pytest.mark.usefixtures("death")
@pytest.mark.parametrize("sizes", HISTORIES, ids=lambda sizes: ">".join(sizes) or "nothing")
@pytest.mark.parametrize("new_size", SIZES)
@pytest.mark.parametrize("keyring_class", KEYRINGS.values(), ids=KEYRINGS)
def test_a_save_that_dies_anywhere_leaves_the_old_set_or_the_new(keyring_class, sizes, new_size):
    history = [tokens_of(f"old{i}", SIZES[size]) for i, size in enumerate(sizes)]
    old, new = (history or [None])[-1], tokens_of("new", SIZES[new_size])
    seen = []
    for keyring in crashes(keyring_class, history, lambda storage: storage.save(new)):
        loaded = storage_in(keyring).load()
        assert loaded in (old, new)
        seen.append(loaded)

        storage_in(keyring).save(tokens_of("next", 1_500))
        assert storage_in(keyring).load() == tokens_of("next", 1_500)
        storage_in(keyring).delete()
        assert keyring.entries == {}

    assert seen[0] == old
    assert seen[-1] == new
    assert seen == sorted(seen, key=lambda loaded: loaded == new)


@pytest.mark.usefixtures("death")
@pytest.mark.parametrize("sizes", HISTORIES[1:], ids=">".join)
@pytest.mark.parametrize("keyring_class", KEYRINGS.values(), ids=KEYRINGS)
def test_a_delete_that_dies_anywhere_leaves_the_last_set_or_none_and_never_an_older_one(keyring_class, sizes):
    history = [tokens_of(f"old{i}", SIZES[size]) for i, size in enumerate(sizes)]
    seen = []
    for keyring in crashes(keyring_class, history, lambda storage: storage.delete()):
        loaded = storage_in(keyring).load()
        assert loaded in (history[-1], None)
        seen.append(loaded)

        storage_in(keyring).delete()
        assert keyring.entries == {}
        assert storage_in(keyring).load() is None

    assert seen[0] == history[-1]
    assert seen[-1] is None
    assert seen == sorted(seen, key=lambda loaded: loaded is None)


@pytest.mark.parametrize("sizes", [["short", "short"], ["long", "short"], ["short", "long"]], ids=">".join)
@pytest.mark.parametrize("keyring_class", KEYRINGS.values(), ids=KEYRINGS)
def test_what_is_deleted_stays_so_whatever_dies_while_the_rest_is_cleared_away(keyring_class, sizes):
    history = [tokens_of(f"old{i}", SIZES[size]) for i, size in enumerate(sizes)]
    for keyring in crashes(keyring_class, history, lambda storage: storage.delete()):
        left = dict(keyring.entries)
        if storage_in(keyring).load() is not None:
            continue
        for die_at in range(len(left) + 1):
            keyring.entries, keyring.die_at = dict(left), keyring.steps + die_at
            with contextlib.suppress(Died):
                storage_in(keyring).delete()
            keyring.die_at = None
            assert storage_in(keyring).load() is None


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["save", "save", "delete"]),
        st.sampled_from(sorted(SIZES.values())),
        st.none() | st.integers(0, 25),
    ),
    max_size=8,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(keyring_class=st.sampled_from(list(KEYRINGS.values())), changes=CHANGES)
def test_crash_upon_crash_leaves_what_was_or_what_was_to_be(keyring_class, changes):
    keyring, held = keyring_class(), None
    for i, (change, size, die_at) in enumerate(changes):
        wanted = tokens_of(f"t{i}", size) if change == "save" else None
        keyring.die_at = None if die_at is None else keyring.steps + die_at
        died = True
        with contextlib.suppress(Died):
            storage = storage_in(keyring)
            storage.delete() if wanted is None else storage.save(wanted)
            died = False
        keyring.die_at = None
        loaded = storage_in(keyring).load()
        assert loaded == wanted if not died else loaded in (held, wanted)
        held = loaded
    storage_in(keyring).delete()
    assert keyring.entries == {}


# Who writes meanwhile


class Meanwhile:
    """A reader's view of a keyring: just before its read of that number, somebody else changes what is there."""

    def __init__(self, keyring, change, *, at: int):
        self.keyring, self.change, self.reads_to_go = keyring, change, at

    def get_password(self, service, username):
        if self.reads_to_go == 0:
            self.change()
        self.reads_to_go -= 1
        return self.keyring.get_password(service, username)


@pytest.mark.parametrize("size", [40, 3_000], ids=["short", "long"])
@pytest.mark.parametrize("before", [1, 2, 3] if LONG else [1, 2])
@pytest.mark.parametrize("changes", ["", "s", "ss", "sss", "d", "ds", "dss", "sd"])
@pytest.mark.parametrize("last", ["save", "delete"])
def test_a_load_during_which_others_write_gives_what_was_there_then_or_later(
    keyring, size, before, changes, last
):
    """The last of the others is still at it, at each of its steps, when the load goes on."""
    for at in range(10 if LONG else 6):
        for steps in range(9 if LONG else 5):
            keyring.entries, keyring.die_at = {}, None
            sets = [tokens_of(f"n{i}", size) for i in range(before + len(changes) + 1)]
            for tokens in sets[:before]:
                storage_in(keyring).save(tokens)

            def change(steps=steps, rest=sets[before:]) -> None:
                storage = storage_in(keyring)
                for tokens, what in zip(rest, changes, strict=False):
                    storage.save(tokens) if what == "s" else storage.delete()
                keyring.die_at = keyring.steps + steps
                with contextlib.suppress(Died):
                    storage.save(rest[-1]) if last == "save" else storage.delete()
                keyring.die_at = None

            loaded = storage_in(Meanwhile(keyring, change, at=at)).load()
            assert loaded in sets[before - 1 :] or (loaded is None and "d" in changes + last[0])


SAVES = 1_500 if LONG else 150


class BusyKeyring:
    """Lets other threads in at every call."""

    def __init__(self, keyring):
        self.keyring = keyring

    def __getattr__(self, name):
        time.sleep(0)
        return getattr(self.keyring, name)


@pytest.fixture
def quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("sizes", [(40,), (40, 3_000)], ids=["short", "short and long"])
def test_readers_beside_a_writer_see_whole_sets_and_none_older_than_the_last_but_one(
    keyring, sizes, monkeypatch
):
    monkeypatch.setattr(storage_keyring, "PAUSE", 0.001)
    busy = BusyKeyring(keyring)
    sets = [tokens_of(f"n{i}", sizes[i % len(sizes)]) for i in range(SAVES)]
    completed, ended = [0], threading.Event()
    problems: list[str] = []
    loads = [0, 0]
    storage_in(busy).save(sets[0])

    def read(reader: int) -> None:
        storage = storage_in(busy)
        while not ended.is_set():
            before = completed[0]
            try:
                loaded = storage.load()
            except StorageError as error:
                problems.append(str(error))
                continue
            loads[reader] += 1
            if loaded not in sets or sets.index(loaded) < before - 1:
                problems.append(f"{before}: {loaded}")

    readers = [threading.Thread(target=read, args=(i,)) for i in range(2)]
    for reader in readers:
        reader.start()
    for i, tokens in enumerate(sets):
        storage_in(busy).save(tokens)
        completed[0] = i
    ended.set()
    for reader in readers:
        reader.join(10)

    assert problems == []
    assert min(loads) > 5


@pytest.mark.usefixtures("quick_switches")
def test_a_reader_beside_deletes_and_saves_never_sees_a_set_that_was_deleted_before(keyring, monkeypatch):
    monkeypatch.setattr(storage_keyring, "PAUSE", 0.001)
    busy = BusyKeyring(keyring)
    sets = [tokens_of(f"n{i}", (40, 3_000)[i % 2]) for i in range(SAVES // 2)]
    begun, ended = [0], threading.Event()
    problems: list[str] = []

    def read() -> None:
        while not ended.is_set():
            before = begun[0]
            loaded = storage_in(busy).load()
            if loaded is not None and (loaded not in sets or sets.index(loaded) < before):
                problems.append(f"{before}: {loaded}")

    reader = threading.Thread(target=read)
    reader.start()
    for i, tokens in enumerate(sets):
        begun[0] = i
        storage_in(busy).save(tokens)
        storage_in(busy).delete()
    ended.set()
    reader.join(10)

    assert problems == []
    assert keyring.entries == {}


# What stands in it


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "format": st.sampled_from([1, 1, 1, 2, 10**30, 0, -1, True, None, "1", 1.0]),
        "sequence": st.integers(-1, 3)
        | st.sampled_from([SEQUENCES - 1, SEQUENCES, 10**400, -(10**400), "1"]),
        "parts": st.integers(-1, 4) | st.sampled_from([55, 56, 10**400, None]),
        "length": st.integers(-1, 4) | st.sampled_from([MAX_LENGTH, 10**400, 1.5]),
        "sha256": st.just("0" * 64) | st.none() | st.text(max_size=5),
    },
)
WHOLE = st.tuples(
    st.sampled_from(
        [
            tokens_of("whole").to_json(),
            TokenSet(access_token=Secret("t"), issuer="https://another.example").to_json(),
            "",
            "{}",
            "[" * 5_000,
            json.dumps({"format": 1, "issuer": ISSUER, "access_token": "no\nvisible token"}),
            json.dumps({"format": 2, "issuer": ISSUER}),
        ]
    ),
    st.integers(0, 3) | st.just(SEQUENCES - 1),
).map(lambda whole: str(entries_of(*whole)[0]))
HOSTILE = st.one_of(
    st.text(max_size=20),
    st.tuples(HEADERS, st.text(max_size=10)).map(
        lambda x: json.dumps(x[0], separators=(",", ":")) + " " + x[1]
    ),
    WHOLE,
    st.integers(0, 3).map(void_head),
    st.sampled_from(["", "{", "null ", "[" * 1_000, "9" * 1_000, "x" * 50_000, "\ud800 ", 7, b"bytes"]),
)


def says_newer(text) -> bool:
    if not isinstance(text, str):
        return False
    head, _, chunk = text.partition(" ")
    for document in (head, chunk):
        with contextlib.suppress(ValueError, RecursionError, AttributeError):
            if json.loads(document).get("format") in (2, 10**30):
                return True
    return False


@settings(max_examples=EXAMPLES, deadline=None)
@given(entries=st.dictionaries(st.tuples(st.sampled_from("ab"), st.integers(0, 2)), HOSTILE, max_size=5))
def test_whatever_stands_there_is_refused_in_words_or_replaced(entries):
    keyring = ModelKeyring()
    for (slot, part), text in entries.items():
        keyring.entries[entry(slot, part)] = (USER, text)
    before = dict(keyring.entries)
    storage = storage_in(keyring)

    with contextlib.suppress(StorageError):
        assert storage.load() in (None, tokens_of("whole"))
    for change, expected in [
        (lambda: storage.save(tokens_of("ours", 1_500)), tokens_of("ours", 1_500)),
        (storage.delete, None),
    ]:
        if not refusal(change):
            assert storage.load() == expected
            continue
        assert "newer" in refusal(change)
        assert any(says_newer(text) for _, text in before.values())
        assert keyring.entries == before


def refusal(call) -> str:
    try:
        call()
    except StorageError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize("where", ["header", "token set"])
@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_newer_format_is_neither_read_nor_overwritten_nor_deleted(keyring, where, slot):
    storage = storage_in(keyring)
    storage.save(tokens_of("ours"))
    head = str(entries_of(tokens_of("theirs").to_json().replace('"format":1', '"format":2'), 9)[0])
    if where == "header":
        head = '{"format":2,"anything":"else"} and more'
    keyring.delete_password(entry("a", 0), USER)
    keyring.set_password(entry(slot, 0), USER, head)
    before = dict(keyring.entries)

    for call in (storage.load, lambda: storage.save(tokens_of("new")), storage.delete):
        with pytest.raises(StorageError, match="newer ic_notebook"):
            call()
    assert keyring.entries == before


@pytest.mark.parametrize("gone", [0, 1, 2, 5])
def test_a_delete_leaves_nothing_where_an_entry_was_removed_by_hand(keyring, gone):
    storage = storage_in(keyring)
    for name in ("first", "second"):
        storage.save(tokens_of(name, 6_000))
    keyring.delete_password(entry("b", gone), USER)
    storage.delete()

    assert keyring.entries == {}


@pytest.mark.parametrize("damage", ["part gone", "part changed", "head gone", "head cut"])
def test_a_damaged_newest_set_gives_way_to_the_one_before(keyring, damage):
    storage = storage_in(keyring)
    for name in ("first", "second"):
        storage.save(tokens_of(name, 3_000))
    if damage == "part gone":
        keyring.delete_password(entry("b", 2), USER)
    elif damage == "part changed":
        keyring.set_password(entry("b", 2), USER, "changed")
    elif damage == "head gone":
        keyring.delete_password(entry("b", 0), USER)
    else:
        keyring.set_password(entry("b", 0), USER, keyring.get_password(entry("b", 0), USER)[:-1])

    assert storage.load() == tokens_of("first", 3_000)
    storage.save(tokens_of("third"))
    assert storage.load() == tokens_of("third")


def test_two_damaged_sets_say_connect_again_and_the_next_save_takes_their_place(keyring):
    storage = storage_in(keyring)
    for name in ("first", "second"):
        storage.save(tokens_of(name))
    for slot in "ab":
        keyring.set_password(entry(slot, 0), USER, "damaged")
    with pytest.raises(StorageError, match=r"damaged\. Connect again\."):
        storage.load()

    storage.save(tokens_of("third"))
    assert storage.load() == tokens_of("third")
    assert keyring.get_password(entry("b", 0), USER) is None
    storage.delete()
    assert keyring.entries == {}


# What fails


class Failing(ModelKeyring):
    def __init__(self, failure):
        super().__init__()
        self.failure = failure

    def get_password(self, service, username):
        raise self.failure

    set_password = delete_password = get_password


class LockedException(Exception):
    """As secretstorage's."""


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (KeyringLocked("no"), "is locked. Unlock it"),
        (InitError("Prompt dismissed"), "is locked. Unlock it"),
        (LockedException("no"), "is locked. Unlock it"),
        (KeyringError("no"), r"failed \(KeyringError\)"),
        (OSError("no"), r"failed \(OSError\)"),
        (RuntimeError("no"), r"failed \(RuntimeError\)"),
    ],
)
@pytest.mark.parametrize("call", ["load", "save", "delete"])
def test_a_backend_that_fails_is_told_in_words_with_the_next_step(failure, words, call):
    storage = storage_in(Failing(failure))
    with pytest.raises(StorageError, match=words) as told:
        getattr(storage, call)(*[tokens_of("new")][: call == "save"])

    assert 'storage="memory"' in str(told.value)
    assert "Failing" in str(told.value)


@pytest.mark.parametrize("failure", [PasswordSetError, ValueError])
def test_no_error_shows_a_token_nor_carries_one_along(keyring, failure):
    def fail(_service, _username, password):
        raise failure(f"cannot store {password}")

    keyring.set_password = fail
    tokens = TokenSet(access_token=Secret("hidden-token" * 200), issuer=ISSUER)
    with pytest.raises(StorageError) as told:
        storage_in(keyring).save(tokens)

    assert told.value.__context__ is None
    assert told.value.__cause__ is None
    shown = traceback.TracebackException.from_exception(told.value, capture_locals=True)
    assert "hidden-token" not in "".join(shown.format())


def test_a_backend_that_keeps_nothing_does_not_pass_for_one_that_does(keyring):
    keyring.put = lambda *_: None
    with pytest.raises(StorageError, match="has not kept the sign-in"):
        storage_in(keyring).save(tokens_of("new"))


def test_a_backend_that_removes_nothing_does_not_pass_for_one_that_does(keyring):
    storage_in(keyring).save(tokens_of("old"))

    def refuse(_service, _username):
        raise PasswordDeleteError("as macOS says when access is denied")

    keyring.delete_password = refuse
    with pytest.raises(StorageError, match="has not removed"):
        storage_in(keyring).delete()
    assert storage_in(keyring).load() is None


def test_an_entry_that_goes_while_it_is_read_is_not_there(keyring):
    class ItemNotFoundException(Exception):
        """As secretstorage's, when another process replaces what a search has just found."""

    def gone(_service, _username):
        raise ItemNotFoundException("Item does not exist!")

    keyring.get_password = gone
    assert storage_in(keyring).load() is None


# Which keyring it is


@pytest.mark.parametrize(
    ("backend", "words"), [(fail.Keyring(), "backends.fail"), (null.Keyring(), "backends.null")]
)
@pytest.mark.parametrize("call", ["check", "load", "delete"])
def test_no_keyring_is_a_configuration_error_that_names_the_ways_out(backend, words, call):
    with pytest.raises(ConfigurationError, match=words) as told:
        getattr(storage_in(backend), call)()

    assert 'storage="memory"' in str(told.value)
    assert "IC_ACCESS_TOKEN" in str(told.value)
    with pytest.raises(ConfigurationError):
        storage_in(backend).save(tokens_of("new"))


def test_a_backend_that_cannot_be_started_is_a_configuration_error(monkeypatch):
    monkeypatch.setattr("keyring.core._keyring_backend", None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Backend")
    with pytest.raises(ConfigurationError, match="PYTHON_KEYRING_BACKEND"):
        KeyringStorage(ISSUER, "default").check()


def test_a_plaintext_backend_is_used_with_one_warning(caplog, monkeypatch):
    class PlaintextKeyring(ModelKeyring):
        pass

    monkeypatch.setattr(backends, "_warned", set())
    keyring = PlaintextKeyring()
    with caplog.at_level(logging.WARNING, logger="ic_notebook"):
        for _ in range(3):
            storage_in(keyring).check()
            storage_in(keyring).save(tokens_of("t"))

    assert storage_in(keyring).load() == tokens_of("t")
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "PlaintextKeyring does not encrypt"
    ]


def of_module(module: str, name: str) -> ModelKeyring:
    return type(name, (ModelKeyring,), {"__module__": module})()


@pytest.mark.parametrize(
    ("module", "name", "desktop", "shown"),
    [
        ("keyring.backends.SecretService", "Keyring", "ubuntu:GNOME", "GNOME Keyring"),
        ("keyring.backends.SecretService", "Keyring", "KDE", "Secret Service"),
        ("keyring.backends.libsecret", "Keyring", "", "Secret Service"),
        ("keyring.backends.kwallet", "DBusKeyring", "KDE", "KWallet"),
        ("keyring.backends.macOS", "Keyring", "", "macOS Keychain"),
        ("keyring.backends.Windows", "WinVaultKeyring", "", "Windows Credential Manager"),
        ("somebody.elses", "VaultKeyring", "", "VaultKeyring"),
        ("somebody.elses", "Keyring", "", "somebody.elses.Keyring"),
    ],
)
def test_the_name_is_the_one_that_people_know(module, name, desktop, shown, monkeypatch):
    monkeypatch.setenv("XDG_CURRENT_DESKTOP", desktop)
    storage = storage_in(of_module(module, name))
    assert storage.name == "this computer's keyring"
    storage.check()
    assert storage.name == shown


def test_a_chain_goes_by_the_backend_that_is_written_to(monkeypatch):
    first = of_module("keyring.backends.kwallet", "DBusKeyring")
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [first, ModelKeyring()])
    storage = storage_in(chainer.ChainerBackend())
    storage.save(tokens_of("t"))

    assert storage.name == "KWallet"
    assert storage.load() == tokens_of("t")
    storage.delete()
    assert first.entries == {}


def test_an_empty_chain_is_no_keyring(monkeypatch):
    monkeypatch.setattr(chainer.ChainerBackend, "backends", [])
    with pytest.raises(ConfigurationError, match="no keyring"):
        storage_in(chainer.ChainerBackend()).check()


def test_keyring_is_imported_on_first_use_only():
    script = (
        "import sys\n"
        "from ic_notebook.storage.keyring import KeyringStorage\n"
        "KeyringStorage('https://issuer.example', 'default').name\n"
        "sys.exit('keyring' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=20, check=False).returncode == 0


# The models themselves


def test_the_windows_model_moves_aside_and_refuses_as_windows_does():
    keyring = WindowsKeyring()
    keyring.set_password("service", "one", "1")
    keyring.set_password("service", "two", "2")
    assert keyring.entries == {"service": ("two", "2"), "one@service": ("one", "1")}
    keyring.set_password("service", "two", "3")
    assert keyring.entries["two@service"] == ("two", "2")
    assert keyring.get_password("SERVICE", "one") == "1"
    with pytest.raises(OSError, match="CredWrite"):
        keyring.set_password("service", "two", "x" * 1_281)


def test_the_macos_model_shows_nothing_between_removal_and_addition():
    keyring = MacKeyring()
    keyring.set_password("service", "one", "1")
    keyring.die_at = keyring.steps + 1
    with pytest.raises(Died):
        keyring.set_password("service", "one", "2")
    assert keyring.get_password("service", "one") is None
