"""How many requests it takes to be connected: the first time, and in the next process that signs in.

    python -m tests.benchmarks.to_connect NAME URL FOLDER

is such a process. The browser's requests are not counted, nor the call that one wanted to make.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.servers import ROOT, get, loopback, own_environment, redirect_of, seen
from tests.benchmarks.tables import NOT_INSTALLED, Effort, Line, Result, Table, version, yes_or_no

CREDITS = "/public/v1/accounts/credits/"
REDIRECT = "http://127.0.0.1:8765/callback"
OURS = "ic_notebook"
BY_HAND = "a person registers a client first"


def ours(url: str, _folder: Path) -> None:
    import ic_notebook

    def browser(address: str) -> None:
        threading.Thread(target=get, args=(address,), daemon=True).start()

    ic_notebook.connect(base_url=url, storage="memory", open_url=browser).client()


def mcp(url: str, folder: Path) -> None:
    """With a storage that keeps its registration, as ours is kept."""
    import asyncio

    import httpx2
    from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
    from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

    file = folder / "mcp-client.json"
    queries: list[dict[str, list[str]]] = []

    class Storage:
        async def get_tokens(self) -> Any:
            return None

        async def set_tokens(self, tokens: Any) -> None:
            pass

        async def get_client_info(self) -> Any:
            return OAuthClientInformationFull.model_validate_json(file.read_text()) if file.exists() else None

        async def set_client_info(self, client_info: Any) -> None:
            file.write_text(client_info.model_dump_json())

    async def redirect(address: str) -> None:
        queries.append(parse_qs(urlsplit(await asyncio.to_thread(redirect_of, address)).query))

    async def callback() -> Any:
        answer = {name: values[0] for name, values in queries[-1].items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    async def call() -> None:
        redirect_uris: Any = [REDIRECT]
        metadata = OAuthClientMetadata(
            client_name="bench", redirect_uris=redirect_uris, token_endpoint_auth_method="none"
        )
        provider = OAuthClientProvider(url, metadata, Storage(), redirect, callback)
        async with httpx2.AsyncClient(auth=provider, trust_env=False) as client:
            (await client.get(url + CREDITS)).raise_for_status()

    asyncio.run(call())


def msal(url: str, _folder: Path) -> None:
    """It takes https alone, so its HTTP client, which may be one's own, sends to the server in its place."""
    import requests
    from msal import PublicClientApplication

    class ToLoopback(requests.Session):
        def request(self, method: Any, address: Any, *args: Any, **options: Any) -> Any:  # type: ignore[override]
            return super().request(method, url + urlsplit(address).path, *args, **options)

    application = PublicClientApplication(
        "c", oidc_authority="https://loopback/tenant", http_client=ToLoopback()
    )
    flow = application.initiate_auth_code_flow(["all"], redirect_uri=REDIRECT)
    answer = application.acquire_token_by_auth_code_flow(flow, {"code": "x", "state": flow["state"]})
    assert "access_token" in answer, answer


def authlib(url: str, _folder: Path) -> None:
    from authlib.integrations.httpx_client import OAuth2Client

    client = OAuth2Client("c", redirect_uri=REDIRECT, code_challenge_method="S256", trust_env=False)
    client.create_authorization_url(f"{url}/authorize", code_verifier="v" * 43)
    client.fetch_token(f"{url}/token", code="x", code_verifier="v" * 43)


def httpx_auth(url: str, _folder: Path) -> None:
    import httpx
    from httpx_auth import OAuth2AuthorizationCodePKCE

    class Browser(webbrowser.BaseBrowser):
        def open(self, address: str, new: int = 0, autoraise: bool = True) -> bool:
            asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
            back = f"{asked['redirect_uri']}?code=x&state={asked['state']}"
            threading.Thread(target=get, args=(back,), daemon=True).start()
            return True

    webbrowser.register("bench", None, Browser(), preferred=True)
    with httpx.Client(trust_env=False) as own:
        auth = OAuth2AuthorizationCodePKCE(
            f"{url}/authorize", f"{url}/token", client_id="c", redirect_uri_port=8766, client=own
        )
        httpx.get(url + CREDITS, auth=auth, trust_env=False).raise_for_status()


