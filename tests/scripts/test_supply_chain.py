"""Every dependency has its reason and a licence that may be used; what an audit finds is told, and what it does not."""

from __future__ import annotations

import re
from email.message import Message
from pathlib import Path

import pytest

from tests.supply.audit import verdict
from tests.supply.licences import allowed, told
from tests.supply.runtime import CORE, direct, extras, runtime

ROOT = Path(__file__).parents[2]


def reasons() -> dict[str, set[str]]:
    """The names in CONTRIBUTING's table, of the package and of each extra."""
    table = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Why each dependency")[2]
    rows = re.findall(r"^\| (?:(\w+): )?([\w, -]+) \| \S.* \|$", table, re.MULTILINE)
    found: dict[str, set[str]] = {}
    for part, names in rows[1:]:
        found.setdefault(part or CORE, set()).update(names.split(", "))
    return found


def test_every_dependency_has_its_reason_and_no_other_has_one():
    required = {part: direct(part) for part in (CORE, *extras())}
    # demo takes sandbox in, whose names stand there alone.
    assert set().union(*reasons().values()) == set().union(*required.values())
    assert {part for part, names in reasons().items() if not names <= required[part]} == set()


def test_what_is_needed_in_turn_is_known_with_what_it_is_needed_for():
    needed = {name: parts for name, (_, parts) in runtime().items()}
    assert needed["httpcore"] == ["core"]
    assert needed["starlette"] == ["demo", "sandbox"]
    assert needed["distributed"] == ["dask"]
    assert not {"ic-notebook", "pytest", "mypy"} & needed.keys()


def test_every_licence_of_what_is_needed_may_be_used():
    licences = {name: told(found.metadata) for name, (found, _) in runtime().items()}
    assert {name: licence for name, licence in licences.items() if not allowed(licence)} == {}


def metadata(*fields: tuple[str, str]) -> Message:
    message = Message()
    for name, value in fields:
        message[name] = value
    return message


@pytest.mark.parametrize(
    ("fields", "may_be_used"),
    [
        ([("License-Expression", "BSD-3-Clause")], True),
        ([("License-Expression", "GPL-3.0-or-later OR MIT")], True),
        ([("License", "Apache License, Version 2.0")], True),
        ([("License", "MIT License\n\nCopyright (c) somebody")], True),
        ([("Classifier", "License :: OSI Approved :: ISC License (ISCL)")], True),
        ([("Classifier", "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)")], True),
        ([("License-Expression", "GPL-3.0-or-later")], False),
        ([("License-Expression", "MIT AND (AGPL-3.0-only OR SSPL-1.0)")], False),
        (
            [
                ("License-Expression", "LGPL-2.1-only"),
                ("Classifier", "License :: OSI Approved :: MIT License"),
            ],
            False,
        ),
        ([("Classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)")], False),
        ([("License", "Proprietary")], False),
        ([("License", "MIT-like, but not for evil")], False),
        ([("License", "UNKNOWN")], False),
        ([], False),
    ],
)
def test_a_licence_that_nobody_allowed_is_found(fields, may_be_used):
    assert allowed(told(metadata(*fields))) is may_be_used


def test_a_vulnerability_is_told_and_so_is_a_database_that_does_not_answer():
    hole = {"id": "PYSEC-1", "fix_versions": ["1.1"], "aliases": [], "description": ""}
    answers = [
        {"name": "good", "version": "1.0", "vulns": []},
        {"name": "bad", "version": "1.0", "vulns": [hole]},
        {"name": "unknown", "skip_reason": "Dependency not found on PyPI"},
    ]
    pinned = ["good==1.0", "bad==1.0", "unknown==1.0"]
    assert verdict({"dependencies": answers[:1]}, pinned[:1]) == []
    assert verdict({"dependencies": answers}, pinned) == [
        "bad 1.0: PYSEC-1, mended in 1.1",
        "The database does not answer for unknown==1.0: nothing is known of their vulnerabilities.",
    ]
    assert verdict({"dependencies": answers[2:]}, pinned[2:]) == [
        "The database does not answer for all of them: nothing is known of their vulnerabilities."
    ]
