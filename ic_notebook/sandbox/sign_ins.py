"""The rows of a sign-in: the consent that waits, the code, the tokens, and what ends them."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from ic_notebook.sandbox.database import codes, consents, hashed, tokens
from ic_notebook.sandbox.records import AuthorizationCode, Consent, Token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ic_notebook.sandbox.database import Database

ACCESS, REFRESH = "access", "refresh"
BOTH = (ACCESS, REFRESH)

_select_token = select(tokens)


class SignIns:
    """Consents, codes and tokens. Tokens and codes are kept as hashes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_consent(self, parameters: Mapping[str, str], *, account: str, lifetime: float) -> str:
        """Keep an authorization request until a person answers; its id."""
        now = self._database.now()
        row = {
            "id": secrets.token_urlsafe(24),
            "csrf_token": secrets.token_urlsafe(24),
            "account": account,
            "parameters": dict(parameters),
            "expires_at": now + lifetime,
        }
        with self._database.transaction() as connection:
            connection.execute(delete(consents).where(consents.c.expires_at <= now))
            connection.execute(insert(consents), row)
        return str(row["id"])

    def consent(self, consent_id: str) -> Consent | None:
        """The request that waits under this id; ``None`` once it is answered or out of time."""
        query = select(consents).where(consents.c.id == consent_id)
        with self._database.transaction() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None or row["expires_at"] <= self._database.now():
            return None
        return Consent(
            id=row["id"], csrf_token=row["csrf_token"], account=row["account"], parameters=row["parameters"]
        )

    def take_consent(self, consent: Consent, *, csrf_token: str) -> bool:
        """Use up a consent: true for the one answer that carries the page's token."""
        if not hmac.compare_digest(consent.csrf_token.encode(), csrf_token.encode()):
            return False
        with self._database.transaction() as connection:
            taken = connection.execute(delete(consents).where(consents.c.id == consent.id))
        return bool(taken.rowcount)

    def add_code(self, code: str, record: AuthorizationCode) -> None:
        """Keep a code."""
        with self._database.transaction() as connection:
            connection.execute(insert(codes), {"hash": hashed(code), **asdict(record)})

    def code(self, code: str) -> AuthorizationCode | None:
        """What a code was issued for, used up or not."""
        query = select(codes).where(codes.c.hash == hashed(code))
        with self._database.transaction() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return AuthorizationCode(**{k: v for k, v in row.items() if k != "hash"}) if row else None

    def use_code(self, code: str) -> None:
        """Mark a code as used: it is never taken again."""
        with self._database.transaction() as connection:
            connection.execute(update(codes).where(codes.c.hash == hashed(code)).values(used=True))

    def end_codes(self, *, client_id: str, account: str | None = None) -> None:
        """Mark the codes of a client as used, those of one account or all."""
        ending = update(codes).where(codes.c.client_id == client_id).values(used=True)
        if account is not None:
            ending = ending.where(codes.c.account == account)
        with self._database.transaction() as connection:
            connection.execute(ending)

    def add_token(self, token: str, record: Token) -> None:
        """Keep a token."""
        row = {k: v for k, v in asdict(record).items() if k != "expired"}
        with self._database.transaction() as connection:
            connection.execute(insert(tokens), {"hash": hashed(token), **row})

    def token(self, token: str, *, kind: str) -> Token | None:
        """What is known of a token, ended or not."""
        with self._database.transaction() as connection:
            row = connection.execute(_select_token.where(tokens.c.hash == hashed(token))).one_or_none()
        if row is None or row.kind != kind:
            return None
        return Token(
            kind=row.kind,
            family=row.family,
            account=row.account,
            client_id=row.client_id,
            scope=row.scope,
            expires_at=row.expires_at,
            used_at=row.used_at,
            ended=row.ended,
            expired=row.expires_at is not None and row.expires_at <= self._database.now(),
        )

    def use_refresh_token(self, token: str) -> None:
        """Date the first use of a refresh token."""
        unused = update(tokens).where(tokens.c.hash == hashed(token), tokens.c.used_at.is_(None))
        with self._database.transaction() as connection:
            connection.execute(unused.values(used_at=self._database.now()))

    def end_token(self, token: str) -> None:
        """End one token."""
        with self._database.transaction() as connection:
            connection.execute(update(tokens).where(tokens.c.hash == hashed(token)).values(ended=True))

    def end(
        self,
        *,
        kinds: Sequence[str] = BOTH,
        family: str | None = None,
        account: str | None = None,
        client_id: str | None = None,
        keep_family: str | None = None,
    ) -> None:
        """End the tokens that meet every condition given."""
        conditions = [
            column == value
            for column, value in (
                (tokens.c.family, family),
                (tokens.c.account, account),
                (tokens.c.client_id, client_id),
            )
            if value is not None
        ]
        if keep_family is not None:
            conditions.append(tokens.c.family != keep_family)
        ending = update(tokens).where(tokens.c.kind.in_(kinds), tokens.c.ended.is_(False), *conditions)
        with self._database.transaction() as connection:
            connection.execute(ending.values(ended=True))
