"""Judges by samples of a process whether it grows: the least of the first third beside the least of the last.

The least, because what is under way for a moment only adds to it, and what is lost stays in every sample.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.sizes import LONG

BOUNDS = {
    # KiB. Python takes memory from the system in arenas of 1 MiB: two may come by chance. A KiB lost with each
    # call is twenty times as much in half an hour.
    "rss": 2_048,
    # Objects, more or less. A renewal, a client or a request that is kept is a dozen of them or more, and there
    # are hundreds in half an hour. In the first seconds caches still fill.
    "blocks": 600 if LONG else 3_000,
    "threads": 0,
    # In some seconds a connection that was needed once is not closed yet.
    "fds": 0 if LONG else 2,
    "tasks": 0,
    "files": 0,
}
"""By how much each may be more at the end."""


def thirds(samples: Sequence[Mapping[str, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """The least of each kind in the first and in the last third."""
    count = len(samples) // 3
    assert count >= 2, "too few samples to judge by"
    first, last = samples[:count], samples[-count:]
    return (
        {kind: min(sample[kind] for sample in first) for kind in BOUNDS},
        {kind: min(sample[kind] for sample in last) for kind in BOUNDS},
    )


def grown(samples: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """What has grown by more than it may, and by how much."""
    first, last = thirds(samples)
    growth = {kind: last[kind] - first[kind] for kind in BOUNDS}
    return {kind: more for kind, more in growth.items() if more > BOUNDS[kind]}
