"""The discovery call: a small catalogue of made-up creators, the same in every run, and what it costs."""

from __future__ import annotations

import hashlib
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from ic_notebook.sandbox.bodies import parse_json

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from ic_notebook.sandbox.records import Token

CREATORS = {"instagram": 1_234, "tiktok": 742, "twitch": 49, "twitter": 310, "youtube": 867}
"""How many there are on each platform."""
MOST = 50
GRANTED = 62_713
"""Hundredths of a credit that an account begins with."""

_FIRST = ("Amara", "Bruno", "Chiara", "Dmitri", "Elif", "Farah", "Goran", "Hana", "Idris", "Jolanda")
_LAST = ("Abel", "Bakker", "Castro", "Demir", "Eriksen", "Fontaine", "Greco", "Horvat", "Ito", "Jansen")
_ABOUT = ("bakes", "climbs", "gardens", "paints", "reads", "repairs", "sails", "sings", "teaches", "travels")


class Credits:
    """What each account has left, in hundredths of a credit; kept in memory alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._left: defaultdict[str, int] = defaultdict(lambda: GRANTED)
        self._used: defaultdict[str, int] = defaultdict(int)

    def left(self, account: str) -> int:
        """Hundredths that it has left."""
        return self._left[account]

    def used(self, account: str) -> int:
        """Hundredths that it has used."""
        return self._used[account]

    def grant(self, account: str, left: int) -> None:
        """Let it have so many hundredths left from now on."""
        with self._lock:
            self._left[account] = left

    def spend(self, account: str, cost: int) -> bool:
        """Take so many hundredths; false, and nothing is taken, where it has less."""
        with self._lock:
            if self._left[account] < cost:
                return False
            self._left[account] -= cost
            self._used[account] += cost
            return True


def creator(platform: str, number: int) -> dict[str, Any]:
    """The creator of this number on a platform, as the discovery call gives it."""
    chance = hashlib.sha256(f"{platform}/{number}".encode()).digest()
    first, last, about = (names[chance[at] % len(names)] for at, names in enumerate((_FIRST, _LAST, _ABOUT)))
    followers = 1_000 + int.from_bytes(chance[3:6], "big") % 2_000_000
    return {
        "user_id": str(10_000_000 + number * 7 + chance[6] % 7),
        "profile": {
            "username": f"{first}.{last}.{number}".lower(),
            "full_name": f"{first} {last}",
            "biography": f"{first} {about}.",
            "followers": followers,
            "engagement_percent": round(0.2 + chance[7] / 32, 2),
            "picture": None,
        },
    }


async def discover(request: Request, token: Token) -> Response:
    """A page of creators, at 0.01 credits each. Every filter is taken for an unknown one, and ignored."""
    platform, limit, page, descending = _asked(await request.body())
    total = CREATORS[platform]
    found = range(page * limit, min(total, (page + 1) * limit))
    account: Credits = request.app.state.store.credits
    if not account.spend(token.account, len(found)):
        raise HTTPException(402, "The account has too few credits left.")
    return JSONResponse(
        {
            "total": total,
            "limit": limit,
            "credits_left": f"{account.left(token.account) / 100:.2f}",
            "accounts": [creator(platform, number if descending else total - 1 - number) for number in found],
        }
    )


def _asked(body: bytes) -> tuple[str, int, int, bool]:
    try:
        asked = parse_json(body, pairs=dict)
    except ValueError:
        raise HTTPException(400, "The body is not JSON.") from None
    if not isinstance(asked, dict):
        raise HTTPException(400, "The body is not a JSON object.")
    parts = [asked.get(name) or {} for name in ("paging", "sort", "filters")]
    if not all(isinstance(part, dict) for part in parts):
        raise HTTPException(400, "paging, sort and filters are objects.")
    paging, sort, _filters = parts
    platform = asked.get("platform")
    if not isinstance(platform, str) or platform not in CREATORS:
        raise HTTPException(400, f"platform is one of {', '.join(CREATORS)}.")
    limit, page = paging.get("limit", MOST), paging.get("page", 0)
    if not _is_whole(limit) or not 1 <= limit <= MOST:
        raise HTTPException(400, f"paging.limit is 1 to {MOST}.")
    if not _is_whole(page) or page < 0:
        raise HTTPException(400, "paging.page counts from 0.")
    return platform, limit, page, sort.get("sort_order", "desc") != "asc"


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
