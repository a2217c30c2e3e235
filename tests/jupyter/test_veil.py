"""What a page sends under a veil: read by the panel that told it, and by nobody who reads its log."""

from __future__ import annotations

import base64

import pytest

from ic_notebook.jupyter.veil import LENGTH, Veil

ADDRESS = "https://hub.example/user/ann/ic-notebook/callback?code=the-code&state=ünïcode"


def veiled(text: str, told: dict) -> dict:
    row = base64.b64decode(told["bytes"])
    sent = bytes(a ^ b for a, b in zip(text.encode(), row, strict=False))
    return {"type": "paste", "veil": told["number"], "text": base64.b64encode(sent).decode()}


def test_the_text_is_read_under_each_veil_that_was_told():
    veil = Veil()
    told = [veil.fresh() for _ in range(3)]
    assert [veil.lifted(veiled(ADDRESS, each)) for each in told] == [ADDRESS] * 3


def test_no_two_veils_are_alike_and_none_shows_the_text():
    veil, other = Veil(), Veil()
    told = [veil.fresh(), veil.fresh(), other.fresh()]
    assert len({each["bytes"] for each in told}) == 3
    for each in told:
        assert len(base64.b64decode(each["bytes"])) == LENGTH
        assert b"code" not in base64.b64decode(veiled(ADDRESS, each)["text"])


@pytest.mark.parametrize(
    "parts",
    [{"veil": 2}, {"veil": 0}, {"veil": -1}, {"veil": True}, {"veil": None}, {"text": None}, {"text": "=é"}],
    ids=str,
)
def test_what_is_under_no_veil_that_was_told_is_no_text(parts):
    veil = Veil()
    message = veiled(ADDRESS, veil.fresh())
    assert veil.lifted(message | parts) == ""
    assert veil.lifted({"type": "paste", "text": ADDRESS}) == ""


def test_what_is_too_long_ends_where_the_veil_ends():
    veil = Veil()
    message = {"veil": veil.fresh()["number"], "text": base64.b64encode(bytes(3 * LENGTH)).decode()}
    assert len(veil.lifted(message)) <= LENGTH
