"""A whole life in a kernel leaves no secret behind: not in messages, names, reprs, tracebacks, logs or history."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ic_notebook.sandbox import serve_in_thread
from tests.jupyter.conftest import SETTINGS
from tests.jupyter.kernels import running_kernel
from tests.jupyter.people import CREDITS, approve, last_address, query

pytestmark = pytest.mark.kernel

LOG_EVERYTHING = """
import logging as _logging, os as _os
_handler = _logging.FileHandler(_os.path.join(_os.getcwd(), "debug.log"))
_logging.basicConfig(level=_logging.DEBUG, handlers=[_handler, _logging.StreamHandler()], force=True)
for _name in list(_logging.root.manager.loggerDict):
    _logging.getLogger(_name).setLevel(_logging.DEBUG)
"""
# Written to a file by a silent cell: an answer on a channel would be in the kernel's own log at DEBUG.
KEEP = """
def _keep():
    import json, ic_notebook as ic
    from ic_notebook.sign_in import _sign_ins
    with open("secrets", "a") as kept:
        for face in _sign_ins.values():
            if face.login and face.login.request:
                kept.write(json.dumps([str(face.login.request.state), str(face.login.request.code_verifier)]) + "\\n")
        if ic.status().connected:
            held = ic.session().auth._source.current()
            kept.write(json.dumps([str(held.access_token), str(held.refresh_token)]) + "\\n")
_keep()
del _keep
"""
REPRS = """
def _reprs():
    import gc
    ours = ("ic_notebook", "httpx", "httpcore")
    found = [o for o in gc.get_objects() if str(type(o).__module__).split(".")[0] in ours]
    return "\\n".join([*map(repr, found), repr(get_ipython().user_ns)])
"""
# Whatever can be pickled of a person's names and outputs: a panel, as other widgets, cannot.
DUMP = """
def _dump():
    import cloudpickle, dill, faulthandler, pickle
    with open("faults", "w") as file:
        faulthandler.dump_traceback(file, all_threads=True)
    with open("dump", "wb") as file:
        for value in [*get_ipython().user_ns.values(), *Out.values(), *In]:
            for pickler in (pickle, cloudpickle, dill):
                try:
                    file.write(pickler.dumps(value))
                except Exception:
                    pass
