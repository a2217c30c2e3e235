"""Faults: requests that fail on purpose, and which ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

FaultKind = Literal["status", "dropped", "delayed"]
FaultStage = Literal["before", "after"]


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Requests that get something else than their answer, or get it late.

    Attributes:
        kind: ``status``: a 5xx HTML page; ``dropped``: the connection is closed without an answer;
            ``delayed``: the answer comes late.
        count: The next so many requests, counted from the moment these settings took effect.
        fraction: This share of all requests, beside ``count``.
        seed: Draws that share by chance, in the same order for the same seed; ``None``: spread evenly (0.25:
            every fourth), with which a client's repeats can fall in step.
        paths: Only requests whose path starts with one of these; none named: every path.
        status: The status of a ``status`` fault, 500 to 599.
        delay: Seconds by which a ``delayed`` answer comes late.
        stage: ``before`` the request reached the server, or ``after`` it was carried out and its answer is
            lost or held back.
    """

    kind: FaultKind = "status"
    count: int = 0
    fraction: float = 0.0
    seed: int | None = None
    paths: tuple[str, ...] = ()
    status: int = 503
    delay: float = 1.0
    stage: FaultStage = "before"

    def __post_init__(self) -> None:
        if self.count < 0 or not 0 <= self.fraction <= 1:
            raise ValueError("A fault count is not negative and a fraction lies between 0 and 1.")
        if not 500 <= self.status <= 599:
            raise ValueError("A fault has a status from 500 to 599.")
        if not 0 <= self.delay <= 3600:
            raise ValueError("A fault has a delay from 0 to 3600 seconds.")
        one_of("kind", self.kind, get_args(FaultKind))
        one_of("stage", self.stage, get_args(FaultStage))


class Striking:
    """One ``Faults`` while it is in force: which request is the next to fail."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._left = faults.count
        self._share = 0.0
        self._chance = None if faults.seed is None else random.Random(faults.seed)  # noqa: S311 - no secret

    def strikes(self, path: str) -> bool:
        """Whether the request that has just come, to this path, is to fail."""
        faults = self.faults
        if faults.paths and not path.startswith(faults.paths):
            return False
        if self._left:
            self._left -= 1
            return True
        if self._chance is not None:
            return self._chance.random() < faults.fraction
        self._share += faults.fraction
        if self._share >= 1 - 1e-9:
            self._share -= 1
            return True
        return False


def one_of(name: str, value: object, choices: object) -> None:
    """ValueError where a setting has none of the values that it can have."""
    assert isinstance(choices, (tuple, list))
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(str, choices))}, not {value!r}.")
