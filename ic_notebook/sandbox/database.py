"""The tables, and the one SQLite connection that every thread of the server shares."""

from __future__ import annotations

import hashlib
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    URL,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.pool import StaticPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection, Engine

schema = MetaData()

clients = Table(
    "clients",
    schema,
    Column("client_id", String, primary_key=True),
    Column("secret_hash", String),
    Column("metadata", JSON, nullable=False),
    Column("issued_at", Float, nullable=False),
)

apps = Table(
    "apps",
    schema,
    Column("id", Integer, primary_key=True),
    Column("account", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("account", "client_id"),
    # an id is never given to a second app, or a stale list would disconnect the wrong one
    sqlite_autoincrement=True,
)

consents = Table(
    "consents",
    schema,
    Column("id", String, primary_key=True),
    Column("csrf_token", String, nullable=False),
    Column("account", String, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("expires_at", Float, nullable=False),
)

codes = Table(
    "codes",
    schema,
    Column("hash", String, primary_key=True),
    Column("family", String, nullable=False),
    Column("account", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("redirect_uri", String),
    Column("scope", String, nullable=False),
    Column("code_challenge", String, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used", Boolean, nullable=False, default=False),
)

tokens = Table(
    "tokens",
    schema,
    Column("hash", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("family", String, nullable=False),
    Column("account", String, nullable=False),
    Column("client_id", String),
    Column("scope", String, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),
    Column("ended", Boolean, nullable=False, default=False),
    Index("tokens_family", "family"),
    Index("tokens_client", "client_id", "account"),
)

issues = Table(
    "issues",
    schema,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("family", String, nullable=False),
    Column("access_token", String, nullable=False),
    Column("refresh_token", String),
    Column("refreshed_with", String),
    Column("replaced", String),
    Column("age", Float),
    Index("issues_refresh_token", "refresh_token"),
    Index("issues_refreshed_with", "refreshed_with"),
)


def hashed(secret: str) -> str:
    """What is kept of a token, code or secret: enough to know it again, not to use it."""
    return hashlib.sha256(secret.encode()).hexdigest()


class Database:
    """A SQLite database and the clock that its rows are dated by.

    One connection behind one lock: memory shared by threads needs it, and at this size it is also the
    fastest (a file is written ahead, without waiting for the disk).
    """

    def __init__(self, path: str | None, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._advanced = 0.0
        self._lock = threading.Lock()
        self._engine = _open_engine(path)
        with self.transaction() as connection:
            schema.create_all(connection)

    def now(self) -> float:
        """Seconds since the epoch by the sandbox's clock, ``advance`` included."""
        return self._clock() + self._advanced

    def advance(self, seconds: float) -> None:
        """Let the clock jump ahead, so that a test need not wait."""
        self._advanced += seconds

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """The connection, for one transaction; not to be nested."""
        with self._lock, self._engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connection; what was in memory is gone."""
        with self._lock:
            self._engine.dispose()


def _open_engine(path: str | None) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=path or ":memory:"),
        poolclass=StaticPool,
        connect_args={"check_same_thread": False},
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def _write_ahead(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")

    return engine