_dump()
"""
FAILURES = [
    'ic.client(timeout=0.05).post("/public/v1/oauth/token/", data={"grant_type": "x"})',
    'ic.client().get("https://example.com/")',
    'ic.client().get("/public/v1/nowhere/").raise_for_status()',
    'ic.client().post("/public/v1/accounts/credits/", content=iter([b"x"])).raise_for_status()',
    'ic.revoke("no-such-app")',
    "import pickle\nprint(pickle.dumps(ic.session().client()))\npickle.loads(pickle.dumps(ic.session())).nonsense",
    "import copy\ncopy.deepcopy(ic.session())",
    'ic.client().get("/public/v1/accounts/credits/", nonsense=1)',
    "ic.session().auth._source.replace(None)",
    "import httpx\nhttpx.Client(auth=ic.session().auth, transport=httpx.HTTPTransport(uds='/nowhere')).get(ic.session().base_url)",
]


@pytest.fixture(scope="module")
def life():
    """What a kernel left behind that connected twice, called, refreshed, failed, and disconnected."""
    settings = replace(SETTINGS, token_delay=0.3)
    with serve_in_thread(settings) as sandbox, running_kernel(IC_BASE_URL=sandbox.url) as kernel:
        kernel.run(LOG_EVERYTHING, silent=True)
        shown: list[str] = []

        def cell(code: str) -> None:
            ran = kernel.run(code)
            shown.extend([json.dumps(ran.contents("stream")), *ran.error])

        page = kernel.load()
        page.say("hello")
        codes = []
        for way in ("redirect", "paste"):
            url = page.shows("ready")["url"]
            kernel.run(KEEP, silent=True)
            page.say("opened")
            page.shows("waiting")
            if way == "redirect":
                codes.append(query(str(approve(url).url)).get("code"))
            else:
                address = last_address(url)
                codes.append(query(address)["code"])
                page.paste(address)
            page.shows("connected", text=lambda text: "credits" in text)
            kernel.run(KEEP, silent=True)
            cell(f"import ic_notebook as ic\n{CREDITS}")
            sandbox.store.end_access_tokens()
            cell(CREDITS)
            kernel.run(KEEP, silent=True)
            cell("held = ic.session(), ic.client(), ic.session().auth, ic.apps(), ic.status()\nheld")
            cell("%xmode Verbose")
            for failure in FAILURES:
                cell(failure)
            cell("%who\n%whos\n%ic_status")
            cell("ic.panel()")
            cell("%store held")
            cell(DUMP)
            kernel.run(REPRS, silent=True)
            cell("with open('reprs', 'a') as file: file.write(_reprs())")
            cell("held = None\n%ic_disconnect")
        cell("get_ipython().history_manager.writeout_cache()")
        history = next(kernel.folder.rglob("history.sqlite"))
        database = sqlite3.connect(history)
        dump = "\n".join(database.iterdump())
        database.close()
        secrets = [
            secret
            for line in (kernel.folder / "secrets").read_text().splitlines()
            for secret in json.loads(line)
        ]
        places = {
            "messages": json.dumps(_without_custom(kernel.messages), default=str),
            "shown": "\n".join(shown),
            "reprs": (kernel.folder / "reprs").read_text(),
            "history": dump + history.read_bytes().decode("latin-1"),
            "debug log": (kernel.folder / "debug.log").read_text(),
            "kernel log": kernel.log.read_text(),
            "store": "\n".join(
                path.read_bytes().decode("latin-1") for path in kernel.folder.rglob("autorestore/*")
            ),
            "dump": (kernel.folder / "dump").read_bytes().decode("latin-1"),
            "faults": (kernel.folder / "faults").read_text(),
            "config": "\n".join(p.read_text() for p in (kernel.folder / "config").rglob("*") if p.is_file()),
        }
        return {"secrets": {*secrets, *codes}, "places": places}


def _without_custom(messages: list[dict]) -> list[dict]:
    def custom(message: dict) -> bool:
        return message["msg_type"] == "comm_msg" and message["content"]["data"].get("method") == "custom"

    return [message for message in messages if not custom(message)]


def test_the_life_had_secrets_and_every_place_was_written_to(life):
    # Two sign-ins, each with a state and a verifier, two access and refresh tokens, a code; and one more link.
    assert len(life["secrets"]) >= 2 * (2 + 2 * 2 + 1)
    assert all(len(secret) >= 20 for secret in life["secrets"])
    places = life["places"]
    assert "SessionAuth" in places["reprs"]
    assert "627.13" in places["messages"]
    assert "ReadTimeout" in places["shown"]
    assert "APIStatusError" in places["shown"]
    assert "httpcore" in places["debug log"]
    assert "/public/v1/oauth/token/" in places["debug log"]
    assert "ic_disconnect" in places["history"]
    assert "client_id" in places["config"]
    assert "session_of" in places["store"]
    assert "session_of" in places["dump"]
    assert 'in "select"' in places["faults"] or "Thread" in places["faults"]


@pytest.mark.parametrize(
    "place",
    ["messages", "shown", "reprs", "history", "store", "dump", "faults", "debug log", "kernel log", "config"],
)
def test_no_secret_is_left_in(life, place):
    text = life["places"][place]
    assert [secret for secret in life["secrets"] if secret in text] == []


def test_an_error_of_ours_is_one_line_also_verbose(life):
    lines = [
        line
        for line in life["places"]["shown"].splitlines()
        if line.startswith(("ForeignOrigin", "APIError"))
    ]
    assert lines
    assert all("---->" not in line for line in lines)


def test_traceback_of_a_script_holds_no_secret(sandbox, tmp_path):
    token = sandbox.store.issue_token()
    script = tmp_path / "script.py"
    script.write_text("import ic_notebook as ic\nic.client().get('/public/v1/nowhere/').raise_for_status()\n")
    ended = subprocess.run(
        [sys.executable, "-X", "dev", str(script)],
        env={
            "IC_ACCESS_TOKEN": token,
            "IC_BASE_URL": sandbox.url,
            "HOME": str(tmp_path),
            "PYTHONPATH": str(Path.cwd()),
            "PYTHONTRACEMALLOC": "0",
        },
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "404" in ended.stderr
    assert token not in ended.stderr + ended.stdout
