"""The contract of `TokenStorage`. A new storage adds one line to STORAGES and passes every test here."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage.base import TokenStorage
from ic_notebook.storage.keyring import KeyringStorage
from tests.sessions.vaults import Vault
from tests.storage.keyrings import KEYRINGS

ISSUER = "https://issuer.example"


class OneWriter(KeyringStorage):
    """A keyring storage with what its user has to bring: one save or delete at a time."""

    def __init__(self, backend: object) -> None:
        super().__init__(ISSUER, "default", backend=backend)
        self._lock = threading.Lock()

    def save(self, tokens: TokenSet) -> None:
        with self._lock:
            super().save(tokens)

    def delete(self) -> None:
        with self._lock:
            super().delete()


STORAGES: dict[str, Callable[[], TokenStorage]] = {
    "an object": Vault,
    **{f"keyring, {name}": lambda kind=kind: OneWriter(kind()) for name, kind in KEYRINGS.items()},
}


@pytest.fixture(params=STORAGES)
def storage(request) -> TokenStorage:
    return STORAGES[request.param]()


def token_set(name: str, **fields) -> TokenSet:
    return TokenSet(
        access_token=Secret(f"access-{name}"),
        refresh_token=Secret(f"refresh-{name}"),
        issuer=ISSUER,
        **fields,
    )


FULL = token_set("full", lifetime=3600.5, obtained_at=1_700_000_000.25, scope="all", client_id="c1")


def test_a_new_storage_holds_nothing(storage):
    assert storage.load() is None


@pytest.mark.parametrize(
    "tokens", [FULL, TokenSet(access_token=Secret("only"), issuer=ISSUER)], ids=["full", "least"]
)
def test_what_is_saved_is_loaded_whole(storage, tokens):
    storage.save(tokens)

    loaded = storage.load()
    assert loaded == tokens
    assert isinstance(loaded.access_token, Secret)
    assert storage.load() == tokens


def test_a_save_takes_the_place_of_the_last(storage):
    storage.save(FULL)
    storage.save(TokenSet(access_token=Secret("second"), issuer=ISSUER))

    assert storage.load() == TokenSet(access_token=Secret("second"), issuer=ISSUER)


def test_delete_leaves_nothing_and_can_be_repeated(storage):
    storage.delete()
    storage.save(FULL)
    storage.delete()
    storage.delete()

    assert storage.load() is None


def test_after_delete_it_saves_again(storage):
    storage.save(FULL)
    storage.delete()
    storage.save(FULL)

    assert storage.load() == FULL


def test_threads_never_see_half_of_a_token_set(storage):
    sets = [token_set(str(i), client_id=str(i)) for i in range(4)]
    seen: list[TokenSet | None] = []
    start = threading.Barrier(8)

    def save(tokens: TokenSet) -> None:
        start.wait(5)
        for _ in range(100):
            storage.save(tokens)

    def load() -> None:
        start.wait(5)
        seen.extend(storage.load() for _ in range(100))

    threads = [threading.Thread(target=save, args=(tokens,)) for tokens in sets]
    threads += [threading.Thread(target=load) for _ in sets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert {tokens.client_id for tokens in seen if tokens} <= {tokens.client_id for tokens in sets}
    assert all(tokens in sets for tokens in seen if tokens)


def test_neither_repr_nor_str_shows_a_token(storage):
    storage.save(FULL)

    for text in (repr(storage), str(storage), repr(storage.load()), repr(vars(storage))):
        assert "access-full" not in text
        assert "refresh-full" not in text
