"""Real servers for the tests, on loopback, on free ports and in temporary folders."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pymongo import MongoClient

from monarch.databases.mongo.embedded.program import find_mongod
from tests.support.servers.old_mongods import OldProgram

# Every character that is special in a URI, a shell, Python, JSON or YAML, and one that takes two bytes.
PASSWORD = "p@s:s/w?o#r%d&[x]{y} 'q\"b\\$é!;=+,"
USER = "ro:ot@us/er"


@dataclass(frozen=True)
class Server:
    """A running mongod. ``pid`` is its process."""

    port: int
    pid: int
    user: str | None = None
    password: str | None = None
    ca: str | None = None

    @property
    def host(self) -> str:
        return f"localhost:{self.port}"

    @property
    def uri(self) -> str:
        userinfo = ""
        if self.user is not None and self.password is not None:
            userinfo = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}@"
        options = "?authSource=admin" if userinfo else ""
        return f"mongodb://{userinfo}{self.host}/{options}"

    def client(self) -> MongoClient[dict[str, Any]]:
        tls: dict[str, Any] = {"tls": True, "tlsCAFile": self.ca} if self.ca else {}
        return MongoClient(self.uri, **tls)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mongod:
    """A mongod with ``arguments`` that runs while the context lasts.

    It listens on a free port and uses a temporary folder, or the folder ``data``, which is kept. It can be
    killed, and started again with the same port and folder. ``program`` is an older one.
    """

    def __init__(
        self, *arguments: str, data: Path | None = None, log: str = "16MB", program: OldProgram | None = None
    ) -> None:
        self.port = free_port()
        self._variables = program.variables if program else {}
        self._folder = tempfile.mkdtemp(prefix="monarch-test-mongod-")
        path = program.path if program else find_mongod()
        self._command = [str(path), "--dbpath", str(data or self._folder), "--port", str(self.port)]
        self._command += ["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]
        self._command += ["--wiredTigerEngineConfigString", f"log=(prealloc=false,file_max={log})"]
        # The diagnostics of a test server are not needed.
        self._command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        self._command += arguments

    def start(self) -> None:
        """Start the server and wait until it listens."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, env={**os.environ, **self._variables}
        )
        _await_port(self.process, self.port)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder)


@contextmanager
def run_mongod(
    *arguments: str, data: Path | None = None, log: str = "16MB", program: OldProgram | None = None
) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run a `Mongod`; yield its port and its process."""
    with Mongod(*arguments, data=data, log=log, program=program) as mongod:
        yield mongod.port, mongod.process


@contextmanager
def run_server() -> Iterator[Server]:
    """Run a server that requires `PASSWORD`."""
    with run_mongod("--auth") as (port, process):
        with MongoClient[dict[str, Any]]("localhost", port) as client:
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
        yield Server(port, process.pid, USER, PASSWORD)


@contextmanager
def run_replica_set(folder: Path) -> Iterator[Server]:
    """Run a replica set of one member that requires `PASSWORD`; its key file is in ``folder``."""
    key = folder / "key"
    key.write_text("monarch" * 8)
    key.chmod(0o600)
    with run_mongod("--replSet", "rs", "--keyFile", str(key)) as (port, process):
        with MongoClient[dict[str, Any]]("localhost", port, directConnection=True) as client:
            members = [{"_id": 0, "host": f"localhost:{port}"}]
            client.admin.command("replSetInitiate", {"_id": "rs", "members": members})
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.02)
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=["root"])
        yield Server(port, process.pid, USER, PASSWORD)


@contextmanager
def run_tls_server(folder: Path, *, ask_clients: bool = False) -> Iterator[Server]:
    """Run a server that accepts TLS only, with certificates of a private authority.

    With ``ask_clients`` it requires a client certificate: ``client.pem`` in ``folder``, whose key is
    encrypted with `PASSWORD`.
    """
    import trustme
    from cryptography.hazmat.primitives import serialization

    authority = trustme.CA()
    ca, key = folder / "ca.pem", folder / "server.pem"
    authority.cert_pem.write_to_path(str(ca))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(key))
    client = authority.issue_cert("client.example.com")
    private = serialization.load_pem_private_key(client.private_key_pem.bytes(), None)
    encrypted = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(PASSWORD.encode()),
    )
    (folder / "client.pem").write_bytes(encrypted + client.cert_chain_pems[0].bytes())
    arguments = ["--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(key), "--tlsCAFile", str(ca)]
    if not ask_clients:
        arguments.append("--tlsAllowConnectionsWithoutCertificates")
    with run_mongod(*arguments) as (port, process):
        yield Server(port, process.pid, ca=str(ca))


def _await_port(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"mongod ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError("mongod does not listen")
