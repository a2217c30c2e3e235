"""What an attempt to sign in is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ic_notebook.errors import ConfigurationError
from ic_notebook.oauth.answers import visible
from ic_notebook.redirect.routes import PORTS
from ic_notebook.storage.clients import ClientStore
from ic_notebook.transport import Transport

PROVE_WITHIN = 0.95
"""Seconds for which the panel's page is waited for, to say by which route it reaches the kernel."""
RELEASE_AFTER = 600.0
"""Seconds for which a prepared sign-in, or one that was opened, waits for a person."""


@dataclass(frozen=True, kw_only=True)
class LoginOptions:
    """What an attempt needs to know, and what a test exchanges.

    Attributes:
        base_url: the API; its authorization server is at the published paths, or where `discover` finds it.
        discover: read the server's metadata first (RFC 8414, OpenID Connect Discovery).
        scope: the scope to ask for; the server's default where None.
        client_id: a client made by hand, where no program can register; neither checked nor stored.
        new_client: register anew, whatever is stored.
        ports: the loopback ports, all registered together.
        release_after: seconds that a prepared attempt waits for a person.

    Raises:
        ConfigurationError: `client_id` cannot be one, or a new client is asked for beside it.
    """

    base_url: str
    discover: bool = False
    scope: str | None = None
    client_id: str | None = None
    new_client: bool = False
    ports: tuple[int, ...] = PORTS
    release_after: float = RELEASE_AFTER
    transport: Transport = field(default_factory=Transport, repr=False)
    clients: ClientStore = field(default_factory=ClientStore, repr=False)
    clock: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        if self.client_id is not None and visible(self.client_id) is None:
            raise ConfigurationError(
                "client_id is what the server calls a client, in visible ASCII characters. Correct it."
            )
        if self.client_id is not None and self.new_client:
            raise ConfigurationError("A client is given by client_id, or registered anew: choose one.")
