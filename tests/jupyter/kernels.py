"""A real ipykernel, and the browser's side of its panels: real messages on its own channels, nothing else.

``kernel.run(code)`` is a cell. ``kernel.load()`` gives the `Page` that ``%load_ext ic_notebook`` displays::

    page = kernel.load()
    page.say("hello")
    view = page.shows("ready")
"""

from __future__ import annotations

import ast
import base64
import contextlib
import json
import os
import queue
import re
import shutil
import socket
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

PATIENCE = 20.0
WIDGET = "application/vnd.jupyter.widget-view+json"
FOREIGN = (
    "IC_",
    "COVERAGE_",
    "COV_",
    "PYTEST",
    "JUPYTER",
    "IPYTHON",
    "DBUS_",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "BROWSER",
    "CI",
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# A kernel has a pool of ports to itself: other kernels and other tests hold those of the package's own.
OWN_PORTS = "import ic_notebook.redirect.routes\nic_notebook.redirect.routes.PORTS = {ports}\n"


def clean_environment(folder: Path, **variables: str) -> dict[str, str]:
    """The environment of a person who has just begun: nothing of ours, and nothing of this test run."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(FOREIGN) and not name.lower().endswith("_proxy")
    }
    places = {
        "HOME": "home",
        "XDG_CONFIG_HOME": "config",
        "XDG_STATE_HOME": "state",
        "JUPYTER_CONFIG_DIR": "jupyter/config",
        "JUPYTER_DATA_DIR": "jupyter/data",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
        "IPYTHONDIR": "ipython",
    }
    for place in places.values():
        (folder / place).mkdir(parents=True, exist_ok=True)
    return kept | {name: str(folder / place) for name, place in places.items()} | variables


def free_ports(count: int) -> tuple[int, ...]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return tuple(probe.getsockname()[1] for probe in probes)


@dataclass
class Ran:
    """What became of a cell."""

    reply: dict[str, Any]
    messages: list[dict[str, Any]]

    def contents(self, kind: str) -> list[dict[str, Any]]:
        return [message["content"] for message in self.messages if message["msg_type"] == kind]

    @property
    def printed(self) -> str:
        return "".join(content["text"] for content in self.contents("stream"))

    @property
    def result(self) -> dict[str, Any]:
        (content,) = self.contents("execute_result")
        return content["data"]

    @property
    def text(self) -> str:
        return self.result["text/plain"]

    @property
    def error(self) -> list[str]:
        """The lines that are shown of the error; none where the cell ended well."""
        shown = [line for content in self.contents("error") for line in content["traceback"]]
        return ANSI.sub("", "\n".join(shown)).splitlines()

    @property
    def panels(self) -> list[str]:
        displayed = [content["data"] for content in self.contents("display_data")]
        return [data[WIDGET]["model_id"] for data in displayed if WIDGET in data]

    @property
    def next_input(self) -> list[str]:
        return [part["text"] for part in self.reply.get("payload", []) if part["source"] == "set_next_input"]


ORIGIN = "http://127.0.0.1:8888"


@dataclass
class Page:
    """A panel as its page in the browser sees it; that page is on this computer, and tries the listener's door."""

    kernel: Kernel
    comm_id: str
    state: dict[str, Any]
    views: list[dict[str, Any]] = field(default_factory=list)
    explores: bool = True
    door: dict[str, Any] | None = None

    def see(self, view: dict[str, Any]) -> None:
        """What the kernel sends; a door that is new is tried, and the kernel told what came of it."""
        self.views.append(view)
        known, self.door = self.door, view.get("door")
        if self.explores and self.door is not None and (known is None or known["key"] != self.door["key"]):
            ok = self.at_door("probe") == self.door["answer"]
            tried = [{"name": "loopback", "ok": ok, "why": "" if ok else "not reached"}]
            self.at_door("routes", tried=tried, base_url="/")

    def at_door(self, kind: str, *, origin: str = ORIGIN, **content: Any) -> str | None:
        """Say something past the kernel's queue; what is answered, or None where it does not count."""
        assert self.door is not None
        message = {"type": kind, "key": self.door["key"], "origin": origin} | content
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.door['port']}/door", json.dumps(message).encode(), {"Origin": origin}
        )
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=5
            ) as answer:
                return answer.read().decode()
        except OSError:
            return None

    subshell: str | None = None
    """The subshell that its messages are sent to, as JupyterLab does by `commsOverSubshells: perCommTarget`."""

    def say(self, kind: str, **content: Any) -> None:
        self.send({"type": kind, **content})

    def paste(self, text: str) -> None:
        veil = self.views[-1]["veil"]
        row = base64.b64decode(veil["bytes"])
        veiled = bytes(a ^ b for a, b in zip(text.encode(), row, strict=False))
        self.say("paste", veil=veil["number"], text=base64.b64encode(veiled).decode())

    def send(self, content: Any) -> None:
        session = self.kernel.client.session
        data = {"method": "custom", "content": content}
        message = session.msg("comm_msg", {"comm_id": self.comm_id, "data": data})
        if self.subshell is not None:
            message["header"]["subshell_id"] = self.subshell
        # As a browser writes it, which has no objection to half a surrogate pair.
        plain, session.pack = session.pack, lambda part: json.dumps(part, default=str).encode()
        try:
            self.kernel.client.shell_channel.send(message)
        finally:
            session.pack = plain

    def shows(self, *states: str, within: float = PATIENCE, **parts: Any) -> dict[str, Any]:
        """Wait until the picture is of one of these states and has these parts; a callable part is asked."""

        def as_wanted() -> bool:
            if not self.views or (states and self.views[-1]["state"] not in states):
                return False
            view = self.views[-1]
            return all(
                part(view.get(k)) if callable(part) else view.get(k) == part for k, part in parts.items()
            )

        if not self.kernel.until(as_wanted, within=within):
            raise AssertionError(
                f"no view {states} {parts}; the last of {len(self.views)}: {self.views[-1:]}"
            )
        return self.views[-1]


