"""A server on loopback whose answers take as long as it is told, and that counts what it is asked.

    python -m tests.benchmarks.loopback TOKEN_SECONDS CALL_SECONDS

It takes every code and every refresh token, and answers in the shapes of all the libraries that are compared.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

LIFETIME = 30 * 86_400
"""Seconds; huggingface_hub renews a day ahead."""


class Server:
    def __init__(self, token_seconds: float, call_seconds: float) -> None:
        self._token_seconds, self._call_seconds = token_seconds, call_seconds
        self._seen: list[str] = []
        self._issued = 0
        self.url = ""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                await reader.readexactly(int(fields.get("content-length", 0)))
                method, path, _ = head.split(" ", 2)
                content = json.dumps(await self._answer(method, path.partition("?")[0])).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(content), content)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _answer(self, method: str, path: str) -> dict[str, Any]:
        if path == "/seen":
            seen, self._seen = self._seen, []
            return {"seen": seen}
        self._seen.append(f"{method} {path}")
        if method == "POST" and "token" in path:
            await asyncio.sleep(self._token_seconds)
            self._issued += 1
            return token(self._issued)
        if path.endswith("/device"):
            address = f"{self.url}/device"
            return {"device_code": "d", "user_code": "u", "verification_uri": address, "interval": 0}
        if path.endswith("/whoami-v2"):
            return {"name": "bench", "type": "user"}
        if path.endswith("openid-configuration"):
            return openid_configuration()
        await asyncio.sleep(self._call_seconds)
        return {"credits_available": 1.0}


def token(number: int) -> dict[str, Any]:
    """What every one of the libraries takes for a token."""
    return {
        "access_token": f"access-{number:036d}",
        "refresh_token": f"refresh-{number:036d}",
        "token_type": "Bearer",
        "expires_in": LIFETIME,
        "scope": "all",
        "resource_server": "bench",
        "other_tokens": [],
    }


def openid_configuration() -> dict[str, Any]:
    """For msal, which takes https alone: its own HTTP client turns these into requests to this server."""
    tenant = "https://loopback/tenant"
    return {
        "issuer": tenant,
        "authorization_endpoint": f"{tenant}/authorize",
        "token_endpoint": f"{tenant}/token",
    }


async def main(token_seconds: float, call_seconds: float) -> None:
    server = Server(token_seconds, call_seconds)
    listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, backlog=1_024)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    print("ready", server.url, flush=True)
    # Ends with the process that started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*map(float, sys.argv[1:])))
