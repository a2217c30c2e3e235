"""How a session stands, and what ending it came to: plain values that a person can read."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from ic_notebook.environment import DEFAULT_PROFILE


class SessionState(enum.Enum):
    """How a session stands."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    """A person ended it here: disconnect or forget."""
    ENDED = "ended"
    """The service ended it."""


@dataclass(frozen=True, kw_only=True)
class Status:
    """How a sign-in stands, as `%ic_status` prints it.

    Attributes:
        connected: whether calls can be made.
        base_url: the API that it is for.
        profile: which of a person's accounts.
        kept: where the token is, in words; None where there is none.
        since: when the person signed in, in UTC, or None.
        registered_as: the name in the list of connected apps, or None.
        problem: why nobody is connected and what to do, where there is more to say than that; or None.
        ways: by which ways the panel's page reaches this kernel, in the order in which they were tried.
    """

    connected: bool
    base_url: str
    profile: str = DEFAULT_PROFILE
    kept: str | None = None
    since: datetime | None = None
    registered_as: str | None = None
    problem: str | None = None
    ways: tuple[str, ...] = ()

    def __repr__(self) -> str:
        if not self.connected:
            next_step = self.problem or "Connect: %ic_connect in a notebook, ic_notebook.connect() elsewhere."
            lines = [f"Not connected to {self.base_url}{self._as_profile}. {next_step}"]
            return "\n".join([*lines, *self._ways])
        lines = [f"Connected to {self.base_url}{self._as_profile}", f"  kept           {self.kept}"]
        if self.since is not None:
            lines.append(f"  since          {self.since.astimezone():%d %b %Y, %H:%M}")
        if self.registered_as is not None:
            lines.append(f"  registered as  {self.registered_as}")
        return "\n".join([*lines, *self._ways])

    @property
    def _ways(self) -> list[str]:
        return [f"  ways back      {', '.join(self.ways)}"] if self.ways else []

    @property
    def _as_profile(self) -> str:
        return "" if self.profile == DEFAULT_PROFILE else f" (profile {self.profile})"


@dataclass(frozen=True, kw_only=True)
class Disconnected:
    """What `disconnect` came to.

    Attributes:
        confirmed: True where the service confirmed that the app's tokens have ended.
        message: the same in words, with what is left to do.
    """

    confirmed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


CONFIRMED = "Disconnected. The service confirmed it: no token of this app works any more."
FORGOTTEN_ONLY = (
    "Forgotten here only: the service does not tell which of the connected apps this is, and nothing is "
    "disconnected on a guess. To end its access, disconnect it in the dashboard."
)
REVOKED = "Disconnected. The server confirmed that this sign-in is revoked."
NO_WAY_TO_REVOKE = (
    "Forgotten here only: this server announces no way to revoke a sign-in. Its tokens end in their own time."
)
ALREADY_ENDED = "This sign-in had already ended at the service; it is forgotten here too."
