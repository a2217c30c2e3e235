"""The options of the command line that make requests fail."""

from __future__ import annotations

import argparse
from typing import Any, get_args

from ic_notebook.sandbox.faults import FaultKind, Faults, FaultStage

_TYPES: dict[str, type] = {
    "kind": str,
    "count": int,
    "fraction": float,
    "seed": int,
    "status": int,
    "delay": float,
    "stage": str,
}


def add_fault_options(group: argparse._ArgumentGroup) -> None:
    """Add them to a group."""
    group.add_argument(
        "--fault-kind",
        choices=get_args(FaultKind),
        default="status",
        help="a 5xx page, a connection closed without an answer, or a late answer (default: %(default)s)",
    )
    group.add_argument(
        "--fault-count", type=count, default=0, metavar="N", help="this happens to the first N requests"
    )
    group.add_argument(
        "--fault-fraction",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="this happens to such a share of all requests, 0.25 for every fourth",
    )
    group.add_argument(
        "--fault-seed", type=int, metavar="N", help="draw that share by chance (default: spread evenly)"
    )
    group.add_argument(
        "--fault-path",
        action="append",
        default=[],
        metavar="PATH",
        help="only requests whose path starts so; may be repeated (default: every path)",
    )
    group.add_argument(
        "--fault-status", type=int, default=503, metavar="5XX", help="status of a page (default: %(default)s)"
    )
    group.add_argument(
        "--fault-delay",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="how late an answer comes (default: %(default)s)",
    )
    group.add_argument(
        "--fault-stage",
        choices=get_args(FaultStage),
        default="before",
        help="before the request reached the server, or after: carried out, its answer lost or held back "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--fault",
        action="append",
        default=[],
        type=_fault,
        metavar="NAME=VALUE,...",
        help="one more kind of fault, such as kind=dropped,fraction=0.02,seed=1,stage=after; names as above, "
        "path too; may be repeated",
    )


def count(text: str) -> int:
    """A number of things."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def faults_of(args: argparse.Namespace) -> Faults | tuple[Faults, ...]:
    """The faults that parsed options stand for; ValueError where they contradict a bound."""
    first = Faults(
        kind=args.fault_kind,
        count=args.fault_count,
        fraction=args.fault_fraction,
        seed=args.fault_seed,
        paths=tuple(args.fault_path),
        status=args.fault_status,
        delay=args.fault_delay,
        stage=args.fault_stage,
    )
    return (first, *args.fault) if args.fault else first


def _fault(text: str) -> Faults:
    fields: dict[str, Any] = {}
    paths: list[str] = []
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name == "path":
            paths.append(value)
        elif name not in _TYPES or name in fields:
            known = ", ".join([*_TYPES, "path"])
            raise argparse.ArgumentTypeError(f"{part!r} is none of {known}, or comes twice")
        else:
            fields[name] = _value(name, value)
    try:
        return Faults(**fields, paths=tuple(paths))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _value(name: str, text: str) -> object:
    try:
        return _TYPES[name](text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{name} is a number, not {text!r}") from None
