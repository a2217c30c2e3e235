"""Reading what a server answered: bounded, typed, and with nothing in a message that should not be shown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from ic_notebook.errors import OAuthError, ServiceUnavailable, UnexpectedAnswer

MAX_TEXT = 200
MAX_VALUE = 16_384
MAX_REFUSAL = 262_144
"""Bytes; a refusal that is longer is not in words for a person, and is not parsed."""
_NAMED = ("detail", "error_description", "message", "error", "error_message")
_OF_NO_FIELD = {"non_field_errors", "__all__"}
_VSCHAR = re.compile(r"[\x21-\x7e]+")


def readable(text: object, *, secrets: Iterable[str] = ()) -> str | None:
    """A server's text in one line that is safe to show, or None.

    Args:
        text: anything; only a non-empty string gives a result.
        secrets: values that the text may echo, as they are or encoded; each is replaced by an ellipsis.

    Returns:
        At most 200 characters; control, direction and invisible characters taken out.
    """
    if not isinstance(text, str):
        return None
    echoes = {
        form for secret in secrets if secret for form in (secret, quote(secret, safe="", errors="replace"))
    }
    for echo in sorted(echoes, key=len, reverse=True):
        text = text.replace(echo, "…")
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 20 * MAX_TEXT]).split())
    return (line[: MAX_TEXT - 1] + "…" if len(line) > MAX_TEXT else line) or None


def visible(value: object) -> str | None:
    """`value` where it is a string of visible ASCII characters (RFC 6749 appendix A), else None."""
    if isinstance(value, str) and len(value) <= MAX_VALUE and _VSCHAR.fullmatch(value):
        return value
    return None


def json_of(response: httpx.Response) -> Any:
    """The answer's JSON value, or None where it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError, LookupError):
        return None


def json_object(response: httpx.Response, *, what: str) -> dict[str, Any]:
    """The answer's JSON object.

    Raises:
        UnexpectedAnswer: where it is anything else.
    """
    value = json_of(response)
    if not isinstance(value, dict):
        raise UnexpectedAnswer(
            f"{what}: {host_of(response)} answered {response.status_code} with something that is not a JSON "
            "object. Check IC_BASE_URL, and that no proxy or login page stands in between."
        )
    return value


def host_of(response: httpx.Response) -> str:
    """Host and port that answered."""
    return response.request.url.netloc.decode("ascii", "replace")


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that a `Retry-After` asks to wait, as a number or a date (RFC 9110 §10.2.3), or None."""
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,18}", value):
        return float(value)
    try:
        # Both dates are the server's, so it does not matter how wrong our own clock is.
        return max(0.0, (_date(value) - _date(response.headers.get("date", ""))).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _date(value: str) -> datetime:
    date = parsedate_to_datetime(value)
    # The oldest of the three forms (RFC 9110 §5.6.7) names no zone.
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def duration(seconds: float) -> str:
    """Seconds in words, such as `40 s`, `5 min`, `3 h` or `12 days`; never too short."""
    for unit, size, up_to in (("s", 1, 120), ("min", 60, 7_200), ("h", 3_600, 172_800)):
        if seconds <= up_to:
            return f"{max(1, math.ceil(seconds / size))} {unit}"
    return f"{math.ceil(seconds / 86_400)} days"


def limit_reached(response: httpx.Response) -> str:
    """The sentence for a 429, with the number of calls where a `RateLimit-Limit` says it."""
    for name in ("ratelimit-limit", "x-ratelimit-limit"):
        told = re.fullmatch(r"([1-9][0-9]{0,6})(?:, *\1; *w=60)?", response.headers.get(name, "").strip())
        if told:
            return f"The account's limit of {told[1]} calls a minute is reached."
    return "The account's limit of calls a minute is reached."


def refused(response: httpx.Response, *, what: str, secrets: Iterable[str] = ()) -> NoReturn:
    """Raise what an answer that is not a success means.

    Raises:
        ServiceUnavailable: 429 and 5xx; the body is neither read nor shown.
        OAuthError: an error object (RFC 6749 §5.2).
        UnexpectedAnswer: anything else.
    """
    status, host = response.status_code, host_of(response)
    secrets = *secrets, *credentials_of(response)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait = retry_after(response)
        after = f"in {duration(wait)}" if wait else "in a minute"
        raise ServiceUnavailable(
            f"{what}: {host} takes no more requests just now (429). Try again {after}.",
            status_code=status,
            retry_after=wait,
        )
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise ServiceUnavailable(
            f"{what}: {host} has a fault of its own ({status}). Try again in a minute.",
            answer_lost=True,
            status_code=status,
            retry_after=retry_after(response),
        )
    if response.is_redirect:
        raise UnexpectedAnswer(
            f"{what}: {host} answered with a redirect ({status}), which is not followed. Check IC_BASE_URL."
        )
    answer = json_object(response, what=what)
    error = visible(answer.get("error"))
    if error is None or len(error) > MAX_TEXT:
        reason = reason_of(response, secrets=secrets)
        raise UnexpectedAnswer(f"{what}: {host} answered {status}{': ' + reason if reason else ''}.")
    error = readable(error, secrets=secrets) or "error"
    description = readable(answer.get("error_description"), secrets=secrets)
    raise OAuthError(
        f"{what}: {host} refused with {error}{': ' + description if description else ''}. Try again; if it "
        "stays so, tell the service's support.",
        error=error,
        error_description=description,
        status_code=status,
    )


def reason_of(response: httpx.Response, *, secrets: Iterable[str] = ()) -> str | None:
    """The service's own words for a refusal, in one line, or None.

    Its error shapes are `detail`, `message`, `error` (text, list or object), `{field: [text]}`,
    `response_meta.error_message` and a bare list. The body of a 5xx is never read.

    Raises:
        httpx.StreamError: the body of a streamed response was not read.
    """
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR or len(response.content) > MAX_REFUSAL:
        return None
    words = islice(_words(json_of(response), depth=0), 3)
    return readable("; ".join(words), secrets=(*secrets, *credentials_of(response)))


def credentials_of(response: httpx.Response) -> tuple[str, ...]:
    """What the request carried in `Authorization`, which an answer may echo."""
    try:
        authorization = response.request.headers.get("authorization", "")
    except RuntimeError:
        # A response that was never sent for has no request.
        authorization = ""
    return authorization, authorization.partition(" ")[2]


def _words(value: Any, *, depth: int) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, list) and depth < 4:
        for item in value[:3]:
            yield from _words(item, depth=depth + 1)
    elif isinstance(value, dict) and depth < 4:
        yield from _words_of_object(value, depth=depth + 1)


def _words_of_object(value: dict[str, Any], *, depth: int) -> Iterator[str]:
    meta = value.get("response_meta")
    named = [value.get(key) for key in _NAMED]
    named.append(meta.get("error_message") if isinstance(meta, dict) else meta)
    for candidate in named:
        words = list(_words(candidate, depth=depth))
        if words:
            yield from words
            return
    for field, problems in islice(value.items(), 20):
        if field != "response_meta" and isinstance(problems, (str, list)):
            for problem in _words(problems, depth=depth):
                yield problem if field in _OF_NO_FIELD else f"{field}: {problem}"