def tokentoss(url: str, _folder: Path) -> None:
    from tokentoss import AuthManager, ClientConfig, MemoryStorage

    config = ClientConfig("c", "s", f"{url}/authorize", f"{url}/token")
    AuthManager(config, storage=MemoryStorage()).exchange_code("x", "v" * 43)


def globus(url: str, _folder: Path) -> None:
    import os

    os.environ["GLOBUS_SDK_SERVICE_URL_AUTH"] = url
    import globus_sdk

    client = globus_sdk.NativeAppAuthClient("c")
    client.oauth2_start_flow(requested_scopes="all", redirect_uri=REDIRECT, refresh_tokens=True)
    client.oauth2_exchange_code_for_tokens("x")


def huggingface(url: str, folder: Path) -> None:
    import os

    os.environ.update({"HF_HOME": str(folder), "HF_ENDPOINT": url, "BROWSER": "true"})
    import huggingface_hub

    huggingface_hub.interpreter_login(skip_if_logged_in=False)


SIGN_INS: dict[str, tuple[str | None, Callable[[str, Path], None], str]] = {
    OURS: (None, ours, ""),
    "MCP's OAuthClientProvider": ("mcp", mcp, ""),
    "msal": ("msal", msal, BY_HAND),
    "Authlib": ("authlib", authlib, BY_HAND),
    "httpx_auth": ("httpx-auth", httpx_auth, BY_HAND),
    "tokentoss": ("tokentoss", tokentoss, BY_HAND),
    "globus-sdk": ("globus-sdk", globus, BY_HAND),
    "huggingface_hub (device code)": (
        "huggingface-hub",
        huggingface,
        "its own client; polls while one approves",
    ),
}
REGISTERING = (OURS, "MCP's OAuthClientProvider")


@contextlib.contextmanager
def counted(name: str) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """A server, and what it was asked since the last look: the sandbox for those that register."""
    if name not in REGISTERING:
        with loopback() as url:
            yield url, lambda: [request for request in seen(url) if CREDITS not in request]
        return
    from ic_notebook.sandbox import SandboxSettings, serve_in_thread

    with serve_in_thread(SandboxSettings(auto_approve=True)) as sandbox:

        def asked() -> list[str]:
            found = [
                f"{method} {path} {status}"
                for method, path, status in sandbox.requests
                if "authorize" not in path and not (CREDITS in path and status == 200)
            ]
            sandbox.requests.clear()
            return found

        yield sandbox.url, asked


def both_times(name: str) -> list[list[str]]:
    """What the first sign-in asked, and what the next one did, in a process of its own."""
    asked = []
    with tempfile.TemporaryDirectory() as folder, counted(name) as (url, look):
        environment = own_environment(Path(folder), NO_PROXY="127.0.0.1,localhost")
        arguments = (sys.executable, "-W", "ignore", "-m", "tests.benchmarks.to_connect", name, url, folder)
        for _ in range(2):
            subprocess.run(
                arguments, env=environment, cwd=ROOT, check=True, timeout=90,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            )  # fmt: skip
            asked.append(look())
    return asked


def measure(effort: Effort) -> Result:
    names = [
        n for n, (peer, _, _) in SIGN_INS.items() if peer is None or (version(peer) and effort != "least")
    ]
    asked = {name: both_times(name) for name in names}
    rows = [
        (name, *(str(len(requests)) for requests in asked[name]), SIGN_INS[name][2])
        if name in asked
        else (name, NOT_INSTALLED, "", "")
        for name in SIGN_INS
    ]
    notes = [f"{name}, first: {'; '.join(asked[name][0])}" for name in asked]
    table = Table("Requests to be connected", ("", "the first time", "after", "and"), rows, notes)
    first, after = (len(requests) for requests in asked[OURS])
    beside = [
        f"{name} {len(requests[0])}, {len(requests[1])}{' + by hand' if SIGN_INS[name][2] == BY_HAND else ''}"
        for name, requests in asked.items()
        if name != OURS
    ]
    line = Line(
        "requests to be connected: the first time, after",
        f"{first}, {after}",
        "; ".join(beside),
        "2, 1",
        yes_or_no((first, after) == (2, 1)),
    )
    return Result([line], [table])


def main(name: str, url: str, folder: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        SIGN_INS[name][1](url, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
