"""The account's credits: the cheapest call that shows that a sign-in works."""

from __future__ import annotations

import math

from ic_notebook.errors import UnexpectedAnswer
from ic_notebook.oauth.answers import json_object, reason_of, refused
from ic_notebook.oauth.flow import Flow, Repeat, request

PATH = "/public/v1/accounts/credits/"


def credits_available(base_url: str) -> Flow[float]:
    """Credits that the account has left; the call itself costs none.

    Raises:
        UnexpectedAnswer: the service refused, or its answer holds no number.
        ServiceUnavailable: 429 and 5xx.
    """
    what = "Asking for the account's credits"
    response = yield request("GET", f"{base_url}{PATH}", repeat=Repeat.IF_LOST)
    if response.status_code in {401, 403}:
        raise UnexpectedAnswer(f"{what}: the service refused: {reason_of(response) or response.status_code}.")
    if not response.is_success:
        refused(response, what=what)
    value = json_object(response, what=what).get("credits_available")
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever JSON holds; what is no number raises
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise UnexpectedAnswer(f"{what}: the answer holds no number.")
    return number
