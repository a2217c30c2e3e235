"""What a person, or a program, is told of a scan. Never a secret, nor a part of one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ic_notebook.scan.finding import Finding
from ic_notebook.scan.known import Known
from ic_notebook.scan.scanning import Scan

KNOWN_NOW = (
    "What has been in a file must be taken for known: copies, commits and backups may hold it. Have it ended "
    "at the service."
)
OPEN_ONES = (
    "Reload the notebooks that are open in Jupyter: saving one from there would bring its secret back."
)


def shown(path: Path, secrets: Sequence[Known]) -> str:
    """A path in one line; a secret in a file's name is not shown either."""
    text = os.fspath(path)
    for secret in secrets:
        text = text.replace(str(secret.text), "…")
    return "".join(char if char.isprintable() else "?" for char in text)


def lines_of(scan: Scan, secrets: Sequence[Known]) -> list[str]:
    """The findings, one a line."""
    return [f"{shown(each.path, secrets)}: {each.place}: {each.hit.kind}" for each in scan.findings]


def as_json(scan: Scan, secrets: Sequence[Known], *, replaced: set[Path], notes: Sequence[str]) -> str:
    """The same for a program: an object with `findings`, `unscanned`, `notes` and counts."""

    def one(finding: Finding) -> dict[str, Any]:
        return {
            "file": shown(finding.path, secrets),
            "line": finding.place.line,
            "cell": finding.place.cell,
            "part": finding.place.part,
            "kind": finding.hit.kind,
            "replaced": finding.path in replaced,
        }

    document = {
        "findings": [one(finding) for finding in scan.findings],
        "unscanned": [{"file": shown(each.path, secrets), "why": each.why} for each in scan.unscanned],
        "notes": list(notes),
        "files": scan.files,
        "no_text": scan.no_text,
        "too_large": [shown(path, secrets) for path in scan.too_large],
    }
    return json.dumps(document, indent=2)


def summary(scan: Scan, secrets: Sequence[Known]) -> str:
    """How much was looked at, and for what."""
    profiles = sorted({secret.profile for secret in secrets if secret.profile is not None})
    own = [f"the stored sign-in ({', '.join(profiles)})"] if profiles else []
    own += ["IC_ACCESS_TOKEN"] if any(secret.profile is None for secret in secrets) else []
    looked_for = ", ".join([*own, "literals where a credential stands"])
    passed_over = f" Passed over as no text: {scan.no_text}." if scan.no_text else ""
    if scan.too_large:
        passed_over += f" As too large: {', '.join(shown(path, secrets) for path in scan.too_large)}."
    files = counted(scan.files, "file")
    return f"{files}, {scan.size / 1e6:,.1f} MB, looked through for: {looked_for}.{passed_over}"


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
