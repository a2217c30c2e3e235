"""Coverage-guided fuzzing of whatever reads what somebody else wrote; how often stands in `tests/sizes.py`."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.building import ODD, WORDS, Reader, bytes_of, text_of
from tests.fuzz.run import HOUSE
from tests.fuzz.targets import ROOMS
from tests.sizes import FUZZED, LONG

BOUND = 1_700 if LONG else 60
"""Seconds for one target."""
PLANTED = ROOMS if LONG else ["registration"]
needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no wheel for this Python and system"
)


def fuzz(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzz.run", name, "--seconds", str(BOUND - 20), *options],
        cwd=HOUSE,
        capture_output=True,
        text=True,
        timeout=BOUND,
        check=False,
    )


@needs_atheris
@pytest.mark.timeout(BOUND + 30)
@pytest.mark.parametrize("name", ROOMS)
def test_no_input_whatever_breaks(name):
    # The short run tries the same cases each time; the long one others.
    # The scan reads whole files, several times each.
    cases = FUZZED // 4 if name == "scan" else FUZZED
    ended = fuzz(name, "--runs", str(cases), "--seed", "0" if LONG else "1")
    print(ended.stdout)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"{name}: {cases:,} cases" in ended.stdout


@needs_atheris
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found_and_its_input_told(name):
    ended = fuzz(name, "--runs", "200000", "--seed", "1", "--planted")
    assert ended.returncode == 1, ended.stdout
    lines = ended.stdout.splitlines()
    told = lines[lines.index("It fails with the input") + 1]
    assert isinstance(ast.literal_eval(told), bytes)

    with_it = fuzz(name, "--planted", "--input", told)
    without_it = fuzz(name, "--input", told)
    assert with_it.returncode != 0
    assert "Traceback" in with_it.stderr
    assert without_it.returncode == 0, without_it.stderr


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-128, 127)
    | st.sampled_from([number for number in ODD if str(number) != "nan"])
    | st.sampled_from(WORDS)
    | st.text(st.characters(codec="utf-8"), max_size=60),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(VALUES)
def test_a_value_made_into_bytes_is_built_from_them_again(value):
    assert Reader(bytes_of(value)).value() == value


@given(st.binary(max_size=200))
def test_any_bytes_are_a_value(data):
    assert text_of(Reader(data).value()).isascii()
