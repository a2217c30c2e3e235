"""From Shift+Enter to the panel, in a real JupyterLab in a real Chromium, beside an anywidget that shows a word."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.clients import optional
from tests.benchmarks.servers import sandbox
from tests.benchmarks.tables import (
    NOISE,
    Effort,
    Line,
    Measured,
    Result,
    Table,
    against,
    in_turns,
    median,
    yes_or_no,
)

ROUNDS: dict[Effort, int] = {"full": 12, "quick": 3, "least": 0}
EMPTY, OURS = "an empty anywidget", "%load_ext ic_notebook"
READY = "  until Connect is in it"
TIMES = 1.2
SETTLE = 500
"""Milliseconds."""
EMPTY_CELL = '''
import anywidget
class Empty(anywidget.AnyWidget):
    _esm = """export default { render({ el }) {
      const word = document.createElement("div");
      word.className = "bench-empty";
      word.textContent = "empty";
      el.append(word);
    } }"""
Empty()
'''
CELLS = {
    EMPTY: (0, [".bench-empty"]),
    NOISE: (0, [".bench-empty"]),
    OURS: (1, [".ic-notebook", ".ic-notebook .ic-do .go"]),
}
DEPENDENCIES = "import anywidget, filelock, h11, httpx, ipywidgets, platformdirs"
FRESH, WARM = "in a kernel just started", "with its dependencies imported already"
BEFORE = {FRESH: "", WARM: DEPENDENCIES}
"""What the kernel has run since it was started."""

# The clock starts in the page, with the key, and stops for an element when it is in the page and has words in it.
WATCH = """selectors => {
  const output = window.jupyterapp.shell.currentWidget.node;
  const times = window.bench = [];
  let began = null;
  addEventListener('keydown', event => {
    if (event.key === 'Enter' && event.shiftKey) began ??= performance.now();
  }, {capture: true});
  const look = () => {
    for (const [at, selector] of selectors.entries()) {
      if (began && output.querySelector(`.jp-OutputArea-output ${selector}`)?.textContent)
        times[at] ??= performance.now() - began;
    }
    if (Object.keys(times).length === selectors.length) watching.disconnect();
  };
  const watching = new MutationObserver(look);
  watching.observe(output, {childList: true, subtree: true, characterData: true});
}"""
THERE = "count => Object.keys(window.bench).length === count"
RESTART = """async () => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  await kernel.restart();
}"""
CLEAR = "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"


class Page:
    """A notebook whose cells are run in turns."""

    def __init__(self, notebook: Any) -> None:
        self.ready: list[float] = []
        self._notebook = notebook.open(EMPTY_CELL, OURS)
        for at in (0, 1):  # what JupyterLab loads for its first widget is nobody's
            self._notebook.run(at)
        self._notebook.page.locator(".ic-notebook").wait_for()

    def drawn(self, kind: str, before: str) -> float:
        """Milliseconds until the widget of this kind is drawn; `ready` gets those until Connect is in ours."""
        at, selectors = CELLS[kind]
        page = self._notebook.page
        page.evaluate(CLEAR)
        page.evaluate(RESTART)
        self._notebook.wait_for_kernel()
        self._notebook.kernel(before)
        # What JupyterLab and a new kernel have to say to each other is nobody's.
        page.wait_for_timeout(SETTLE)
        page.evaluate(WATCH, selectors)
        self._notebook.cell(at).locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        page.wait_for_function(THERE, arg=len(selectors), polling=50, timeout=30_000)
        drawn, *ready = page.evaluate("() => window.bench")
        self.ready += ready
        self._notebook.wait(at)
        self._notebook.wait_for_kernel()
        return float(drawn)


def measured_in_a_browser(rounds: int) -> dict[str, Measured]:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import Notebook, launch, running_jupyterlab

    with (
        tempfile.TemporaryDirectory() as folder,
        sandbox() as url,
        running_jupyterlab(Path(folder), {"IC_BASE_URL": url}, ()) as server,
        sync_playwright() as playwright,
    ):
        browser = launch(playwright)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(20_000)
        page = Page(Notebook(context, server, "bench"))
        measured = {}
        for state, before in BEFORE.items():
            page.ready = []
            measure = functools.partial(page.drawn, before=before)
            measured[state] = in_turns(measure, list(CELLS), rounds, warm_up=False) | {READY: page.ready}
        browser.close()
    return measured


def measure(effort: Effort) -> Result:
    if not ROUNDS[effort] or optional("playwright") is None:
        return Result(
            tables=[Table("The panel in a browser", ("",), [["only in the environment of make bench"]])]
        )
    measured = measured_in_a_browser(ROUNDS[effort])
    tables = [
        against(f"Shift+Enter until it is drawn: {state}", "ms", m, digits=0) for state, m in measured.items()
    ]
    times = [median(m[OURS]) / median(m[EMPTY]) for m in measured.values()]
    noise = [median(m[NOISE]) / median(m[EMPTY]) for m in measured.values()]
    connect = [median(m[READY]) for m in measured.values()]
    empty = [median(m[EMPTY]) for m in measured.values()]
    line = Line(
        f"`%load_ext` until the panel is drawn, over an empty anywidget: {', '.join(measured)}",
        f"{_each(times, 2)} times; Connect is in it after {_each(connect, 0)} ms",
        f"empty anywidget {_each(empty, 0)} ms; the same again {_each(noise, 2)} times",
        f"≤ {TIMES:g} times",
        yes_or_no(all(ratio <= TIMES for ratio in times)),
    )
    return Result([line], tables)


def _each(values: list[float], digits: int) -> str:
    return ", ".join(f"{value:,.{digits}f}" for value in values)
