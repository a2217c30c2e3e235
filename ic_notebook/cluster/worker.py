"""On a worker: the notebook's session, as `ic_notebook.client()` finds it there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ic_notebook.cluster import broker
from ic_notebook.cluster.brokered import BrokeredTokens
from ic_notebook.cluster.leases import Lease
from ic_notebook.cluster.link import Answer, Link
from ic_notebook.cluster.words import CLOSED, KEPT, NOT_OURS
from ic_notebook.errors import ConfigurationError
from ic_notebook.oauth.metadata import ServerMetadata
from ic_notebook.sessions.current import current
from ic_notebook.sessions.session import Session
from ic_notebook.sessions.status import SessionState

if TYPE_CHECKING:
    from distributed import Worker

FORMAT = 1
"""The form of questions and answers; a worker that knows another cannot join."""


class SharedSession(Session):
    """The notebook's sign-in on a worker: it makes calls, and the notebook looks after it."""

    def __init__(self, server: ServerMetadata, source: BrokeredTokens, *, profile: str) -> None:
        super().__init__(server, source, profile=profile)
        self.source = source

    @property
    def _kept(self) -> str:
        return KEPT

    def _must_be_ours(self) -> None:
        raise ConfigurationError(NOT_OURS)


_links: dict[str, tuple[Link, SharedSession]] = {}
_sessions: dict[tuple[str, str], SharedSession] = {}


def join(worker: Worker, name: str, offer: dict[str, Any]) -> Callable[[], None] | None:
    """Have tasks of this worker use what is shared; called on its event loop.

    Returns:
        What ends it; None where the worker runs in the notebook's own process, and tasks use its session.
    """
    if name in broker.here:
        return None
    if name not in _links:
        link = Link(name, heard=functools.partial(_heard, name))
        _links[name] = link, _session(offer, link)
    link, session = _links[name]
    link.add(worker)
    session.turns.limiter = Lease(link.ask) if offer["limited"] else None
    current.add(session)
    return functools.partial(_leave, worker, name)


def _session(offer: dict[str, Any], link: Link) -> SharedSession:
    """A session for this offer: the one before, where tasks still hold it and it has not ended."""
    server = ServerMetadata(**offer["server"])
    key = server.base_url, offer["profile"]
    session = _sessions.get(key)
    if session is None or session.state is not SessionState.CONNECTED:
        session = _sessions[key] = SharedSession(server, BrokeredTokens(link), profile=offer["profile"])
    else:
        session.source.relink(link)
    return session


def _leave(worker: Worker, name: str) -> None:
    link, session = _links[name]
    if link.remove(worker):
        return
    del _links[name]
    if session.source.link is link:
        session.source.finish(CLOSED)


def _heard(name: str, event: Answer) -> None:
    """What the notebook tells unasked: that the sign-in has ended, or that it is gone for now."""
    link, session = _links.get(name, (None, None))
    if session is None or session.source.link is not link:
        return
    if "ended" in event:
        session.source.finish(event["ended"])
    else:
        session.source.drop()
