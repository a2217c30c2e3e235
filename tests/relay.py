"""Bytes between networks that share no interface, over sockets in a folder that both see.

`python relay.py LISTEN CONNECT [LISTEN CONNECT …] [-- COMMAND …]` hands what comes to the one address on to the
other, as long as it, or the command, runs. An address is HOST:PORT, or the path of a socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence


async def serve(listen: str, connect: str) -> asyncio.Server:
    """Hand what connects to the one address on to the other, both ways."""

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await _connect(connect)
            await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))
        writer.close()

    host, _, port = listen.rpartition(":")
    if "/" in listen:
        return await asyncio.start_unix_server(joined, listen)
    return await asyncio.start_server(joined, host, int(port))


async def _connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    if "/" in address:
        return await asyncio.open_unix_connection(address)
    return await asyncio.open_connection(host, int(port))


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def main(addresses: Sequence[str], command: Sequence[str]) -> int:
    for listen, connect in zip(addresses[::2], addresses[1::2], strict=True):
        await serve(listen, connect)
    if not command:
        await asyncio.get_running_loop().create_future()
    process = await asyncio.create_subprocess_exec(*command)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.terminate)
    return await process.wait()


if __name__ == "__main__":
    given = sys.argv[1:]
    end = given.index("--") if "--" in given else len(given)
    sys.exit(asyncio.run(main(given[:end], given[end + 1 :])))
