"""From the redirect of the browser to the first call that can be made, beside the token request alone.

    python -m tests.benchmarks.redirect_time URL

is a process that signs in, or makes a bare token request, for each line that it is told.
"""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.benchmarks.servers import own_environment, process, redirect_of, sandbox
from tests.benchmarks.tables import (
    NOISE,
    Effort,
    Line,
    Measured,
    Result,
    added,
    against,
    in_turns,
    yes_or_no,
)

ROUNDS: dict[Effort, int] = {"full": 25, "quick": 5, "least": 2}
PROCESSES: dict[Effort, int] = {"full": 9, "quick": 2, "least": 0}
BARE, OURS = "the token request alone", "redirect to session"
FIRST = "redirect to session, the first of a process"
FIRST_BARE = "the token request alone, the first of a process"
TO_REACH = 10.0


class SignIns:
    """Somebody who signs in again and again at a sandbox that approves by itself."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client_id = ""

    def redirect_to_session(self) -> float:
        """Milliseconds from sending `GET /callback` until a client of the session is there."""
        import ic_notebook

        began: list[float] = []

        def browser(url: str) -> None:
            threading.Thread(target=_follow, args=(url, began), daemon=True).start()

        session = ic_notebook.connect(base_url=self._url, storage="memory", open_url=browser)
        session.client()
        taken = (time.perf_counter() - began[0]) * 1e3
        session.forget()
        return taken

    def token_request(self) -> float:
        """Milliseconds of the bare request that exchanges a code, with its connection."""
        from ic_notebook.oauth.authorization import AuthorizationRequest, AuthorizationResponse
        from ic_notebook.oauth.metadata import service_metadata
        from ic_notebook.oauth.tokens import exchange_code

        redirect_uri = "http://127.0.0.1:21873/callback"
        asked = AuthorizationRequest.new(
            service_metadata(self._url), client_id=self._registered(), redirect_uri=redirect_uri, scope="all"
        )
        query = urlsplit(redirect_of(asked.url)).query
        response = AuthorizationResponse.from_redirect(query, to=asked)
        request = next(exchange_code(response, to=asked, now=time.time()))
        connection = http.client.HTTPConnection(urlsplit(self._url).netloc, timeout=20)
        began = time.perf_counter()
        connection.request("POST", request.url.path, body=request.content, headers=dict(request.headers))
        answer = connection.getresponse()
        answer.read()
        taken = (time.perf_counter() - began) * 1e3
        connection.close()
        assert answer.status == 200
        return taken

    def _registered(self) -> str:
        if not self._client_id:
            from ic_notebook.storage.clients import ClientStore

            known = ClientStore().find(self._url, _redirect_uris())
            assert known is not None
            self._client_id = known.client.client_id
        return self._client_id


def _redirect_uris() -> tuple[str, ...]:
    from ic_notebook.redirect.routes import redirect_uris

    return redirect_uris()


def _follow(url: str, began: list[float]) -> None:
    """A browser that is redirected; the connection is there before the clock starts, as a browser's may be."""
    address = urlsplit(redirect_of(url))
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as connection:
        head = f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n"
        began.append(time.perf_counter())
        connection.sendall(head.encode())
        while connection.recv(65_536):
            pass


def _ask(caller: subprocess.Popen[str], what: str) -> float:
    assert caller.stdin is not None
    assert caller.stdout is not None
    caller.stdin.write(f"{what}\n")
    caller.stdin.flush()
    return float(caller.stdout.readline())


def measure(effort: Effort) -> Result:
    with tempfile.TemporaryDirectory() as folder, sandbox("--auto-approve", "--rate-limit", "0") as url:
        environment = own_environment(Path(folder), DISPLAY=":0")
        arguments = ("-m", "tests.benchmarks.redirect_time", url)
        with process(*arguments, env=environment) as caller:
            # The first registers, which a person waits for before they click.
            _ask(caller, OURS)
            orders = {BARE: BARE, NOISE: BARE, OURS: OURS}
            measured = in_turns(lambda kind: _ask(caller, orders[kind]), list(orders), ROUNDS[effort])
        first: Measured = {FIRST_BARE: [], FIRST: []}
        for _ in range(PROCESSES[effort]):
            for kind, values in first.items():
                with process(*arguments, env=environment) as caller:
                    values.append(_ask(caller, BARE if kind == FIRST_BARE else OURS))
    extra = added(measured[OURS], measured[BARE])
    said = f"{extra:+.1f}"
    tables = [against("From the redirect to the first call that can be made", "ms", measured)]
    reached = extra <= TO_REACH
    if PROCESSES[effort]:
        tables.append(against("The same, in a process that has made no request yet", "ms", first))
        late = added(first[FIRST], first[FIRST_BARE])
        said += f"; the first of a process {late:+.1f}"
        reached = reached and late <= TO_REACH
    line = Line(
        "redirect → first call possible, ms over the token request's own round trip",
        said,
        f"noise {added(measured[NOISE], measured[BARE]):+.1f}",
        f"≤ {TO_REACH:g}",
        yes_or_no(reached),
    )
    return Result([line], tables)


def main(url: str) -> None:
    sign_ins = SignIns(url)
    for line in sys.stdin:
        ask = sign_ins.token_request if line.strip() == BARE else sign_ins.redirect_to_session
        print(ask(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
