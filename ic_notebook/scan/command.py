"""`ic-notebook scan`: what a person asks for, is told, and is asked."""

from __future__ import annotations

import argparse
import contextlib
import sys
from importlib import resources
from pathlib import Path

from ic_notebook import environment
from ic_notebook.errors import ConfigurationError, ICNotebookError
from ic_notebook.scan.known import Known, known_secrets
from ic_notebook.scan.progress import Progress
from ic_notebook.scan.report import KNOWN_NOW, OPEN_ONES, as_json, counted, lines_of, shown, summary
from ic_notebook.scan.rewriting import NotRewritten, rewrite
from ic_notebook.scan.scanning import Scan, scan

NOTHING, FOUND, UNSCANNED = 0, 1, 2


def run(arguments: argparse.Namespace) -> int:
    """Scan, tell, replace where that is wished; gives the exit code."""
    if arguments.gitleaks:
        print(resources.files(__package__).joinpath("gitleaks.toml").read_text("utf-8"), end="")
        return NOTHING
    try:
        secrets, notes = _secrets(arguments)
    except ConfigurationError as failure:
        print(f"ic-notebook: {failure}", file=sys.stderr)
        return UNSCANNED
    progress = Progress()
    with contextlib.closing(progress):
        result = scan([Path(path) for path in arguments.paths], secrets, progress=progress)
    if not arguments.json:
        _tell(result, secrets, notes)
    replaced: set[Path] = set()
    refused = False
    if arguments.fix and result.found and _agreed(arguments, result):
        replaced, refused = _fix(result, secrets)
    if arguments.json:
        print(as_json(result, secrets, replaced=replaced, notes=notes))
    elif result.found:
        _after(arguments, result, replaced=replaced)
    if result.found:
        return UNSCANNED if refused else FOUND
    return UNSCANNED if result.unscanned else NOTHING


def _secrets(arguments: argparse.Namespace) -> tuple[list[Known], list[str]]:
    profiles = list(dict.fromkeys([environment.profile(), environment.DEFAULT_PROFILE, *arguments.profile]))
    return known_secrets(
        environment.base_url(arguments.base_url), [environment.profile(name) for name in profiles]
    )


def _tell(result: Scan, secrets: list[Known], notes: list[str]) -> None:
    for note in notes:
        print(f"ic-notebook: {note}", file=sys.stderr)
    for line in lines_of(result, secrets):
        print(line)
    for each in result.unscanned:
        print(f"ic-notebook: {shown(each.path, secrets)} was not scanned: {each.why}.", file=sys.stderr)
    sys.stdout.flush()
    print(summary(result, secrets), file=sys.stderr)
    if not result.found:
        print("Nothing was found.", file=sys.stderr)


def _agreed(arguments: argparse.Namespace, result: Scan) -> bool:
    if arguments.yes:
        return True
    what = f"{counted(len(result.findings), 'finding')} in {counted(len(result.found), 'file')}"
    if not arguments.json and environment.has_terminal():
        return _yes(f"Replace {what} by a placeholder?")
    print(f"Nothing was written. With --yes, {what} would be replaced by a placeholder.", file=sys.stderr)
    return False


def _fix(result: Scan, secrets: list[Known]) -> tuple[set[Path], bool]:
    replaced: set[Path] = set()
    for found in result.found:
        try:
            rewrite(found, secrets)
        except NotRewritten as why:  # noqa: PERF203 - each file on its own
            print(f"ic-notebook: {shown(found.path, secrets)} was left as it is: {why}.", file=sys.stderr)
        else:
            replaced.add(found.path)
    return replaced, len(replaced) < len(result.found)


def _after(arguments: argparse.Namespace, result: Scan, *, replaced: set[Path]) -> None:
    if replaced:
        print(f"Replaced in {counted(len(replaced), 'file')}. {OPEN_ONES}", file=sys.stderr)
    print(KNOWN_NOW, file=sys.stderr)
    if any(each.hit.own and each.hit.profile is None for each in result.findings):
        print(
            "The one in IC_ACCESS_TOKEN: make a new key in the dashboard, delete this one.", file=sys.stderr
        )
    for profile in sorted({each.hit.profile for each in result.findings if each.hit.profile is not None}):
        _offer_to_disconnect(arguments, profile)


def _offer_to_disconnect(arguments: argparse.Namespace, profile: str) -> None:
    address = ["--base-url", arguments.base_url] if arguments.base_url else []
    command = " ".join(["ic-notebook disconnect --profile", profile, *address])
    if not environment.has_terminal():
        print(f"The stored sign-in ends with: {command}", file=sys.stderr)
        return
    if not _yes(f"End the stored sign-in of profile {profile} at the service now, and forget it here?"):
        print(f"It still works. It ends with: {command}", file=sys.stderr)
        return
    from ic_notebook.signed_in import session

    try:
        print(session(base_url=arguments.base_url, profile=profile).disconnect(), file=sys.stderr)
    except ICNotebookError as failure:
        print(f"ic-notebook: {failure}", file=sys.stderr)


def _yes(question: str) -> bool:
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
