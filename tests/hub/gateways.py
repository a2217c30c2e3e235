"""A kernel that shares no files with the Jupyter server: behind a kernel gateway, near or really elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import relay
from tests.browser.conftest import environment_of_its_own, free_port

OWN_NETWORK = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
"""What runs a command in a network namespace of its own, whose loopback interface is up."""


def can_be_elsewhere() -> bool:
    """Whether a network namespace can be made here."""
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    tried = subprocess.run([*OWN_NETWORK, "true"], capture_output=True, timeout=20, check=False)
    return tried.returncode == 0


@contextlib.contextmanager
def running_gateway(folder: Path, sandbox_url: str, *, elsewhere: bool = False) -> Iterator[str]:
    """A kernel gateway, whose address it gives; `elsewhere`: in a network of its own.

    From there the sandbox is reached, and the gateway from here; the loopback interfaces are two.
    """
    (folder / "home").mkdir()
    port = free_port()
    environment = {**environment_of_its_own(folder), "IC_BASE_URL": sandbox_url}
    # A gateway's kernels have neither HOME nor USER.
    to_kernels = [name for name in environment if name.startswith(("IC_", "IPYTHON", "PYTHON", "XDG_"))]
    command = [
        *(sys.executable, "-m", "kernel_gateway", "--KernelGatewayApp.ip=127.0.0.1"),
        *(f"--KernelGatewayApp.port={port}", "--KernelGatewayApp.port_retries=0"),
        *(f"--KernelGatewayApp.env_process_whitelist={name}" for name in to_kernels),
    ]
    with contextlib.ExitStack() as ends:
        if elsewhere:
            api, gateway = urlsplit(sandbox_url).netloc, f"127.0.0.1:{port}"
            outward, inward = str(folder / "outward"), str(folder / "inward")
            ends.enter_context(relayed((outward, api), (gateway, inward)))
            inside = [sys.executable, relay.__file__, api, outward, inward, gateway, "--"]
            command = [*OWN_NETWORK, *inside, *command]
        log = ends.enter_context((folder / "gateway.log").open("wb"))
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_it_answers(url, process, folder / "gateway.log")
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(20)


def wait_until_it_answers(url: str, process: subprocess.Popen, log: Path) -> None:
    local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), local.open(f"{url}/api", timeout=5):
            return
        time.sleep(0.05)
    pytest.fail(f"the gateway did not start:\n{log.read_text()[-4000:]}")


@contextlib.contextmanager
def relayed(*pairs: tuple[str, str]) -> Iterator[None]:
    """Our half of the relay, on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    servers = [
        asyncio.run_coroutine_threadsafe(relay.serve(listen, connect), loop).result(20)
        for listen, connect in pairs
    ]
    yield
    for server in servers:
        loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(20)
    loop.close()
