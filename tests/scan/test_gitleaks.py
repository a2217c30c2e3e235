"""The rules for gitleaks, which itself is not run here: they find the same samples."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from importlib import resources

import pytest

from tests.scan.samples import FOUND, HEX, KEY, PLAIN, URLSAFE

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

TEXT = resources.files("ic_notebook.scan").joinpath("gitleaks.toml").read_text("utf-8")
RULES = tomllib.loads(TEXT)
COARSER = {"an f-string with a beginning", "a digest beside the address"}
"""Go's expressions cannot look ahead, and a rule sees one line: these two are found although they are harmless."""


def leaks(text: str) -> set[str]:
    """What gitleaks would say, by its documentation: keyword, expression, entropy of the group, allowlists."""
    everywhere = RULES["allowlist"]["regexes"]
    found = set()
    for rule in RULES["rules"]:
        if not any(keyword in text.lower() for keyword in rule["keywords"]):
            continue
        for match in re.finditer(rule["regex"], text):
            secret = match[rule["secretGroup"]]
            harmless = any(re.search(regex, secret) for regex in everywhere) or any(
                re.search(regex, match[0]) for regex in rule.get("allowlist", {}).get("regexes", [])
            )
            if entropy(secret) >= rule["entropy"] and not harmless:
                found.add(secret.rstrip("."))
    return found


def entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


@pytest.mark.parametrize("line", FOUND.values(), ids=FOUND)
def test_they_find_what_the_scan_finds(line):
    (found,) = leaks(line)
    assert found in {KEY, HEX, URLSAFE}


@pytest.mark.parametrize("name", PLAIN)
def test_they_leave_alone_what_the_scan_leaves_alone(name):
    assert bool(leaks(PLAIN[name])) == (name in COARSER)


def test_they_are_of_the_form_that_gitleaks_reads():
    assert set(RULES) == {"title", "extend", "rules", "allowlist"}
    assert len({rule["id"] for rule in RULES["rules"]}) == len(RULES["rules"])
    for rule in RULES["rules"]:
        assert set(rule) - {"allowlist"} == {
            "id",
            "description",
            "regex",
            "secretGroup",
            "entropy",
            "keywords",
        }
        assert re.compile(rule["regex"]).groups == rule["secretGroup"] == 1
        assert all(keyword == keyword.lower() for keyword in rule["keywords"])


def test_their_expressions_are_ones_that_go_understands():
    # RE2: no looking around, no references back, no possessive or atomic parts, no more than 1,000 repeats.
    for regex in [rule["regex"] for rule in RULES["rules"]] + RULES["allowlist"]["regexes"]:
        assert not re.search(r"\(\?(?:=|!|<=|<!|>|P=)|\\[1-9]|[*+?}]\+", regex)
        assert all(int(number) <= 1000 for number in re.findall(r"\{\d*,?(\d+)\}", regex))


def test_the_command_prints_them(scan):
    code, out, _ = scan("--gitleaks")
    assert (code, out) == (0, TEXT)
