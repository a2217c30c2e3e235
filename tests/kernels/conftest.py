"""A kernel of each generation, and each way that a page's messages take to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.jupyter.conftest import FRESH, LEAVE, sandbox, shared_sandbox  # noqa: F401 - fixtures
from tests.jupyter.kernels import Kernel, Page, Ran, running_kernel
from tests.kernels.generations import GENERATIONS, INSTALLED, ROOT, python_of
from tests.sizes import LONG

TRIED = GENERATIONS if LONG else [name for name in GENERATIONS if name in {"6.31", INSTALLED}]
SUBSHELL = " subshell"
WITH_SUBSHELLS = [name for name in TRIED if not name.startswith("6.")] if LONG else []
LANES = [*TRIED, *(name + SUBSHELL for name in WITH_SUBSHELLS)]


@dataclass
class Lane:
    """A kernel, and how a page's messages reach it: on its main shell, or over a subshell.

    JupyterLab and Notebook 7 make one subshell for a widget's comm target and send its messages there; here the
    same messages are sent without them.
    """

    name: str
    generation: str
    kernel: Kernel
    subshell: str | None
    told: dict[str, str] = field(default_factory=dict)

    def tell(self, happened: str) -> None:
        """What the matrix says of this test."""
        self.told["happened"] = happened

    @property
    def pumped(self) -> bool:
        return self.generation.startswith("6.")

    @property
    def live_while_blocked(self) -> bool:
        """Whether a message arrives while a cell blocks that does not pump."""
        return self.subshell is not None and self.generation != "7.4"

    @property
    def goes_where_it_last_came_from(self) -> bool:
        """7.4 sends a panel's messages to the shell that was the last to tell the panel something."""
        return self.subshell is not None and self.generation == "7.4"

    @property
    def live_while_connecting(self) -> bool:
        return self.pumped or self.live_while_blocked

    @property
    def live_while_awaiting(self) -> bool:
        return self.live_while_connecting or self.generation == "7.4"

    def page(self, page: Page) -> Page:
        """This panel, seen in the browser."""
        page.subshell = self.subshell
        page.say("hello")
        return page

    def panel_of(self, cell: str) -> Page:
        return self.page(self.kernel.panel_of(cell))

    def load(self) -> Page:
        return self.page(self.kernel.load())

    def start(self, *cells: str) -> list[str]:
        """Run All."""
        return [self.kernel.start(code) for code in cells]

    def finish(self, cells: list[str]) -> list[Ran]:
        """Every cell is answered, once and in its turn; those that ran are counted without a gap."""
        ran = self.kernel.finish_all(cells)
        assert list(ran) == cells
        inputs = [m for m in self.kernel.messages if m["msg_type"] == "execute_input"]
        begun = [m["parent_header"]["msg_id"] for m in inputs if m["parent_header"]["msg_id"] in ran]
        run = [cell for cell in cells if ran[cell].reply["status"] != "aborted"]
        assert begun == run
        assert run == cells[: len(run)]
        counts = [ran[cell].reply["execution_count"] for cell in run]
        assert counts == list(range(counts[0], counts[0] + len(counts)))
        return list(ran.values())


@pytest.fixture(scope="module", params=LANES)
def running_lane(request) -> Iterator[Lane]:
    generation = request.param.removesuffix(SUBSHELL)
    with running_kernel(python=python_of(generation), PYTHONPATH=str(ROOT)) as kernel:
        assert kernel.ask("__import__('ipykernel').__version__").startswith(generation)
        subshell = kernel.create_subshell() if request.param.endswith(SUBSHELL) else None
        yield Lane(request.param, generation, kernel, subshell)


@pytest.fixture
def lane(running_lane, sandbox) -> Iterator[Lane]:  # noqa: F811 - the fixture
    """A kernel in which nobody is signed in."""
    kernel = running_lane.kernel
    kernel.run(FRESH.format(url=sandbox.url), silent=True)
    kernel.messages.clear()
    kernel.pages.clear()
    yield running_lane
    kernel.run(LEAVE, silent=True)
