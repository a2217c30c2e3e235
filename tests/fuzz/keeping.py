"""Targets: what is read out of a keyring, whoever wrote it."""

from __future__ import annotations

import math
from dataclasses import replace

from ic_notebook.oauth import token_set
from ic_notebook.oauth.answers import visible
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage import keyring, slots
from ic_notebook.storage.keyring import USER, KeyringStorage
from tests.fuzz.building import JSON_WORDS, Reader, bytes_of, text_of
from tests.fuzz.protocol import breaks
from tests.fuzz.protocol import text as text_in
from tests.fuzz.targets import Target
from tests.oauth.hostile import OLD_TOKEN, SERVER, only_ours
from tests.storage.keyrings import ModelKeyring

OURS = TokenSet(
    access_token=Secret("ours" * 400), refresh_token=Secret("r"), lifetime=60.0, client_id="c", issuer=SERVER
)
WHOLE = {"format": 1, "access_token": OLD_TOKEN, "refresh_token": "r", "issuer": SERVER, "lifetime": 3_600}
MODEL = ModelKeyring()
STORAGE = KeyringStorage(SERVER, "default", backend=MODEL)
# A reading that finds nothing whole is repeated after a while: nobody else writes here.
keyring.PAUSE, keyring.TRIES = 0.0, 1


def check_stored_tokens(data: bytes) -> None:
    reader = Reader(data)
    how = reader.byte() % 4
    value = reader.value() if how else None
    if how > 1 and isinstance(value, dict):
        value = WHOLE | value
    text = text_of(value) if how else text_in(reader.rest())
    tokens = only_ours(TokenSet.from_json, text, hidden=(OLD_TOKEN,))
    if tokens is not None:
        _see_usable(tokens)


def _see_usable(tokens: TokenSet) -> None:
    assert visible(tokens.access_token)
    assert tokens.refresh_token is None or visible(tokens.refresh_token)
    assert tokens.lifetime is None or tokens.lifetime >= 0
    assert tokens.obtained_at >= 0
    assert tokens.expired(age=1e12) or tokens.lifetime is None or tokens.lifetime > 1e12
    assert tokens.due_at_age <= (tokens.lifetime or math.inf)
    again = TokenSet.from_json(tokens.to_json())
    assert again.to_json() == tokens.to_json()
    assert replace(again, extra={}) == replace(tokens, extra={})


def check_keyring(data: bytes) -> None:
    reader = Reader(data)
    MODEL.entries.clear()
    for slot in keyring.SLOTS:
        for part, entry in enumerate(_entries(reader)):
            if entry is not None:
                MODEL.entries[f"{STORAGE._service} {slot}{part}"] = (USER, entry)
    before = dict(MODEL.entries)
    tokens = only_ours(STORAGE.load, hidden=(OLD_TOKEN,))
    if tokens is not None:
        assert tokens.issuer == SERVER
        _see_usable(tokens)
    if reader.byte() % 2:
        return
    if only_ours(lambda: [STORAGE.save(OURS)], hidden=(OLD_TOKEN, OURS.access_token)) is None:
        assert MODEL.entries == before
    else:
        assert STORAGE.load() == OURS
    if only_ours(lambda: [STORAGE.delete()], hidden=(OLD_TOKEN,)):
        assert STORAGE.load() is None


def _entries(reader: Reader) -> list[str | None]:
    """A slot: whole, void, with a part gone or cut, or anything."""
    how, sequence = reader.byte() % 8, reader.byte() + slots.SEQUENCES - 128
    if how == 0:
        return []
    if how == 1:
        return [slots.void_head(sequence % slots.SEQUENCES)]
    if how == 2:
        value = reader.value()
        header = {"format": 1, "sequence": 1, "parts": 1, "length": 0, "sha256": ""}
        return [text_of(header | value if isinstance(value, dict) else value) + " " + reader.text()]
    if how == 3:
        return [reader.text().replace("(1)", '{"format":1,"parts":') for _ in range(3)]
    value = reader.value()
    text = text_of(WHOLE | value if isinstance(value, dict) else value)
    entries: list[str | None] = [*slots.entries_of(text[: slots.MAX_LENGTH], sequence % slots.SEQUENCES)]
    which = reader.byte() % len(entries)
    if how == 4:
        entries[which] = None
    elif how == 5:
        entries[which] = str(entries[which])[: reader.byte()]
    return entries


TARGETS = {
    "stored-tokens": Target(
        check=check_stored_tokens,
        seeds=(
            b"\1" + bytes_of(WHOLE),
            b"\2" + bytes_of({"scope": "all", "signed_in_at": 1_700_000_000, "name": ["(nested 960)"]}),
            b"\2" + bytes_of({"format": 2}),
            b'\0{"format": 1, "access_token": "a"}',
        ),
        words=(*JSON_WORDS, '"format":', '"lifetime":', '"obtained_at":', '"signed_in_at":'),
        defect=breaks(token_set, "_seconds", lambda value: value),
    ),
    "keyring": Target(
        check=check_keyring,
        seeds=(
            b"\6\x80" + bytes_of({}) + b"\0\0\0",
            b"\6\x80" + bytes_of({"scope": "x" * 201}) + b"\0\6\x81" + bytes_of({"scope": "x" * 255}) + b"\0",
            b"\4\x80"
            + bytes_of({"name": ["x" * 201] * 9})
            + b"\1\5\x7f"
            + bytes_of({"data": ["x" * 201] * 6})
            + b"\1\7",
            b"\1\x80\6\x7f" + bytes_of({}) + b"\0",
            b"\2\0"
            + bytes_of({"format": 1, "sequence": 1, "parts": 2, "length": 3, "sha256": "x"})
            + b"\2{}\3\0\1x",
        ),
        words=(*JSON_WORDS, "(1)", '"sequence":', '"parts":', '"length":', '"sha256":'),
        defect=breaks(slots, "_below", lambda value, limit: True),
    ),
}
