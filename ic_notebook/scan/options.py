"""The arguments of `ic-notebook scan`."""

from __future__ import annotations

import argparse

DESCRIPTION = (
    "Find credentials in notebooks (sources, outputs, metadata, widget state, attachments, checkpoints), "
    "HTML exports, scripts and other text: the tokens of the stored sign-in and IC_ACCESS_TOKEN in any "
    "encoding, and literals beside Bearer, Authorization, api_key, or the service's address. It says where "
    "they are and never shows one."
)
EPILOG = (
    "Exit codes: 0 nothing found, 1 found, also where it has been replaced, 2 not scanned or not replaced."
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    command.description, command.epilog = DESCRIPTION, EPILOG
    command.add_argument(
        "paths",
        nargs="*",
        default=["."],
        metavar="PATH",
        help="files and folders; this folder where none is given",
    )
    command.add_argument(
        "--fix",
        action="store_true",
        help="put a placeholder in place of each finding, after a yes at the terminal",
    )
    command.add_argument("--yes", action="store_true", help="with --fix: without asking")
    command.add_argument("--json", action="store_true", help="for a program to read; asks nothing")
    command.add_argument(
        "--profile",
        action="append",
        default=[],
        metavar="NAME",
        help="look for the sign-in of this account too; may be given several times",
    )
    command.add_argument("--base-url", metavar="URL", help="the API, in place of IC_BASE_URL")
    command.add_argument(
        "--gitleaks",
        action="store_true",
        help="print rules with which gitleaks searches a git history, and end",
    )
