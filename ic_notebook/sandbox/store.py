"""The store: clients and apps, and the handles by which a test or the demo moves the sandbox."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select

from ic_notebook.sandbox.catalogue import Credits
from ic_notebook.sandbox.database import Database, apps, clients, hashed
from ic_notebook.sandbox.ledger import Ledger
from ic_notebook.sandbox.records import App, Client, Refresh, Token
from ic_notebook.sandbox.settings import DEFAULT_ACCOUNT, SCOPE
from ic_notebook.sandbox.sign_ins import ACCESS, REFRESH, SignIns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class Store:
    """What the sandbox knows; safe to use from any thread while the server runs.

    ``account`` is the one meant where a method is given none.
    """

    def __init__(
        self, database: str | None = None, *, clock: Callable[[], float], account: str = DEFAULT_ACCOUNT
    ) -> None:
        self._database = Database(database, clock=clock)
        self._account = account
        self.sign_ins = SignIns(self._database)
        self.ledger = Ledger(self._database)
        self.credits = Credits()

    def now(self) -> float:
        """Seconds since the epoch by the sandbox's clock."""
        return self._database.now()

    def advance(self, seconds: float) -> None:
        """Let the sandbox's clock jump ahead: tokens, codes and consents age by it."""
        self._database.advance(seconds)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def add_client(self, client_id: str, *, metadata: Mapping[str, Any], secret: str | None) -> None:
        """Register a client (RFC 7591)."""
        row = {
            "client_id": client_id,
            "secret_hash": None if secret is None else hashed(secret),
            "metadata": dict(metadata),
            "issued_at": self.now(),
        }
        with self._database.transaction() as connection:
            connection.execute(insert(clients), row)

    def client(self, client_id: str) -> Client | None:
        """The client registered under this id."""
        query = select(clients).where(clients.c.client_id == client_id)
        with self._database.transaction() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        return Client(client_id=row["client_id"], metadata=row["metadata"], secret_hash=row["secret_hash"])

    def clients(self) -> list[str]:
        """The ids of all registered clients, oldest first."""
        with self._database.transaction() as connection:
            return list(connection.scalars(select(clients.c.client_id).order_by(clients.c.issued_at)))

    def seed_client(
        self,
        redirect_uris: Sequence[str],
        *,
        name: str = "A client made by hand",
        scope: str = SCOPE,
        client_id: str | None = None,
    ) -> str:
        """Register a public client as an administrator does where nobody can register by program; its id."""
        client_id = client_id or secrets.token_urlsafe(16)
        metadata = {
            "client_name": name,
            "redirect_uris": list(redirect_uris),
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "scope": scope,
        }
        self.add_client(client_id, metadata=metadata, secret=None)
        return client_id

    def end_client(self, client_id: str) -> None:
        """Let a client be unknown from now on, and end its codes, tokens and apps."""
        with self._database.transaction() as connection:
            connection.execute(delete(clients).where(clients.c.client_id == client_id))
            connection.execute(delete(apps).where(apps.c.client_id == client_id))
        self.sign_ins.end_codes(client_id=client_id)
        self.sign_ins.end(client_id=client_id)

    def authorize_app(self, *, client: Client, account: str, scope: str) -> None:
        """Put the client on the account's list of apps, unless it is there."""
        known = select(apps.c.id).where(apps.c.account == account, apps.c.client_id == client.client_id)
        with self._database.transaction() as connection:
            listed = connection.execute(known).one_or_none()
        if listed is None:
            self._add_app(name=client.name, client_id=client.client_id, account=account, scope=scope)

    def apps(self, account: str | None = None) -> list[App]:
        """The apps that the account has authorized, oldest first."""
        query = select(apps).where(apps.c.account == (account or self._account)).order_by(apps.c.id)
        with self._database.transaction() as connection:
            rows = connection.execute(query).mappings().all()
        return [App(**{k: v for k, v in row.items() if k != "account"}) for row in rows]

    def disconnect_app(self, app_id: int, *, account: str | None = None) -> bool:
        """Revoke an app's authorization and end all its tokens; false where the account has no such app."""
        owner = account or self._account
        query = select(apps.c.client_id).where(apps.c.id == app_id, apps.c.account == owner)
        with self._database.transaction() as connection:
            client_id = connection.scalar(query)
            connection.execute(delete(apps).where(apps.c.id == app_id, apps.c.account == owner))
        if client_id is None:
            return False
        self.sign_ins.end_codes(client_id=client_id, account=owner)
        self.sign_ins.end(client_id=client_id, account=owner)
        return True

    def seed_app(
        self,
        name: str,
        *,
        created: datetime | float | None = None,
        client_id: str | None = None,
        account: str | None = None,
    ) -> int:
        """Put an app on the list as if another program had signed in; its id.

        ``created`` is a date or seconds since the epoch; without it, now. Without ``client_id`` it gets one
        of its own.
        """
        return self._add_app(
            name=name,
            client_id=client_id or secrets.token_urlsafe(16),
            account=account or self._account,
            scope=SCOPE,
            created=created.timestamp() if isinstance(created, datetime) else created,
        )

    def issue_token(
        self, *, scope: str = SCOPE, account: str | None = None, lifetime: float | None = None
    ) -> str:
        """A fresh API key: an access token of no app, that lives ``lifetime`` seconds or without end."""
        token = secrets.token_urlsafe(32)
        record = Token(
            kind=ACCESS,
            family=secrets.token_hex(16),
            account=account or self._account,
            client_id=None,
            scope=scope,
            expires_at=None if lifetime is None else self.now() + lifetime,
        )
        self.sign_ins.add_token(token, record)
        return token

    def end_access_tokens(self, client_id: str | None = None) -> None:
        """End the access tokens of a client, or all, API keys included. Refresh tokens live on."""
        self.sign_ins.end(kinds=(ACCESS,), client_id=client_id)

    def end_refresh_tokens(self, client_id: str | None = None) -> None:
        """End the refresh tokens of a client, or all. Access tokens live on."""
        self.sign_ins.end(kinds=(REFRESH,), client_id=client_id)

    def refreshes(self) -> list[Refresh]:
        """Every refresh that succeeded, oldest first: who counts ``access_token`` learns of a second one."""
        return self.ledger.refreshes()

    def _add_app(
        self, *, name: str, client_id: str, account: str, scope: str, created: float | None = None
    ) -> int:
        row = {
            "account": account,
            "client_id": client_id,
            "name": name,
            "scope": scope,
            "created": self.now() if created is None else created,
        }
        with self._database.transaction() as connection:
            key = connection.execute(insert(apps), row).inserted_primary_key
        assert key is not None
        return int(key[0])
