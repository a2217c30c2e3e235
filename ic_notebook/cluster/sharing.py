"""Shared: a sign-in that a cluster uses, from the side of the notebook that shares it."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import secrets
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import cloudpickle
from distributed import Client

from ic_notebook.cluster import abroad
from ic_notebook.cluster.broker import Broker
from ic_notebook.cluster.budget import Budget
from ic_notebook.cluster.worker import FORMAT
from ic_notebook.errors import ConfigurationError, ServiceUnavailable
from ic_notebook.oauth.loopback import is_loopback
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState

if TYPE_CHECKING:
    from typing_extensions import Self

logger = logging.getLogger(__name__)

_SAFE = {"inproc", "tls", "wss"}
_shared: dict[tuple[str, str, str], Shared] = {}
"""What is shared now, by client, API and profile."""


class Shared:
    """A sign-in that the workers of a cluster use. Ends with `close()`, which a `with` block does too."""

    def __init__(self, client: Client, session: Session, *, rate_limit: int | None) -> None:
        self.session = session
        self.client = client
        self._name = f"ic-notebook-{secrets.token_hex(8)}"
        self._address = ""
        self._closed = False
        limiter = session.turns.limiter
        budget = limiter if isinstance(limiter, Budget) and rate_limit is not None else None
        if budget is not None and rate_limit is not None:
            budget.limit = rate_limit
        elif rate_limit is not None:
            budget = Budget(rate_limit)
        self._broker = Broker(self._name, client, session, budget)

    def __repr__(self) -> str:
        if self._closed or self.session.state is not SessionState.CONNECTED:
            how = "closed" if self._closed else "the sign-in has ended"
            return f"<Shared sign-in at {self.session.base_url}: {how}>"
        budget = self._broker.budget
        limit = "no limit of calls"
        if budget is not None:
            limit = f"{budget.limit} calls a minute, {budget.left} of them left now"
        return (
            f"Shared with the cluster at {self._address}\n"
            f"  sign-in  {self.session.base_url}, profile {self.session.profile}\n"
            f"  limit    {limit}\n"
            f"  tokens   given to workers {self._broker.given} times"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def key(self) -> tuple[str, str, str]:
        """By which client, for which API, of which profile: one of these is shared at a time."""
        return self.client.id, self.session.base_url, self.session.profile

    def close(self) -> None:
        """End the workers' access; the sign-in stays. With an asynchronous client, await it."""
        if self.client.status == "closed":
            self._end_here(gives_way=False)
            return None
        return cast("None", self.client.sync(self.end))

    async def open(self) -> None:
        """On the client's event loop: set up what the workers ask through."""
        try:
            self._address = str(getattr(self.client.scheduler, "address", ""))
            with _by_value():
                await self._begin()
        except OSError as failure:
            raise ServiceUnavailable(
                f"The scheduler at {self._address} cannot be reached ({type(failure).__name__}). Nothing is "
                "shared."
            ) from None
        self.session.turns.limiter = self._broker.budget

    async def _begin(self) -> None:
        client, name = self.client, self._name
        profiles = await client.run_on_scheduler(abroad.others, client.id)
        self._check(profiles, await client.run(abroad.spoken, on_error="return"))
        offer = {
            "server": dataclasses.asdict(self.session._server),  # noqa: SLF001 - no secret is in it
            "profile": self.session.profile,
            "limited": self._broker.budget is not None,
        }
        self._broker.open()
        try:
            await client.register_plugin(abroad.Desk(name, client.id, self.session.profile), name=name)
            await client.register_plugin(abroad.Sharing(name, offer), name=name)
        except BaseException:
            self._broker.close()
            raise

    async def end(self, *, gives_way: bool = False) -> None:
        """`close`, on the client's event loop.

        Args:
            gives_way: to another, which goes on with the same limit.
        """
        if self._end_here(gives_way=gives_way):
            with contextlib.suppress(OSError, AttributeError):
                await getattr(self.client.scheduler, f"{self._name}-stop")()

    def _end_here(self, *, gives_way: bool) -> bool:
        """What of the end needs no scheduler; whether it was not over before."""
        if self._closed:
            return False
        self._closed = True
        self._broker.close()
        if _shared.get(self.key) is self:
            del _shared[self.key]
        if not gives_way:
            self.session.turns.limiter = None
        return True

    def _check(self, profiles: list[str], formats: dict[str, Any]) -> None:
        if profiles:
            raise ConfigurationError(
                f"Another program shares a sign-in on this cluster (profile {profiles[0]}), and tasks could "
                "not tell whose is meant. Close it there, or use a cluster of your own."
            )
        lacking = [worker for worker, form in formats.items() if form is None]
        if lacking:
            raise ConfigurationError(
                f"{len(lacking)} of {len(formats)} workers lack ic_notebook, such as {lacking[0]}. Install "
                "ic-notebook[dask] where the workers run."
            )
        if any(form != FORMAT for form in formats.values() if not isinstance(form, Exception)):
            raise ConfigurationError(
                "A worker has another version of ic_notebook than this process. Install the same one there."
            )
        open_to_all = [address for address in (self._address, *formats) if not _is_private(address)]
        if open_to_all:
            logger.warning(
                "The access token crosses the network in clear to %s: this cluster has no TLS. Use one with "
                "distributed.Security(…, require_encryption=True), or share nothing with it.",
                open_to_all[0],
            )


def begin(client: Client, session: Session, *, rate_limit: int | None) -> Shared:
    """Share a session; what the client shared of the same profile before is replaced."""
    if client.scheduler is None:
        raise ServiceUnavailable(
            "This client is connected to no scheduler. Make a new one, and share with that."
        )
    return cast("Shared", client.sync(_replace, Shared(client, session, rate_limit=rate_limit)))


async def _replace(shared: Shared) -> Shared:
    await shared.open()
    earlier, _shared[shared.key] = _shared.get(shared.key), shared
    if earlier is not None:
        await earlier.end(gives_way=True)
    return shared


def _is_private(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in _SAFE or is_loopback(parts.hostname)


@contextlib.contextmanager
def _by_value() -> Iterator[None]:
    cloudpickle.register_pickle_by_value(abroad)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(abroad)
