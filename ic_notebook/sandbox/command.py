"""The command ``ic-notebook sandbox``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from ic_notebook.sandbox.options import add_arguments, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["add_arguments", "main", "run"]


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM. 0: ended so; 1: could not start; 2: an option is out of bounds."""
    from sqlalchemy.exc import DatabaseError

    from ic_notebook.sandbox.serve import serve

    try:
        settings = settings_of(args)
    except ValueError as error:
        return _complain(str(error), code=2)
    try:
        serve(settings)
    except KeyboardInterrupt:
        return 0
    except DatabaseError:
        return _complain(f"{settings.database} cannot be opened as a SQLite database. Name another file.")
    except OSError as error:
        return _complain(
            f"Port {settings.port} cannot be had ({error.strerror}). Name another, or 0 for a free one."
        )
    return 0


def _complain(message: str, *, code: int = 1) -> int:
    sys.stderr.write(f"ic-notebook sandbox: {message}\n")
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m ic_notebook.sandbox``."""
    parser = argparse.ArgumentParser(prog="python -m ic_notebook.sandbox")
    add_arguments(parser)
    return run(parser.parse_args(argv))
