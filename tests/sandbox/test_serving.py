"""A real server on loopback: in a thread, and as the command; a client that knows nothing of ours."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from statistics import median
from time import perf_counter, process_time

import httpx
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from ic_notebook.sandbox import SandboxSettings, serve_in_thread

CREDITS = "/public/v1/accounts/credits/"
with warnings.catch_warnings():
    # Authlib would rather have httpx2; this client is to be any client, and httpx is the one at hand
    warnings.filterwarnings("ignore", message="The httpx module is deprecated")
    from authlib.integrations.httpx_client import AsyncOAuth2Client

COMMAND = [sys.executable, "-W", "error", "-m", "ic_notebook.sandbox"]


def test_a_sandbox_in_a_thread_answers_records_and_can_be_switched():
    others = set(threading.enumerate())
    with serve_in_thread() as sandbox, httpx.Client(base_url=sandbox.url, trust_env=False) as http:
        headers = {"Authorization": f"Bearer {sandbox.store.issue_token()}"}
        assert http.get(CREDITS, headers=headers).status_code == 200
        sandbox.settings = replace(sandbox.settings, rate_limit=1)
        assert http.get(CREDITS, headers=headers).status_code == 429
        assert sandbox.requests == [("GET", CREDITS, 200), ("GET", CREDITS, 429)]
        sandbox.requests.clear()
        assert http.get("/").status_code == 404
        assert sandbox.requests == [("GET", "/", 404)]
    mine = set(threading.enumerate()) - others
    assert not any(thread.name == "ic-notebook-sandbox" for thread in mine)
    with pytest.raises(httpx.ConnectError):
        httpx.get(sandbox.url, trust_env=False)


def test_memory_is_shared_by_the_servers_threads_and_the_tests():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as sandbox:

        def work(number):
            sandbox.store.seed_app(name=f"App {number}")
            headers = {"Authorization": f"Bearer {sandbox.store.issue_token()}"}
            return httpx.get(sandbox.url + CREDITS, headers=headers, trust_env=False).status_code

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(work, range(40))) == {200}
        assert len(sandbox.store.apps()) == 40


def test_the_port_can_be_chosen_and_a_taken_one_is_an_error():
    with serve_in_thread() as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"), serve_in_thread(SandboxSettings(port=port)):
            pass


def test_only_loopback_is_listened_on():
    with serve_in_thread() as sandbox:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+", sandbox.url)


@pytest.mark.anyio
@pytest.mark.parametrize("iss", [False, True])
async def test_a_general_oauth_client_works_with_discovery_registration_pkce_and_refresh(iss):
    with serve_in_thread(SandboxSettings(iss=iss)) as sandbox:
        async with httpx.AsyncClient(trust_env=False) as plain:
            metadata = (await plain.get(sandbox.url + "/.well-known/oauth-authorization-server")).json()
            registration = {
                "client_name": "Some other client",
                "redirect_uris": ["http://127.0.0.1:9999/cb"],
                "grant_types": ["authorization_code", "refresh_token"],
                "scope": " ".join(metadata["scopes_supported"]),
            }
            client = (await plain.post(metadata["registration_endpoint"], json=registration)).json()
            oauth = AsyncOAuth2Client(
                client["client_id"],
                token_endpoint_auth_method=client["token_endpoint_auth_method"],
                scope=client["scope"],
                redirect_uri="http://127.0.0.1:9999/cb",
                code_challenge_method="S256",
                token_endpoint=metadata["token_endpoint"],
                trust_env=False,
            )
            verifier = "a-verifier-that-is-long-enough-for-the-rfc-43"
            url, state = oauth.create_authorization_url(
                metadata["authorization_endpoint"], code_verifier=verifier
            )
            assert create_s256_code_challenge(verifier) in url
            page = await plain.get(url, follow_redirects=True)
            token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
            answer = await plain.post(page.url, data={"csrf_token": token, "decision": "approve"})
        async with oauth:
            await oauth.fetch_token(
                metadata["token_endpoint"],
                authorization_response=answer.headers["location"],
                state=state,
                code_verifier=verifier,
            )
            assert (await oauth.get(sandbox.url + CREDITS)).json()["credits_used"] == 0
            before = oauth.token["access_token"]
            sandbox.store.advance(3600)
            oauth.token["expires_at"] = 1
            assert (await oauth.get(sandbox.url + CREDITS)).status_code == 200
            assert oauth.token["access_token"] != before


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_prints_one_line_when_it_answers_and_ends_quietly(number, tmp_path):
    options = ["--port", "0", "--auto-approve", "--database", str(tmp_path / "sandbox.db")]
    process = subprocess.Popen(COMMAND + options, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        ready = process.stdout.readline()
        url = re.fullmatch(r"ready (http://127\.0\.0\.1:\d+)\n", ready)[1]
        with httpx.Client(trust_env=False) as http:  # an idle connection must not hold the end up
            assert http.get(url + "/").status_code == 404
            process.send_signal(number)
            rest, complaints = process.communicate(timeout=10)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, rest, complaints) == (0, "", "")


def test_the_command_says_that_a_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run([*COMMAND, "--port", str(port)], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert str(port) in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("name", "content"), [("notes.txt", b"not a database, " * 100), ("no/such/folder.db", None)]
)
def test_the_command_says_that_a_file_is_no_database(tmp_path, name, content):
    path = tmp_path / name
    if content:
        path.write_bytes(content)
    ended = subprocess.run([*COMMAND, "--database", str(path)], capture_output=True, text=True, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert str(path) in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_refuses_what_is_out_of_bounds():
    ended = subprocess.run(
        [*COMMAND, "--fault-fraction", "7"], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert "fraction" in ended.stderr


def test_the_sandbox_imports_nothing_of_the_client_and_its_options_nothing_of_the_extra():
    script = """
import sys
import ic_notebook
before = set(sys.modules)
from ic_notebook.sandbox import command
extra = {"authlib", "sqlalchemy", "starlette", "uvicorn"} & sys.modules.keys()
assert not extra, extra
import ic_notebook.sandbox as sandbox
for name in sandbox.__all__:
    getattr(sandbox, name)
ours = {name for name in sys.modules.keys() - before if name.startswith("ic_notebook.")}
client = {name for name in ours if not name.startswith("ic_notebook.sandbox")}
assert not client, client
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=30)


def test_three_hundred_credits_calls_cost_less_than_a_second_of_one_core():
    with serve_in_thread(SandboxSettings(rate_limit=0)) as sandbox:
        connection = HTTPConnection(sandbox.url.removeprefix("http://"), timeout=10)
        headers = {"Authorization": f"Bearer {sandbox.store.issue_token()}"}
        waits, spent = [], process_time()
        for _call in range(300):
            began = perf_counter()
            connection.request("GET", CREDITS, headers=headers)
            assert connection.getresponse().read().startswith(b'{"credits_available"')
            waits.append(perf_counter() - began)
        assert process_time() - spent < 1
        # Nagle's algorithm and a delayed acknowledgement would make it 40 ms
        assert median(waits) < 0.03
        connection.close()
