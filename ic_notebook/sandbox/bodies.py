"""The bodies that a client sends: forms and JSON, read strictly."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

FORM = "application/x-www-form-urlencoded"


def media_type(request: Request) -> str:
    """What the body says it is, in lower case and without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def each_once(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The same parameters, or an error where one is repeated (RFC 6749 §3.2)."""
    names = [name for name, _value in pairs]
    if len(names) != len(set(names)):
        raise InvalidRequestError("A parameter is given more than once.")
    return pairs


def token_parameters(kind: str, body: bytes) -> list[tuple[str, str]]:
    """The parameters of a token request, as a form or as JSON."""
    if kind == "application/json":
        pairs = each_once(_json_pairs(body))
    elif kind == FORM:
        pairs = each_once(form(body))
    else:
        raise InvalidRequestError("The body is neither a form nor JSON.")
    if not dict(pairs).get("grant_type"):
        raise InvalidRequestError("Missing grant_type.")
    return pairs


def revocation_parameters(kind: str, body: bytes) -> list[tuple[str, str]]:
    """The parameters of a revocation request, a form (RFC 7009 §2.1)."""
    if kind != FORM:
        raise InvalidRequestError("The body is not a form.")
    return each_once(form(body))


def form(body: bytes) -> list[tuple[str, str]]:
    """The parameters of a form."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidRequestError("The body is not a form.") from None


def _json_pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_json(body, pairs=tuple)
    except ValueError:
        raise InvalidRequestError("The body is not JSON.") from None
    if not isinstance(pairs, tuple) or not all(isinstance(value, str) for _name, value in pairs):
        raise InvalidRequestError("The body is not a JSON object of strings.")
    return list(pairs)


def parse_json(body: bytes, *, pairs: Callable[[list[tuple[str, Any]]], Any]) -> Any:
    """The JSON value, an object as ``pairs`` makes it; ValueError where it is none, or no real text."""
    try:
        value = json.loads(body, object_pairs_hook=pairs)
        # a lone surrogate is JSON, but neither the database nor an answer can hold it
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("The JSON is nested too deeply.") from None
    return value
