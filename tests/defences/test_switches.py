"""The table of switches is whole, and does not rot: `make defences` throws them."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.defences.page import named_in, rows, without_parameter
from tests.defences.switch import Edit
from tests.defences.switches import SWITCHES

NAMED = {test for row in rows() for test in named_in(row)}


def test_every_test_of_the_security_page_has_a_switch_and_no_switch_has_another():
    switched = {without_parameter(test) for switch in SWITCHES for test in switch.tests}

    assert sorted(NAMED - switched) == []
    assert sorted(switched - NAMED) == []
    assert [name for name, count in Counter(switch.name for switch in SWITCHES).items() if count > 1] == []


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_what_a_switch_takes_out_is_in_the_source_once(switch):
    assert switch.tests
    assert [edit.old for edit in switch.edits if edit.found() != 1 or edit.old == edit.new] == []


def test_a_text_that_is_not_there_once_is_not_replaced(tmp_path):
    (tmp_path / "a.py").write_text("one two two")
    Edit("a.py", "one", "three").make(tmp_path)
    assert (tmp_path / "a.py").read_text() == "three two two"
    for old in ("one", "two"):
        with pytest.raises(ValueError, match="times, not once"):
            Edit("a.py", old, "x").make(tmp_path)
