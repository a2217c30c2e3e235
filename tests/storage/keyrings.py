"""Keyrings in memory that behave as those of the operating systems do, and that can die at any of their steps."""

from __future__ import annotations

import time

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import PasswordDeleteError


class Died(BaseException):
    """The process is killed: nothing after this step is done."""


class ModelKeyring(KeyringBackend):
    """One entry after the other is written or removed at once; `die_at` counts the steps until the end.

    Attributes:
        steps: the writes and removals so far.
        die_at: the step at which `death` is raised instead, or None.
    """

    death: BaseException = Died()

    def __init__(self):
        super().__init__()
        self.entries: dict[str, tuple[str, str]] = {}
        self.steps = 0
        self.die_at: int | None = None

    @properties.classproperty
    def priority(cls):  # noqa: N805
        raise RuntimeError("`keyring` does not choose it by itself.")

    def step(self) -> None:
        if self.die_at is not None and self.steps >= self.die_at:
            raise self.death
        self.steps += 1

    def put(self, target: str, username: str, password: str) -> None:
        self.step()
        self.entries[target] = (username, password)

    def drop(self, target: str) -> None:
        self.step()
        del self.entries[target]

    def get_password(self, service, username):
        user, password = self.entries.get(service, (username, None))
        return password if user == username else None

    def set_password(self, service, username, password):
        self.put(service, username, password)

    def delete_password(self, service, username):
        if service not in self.entries:
            raise PasswordDeleteError("No such password!")
        self.drop(service)


class MacKeyring(ModelKeyring):
    """As the macOS backend: a password is replaced by removing and adding it; any failed removal is the same."""

    def set_password(self, service, username, password):
        if service in self.entries:
            self.drop(service)
            time.sleep(0)
        self.put(service, username, password)


class WindowsKeyring(ModelKeyring):
    """As the Windows backend: what was under a service moves aside, names know no case, entries are short."""

    BLOB = 2_560

    def compound(self, username: str, service: str) -> str:
        return f"{username}@{service}"

    def read(self, target: str) -> tuple[str, str] | None:
        return self.entries.get(target.lower())

    def write(self, target: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > self.BLOB:
            raise OSError(1783, "CredWrite", "The stub received bad data.")
        self.put(target.lower(), username, password)

    def get_password(self, service, username):
        found = self.read(service)
        if not found or found[0] != username:
            found = self.read(self.compound(username, service))
        return found[1] if found else None

    def set_password(self, service, username, password):
        existing = self.read(service)
        if existing:
            self.write(self.compound(existing[0], service), *existing)
        self.write(service, username, password)

    def delete_password(self, service, username):
        deleted = False
        for target in (service, self.compound(username, service)):
            existing = self.read(target)
            if existing and existing[0] == username:
                deleted = True
                self.drop(target.lower())
        if not deleted:
            raise PasswordDeleteError(service)


KEYRINGS = {"plain": ModelKeyring, "macos": MacKeyring, "windows": WindowsKeyring}