class Kernel:
    """A kernel in a folder of its own, of this Python's or another's, with lines for its IPython's configuration."""

    def __init__(self, *, python: str = sys.executable, config: str = "", **variables: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ic-k-"))
        self.log = self.folder / "kernel.log"
        self.messages: list[dict[str, Any]] = []
        self.pages: dict[str, Page] = {}
        environment = clean_environment(self.folder, **variables)
        self.ports = free_ports(48)
        profile = self.folder / "ipython/profile_default"
        profile.mkdir(parents=True)
        (profile / "ipython_config.py").write_text(OWN_PORTS.format(ports=self.ports) + config)
        spec = self.folder / "kernels/tested/kernel.json"
        spec.parent.mkdir(parents=True)
        command = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec.write_text(json.dumps({"argv": command, "display_name": "Tested", "language": "python"}))
        # Sockets in the folder: no port of the kernel's own that another process could take meanwhile.
        self.manager = KernelManager(
            kernel_name="tested",
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(spec.parent.parent)]),
            transport="ipc",
            ip=str(self.folder / "socket"),
            connection_file=str(self.folder / "connection.json"),
        )
        with self.log.open("wb") as log:
            self.manager.start_kernel(env=environment, cwd=str(self.folder), stdout=log, stderr=log)
        self.client = self.manager.client()
        self.client.start_channels(hb=False)
        try:
            self.client.wait_for_ready(timeout=60)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def listening(self) -> set[int]:
        process = psutil.Process(self.manager.provisioner.pid)
        return {c.laddr.port for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN}

    def start(self, code: str, *, allow_stdin: bool = True, **options: Any) -> str:
        """Send a cell, without waiting for it; its message id."""
        return self.client.execute(code, allow_stdin=allow_stdin, **options)

    def finish(self, message_id: str, *, within: float = PATIENCE) -> Ran:
        """Wait until a cell that was started has ended."""
        deadline = time.monotonic() + within
        while True:
            reply = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            if reply["parent_header"].get("msg_id") == message_id:
                break

        assert self.until(lambda: self.ended(message_id), within=within)
        return Ran(reply["content"], self._of(message_id))

    def finish_all(self, message_ids: Iterable[str], *, within: float = PATIENCE) -> dict[str, Ran]:
        """Wait until all of these cells have ended; what became of each, in the order in which they were answered."""
        missing, replies = set(message_ids), {}
        deadline = time.monotonic() + within
        while missing:
            reply = self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
            answered = reply["parent_header"].get("msg_id")
            if answered in missing:
                missing.remove(answered)
                replies[answered] = reply["content"]
        assert self.until(lambda: all(self.ended(cell) for cell in replies))
        return {cell: Ran(content, self._of(cell)) for cell, content in replies.items()}

    def ended(self, message_id: str) -> bool:
        """Whether the kernel has said, as far as it was read, that it is done with a cell."""
        states = [m["content"] for m in self._of(message_id) if m["msg_type"] == "status"]
        return any(state["execution_state"] == "idle" for state in states)

    @property
    def state(self) -> str:
        """What a front end shows of it, as far as it was read: busy or idle."""
        states = [m["content"] for m in self.messages if m["msg_type"] == "status"]
        return states[-1]["execution_state"]

    def create_subshell(self) -> str:
        """The id of a new subshell, which a kernel of a generation that has them gives."""
        request = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(request)
        while True:
            reply = self.client.get_control_msg(timeout=PATIENCE)
            if reply["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                return reply["content"]["subshell_id"]

    def run(self, code: str, *, within: float = PATIENCE, **options: Any) -> Ran:
        """Run a cell to its end."""
        return self.finish(self.start(code, **options), within=within)

    def ask(self, expression: str, *, first: str = "") -> Any:
        """The value of an expression, as JSON, past the notebook: no output, no history."""
        asked = {"answer": f"__import__('json').dumps({expression})"}
        ran = self.run(first, silent=True, store_history=False, user_expressions=asked)
        assert ran.reply["status"] == "ok", ran.reply
        answer = ran.reply["user_expressions"]["answer"]
        assert answer["status"] == "ok", answer
        return json.loads(_literal(answer["data"]["text/plain"]))

    def load(self) -> Page:
        """The page of the panel that ``%load_ext ic_notebook`` displays, which nobody has seen yet."""
        return self.displayed(self.run("%load_ext ic_notebook"))

    def displayed(self, ran: Ran) -> Page:
        """The page of the one panel that a cell displayed."""
        assert not ran.error, ran.error
        (panel,) = ran.panels
        return self.pages[panel]

    def panel_of(self, message_id: str, *, within: float = PATIENCE) -> Page:
        """The page of the panel that a cell displays that has not ended yet."""
        assert self.until(lambda: Ran({}, self._of(message_id)).panels, within=within)
        return self.pages[Ran({}, self._of(message_id)).panels[0]]

    def until(self, happened: Callable[[], object], *, within: float = PATIENCE) -> bool:
        """Read what the kernel publishes until something has happened; whether it did in time."""
        deadline = time.monotonic() + within
        while not happened():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with contextlib.suppress(queue.Empty):
                self._take(self.client.get_iopub_msg(timeout=min(left, 0.1)))
        return True

    def _of(self, message_id: str) -> list[dict[str, Any]]:
        return [m for m in self.messages if m["parent_header"].get("msg_id") == message_id]

    def _take(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        content = message["content"]
        if message["msg_type"] == "comm_open":
            state = content["data"]["state"]
            if state.get("_view_module") == "anywidget":
                self.pages[content["comm_id"]] = Page(self, content["comm_id"], state)
        elif message["msg_type"] == "comm_msg" and content["comm_id"] in self.pages:
            data = content["data"]
            if data.get("method") == "custom":
                self.pages[content["comm_id"]].see(data["content"]["view"])


def _literal(text: str) -> str:
    return str(ast.literal_eval(text))


@contextlib.contextmanager
def running_kernel(*, python: str = sys.executable, **variables: str) -> Iterator[Kernel]:
    kernel = Kernel(python=python, **variables)
    try:
        yield kernel
    finally:
        kernel.close()
