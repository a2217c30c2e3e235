"""Registering once: among tasks, threads and real processes that sign in for the first time together."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from ic_notebook.sandbox import Faults
from ic_notebook.storage import clients
from ic_notebook.storage.clients import ClientStore

REGISTER = "/public/v1/oauth/register/"
SCRIPT = """
import asyncio, pathlib, sys
from ic_notebook.login.login import Login
from ic_notebook.login.options import LoginOptions
from ic_notebook.storage.clients import ClientStore
path, base_url, *ports = sys.argv[1:]
async def main():
    clients = ClientStore(pathlib.Path(path), machine="here")
    login = Login(LoginOptions(base_url=base_url, ports=tuple(map(int, ports)), clients=clients))
    print("imported", flush=True)
    sys.stdin.readline()
    run = asyncio.create_task(login.run())
    while login.request is None and not run.done(): await asyncio.sleep(0.005)
    print(login.request.client_id if login.request else run.exception(), flush=True)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    login.close()
asyncio.run(main())
"""


@pytest.fixture
def process(options):
    """``process()``: another process that has imported everything and signs in once it is sent a line."""
    started: list[subprocess.Popen[str]] = []

    def begin(base_url: str = options.base_url) -> subprocess.Popen[str]:
        arguments = [str(options.clients.path), base_url, *map(str, options.ports)]
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, *arguments], stdin=pipe, stdout=pipe, stderr=pipe, text=True
            )
        )
        assert started[-1].stdout.readline() == "imported\n", started[-1].stderr.read()
        return started[-1]

    yield begin
    for each in started:
        each.kill()
        each.communicate(timeout=10)


def go(process: subprocess.Popen[str]) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def client_id_of(process: subprocess.Popen[str]) -> str:
    return process.stdout.readline().strip()


def test_processes_that_sign_in_for_the_first_time_together_register_once(process, turn, paths):
    turn(faults=Faults(kind="delayed", delay=0.3, fraction=1.0, paths=(REGISTER,)))
    each = [process() for _ in range(3)]
    for one in each:
        go(one)
    registered = {client_id_of(one) for one in each}

    assert len(registered) == 1
    assert paths() == ["register"]


@pytest.fixture
def mute_at_first():
    """A server whose first registration gets no answer, and each later one ``c2``; ``.asked`` counts them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            server.asked += 1
            if server.asked == 1:
                server.over.wait(60)
                return
            self.send_response(201)
            self.end_headers()
            self.wfile.write(b'{"client_id": "c2"}')

        def log_message(self, *_arguments) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.over = 0, threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.mark.parametrize("death", ["killed", "terminated"])
def test_a_process_that_dies_while_it_registers_holds_nobody_up(process, mute_at_first, eventually, death):
    base_url = f"http://127.0.0.1:{mute_at_first.server_port}"
    one, other = process(base_url), process(base_url)
    go(one)
    eventually(lambda: mute_at_first.asked == 1)
    go(other)
    if death == "killed":
        one.kill()
    else:
        one.terminate()
    one.wait(10)
    began = time.monotonic()

    assert client_id_of(other) == "c2"
    assert time.monotonic() - began < 10
    assert mute_at_first.asked == 2


@pytest.mark.anyio
async def test_tasks_of_one_loop_register_once(registrar, server):
    slow = server.handle_async_request

    async def handle(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.05)
        return await slow(request)

    server.handle_async_request = handle
    found = await asyncio.gather(*(registrar().client() for _ in range(8)))

    assert {client.client_id for client in found} == {"c1"}
    assert server.asked == ["register"]


def test_threads_register_once(registrar, server):
    found: list[str] = []

    def sign_in() -> None:
        found.append(asyncio.run(registrar().client()).client_id)

    threads = [threading.Thread(target=sign_in) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert found == ["c1"] * 6
    assert server.asked == ["register"]


@pytest.mark.anyio
async def test_a_dead_client_is_replaced_once_by_all_who_find_it_dead(registrar, server, clock):
    await registrar().client()
    clock.now += clients_die(server)
    found = await asyncio.gather(*(registrar().client() for _ in range(5)))

    assert {client.client_id for client in found} == {"c2"}
    assert server.asked.count("register") == 2


def clients_die(server) -> float:
    server.known = set()
    return 86_400.0


@pytest.mark.anyio
@pytest.mark.parametrize("by", ["replace", "new_client"])
async def test_a_replacement_that_somebody_else_has_put_there_is_used(registrar, server, by):
    old = await registrar().client()
    first, second = registrar(), registrar()
    if by == "replace":
        found = [await first.replace(old), await second.replace(old)]
    else:
        found = await asyncio.gather(*(registrar(new_client=True).client() for _ in range(2)))

    assert [client.client_id for client in found] == ["c2", "c2"]
    assert server.asked.count("register") == 2


@pytest.mark.anyio
async def test_a_registration_that_takes_too_long_elsewhere_is_made_here_with_a_warning(
    registrar, server, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(clients, "REGISTERING_TIMEOUT", 0.1)
    made = registrar()
    async with ClientStore(tmp_path / "clients.json", machine="here").registering(made.server.issuer):
        client = await made.client()

    assert client.client_id == "c1"
    assert any("may be registered twice" in record.getMessage() for record in caplog.records)


@pytest.mark.anyio
async def test_a_login_that_waits_for_another_registration_can_be_cancelled(start, options):
    async with options.clients.registering(options.base_url):
        attempt = start()
        await asyncio.sleep(0.1)
        assert attempt.login.request is None
        attempt.login.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.wait_for(attempt.run, 5)
        assert attempt.run.done()
    await asyncio.wait_for(start().reach(), 5)
