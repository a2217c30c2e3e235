"""The ledger: which access token was issued when, and in place of which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select

from ic_notebook.sandbox.database import hashed, issues
from ic_notebook.sandbox.records import Refresh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ic_notebook.sandbox.database import Database


class Ledger:
    """Every token answer, in order."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def signed_in(self, answer: Mapping[str, str], *, family: str) -> None:
        """Enter the tokens that a code was exchanged for."""
        self._enter(answer, family=family)

    def refreshed(
        self, answer: Mapping[str, str], *, family: str, refresh_token: str, rotation: bool
    ) -> None:
        """Enter the tokens of a refresh.

        What it was asked for in place of is the access token that came along with the refresh token; where
        that one does not rotate, the newest that was got with it.
        """
        presented = hashed(refresh_token)
        came_along = issues.c.refresh_token == presented
        if not rotation:
            came_along = or_(came_along, issues.c.refreshed_with == presented)
        newest = select(issues.c.access_token, issues.c.at).where(came_along).order_by(issues.c.id.desc())
        with self._database.transaction() as connection:
            replaced = connection.execute(newest.limit(1)).one_or_none()
        self._enter(
            answer,
            family=family,
            refreshed_with=presented,
            replaced=replaced and replaced.access_token,
            age=replaced and self._database.now() - replaced.at,
        )

    def refreshes(self) -> list[Refresh]:
        """Every refresh that succeeded, oldest first."""
        query = select(issues).where(issues.c.replaced.is_not(None)).order_by(issues.c.id)
        with self._database.transaction() as connection:
            rows = connection.execute(query).all()
        return [
            Refresh(
                at=row.at,
                family=row.family,
                refresh_token=row.refreshed_with,
                access_token=row.replaced,
                age=row.age,
            )
            for row in rows
        ]

    def _enter(self, answer: Mapping[str, str], *, family: str, **others: str | float | None) -> None:
        refresh_token = answer.get("refresh_token")
        row = {
            "at": self._database.now(),
            "family": family,
            "access_token": hashed(answer["access_token"]),
            "refresh_token": refresh_token and hashed(refresh_token),
            **others,
        }
        with self._database.transaction() as connection:
            connection.execute(insert(issues), row)
