"""A scheduler and workers as processes of their own, as on a cluster; in network namespaces too."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import dask
import pytest
from distributed import Client, Security

from tests.cluster.clusters import QUICK, until

if TYPE_CHECKING:
    from typing_extensions import Self

LACKING = """
import sys

class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ic_notebook":
            raise ModuleNotFoundError("No module named 'ic_notebook'")

sys.meta_path.insert(0, Lacking())
"""


def lacking_the_package(folder: Path) -> list[str]:
    """Options of a process in which this package cannot be imported."""
    script = folder / "lacking.py"
    script.write_text(LACKING)
    return ["--preload", str(script)]


class Processes:
    """Starts schedulers and workers, and ends them, workers first.

    Args:
        folder: for their files.
        security: by which they speak TLS, or None.
    """

    def __init__(self, folder: Path, security: Security | None = None) -> None:
        self.folder = folder
        self._options = [] if security is None else tls_options(security, folder)
        self._file = folder / "scheduler.json"
        self._stack = contextlib.ExitStack()
        self._count = 0
        self.schedulers: list[subprocess.Popen[bytes]] = []

    def scheduler(
        self, *options: str, host: str = "127.0.0.1", within: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """A scheduler, which listens once this returns."""
        given = [
            "--host",
            host,
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(self._file),
            *options,
        ]
        process = self.start("distributed.cli.dask_scheduler", *given, within=within)
        self.schedulers.append(process)
        until(lambda: self._file.exists() and self._file.read_text(), within=30)
        return process

    def worker(self, *options: str, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A worker with two threads, which comes when it is ready."""
        self._count += 1
        name = f"worker-{self._count}"
        given = [
            "--nthreads",
            "2",
            "--no-dashboard",
            "--scheduler-file",
            str(self._file),
            "--name",
            name,
            *options,
        ]
        given += ["--local-directory", str(self.folder / name), "--no-nanny"]
        return self.start("distributed.cli.dask_worker", *given, within=within)

    @property
    def address(self) -> str:
        """The scheduler's."""
        return json.loads(self._file.read_text())["address"]

    def start(self, module: str, *options: str, within: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A process that logs into the folder, and ends with the test."""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("IC_", "DASK"))
        }
        log = self._stack.enter_context((self.folder / f"{module.rpartition('.')[2]}.log").open("ab"))
        tls = self._options if module.startswith("distributed") else []
        command = [*within, sys.executable, "-m", module, *options, *tls]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        self._stack.callback(end, process)
        return process

    @property
    def log(self) -> str:
        """What they have logged."""
        return "\n".join(path.read_text() for path in self.folder.glob("*.log"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


@contextlib.contextmanager
def connected(
    processes: Processes, *, workers: int, address: str | None = None, **options
) -> Iterator[Client]:
    """A client, once so many workers are there; the scheduler is reached at its own address, or this one."""
    with (
        dask.config.set(QUICK),
        Client(address or processes.address, timeout=20, set_as_default=False, **options) as client,
    ):
        client.wait_for_workers(workers, timeout=30)
        yield client


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, then end it."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGCONT)
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def tls_options(security: Security, folder: Path) -> list[str]:
    """The command line's options for certificates that were made for this run."""
    options = []
    for option, value in (
        ("--tls-ca-file", security.tls_ca_file),
        ("--tls-cert", security.tls_worker_cert),
        ("--tls-key", security.tls_worker_key),
    ):
        path = folder / f"{option.strip('-')}.pem"
        path.write_text(value)
        options += [option, str(path)]
    return options


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True, timeout=10)


@contextlib.contextmanager
def namespaces(*names: str) -> Iterator[dict[str, tuple[str, list[str]]]]:
    """Network namespaces on one bridge: for each its address, and the command that runs others within.

    The bridge is in a namespace too. An interface that comes or goes where the tests run has Chromium end what
    it is loading.
    """
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("network namespaces need root, and the command ip")
    prefix, made = f"ic{os.getpid() % 100_000}", {}
    bridge = f"{prefix}-bridge"
    with contextlib.ExitStack() as stack:
        try:
            _ip(f"netns add {bridge}")
            stack.callback(_ip, f"netns delete {bridge}")
            _ip(f"-n {bridge} link add bridge type bridge")
            _ip(f"-n {bridge} link set bridge up")
            for number, name in enumerate(names, start=1):
                namespace, port = f"{prefix}-{name}", f"port{number}"
                _ip(f"netns add {namespace}")
                stack.callback(_ip, f"netns delete {namespace}")
                _ip(f"-n {bridge} link add {port} type veth peer name veth netns {namespace}")
                _ip(f"-n {bridge} link set {port} master bridge up")
                _ip(f"-n {namespace} addr add 10.213.77.{number}/24 dev veth")
                for device in ("veth", "lo"):
                    _ip(f"-n {namespace} link set {device} up")
                made[name] = f"10.213.77.{number}", ["ip", "netns", "exec", namespace]
        except (subprocess.SubprocessError, OSError) as failure:
            told = getattr(failure, "stderr", b"") or str(failure).encode()
            pytest.skip(f"no network namespace can be made here: {told.decode().strip()}")
        yield made
