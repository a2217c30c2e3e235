"""A server on loopback that misbehaves as it is told, one step of its script a request."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Step = Callable[["Exchange"], None]


class Exchange:
    """One request, and the connection to answer it on."""

    def __init__(self, connection: socket.socket, head: bytes, body: bytes, ended: threading.Event) -> None:
        self.connection, self.head, self.body, self.ended = connection, head, body, ended

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n")[0].decode("ascii", "replace")

    def header(self, name: str) -> str | None:
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    def send(self, raw: bytes) -> None:
        self.connection.sendall(raw)


class Server:
    """Answers by its script; the last step is repeated. `requests` holds what arrived."""

    def __init__(
        self, script: Sequence[Step], *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        self.requests: list[Exchange] = []
        self._script, self._tls, self._ended = list(script), tls, threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self.port: int = self._listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{shown}:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._talk, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            connection.settimeout(10)
            if self._tls:
                connection = _in_tls(connection, self._tls)
            with connection:
                while (exchange := self._read(connection)) is not None:
                    step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
                    self.requests.append(exchange)
                    step(exchange)

    def _read(self, connection: socket.socket) -> Exchange | None:
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = connection.recv(65_536)
            if not chunk or chunk.startswith(b"\x16"):  # the end, or TLS where none is spoken
                return None
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        exchange = Exchange(connection, head, body, self._ended)
        while len(exchange.body) < int(exchange.header("content-length") or 0):
            exchange.body += connection.recv(65_536)
        return exchange


def answer(status: int = 200, value: Any = None, *, body: bytes | None = None, **headers: str) -> Step:
    """A whole answer; a keyword names a header, `_` for `-`."""
    content = json.dumps(value).encode() if body is None else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return lambda exchange: exchange.send("\r\n".join([*lines, "", ""]).encode("latin-1") + content)


def hang_up(exchange: Exchange) -> None:
    """Take the request and lose the answer."""
    _reset(exchange.connection)


def cut(exchange: Exchange) -> None:
    """Close in the middle of the body."""
    exchange.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"access_token": "')
    exchange.connection.close()


def garbage(exchange: Exchange) -> None:
    """Something that is not HTTP."""
    exchange.send(b"SSH-2.0-OpenSSH_9.9\r\n")
    exchange.connection.close()


def silent(exchange: Exchange) -> None:
    """Never answer, until the test is over or the client gives up."""
    with contextlib.suppress(OSError):
        exchange.connection.recv(1)


def drip(exchange: Exchange) -> None:
    """One byte now and then, for ever."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not exchange.ended.wait(0.02):
        exchange.send(b" ")


def flood(exchange: Exchange) -> None:
    """A body without end, as fast as it is taken."""
    exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not exchange.ended.is_set():
        exchange.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def _in_tls(connection: socket.socket, context: ssl.SSLContext) -> socket.socket:
    with connection.dup() as spare:
        try:
            return context.wrap_socket(connection, server_side=True)
        except ssl.SSLError:
            # Closed at once, the connection would be reset and the alert lost: wait for the client's end.
            spare.settimeout(2)
            while spare.recv(65_536):
                pass
            raise


def _reset(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
    connection.close()


class Certificate:
    """A self-signed certificate for loopback, as files."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "loopback")])
        now = dt.datetime.now(dt.timezone.utc)
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        self.file = folder / "certificate.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.key = folder / "key.pem"
        self.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )

    def server_side(self, *, demands_one_of_the_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        if demands_one_of_the_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.file)
        return context
