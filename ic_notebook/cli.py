"""The command line `ic-notebook`.

Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 nobody is signed in, 130 interrupted.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ic_notebook import __version__
from ic_notebook.errors import ICNotebookError, SignInRequired

if TYPE_CHECKING:
    from ic_notebook.sessions.session import Session
    from ic_notebook.sessions.status import Status

NOT_SIGNED_IN = (
    "Nobody is signed in. Run: ic-notebook connect. For unattended runs set IC_ACCESS_TOKEN to a token or "
    "API key."
)
DONE, FAILED, USAGE, SIGN_IN_REQUIRED, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    arguments = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        code = run(arguments)
        sys.stdout.flush()
    except SignInRequired as error:
        from ic_notebook.sessions.token_source import NOBODY

        print(f"ic-notebook: {NOT_SIGNED_IN if str(error) == NOBODY else error}", file=sys.stderr)
        return SIGN_IN_REQUIRED
    except ICNotebookError as error:
        print(f"ic-notebook: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("\nInterrupted. Nothing is left behind.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ic-notebook",
        description="Sign in to the influencers.club API, and look at what may use your account.",
        epilog="Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 nobody is signed in, 130 interrupted. "
        "IC_BASE_URL names another API, IC_PROFILE one of several accounts; IC_ACCESS_TOKEN holds a token or "
        "API key for unattended runs.",
    )
    parser.add_argument("--version", action="version", version=f"ic-notebook {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    connect = _add(commands, "connect", _connect, "sign in once, for every notebook and script of this user")
    _add_which(connect)
    connect.add_argument("--timeout", type=_seconds, default=300.0, metavar="SECONDS", help="default: 300")
    connect.add_argument(
        "--storage",
        choices=("keyring", "memory"),
        default="keyring",
        help="where it is kept: in the system's keyring (default), or nowhere, to see that it works",
    )
    connect.add_argument("--client-id", metavar="ID", help="a client registered by hand at the server")
    connect.add_argument("--scope", help="the scope to ask for, in place of the server's default")
    connect.add_argument(
        "--new-client", action="store_true", help="register anew, because the browser showed an error page"
    )

    status = _add(commands, "status", _status, "tell whether somebody is signed in; calls no server")
    _add_which(status)
    status.add_argument("--json", action="store_true", help="for a script to read")

    apps = _add(commands, "apps", _apps, "list the apps that may use the account")
    _add_which(apps)
    apps.add_argument("--json", action="store_true", help="for a script to read")

    revoke = _add(commands, "revoke", _revoke, "disconnect one app at the service")
    _add_which(revoke)
    revoke.add_argument("app_id", metavar="APP_ID", help="as `ic-notebook apps` lists it")

    disconnect = _add(
        commands, "disconnect", _disconnect, "end the sign-in at the service and forget it here"
    )
    _add_which(disconnect)

    forget = _add(commands, "forget", _forget, "forget the sign-in here; the app stays connected")
    _add_which(forget)

    token = _add(commands, "token", _token, "print the access token, for another program to read")
    _add_which(token)
    token.add_argument("--show", action="store_true", help="print it even to a terminal")

    from ic_notebook.scan.options import add_arguments

    scan_ = _add(commands, "scan", _scan, "find credentials in notebooks and scripts, and take them out")
    add_arguments(scan_)

    _add_sandbox(commands)
    demo = _add(commands, "demo", _demo, "try it all: a sandbox server and JupyterLab on this computer")
    demo.add_argument(
        "notebook", nargs="?", default="notebooks/quickstart.ipynb", help="default: %(default)s"
    )
    demo.add_argument("--no-browser", action="store_true", help="print JupyterLab's address, open nothing")
    demo.add_argument("--port", type=int, default=0, help="JupyterLab's port; a free one where not given")
    return parser


def _add(commands: Any, name: str, run: Callable[[argparse.Namespace], int], help_: str) -> Any:
    command = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    command.set_defaults(run=run)
    return command


def _add_which(command: Any) -> None:
    command.add_argument("--base-url", metavar="URL", help="the API, in place of IC_BASE_URL")
    command.add_argument("--profile", metavar="NAME", help="one of several accounts, in place of IC_PROFILE")
    command.add_argument("--discover", action="store_true", help="read the server's own metadata (RFC 8414)")


def _add_sandbox(commands: Any) -> None:
    help_ = "an authorization server to develop against, on this computer alone"
    sandbox = _add(commands, "sandbox", _sandbox, help_)
    if _installed("starlette", "uvicorn", "authlib", "sqlalchemy"):
        from ic_notebook.sandbox.options import add_arguments

        add_arguments(sandbox)


def _connect(arguments: argparse.Namespace) -> int:
    from ic_notebook.connecting import connect

    session = connect(
        base_url=arguments.base_url,
        profile=arguments.profile,
        storage=arguments.storage,
        timeout=arguments.timeout,
        discover=arguments.discover,
        client_id=arguments.client_id,
        scope=arguments.scope,
        new_client=arguments.new_client,
    )
    try:
        credits_ = f": {session.credits():,.2f} credits"
    except ICNotebookError:
        if not arguments.discover:
            raise
        credits_ = ""  # another server's API need not have any
    print(f"Connected to {session.base_url}{credits_}.")
    kept = session.store is not None or session.is_from_environment
    words = (
        f"The sign-in is {session.status.kept}."
        if kept
        else "It ends with this command, which keeps no token."
    )
    print(words, file=sys.stderr)
    return DONE if kept or arguments.storage == "memory" else FAILED


def _session(arguments: argparse.Namespace) -> Session:
    from ic_notebook.signed_in import session

    return session(base_url=arguments.base_url, profile=arguments.profile, discover=arguments.discover)


def _status(arguments: argparse.Namespace) -> int:
    from ic_notebook.environment import base_url, profile
    from ic_notebook.sessions.status import Status
    from ic_notebook.sessions.token_source import NOBODY

    try:
        found = _session(arguments).status
    except SignInRequired as nobody:
        problem = NOT_SIGNED_IN if str(nobody) == NOBODY else str(nobody)
        found = Status(
            connected=False,
            base_url=base_url(arguments.base_url),
            profile=profile(arguments.profile),
            problem=problem,
        )
    if arguments.json:
        print(json.dumps(_status_json(found)))
    else:
        print(found)
        if found.connected:
            print("No call was made to check the token.", file=sys.stderr)
    return DONE if found.connected else SIGN_IN_REQUIRED


def _status_json(status: Status) -> dict[str, Any]:
    return {
        "connected": status.connected,
        "base_url": status.base_url,
        "profile": status.profile,
        "kept": status.kept,
        "since": status.since.isoformat() if status.since else None,
        "registered_as": status.registered_as,
    }


def _apps(arguments: argparse.Namespace) -> int:
    listed = _session(arguments).apps()
    if not arguments.json:
        print(listed)
        return DONE
    rows = [
        {
            "id": app.id,
            "name": app.name,
            "client_id": app.client_id,
            "created": app.created.isoformat() if app.created else None,
            "own": app is listed.own,
        }
        for app in listed
    ]
    print(json.dumps(rows, indent=2))
    return DONE


def _revoke(arguments: argparse.Namespace) -> int:
    _session(arguments).revoke(arguments.app_id)
    print("Disconnected.")
    return DONE


def _disconnect(arguments: argparse.Namespace) -> int:
    print(_session(arguments).disconnect())
    return DONE


def _forget(arguments: argparse.Namespace) -> int:
    _session(arguments).forget()
    print("Forgotten here. At the service the app stays connected.")
    return DONE


def _token(arguments: argparse.Namespace) -> int:
    if sys.stdout.isatty() and not arguments.show:
        print(
            "ic-notebook: a token does not belong on a screen. Pipe it into the program that needs it, or "
            "say --show.",
            file=sys.stderr,
        )
        return FAILED
    print(_session(arguments).access_token())
    return DONE


def _scan(arguments: argparse.Namespace) -> int:
    from ic_notebook.scan.command import run

    return run(arguments)


def _sandbox(arguments: argparse.Namespace) -> int:
    if not _installed("starlette", "uvicorn", "authlib", "sqlalchemy"):
        print("ic-notebook: the sandbox needs its extra: pip install 'ic-notebook[sandbox]'", file=sys.stderr)
        return FAILED
    from ic_notebook.sandbox.command import run

    return run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    if not _installed("jupyterlab", "starlette", "uvicorn", "authlib", "sqlalchemy"):
        print("ic-notebook: the demo needs its extra: pip install 'ic-notebook[demo]'", file=sys.stderr)
        return FAILED
    from ic_notebook.demo import run_demo

    return run_demo(arguments.notebook, port=arguments.port, open_browser=not arguments.no_browser)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _installed(*modules: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in modules)
