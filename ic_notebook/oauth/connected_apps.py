"""The apps that a person has connected to the account: list them, disconnect one.

The service publishes the calls but not the fields, so what is there is read and the rest is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

import httpx

from ic_notebook.errors import ConfigurationError, UnexpectedAnswer
from ic_notebook.oauth.answers import MAX_TEXT, json_of, readable, reason_of, refused
from ic_notebook.oauth.flow import Flow, Repeat, request

MAX_PAGES = 50
_LISTS = ("results", "apps", "applications", "data", "items")
_ID = ("id", "app_id", "uuid")
_NAME = ("name", "client_name", "app_name", "application_name")
_CREATED = ("created", "created_at", "authorized_at", "connected_at", "created_on")
_NESTED = ("application", "app", "client")


@dataclass(frozen=True, kw_only=True)
class ConnectedApp:
    """One app that may use the account.

    Attributes:
        id: what `revoke` takes, or None where the server gave none.
        name: the name it registered with, or None.
        client_id: its OAuth client identifier, or None.
        created: when it was connected, in UTC, or None.
        extra: every other field, as the server sent it.
    """

    id: str | None = None
    name: str | None = None
    client_id: str | None = None
    created: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)


def list_apps(endpoint: str) -> Flow[tuple[ConnectedApp, ...]]:
    """Every connected app, page after page.

    Raises:
        UnexpectedAnswer: an answer in which no list can be found.
        OAuthError, ServiceUnavailable: the server refused, or gave no answer.
    """
    apps: list[ConnectedApp] = []
    url, seen = endpoint, set[str]()
    while url not in seen and len(seen) < MAX_PAGES:
        seen.add(url)
        response = yield request("GET", url, repeat=Repeat.IF_LOST)
        found, following = parse_apps(response)
        apps += found
        if following is None:
            break
        url = _on_own_origin(following, endpoint)
    return tuple(apps)


def disconnect_app(endpoint: str, app_id: str) -> Flow[bool]:
    """Disconnect one app: revokes its authorization and ends all its access tokens.

    Returns:
        True where the server confirmed it, False where it knows no such app.

    Raises:
        ConfigurationError: for an id that cannot be one.
        UnexpectedAnswer, OAuthError, ServiceUnavailable: the server refused, or gave no answer.
    """
    app_id = app_id.strip()
    # A dot segment would be taken out of the path, and a server may read %2F as a slash: the DELETE would go
    # to something else than an app.
    if not app_id.strip(".") or len(app_id) > 256 or not app_id.isprintable() or set(app_id) & set("/\\"):
        raise ConfigurationError("Put the id of an app, as the list of connected apps shows it.")
    url = f"{endpoint.rstrip('/')}/{quote(app_id, safe='')}/"
    response = yield request("DELETE", url, repeat=Repeat.IF_REFUSED)
    if response.status_code in {404, 410}:
        return False
    if not response.is_success:
        _refused(response, what="Disconnecting the app")
    return True


def own_app(apps: Iterable[ConnectedApp], *, client_id: str, client_name: str) -> ConnectedApp | None:
    """Which app this program is, or None where that cannot be told for sure.

    By a `client_id` that exactly one has; else, among apps without one, by such a name. Never a guess.
    """
    listed = tuple(apps)
    ours = [app for app in listed if client_id and app.client_id == client_id]
    named = [app for app in listed if app.client_id is None and app.name == client_name]
    found = ours or named
    return found[0] if len(found) == 1 else None


def parse_apps(response: httpx.Response) -> tuple[tuple[ConnectedApp, ...], str | None]:
    """The apps in one answer, and the link to the next page, if any."""
    what = "Listing the connected apps"
    if not response.is_success:
        _refused(response, what=what)
    answer = json_of(response)
    items, following = answer, None
    if isinstance(answer, dict):
        following = answer.get("next")
        lists = [answer[key] for key in _LISTS if isinstance(answer.get(key), list)]
        lists += [value for value in answer.values() if isinstance(value, list)]
        items = lists[0] if lists else None
    if not isinstance(items, list):
        raise UnexpectedAnswer(f"{what}: the answer holds no list of apps.")
    apps = tuple(_app(item) for item in items if isinstance(item, dict))
    return apps, following if isinstance(following, str) and following else None


def _refused(response: httpx.Response, *, what: str) -> None:
    reason = reason_of(response)
    if response.status_code in {401, 403}:
        raise UnexpectedAnswer(
            f"{what}: the service refused ({response.status_code}){': ' + reason if reason else ''}."
        )
    refused(response, what=what)


def _app(item: dict[str, Any]) -> ConnectedApp:
    nested: dict[str, Any] = next((item[key] for key in _NESTED if isinstance(item.get(key), dict)), {})
    taken: set[str] = set()

    def first(names: tuple[str, ...]) -> Any:
        for name in names:
            if _said(item.get(name)):
                taken.add(name)
                return item[name]
        return next((nested[name] for name in names if _said(nested.get(name))), None)

    return ConnectedApp(
        id=_identifier(first(_ID)),
        name=readable(first(_NAME)),
        client_id=_identifier(first(("client_id",))),
        created=_moment(first(_CREATED)),
        extra={key: value for key, value in item.items() if key not in taken},
    )


def _said(value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and value != ""


def _identifier(value: Any) -> str | None:
    """An identifier as it is, or None: one that had to be shortened or cleaned would name another app."""
    text = str(value) if isinstance(value, (str, int)) else ""
    return text if text and len(text) <= MAX_TEXT and readable(text) == text else None


def _moment(value: Any) -> datetime | None:
    try:
        if isinstance(value, (int, float)):
            seconds = value / 1000 if value > 10**11 else value
            return datetime.fromtimestamp(seconds, tz=timezone.utc)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
            return moment.astimezone(timezone.utc) if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _on_own_origin(link: str, endpoint: str) -> str:
    """A `next` link by its path and query alone: the token goes to one origin, whatever the link names."""
    own = httpx.URL(endpoint)
    try:
        # httpx refuses a path without a slash: `x:.evil.com/` would be read on as part of the host's name.
        return str(httpx.URL(str(own.copy_with(raw_path=own.join(link).raw_path))))
    except (httpx.InvalidURL, ValueError):
        return endpoint
