"""Literals beside the names of credentials: which are found, and which are left alone."""

from __future__ import annotations

import json

import pytest

from ic_notebook.scan.scanning import hits_in
from tests.scan.conftest import notebook
from tests.scan.samples import FOUND, HEX, KEY, PLAIN, URLSAFE

WRAPPED = {
    "script": lambda line: f"import x\n{line}\nx.go()\n",
    "windows": lambda line: f"import x\r\n{line}\r\n",
    "last line": lambda line: line,
    "notebook": lambda line: json.dumps(notebook(f"import x\n{line}\nx.go()"), indent=1),
    "notebook in a string": lambda line: json.dumps(json.dumps(notebook(f"{line}\nx.go()"))),
    "wrong encoding": lambda line: f"# caf\udce9 \udcff\n{line}\n",
}
ESCAPED = {"HTML", "an export's markup", "a traceback's colours", "JSON in JSON in a string"}


def found_in(text: str) -> list[str]:
    octets = text.encode("utf-8", "surrogateescape")
    return [octets[hit.start : hit.end].decode() for hit in hits_in(octets, [])]


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("line", FOUND.values(), ids=FOUND)
def test_a_credential_is_found_and_nothing_beside_it(line, wrapped):
    (found,) = found_in(wrapped(line))
    assert found in {KEY, HEX, URLSAFE}


@pytest.mark.parametrize("wrapped", WRAPPED.values(), ids=WRAPPED)
@pytest.mark.parametrize("line", PLAIN.values(), ids=PLAIN)
def test_what_is_no_credential_is_left_alone(line, wrapped):
    assert found_in(wrapped(line)) == []


def test_the_examples_of_the_rfcs_are_no_findings():
    assert (
        found_in('{"access_token":"2YotnFZFEjr1zCsicMWpAA","refresh_token":"tGzv3JOkF0XG5Qx2TlKWIA"}') == []
    )
    assert found_in("Authorization: Bearer mF_9.B5f-4.1JqM") == []


def test_our_own_sources_hold_none():
    from pathlib import Path

    from ic_notebook.scan.scanning import scan

    result = scan(
        [Path(__file__).parents[2] / name for name in ("ic_notebook", "notebooks", "README.md")], []
    )
    assert result.findings == []
    assert result.files > 100


@pytest.mark.parametrize(
    "piece",
    [
        b"api_key",
        b"bearer ",
        b"api_key = '",
        b"\\" * 64,
        b"<",
        b'"',
        b"a1b2",
        b"influencers.club ",
        b"bearer\\n",
    ],
    ids=repr,
)
def test_a_megabyte_of_one_thing_takes_no_time(piece):
    assert hits_in(piece * (1_000_000 // len(piece)), []) == []
    assert hits_in(b"api_key = " + piece * (1_000_000 // len(piece)), []) == []
