"""Bytes between two network namespaces, over sockets in a folder that both see: run inside the far one.

`python relay.py FOLDER OUTWARD_PORT INWARD_PORT COMMAND…` brings the loopback interface up and runs a command.
What inside connects to OUTWARD_PORT comes out at the socket `outward`; what outside connects to the socket
`inward` reaches INWARD_PORT.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


def to(connect: Connect) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """What takes a connection and hands its bytes to another, both ways."""

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await connect()
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        writer.close()

    return joined


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def outside(folder: Path, outward_port: int, inward_port: int) -> list[asyncio.Server]:
    """The other half, on this computer's own loopback interface."""
    return [
        await asyncio.start_unix_server(
            to(lambda: asyncio.open_connection("127.0.0.1", outward_port)), folder / "outward"
        ),
        await asyncio.start_server(
            to(lambda: asyncio.open_unix_connection(folder / "inward")), "127.0.0.1", inward_port
        ),
    ]


async def inside(folder: Path, outward_port: int, inward_port: int, command: list[str]) -> int:
    await asyncio.start_server(
        to(lambda: asyncio.open_unix_connection(folder / "outward")), "127.0.0.1", outward_port
    )
    await asyncio.start_unix_server(
        to(lambda: asyncio.open_connection("127.0.0.1", inward_port)), folder / "inward"
    )
    process = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.terminate)
    return await process.wait()


if __name__ == "__main__":
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.exit(asyncio.run(inside(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])))
