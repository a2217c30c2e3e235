"""What an import costs over bare Python."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.benchmarks.tables import NOISE, Effort, Line, Result, added, against, in_turns, version, yes_or_no

RUNS: dict[Effort, int] = {"full": 9, "quick": 3, "least": 2}
BARE, OURS = "bare Python", "ic_notebook"
OWN = {
    BARE: "pass",
    NOISE: "pass  # again",
    OURS: "import ic_notebook",
    "  and ic_notebook.client, first used": "import ic_notebook; ic_notebook.client",
    "httpx": "import httpx",
}
PEERS = {
    "huggingface_hub": ("huggingface-hub", "import huggingface_hub"),
    "  and huggingface_hub.get_token, first used": (
        "huggingface-hub",
        "import huggingface_hub; huggingface_hub.get_token",
    ),
    "msal": ("msal", "import msal"),
    "httpx_auth": ("httpx-auth", "import httpx_auth"),
    "authlib.integrations.httpx_client": ("authlib", "import authlib.integrations.httpx_client"),
    "tokentoss": ("tokentoss", "import tokentoss"),
    "mcp.client.auth": ("mcp", "import mcp.client.auth"),
}
TO_REACH = 15.0


def import_cost(statement: str) -> float:
    """Milliseconds of a whole Python process."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-W", "ignore", "-c", statement], check=True)
    return (time.perf_counter() - began) * 1e3


def measure(effort: Effort) -> Result:
    there = {} if effort == "least" else {name: peer for name, peer in PEERS.items() if version(peer[0])}
    absent = [name for name, (distribution, _) in PEERS.items() if version(distribution) is None]
    statements = OWN | {name: statement for name, (_, statement) in there.items()}
    measured = in_turns(lambda name: import_cost(statements[name]), list(statements), RUNS[effort])
    bare = measured[BARE]
    ours = added(measured[OURS], bare)
    others = {name: added(measured[name], bare) for name in there if not name.startswith(" ")}
    beside = ", ".join(f"{name} {ms:.0f}" for name, ms in sorted(others.items(), key=lambda item: item[1]))
    line = Line(
        "`import` over bare Python, ms",
        f"{ours:.1f}",
        beside or "-",
        f"least of all, ≤ {TO_REACH:g}",
        yes_or_no(ours <= TO_REACH and all(ours <= ms for ms in others.values())),
    )
    return Result([line], [against("Import", "ms", measured, absent=absent)])
