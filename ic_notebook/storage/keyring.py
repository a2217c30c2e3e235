"""The token set in the keyring of the operating system.

Two slots, `a` and `b`; a save writes the one that is not current, its head last, and that is the commit.
Every entry stands under a service name of its own: Windows moves user names about under one service.
"""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any
from urllib.parse import quote

from ic_notebook.errors import StorageError
from ic_notebook.oauth import token_set
from ic_notebook.oauth.secret import Secret
from ic_notebook.oauth.token_set import TokenSet
from ic_notebook.storage.backends import call_backend, chosen_backend, name_of_usable
from ic_notebook.storage.slots import (
    MAX_LENGTH,
    MAX_PARTS,
    Slot,
    assembled,
    entries_of,
    json_object,
    latest,
    next_sequence,
    refuse_newer,
    split_head,
    void_head,
)

USER = "token set"
SLOTS = ("a", "b")
TRIES, PAUSE = 3, 0.02
"""Readings before "nothing" or "damaged" is believed, and the seconds between them."""
MOST_TRIES = 15
"""Readings of a keyring that is being written all the while."""
SIGNED_OUT = Secret("")
"""The text of a slot that says: nobody is signed in."""


class KeyringStorage:
    """Keeps the token set of one issuer and profile in the operating system's keyring.

    A load may run beside a save or delete of another thread or process; the caller sees to it that only one
    of those two runs at a time. Any call can last until a person has unlocked the keyring, `check` included;
    only making a KeyringStorage and asking for its `name` never wait.

    Args:
        issuer: the authorization server; a token set of another one is neither saved nor returned.
        profile: what keeps several sign-ins at one server apart.
        backend: a `keyring` backend in place of the one that `keyring` chooses.

    Every method raises ConfigurationError where this computer has no keyring that can be used.
    """

    def __init__(self, issuer: str, profile: str, *, backend: Any | None = None) -> None:
        self.issuer = issuer
        self.profile = profile
        self._given = backend
        self._resolved: tuple[Any, str] | None = None
        # The digest tells any two apart; the words before it are for people: they may be cut or look alike.
        digest = hashlib.sha256(json.dumps([issuer, profile]).encode()).hexdigest()
        words = " ".join(quote(text, safe=":/", errors="replace")[:100] for text in (issuer, profile))
        self._service = f"ic_notebook {words} {digest[:32]}"

    @property
    def name(self) -> str:
        """The keyring's name for people, a general one until it has been used; asking touches nothing."""
        return "this computer's keyring" if self._resolved is None else self._resolved[1]

    def check(self) -> None:
        """Find the keyring and see that it keeps what it is given; one that does not encrypt is warned of.

        Raises:
            ConfigurationError: there is none, it is switched off, or cannot be started.
        """
        self._backend()

    def load(self) -> TokenSet | None:
        """The token set, or None where nobody is signed in.

        Raises:
            StorageError: the keyring is locked or fails, what it holds is damaged, was written by a newer
                version of this package, or is another server's.
        """
        text = self._text()
        if not text:
            return None
        tokens = TokenSet.from_json(text)
        if tokens.issuer != self.issuer:
            raise StorageError("The stored sign-in belongs to another server. Connect again.")
        return tokens

    def save(self, tokens: TokenSet) -> None:
        """Keep this token set in place of the last; whatever fails, one of the two can be loaded.

        Raises:
            StorageError: the keyring is locked, fails or has not kept it; a newer version of this package
                wrote what is there; the token set is another server's, or longer than 65,536 characters.
        """
        if tokens.issuer != self.issuer:
            raise StorageError("The sign-in belongs to another server, so it was not stored. Connect again.")
        text = Secret(tokens.to_json())
        if len(text) > MAX_LENGTH:
            raise StorageError(
                f"The sign-in is longer than {MAX_LENGTH} characters, too long for a keyring. "
                'Go on with storage="memory".'
            )
        slots = self._slots()
        current = latest(slots)
        written = self._commit(text, slots, current)
        if current is None:
            for slot in slots:
                if slot.name != written.name and slot.head is not None:
                    self._erase(slot)

    def delete(self) -> None:
        """Keep none, and leave no entry behind; whatever fails, the last one is either whole or gone.

        Raises:
            StorageError: the keyring is locked or fails, or a newer version of this package wrote what is
                there.
        """
        slots = self._slots()
        current = latest(slots)
        if current is not None and current.text != SIGNED_OUT:
            # What says "signed out" goes last, so that nothing older is ever the newest.
            slots = [current, self._commit(SIGNED_OUT, slots, current)]
        elif current is slots[0]:
            slots.reverse()
        for slot in slots:
            self._erase(slot)

    def _text(self) -> Secret | None:
        found: Slot | None = None
        for attempt in range(MOST_TRIES):
            if attempt:
                time.sleep(PAUSE)
            slots = [self._read(name) for name in SLOTS]
            newest = latest(slots)
            # With a slot that is not whole, a writer may have passed us between the two. If the first head is
            # still the same, it has not: that slot or its neighbour was current all the while.
            settled = all(slot.text is not None for slot in slots) or self._get("a", 0) == slots[0].head
            if settled and newest is not None:
                return newest.text
            found = newest if settled else newest or found
            if attempt + 1 >= TRIES and (settled or found is not None):
                break
        if found is not None:
            return found.text
        if any(slot.damaged for slot in slots):
            raise StorageError("The stored sign-in is damaged. Connect again.")
        if not settled:
            raise StorageError("The stored sign-in is being changed by another program. Try again.")
        return None

    def _slots(self) -> list[Slot]:
        slots = [self._read(name) for name in SLOTS]
        for slot in slots:
            refuse_newer(json_object(slot.text or ""), token_set.FORMAT)
        return slots

    def _read(self, name: str) -> Slot:
        head = self._get(name, 0)
        if head is None:
            return Slot(name=name, head=None)
        header, chunk = split_head(head)
        chunks = [chunk]
        while header is not None and len(chunks) < header.parts:
            part = self._get(name, len(chunks))
            if part is None:
                break
            chunks.append(part)
        return assembled(name, head, header, chunks)

    def _commit(self, text: Secret, slots: list[Slot], current: Slot | None) -> Slot:
        target = slots[1] if current is slots[0] else slots[0]
        sequence = next_sequence(current)
        # Windows keeps what was overwritten beside it: the void also sees to it that no older head is there.
        if target.head is not None:
            self._set(target.name, 0, void_head(sequence))
        self._erase_parts(target)
        head, *rest = entries_of(text, sequence)
        for part, chunk in enumerate(rest, 1):
            self._set(target.name, part, chunk)
        self._set(target.name, 0, head)
        written = self._read(target.name)
        if written.text != text:
            raise StorageError(
                f'Your keyring ({self.name}) has not kept the sign-in. Try again, or use storage="memory".'
            )
        return written

    def _erase(self, slot: Slot) -> None:
        self._erase_parts(slot)
        self._remove(slot.name, 0)

    def _erase_parts(self, slot: Slot) -> None:
        # Written upwards and erased downwards: what a crash leaves is always found from part 1 on.
        last = max(slot.parts - 1, 0)
        while last < MAX_PARTS and self._get(slot.name, last + 1) is not None:
            last += 1
        for part in range(last, 0, -1):
            self._remove(slot.name, part)

    def _get(self, name: str, part: int) -> Secret | None:
        entry = self._call("get_password", name, part)
        return None if entry is None else Secret(entry if isinstance(entry, str) else "")

    def _set(self, name: str, part: int, entry: str) -> None:
        self._call("set_password", name, part, Secret(entry))

    def _remove(self, name: str, part: int) -> None:
        self._call("delete_password", name, part)
        if self._get(name, part) is not None:
            raise StorageError(
                f"Your keyring ({self.name}) has not removed the sign-in. Unlock it and try again."
            )

    def _call(self, method: str, name: str, part: int, *entry: Secret) -> Any:
        backend = self._backend()
        return call_backend(backend, self.name, method, f"{self._service} {name}{part}", USER, *entry)

    def _backend(self) -> Any:
        if self._resolved is None:
            backend = chosen_backend() if self._given is None else self._given
            self._resolved = backend, name_of_usable(backend)
        return self._resolved[0]
