"""Finds literals that stand where a credential stands: beside `Bearer`, `api_key`, the service's host.

Works on a file's bytes as they are. A notebook's strings are escaped and cut into lines, an export's are
wrapped in markup, a traceback's are coloured: all that may stand between a name and its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ic_notebook.scan.encodings import COLOUR, SEAM, TAG
from ic_notebook.scan.finding import Hit
from ic_notebook.scan.judging import LONGEST, is_credential, is_identifier

HOST = b"influencers.club"
NAMES = {
    b"bearer": "Bearer",
    b"authorization": "Authorization",
    b"api_key": "api_key",
    b"api-key": "api-key",
    b"apikey": "apikey",
    b"api key": "API key",
    b"access_token": "access_token",
    b"refresh_token": "refresh_token",
}
_QUOTE = (
    rb"""(?:\\{0,63}["'`]|&(?:amp;){0,4}(?:quot|apos|\#0*3[49]|\#[xX]0*2[27]);|%(?:25){0,4}2[27]"""
    rb"""|\\{1,63}(?:u00|x)2[27])"""
)
_GAP = rb"(?:[ \t\r\n]|\\{1,63}[tnr]|&nbsp;|&\#160;|" + TAG + rb"|" + COLOUR + rb"|" + SEAM + rb"){0,24}"
_PREFIX = rb"(?:[rRbBuUfF]{1,2}(?=[\\\"'&<]))?"
_SCHEME = rb"(?:(?i:bearer|token|key|api-?key)(?:[ +]|%20|\\{1,63}u0020){1,4})?"
_AFTER_NAME = re.compile(
    rb"(?P<rest>[A-Za-z0-9_\-]{0,24})"
    rb"(?:" + _QUOTE + rb")?(?:" + _GAP + rb"\])?(?P<before>" + _GAP + rb")"
    rb"(?::" + _GAP + rb"[A-Za-z_.]{3,20}" + _GAP + rb"(?==))?"
    rb"(?P<sign>=>|:=|[=!]=|[=:,]|%3[aAdD]|\\{1,63}u003[aAdD]|value=|(?=.))(?P<after>" + _GAP + rb")"
    + _PREFIX + rb"(?:" + _GAP + rb")(?P<quote>" + _QUOTE + rb")?(?:" + _GAP + rb")" + _SCHEME,
    re.DOTALL,
)  # fmt: skip
_AFTER_BEARER = re.compile(
    rb"(?:(?:[ ]|%20)?(?:%s|\{\d?\})?" + _QUOTE + _GAP + rb"(?:[+,%]|\.format\()" + _GAP + _PREFIX
    + rb"(?P<quote>" + _QUOTE + rb")"
    + rb"|(?:%20|\+|\\{1,63}u0020|(?P<gap>" + _GAP.replace(b"{0,24}", b"{1,24}") + rb")))"
)  # fmt: skip
_LITERAL = re.compile(
    rb"(?:[A-Za-z0-9_\-.~+=/]|\\{1,63}/|%(?:25){0,4}(?i:2b|2f|3d|2e|2d|5f|7e)|\\{1,63}u00(?i:2b|2f|3d))+"
)
_ESCAPE = re.compile(r"\\+(?:u00..)?|%(?:25)*..")
_NOT_A_LITERAL = re.compile(rb"[({\[$@]|%[s(]|\\{1,63}u2026|\xe2\x80\xa6|&hellip;|\*\*")
_OF_NO_SECRET = re.compile(
    rb"(?:hash|digest|id|name|file|path|url|uri|env|prefix|header|length|type|count)\Z", re.IGNORECASE
)
_LINE_END = re.compile(rb"\n|\\{1,63}n")
_OPENING = re.compile(_QUOTE)
_QUERY = re.compile(rb"[?&;](?P<name>[A-Za-z_\-]{1,40})=(?P<literal>" + _LITERAL.pattern + rb")")
_USER = re.compile(
    rb"//(?:[A-Za-z0-9_\-.]{0,64}:)?(?P<literal>" + _LITERAL.pattern + rb")@[a-zA-Z0-9.\-]{0,64}\Z"
)
_NAMED = re.compile(
    rb"(?P<name>[A-Za-z0-9_\-]{1,40})(?:"
    + _QUOTE
    + rb")?\]?"
    + _GAP
    + rb"[:=]"
    + _GAP
    + rb"[rRbBuUfF]{0,2}\Z"
)
_SECRET_NAME = re.compile(rb"key|token|secret|auth|passw|credential", re.IGNORECASE)
_NEAR = 240


def literals_in(text: bytes) -> Iterator[Hit]:
    """The literals that look like credentials, overlapping where two names stand beside one."""
    low = text.lower()
    for name, shown in NAMES.items():
        at = low.find(name)
        while at >= 0:
            span = _beside(text, at, at + len(name), bearer=name == b"bearer")
            if span is not None:
                yield Hit(start=span[0], end=span[1], kind=f"a literal beside {shown}")
            at = low.find(name, at + len(name))
    at, looked_to = low.find(HOST), 0
    while at >= 0:
        begin, end = _line_around(text, at)
        for span in _near_host(text, at, max(begin, looked_to), end):
            yield Hit(start=span[0], end=span[1], kind="a literal beside the service's address")
        at, looked_to = low.find(HOST, at + len(HOST)), end


def _beside(text: bytes, start: int, end: int, *, bearer: bool) -> tuple[int, int] | None:
    if bearer:
        after = _AFTER_BEARER.match(text, end)
        if after and (span := _literal(text, after.end(), quoted=after["quote"] is not None)):
            return None if _crosses_lines(after["gap"] or b"") else span
    after = _AFTER_NAME.match(text, end)
    if after is None or _OF_NO_SECRET.search(after["rest"]):
        return None
    quoted = after["quote"] is not None
    if not after["sign"] and not _is_option(text, start, after["before"]):
        return None
    if not quoted and (after["sign"] == b"," or _crosses_lines(after["before"] + after["after"])):
        return None
    return _literal(text, after.end(), quoted=quoted)


def _literal(text: bytes, at: int, *, quoted: bool) -> tuple[int, int] | None:
    match = _LITERAL.match(text, at, at + 8 * LONGEST)
    if match is None or match[0].endswith(b"..") or _NOT_A_LITERAL.match(text, match.end()):
        return None
    found = match[0].rstrip(b".")
    if not quoted:
        found = found.rstrip(b"=\\")
    return (at, at + len(found)) if is_credential(_plain(found)) else None


def _plain(literal: bytes) -> str:
    """The literal as text; what was escaped in it counts as one character."""
    return _ESCAPE.sub("/", literal.decode("ascii"))


def _crosses_lines(gap: bytes) -> bool:
    return _LINE_END.search(gap) is not None


def _is_option(text: bytes, start: int, gap: bytes) -> bool:
    """Whether the name is an option of a command, whose value follows a space."""
    return bool(gap) and re.search(rb"--[A-Za-z\-]{0,20}\Z", text[max(0, start - 24) : start]) is not None


def _line_around(text: bytes, at: int) -> tuple[int, int]:
    """The line, in the file or in a string in it, as far as it is near."""
    near, far = max(0, at - _NEAR), at + _NEAR
    begin = max(near, text.rfind(b"\n", near, at) + 1, text.rfind(b"\\n", near, at) + 2)
    ends = (text.find(b"\n", at, far), text.find(b"\\n", at, far))
    return begin, min((end for end in ends if end >= 0), default=far)


def _near_host(text: bytes, at: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    user = _USER.search(text, begin, at)
    if user and is_credential(_plain(user["literal"])):
        yield user.span("literal")
    for query in _QUERY.finditer(text, at, end):
        if _SECRET_NAME.search(query["name"]) and is_credential(_plain(query["literal"])):
            yield query.span("literal")
    for quote in _OPENING.finditer(text, begin, end):
        found = _LITERAL.match(text, quote.end(), quote.end() + LONGEST)
        if found is None or len(found[0]) < 24 or not _OPENING.match(text, found.end()):
            continue
        literal = _plain(found[0])
        if HOST in found[0].lower() or not is_credential(literal):
            continue
        named = _NAMED.search(text, max(0, quote.start() - 80), quote.start())
        if _SECRET_NAME.search(named["name"]) if named else not is_identifier(literal):
            yield found.span()
