"""What a kernel that uses all dependencies already takes more for ic_notebook, and which threads it starts.

The kernel is a real one. Its dependencies are in use before the first look: imported, clients made, a call
made, a widget shown, the keyring asked for.
"""

from __future__ import annotations

import ast
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.benchmarks.servers import own_environment, sandbox
from tests.benchmarks.tables import NOISE, Effort, Line, Result, Table, median, middle_half, yes_or_no

KERNELS: dict[Effort, int] = {"full": 3, "quick": 1, "least": 0}
TO_REACH = 3.0
"""MB."""

USE = """
import asyncio, concurrent.futures, gc, os, threading, time
import anywidget, filelock, h11, httpx, ipywidgets, IPython, keyring, platformdirs
def use():
    with httpx.Client(trust_env=False) as client:
        client.get(URL).json()
    async def call():
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.get(URL)).json()
    thread = threading.Thread(target=lambda: asyncio.run(call()))
    thread.start(); thread.join()
    keyring.get_keyring()
    with filelock.FileLock(os.path.join(platformdirs.user_state_path(ensure_exists=True), "bench.lock")):
        pass
    h11.Connection(h11.SERVER)
    class Empty(anywidget.AnyWidget):
        _esm = "export default { render({ el }) { el.textContent = 'empty' } }"
    IPython.display.display(Empty())
def look():
    gc.collect()
    private = 0
    with open("/proc/self/smaps_rollup") as rollup:
        for line in rollup:
            if line.startswith("Private_"):
                private += int(line.split()[1])
    return private / 1024
use(); use()
"""
LOAD = "%load_ext ic_notebook"
SIGN_IN = """
import ic_notebook as ic, urllib.request
def browser(url):
    threading.Thread(target=lambda: urllib.request.urlopen(url).read()).start()
session = ic.connect(open_url=browser)
assert ic.client().get("/public/v1/accounts/credits/").status_code == 200
ic.apps()
"""
OURS = "[thread.name for thread in threading.enumerate() if thread.name.startswith('ic_notebook')]"
STEPS = (
    (NOISE, "use()"),
    ("import ic_notebook", "import ic_notebook"),
    ("%load_ext ic_notebook, its panel displayed", LOAD),
    ("signed in, calls made, apps listed", SIGN_IN),
)


class Kernel:
    """A real kernel, without a front end: nobody sees its panel."""

    def __init__(self, folder: Path, url: str) -> None:
        from jupyter_client.manager import start_new_kernel

        environment = own_environment(folder, IC_BASE_URL=url, NO_PROXY="127.0.0.1")
        self._manager, self._client = start_new_kernel(kernel_name="python3", env=environment)

    def run(self, code: str, read: str = "None") -> Any:
        reply = self._client.execute(
            code, user_expressions={"read": read}, allow_stdin=False, reply=True, timeout=60
        )
        content = reply["content"]
        assert content["status"] == "ok", content
        return ast.literal_eval(content["user_expressions"]["read"]["data"]["text/plain"])

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def one_kernel(url: str) -> tuple[list[float], list[list[str]]]:
    """MB over the kernel with all dependencies in use, and our threads, after each step."""
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder), url)
        try:
            kernel.run(f"URL = {url + '/.well-known/oauth-authorization-server'!r}\n" + USE)
            base = kernel.run("", "look()")
            private, threads = [], []
            for _, code in STEPS:
                kernel.run(code)
                # The background thread stays for two seconds in case of more.
                time.sleep(2.5)
                private.append(kernel.run("", "look()") - base)
                threads.append(kernel.run("", OURS))
        finally:
            kernel.close()
    return private, threads


def measure(effort: Effort) -> Result:
    if not KERNELS[effort] or not Path("/proc/self/smaps_rollup").exists():
        return Result(tables=[Table("Memory of a kernel", ("",), [["only where /proc tells it"]])])
    with sandbox("--auto-approve") as url:
        looks = [one_kernel(url) for _ in range(KERNELS[effort])]
    private = {name: [look[0][at] for look in looks] for at, (name, _) in enumerate(STEPS)}
    threads = {name: max((look[1][at] for look in looks), key=len) for at, (name, _) in enumerate(STEPS)}
    rows = [
        (name, f"{median(values):+.2f}", middle_half(values, 2), ", ".join(threads[name]) or "none")
        for name, values in private.items()
    ]
    columns = ("over the same kernel before", "median MB", "middle half", "threads of ic_notebook")
    (_, _), (imported, _), (loaded, _), (signed_in, _) = STEPS
    grown = median(private[signed_in])
    line = Line(
        "memory over a kernel that uses all dependencies, MB (private)",
        f"{median(private[loaded]):.1f} with the panel, {grown:.1f} once signed in",
        f"noise {median(private[NOISE]):+.1f}",
        f"≤ {TO_REACH:g}; no thread while nobody signs in",
        yes_or_no(grown <= TO_REACH and not threads[imported] and not threads[loaded]),
    )
    return Result([line], [Table("Memory of a kernel", columns, rows)])
