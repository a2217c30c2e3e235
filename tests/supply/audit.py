"""Licences and known vulnerabilities of everything that ic_notebook needs at run time: `make audit`.

python -m tests.supply.audit
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.supply.licences import ALLOWED, allowed, told
from tests.supply.runtime import runtime


def main() -> int:
    """Print both, and give 1 where anything is wrong or could not be found out."""
    needed = runtime()
    rows = [
        (name, found.version, told(found.metadata), ", ".join(parts))
        for name, (found, parts) in needed.items()
    ]
    _print_table([("package", "version", "licence", "for"), *rows])
    print()
    _print_table([("allowed", "because"), *((family, why) for family, (_, why) in ALLOWED.items())])
    refused = [
        f"{name}: {licence or 'no licence told'}" for name, _, licence, _ in rows if not allowed(licence)
    ]
    unsafe = vulnerabilities([f"{name}=={version}" for name, version, _, _ in rows])
    print()
    print(f"{len(rows)} packages, {len(refused)} with a licence that is not allowed", *refused, sep="\n  ")
    print(*(unsafe or ["No vulnerability is known."]), sep="\n  ")
    return 1 if refused or unsafe else 0


def vulnerabilities(pinned: list[str]) -> list[str]:
    """What pip-audit says against these; also where it could not ask."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pinned.txt"
        file.write_text("\n".join(pinned))
        options = ["--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", "--requirement", str(file), *options],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        report = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        return [f"pip-audit did not come to an end, so nothing is known of vulnerabilities: {last}"]
    return verdict(report, pinned)


def verdict(report: dict[str, Any], pinned: Iterable[str]) -> list[str]:
    """Every vulnerability that is known, and which packages nothing is known of.

    pip-audit itself takes a database that answers nothing for one that knows no vulnerability.
    """
    found = report["dependencies"]
    told = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'none'}"
        for one in found
        for hole in one.get("vulns", [])
    ]
    asked = {f"{one['name']}=={one['version']}" for one in found if "vulns" in one}
    left = [name for name in pinned if name not in asked]
    if left:
        which = ", ".join(left) if asked else "all of them"
        told.append(f"The database does not answer for {which}: nothing is known of their vulnerabilities.")
    return told


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
