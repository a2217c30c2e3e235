"""How many credits calls a second the sandbox answers on one core.

    python tests/benchmarks/sandbox.py [--seconds N] [--connections N]

The server is a process of its own, kept to one core; the load comes from this process on the others.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

CREDITS = "/public/v1/accounts/credits/"
SERVER = """
import os, sys
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from ic_notebook.sandbox import SandboxSettings, serve_in_thread
with serve_in_thread(SandboxSettings(rate_limit=0)) as sandbox:
    print(sandbox.url, sandbox.store.issue_token(), flush=True)
    sys.stdin.read()
"""


def load(host: str, token: str, until: float, answered: list[int]) -> None:
    connection = http.client.HTTPConnection(host, timeout=10)
    count = 0
    while time.monotonic() < until:
        connection.request("GET", CREDITS, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        response.read()
        assert response.status == 200
        count += 1
    connection.close()
    answered.append(count)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=4)
    options = parser.parse_args()
    pipe = subprocess.PIPE
    server = subprocess.Popen([sys.executable, "-c", SERVER], stdin=pipe, stdout=pipe, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    url, token = server.stdout.readline().split()
    if hasattr(os, "sched_setaffinity") and len(os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - {min(os.sched_getaffinity(0))})
    answered: list[int] = []
    until = time.monotonic() + options.seconds
    arguments = (urlsplit(url).netloc, token, until, answered)
    threads = [threading.Thread(target=load, args=arguments) for _ in range(options.connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.stdin.close()
    server.wait(10)
    rate = sum(answered) / options.seconds
    print(f"credits calls a second, one core, {options.connections} connections: {rate:,.0f}")


if __name__ == "__main__":
    main()
