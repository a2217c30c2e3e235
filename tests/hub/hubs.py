"""A real JupyterHub: its proxy ends TLS, and every user has a server and a folder of their own."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
import shutil
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from filelock import FileLock
from platformdirs import user_cache_path

from tests.browser.conftest import environment_of_its_own, free_port, stop

HOST = "hub.example"
USERS = ("ann", "ben")
PASSWORD = "dummy"
PROXY = "configurable-http-proxy"
PROXY_VERSION = "5.3.0"
NODE = 20
CONFIG = """
c = get_config()
c.JupyterHub.bind_url = "https://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = "certificate.pem", "key.pem"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.log_level = "DEBUG"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.subdomain_host = "{subdomain_host}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = ["{proxy}"]
c.ConfigurableHTTPProxy.debug = True
c.ConfigurableHTTPProxy.pid_file = "proxy.pid"
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "{password}"
c.Authenticator.allowed_users = set({users})
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{homes}/{{username}}"
c.Spawner.cmd = ["{python}", "-m", "jupyterhub.singleuser"]
c.Spawner.args = [
    "--allow-root",
    "--ServerApp.log_level=DEBUG",
    "--LabApp.expose_app_in_browser=True",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
]
c.Spawner.default_url = "/lab"
c.Spawner.http_timeout = c.Spawner.start_timeout = 60
c.Spawner.environment = {environment}
"""


@dataclass(frozen=True)
class Hub:
    """A running Hub: its address (with the slash), where the users' folders are, and one log of all, at DEBUG.

    The Hub, its proxy and the users' servers write into that log.
    """

    url: str
    homes: Path
    log: Path
    process: subprocess.Popen


def without_it(reason: str) -> None:
    """Skip, also where a run must have everything: npm fetches the proxy from a place of its own."""
    pytest.skip(reason)


def _major(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False).stdout
    return int(said.strip().removeprefix("v").partition(".")[0] or 0)


def proxy_command() -> str:
    """The Hub's proxy: the system's, else one that npm puts into a cache outside this repository."""
    system = shutil.which(PROXY)
    if system:
        return system
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None or _major(node) < NODE:
        without_it(f"no npm on Node.js {NODE} or newer, which installs the Hub's proxy; or install {PROXY}")
    folder = user_cache_path("ic-notebook-tests") / f"{PROXY}-{PROXY_VERSION}"
    folder.mkdir(parents=True, exist_ok=True)
    binary = folder / "node_modules/.bin" / PROXY
    with FileLock(folder / "lock", timeout=120):
        if not binary.exists():
            command = [str(npm), "install", "--no-fund", "--no-audit", f"{PROXY}@{PROXY_VERSION}"]
            ran = subprocess.run(
                [*command, "--prefix", str(folder)],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            if ran.returncode:
                without_it(f"npm could not install {PROXY}")
    return str(binary)


@contextlib.contextmanager
def running_hub(
    folder: Path, environment: dict[str, str], *, port: int, subdomains: bool = False
) -> Iterator[Hub]:
    """A Hub at `https://hub.example:port/`, a name that only a browser told so finds on this computer."""
    proxy = proxy_command()
    url = f"https://{HOST}:{port}/"
    homes = folder / "homes"
    for user in USERS:
        (homes / user).mkdir(parents=True)
    make_certificate(folder)
    of_hub = environment_of_its_own(folder)
    of_servers = {"JUPYTERLAB_SETTINGS_DIR": of_hub["JUPYTERLAB_SETTINGS_DIR"], **environment}
    config = CONFIG.format(
        port=port,
        hub_port=free_port(),
        api_port=free_port(),
        proxy=proxy,
        password=PASSWORD,
        users=USERS,
        homes=homes,
        python=sys.executable,
        environment=of_servers,
        subdomain_host=url.rstrip("/") if subdomains else "",
    )
    (folder / "jupyterhub_config.py").write_text(config)
    log = folder / "hub.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config=jupyterhub_config.py"],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**of_hub, "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16)},
        )
    hub = Hub(url, homes, log, process)
    try:
        wait_until_it_answers(hub, port)
        yield hub
    finally:
        stop(process)


def wait_until_it_answers(hub: Hub, port: int) -> None:
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    local = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=anybody)
    )
    request = urllib.request.Request(f"https://127.0.0.1:{port}/hub/api", headers={"Host": f"{HOST}:{port}"})
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and hub.process.poll() is None:
        with contextlib.suppress(OSError), local.open(request, timeout=5):
            return
        time.sleep(0.05)
    pytest.fail(f"the Hub did not start:\n{hub.log.read_text()[-4000:]}")


def make_certificate(folder: Path) -> None:
    """A certificate for `hub.example` and what is below it, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(HOST), x509.DNSName(f"*.{HOST}")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (folder / "key.pem").chmod(0o600)
