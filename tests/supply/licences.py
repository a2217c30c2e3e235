"""Which licences the dependencies may have."""

from __future__ import annotations

import re
from email.message import Message

ALLOWED = {
    "MIT": (r"MIT(-0| License)?", "asks for its notice alone"),
    "BSD": (r"(0BSD|BSD([ -][23][ -]Clause)?)( License)?", "asks for its notice alone"),
    "ISC": (r"ISC( License( \(ISCL\)?)?)?", "asks for its notice alone"),
    "Apache-2.0": (
        r"Apache(-2\.0| 2\.0| Software License| License, Version 2\.0)",
        "asks for its notice, and grants patents",
    ),
    "PSF": (r"PSF(L|-2\.0)|Python Software Foundation License", "Python's own, asks for its notice alone"),
    "MPL-2.0": (
        r"MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)?",
        "binds changes of its own files, of which we make and ship none",
    ),
}
"""Each family: how packages write it, and why it may be used by a package under BSD-3-Clause."""


def told(metadata: Message) -> str:
    """How a distribution names its licence: as an SPDX expression, as classifiers, or in its own words."""
    expression = metadata.get("License-Expression")
    classifiers = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License ::")
    ]
    words = (metadata.get("License") or "").strip().partition("\n")[0]
    return expression or " AND ".join(classifiers) or words


def allowed(licence: str) -> bool:
    """Whether it may be used: one of those it offers as a choice, or all of those that hold together."""
    judged = [_family(name.strip(" ()")) is not None for name in re.split(r" (?:AND|OR) ", licence)]
    return any(judged) if " AND " not in licence else all(judged)


def _family(name: str) -> str | None:
    return next(
        (family for family, (words, _) in ALLOWED.items() if re.fullmatch(words, name, re.IGNORECASE)), None
    )
