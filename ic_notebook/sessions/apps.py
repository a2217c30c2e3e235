"""The list of connected apps: a table in a notebook, aligned text elsewhere."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from ic_notebook.oauth.connected_apps import ConnectedApp, own_app

_HEADINGS = ("App", "Connected", "Id")


@dataclass(frozen=True, eq=False)
class ConnectedApps(Sequence[ConnectedApp]):
    """Every app that may use the account, and which one this program is.

    Attributes:
        apps: the apps, in the service's order.
        own: this program's own, or None where that cannot be told for sure.
    """

    apps: tuple[ConnectedApp, ...]
    own: ConnectedApp | None = None

    @classmethod
    def of(cls, apps: Iterable[ConnectedApp], *, client_id: str, client_name: str) -> ConnectedApps:
        """The list as this program sees it."""
        listed = tuple(apps)
        return cls(listed, own_app(listed, client_id=client_id, client_name=client_name))

    def __len__(self) -> int:
        return len(self.apps)

    @overload
    def __getitem__(self, index: int) -> ConnectedApp: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ConnectedApp]: ...
    def __getitem__(self, index: int | slice) -> ConnectedApp | Sequence[ConnectedApp]:
        return self.apps[index]

    def __repr__(self) -> str:
        if not self.apps:
            return "No app is connected."
        rows = [_HEADINGS, *(self._row(app) for app in self.apps)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _repr_html_(self) -> str:
        if not self.apps:
            return "<p>No app is connected.</p>"
        head = "".join(f"<th style='text-align:left'>{heading}</th>" for heading in _HEADINGS)
        body = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(c)}</td>" for c in self._row(app))
            + "</tr>"
            for app in self.apps
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _row(self, app: ConnectedApp) -> tuple[str, str, str]:
        mark = "  (this one)" if app is self.own else ""
        return f"{app.name or 'without a name'}{mark}", day(app.created), app.id or ""


def day(moment: datetime | None) -> str:
    """A day in this computer's time zone, such as `3 Nov 2026`, or nothing."""
    if moment is None:
        return ""
    local = moment.astimezone()
    return f"{local.day} {local:%b %Y}"
