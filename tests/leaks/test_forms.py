"""The hunt itself: finds what is planted, in every form."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.leaks.hunt import forms, hunt

SECRET = "tO-ken_0123456789.abcdefghij~"


@pytest.mark.parametrize(
    "planted",
    [
        SECRET.encode(),
        quote(SECRET, safe="").encode(),
        "".join(f"%{octet:02X}" for octet in SECRET.encode()).encode(),
        json.dumps({"a": json.dumps({"b": SECRET})}).encode(),
        SECRET.encode().hex().encode(),
        SECRET.encode("utf-16"),
        *(
            base64.b64encode(b"{" * start + SECRET.encode() + b"}" * end)
            for start in range(4)
            for end in range(3)
        ),
        *(base64.urlsafe_b64encode(b"\xfb" * start + SECRET.encode()) for start in range(4)),
    ],
)
def test_the_hunt_finds_what_is_planted_in_every_form_and_nothing_else(planted):
    assert hunt({"token": SECRET}, {"file": b"before " + planted + b" after"}) != []
    assert hunt({"token": SECRET[::-1]}, {"file": b"before " + planted + b" after"}) == []


def test_no_form_is_so_short_that_chance_makes_it():
    assert min(len(piece) for pieces in forms(SECRET).values() for piece in pieces) >= 20
