"""A real S3 server, SeaweedFS, and a proxy that simulates network failures."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEY, SECRET = "FULLACCESS", "hush/full+access=" * 2
READERS_KEY, READERS_SECRET = "READERSKEY", "hush/readers+key=" * 2
SECONDS = 60
_PORTS = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class S3Server:
    """An S3 server on loopback. ``url`` may be the address of a proxy."""

    url: str
    key: str = KEY
    secret: str = SECRET

    def settings(self, bucket: str, **more: Any) -> dict[str, Any]:
        """Return the settings of a bucket, for ``BACKUPS``."""
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return {"bucket_name": bucket, "endpoint_url": self.url, "region": "us-east-1", **keys, **more}

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )


def _identity(name: str, key: str, secret: str, actions: Sequence[str]) -> dict[str, Any]:
    return {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}


def free_ports(number: int) -> list[int]:
    """Return free ports on loopback."""
    probes = [socket.socket() for _ in range(number)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@contextmanager
def run_s3(folder: Path) -> Iterator[S3Server]:
    """Run a SeaweedFS with its data in ``folder``; one user may do everything, the other may only read."""
    identities = [
        _identity("all", KEY, SECRET, ["Admin", "Read", "Write", "List", "Tagging"]),
        _identity("reader", READERS_KEY, READERS_SECRET, ["Read", "List"]),
    ]
    (folder / "identities.json").write_text(json.dumps({"identities": identities}))
    numbers = free_ports(2 * len(_PORTS))
    ports = dict(zip([f"{name}.port{end}" for name in _PORTS for end in ("", ".grpc")], numbers, strict=True))
    command = [
        *(str(_weed()), "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"),
        *(f"-{name}={number}" for name, number in ports.items()),
        *("-master.telemetry=false", "-master.volumeSizeLimitMB=1024", "-volume.max=1000"),
        *("-s3.autoCreateBucket=false", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        f"-s3.config={folder / 'identities.json'}",
    ]
    server = S3Server(f"http://127.0.0.1:{ports['s3.port']}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.kill()  # a regular shutdown takes 15 seconds, and the data is not needed
        process.wait()


def _weed() -> Path:
    """The program, which the package installs next to Python."""
    return Path(sys.executable).with_name("weed")


def _wait(server: S3Server, process: subprocess.Popen[bytes], log: Path) -> None:
    client = server.client()
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            client.list_buckets()
            return
        except (BotoCoreError, ClientError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(log.read_text(errors="replace")[-2000:]) from None
            time.sleep(0.1)


FaultKind = Literal[
    "refuse",
    "status",
    "cut request",
    "cut answer",
    "stall",
    "flip request",
    "flip answer",
    "lose",
    "call before",
    "call after",
    "do",
    "answer",
    "change answer",
    "exact uploads",
]


@dataclass
class Fault:
    """A fault of the next ``times`` requests that match ``pattern``, a regex for ``METHOD path?query``.

    - "status" answers with ``code`` and ``headers``, and "answer" with 200 and ``body``.
    - The cuts and flips are at byte ``at`` of the body; "change answer" replaces ``old`` by ``new``.
    - "lose" lets the server do the work and drops the answer; "stall" waits for ``seconds`` first.
    - "call before" and "call after" call ``do`` before or after the server's work and send no answer; "do"
      calls it and continues.
    - "exact uploads" lists only the uploads whose key equals the prefix, as MinIO does.

    The first ``skip`` matching requests pass without a fault.
    """

    what: FaultKind
    pattern: str = ""
    times: int = 1
    at: int = 0
    code: tuple[int, str] = (500, "InternalError")
    seconds: float = 0.0
    skip: int = 0
    do: Callable[[], object] = lambda: None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    old: bytes = b""
    new: bytes = b""


@dataclass
class FaultyProxy:
    """A proxy of an S3 server, reached at ``url``, that records every request."""

    url: str
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what: FaultKind, pattern: str = "", **more: Any) -> None:
        """Add a fault for the next requests."""
        with self.lock:
            self.faults.append(Fault(what, pattern, **more))

    def clear(self) -> None:
        with self.lock:
            self.faults.clear()
            self.requests.clear()

    def next(self, request: str) -> Fault | None:
        """Record a request and return its fault, if it has one."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times == 0 or not re.search(fault.pattern, request):
                    continue
                if fault.skip == 0:
                    fault.times -= 1
                    return fault
                fault.skip -= 1
        return None


@contextmanager
def run_proxy(
    server: S3Server, *, prefix: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[FaultyProxy]:
    """Run a proxy for ``server`` below the path ``prefix``; it uses TLS if given a context."""
    server_address, path_prefix = server.url.removeprefix("http://"), prefix

    class Handler(_Handler):
        address, prefix = server_address, path_prefix

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        port = listening.server_address[1]
        proxy = FaultyProxy(f"http://127.0.0.1:{port}{prefix}")
        if tls is not None:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
            proxy.url = f"https://localhost:{port}{prefix}"
        Handler.proxy = proxy
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            listening.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each answer waits 40 ms for an acknowledgement
    address: str
    prefix: str
    proxy: FaultyProxy

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def do(self) -> None:
        fault = self.proxy.next(f"{self.command} {self.path}")
        what = fault.what if fault else None
        fault = fault or Fault("lose")
        length = int(self.headers.get("Content-Length") or 0)
        if what in ("call before", "do"):
            fault.do()
        if what in ("refuse", "call before"):
            return self._hang_up()
        if what == "cut request":
            self.rfile.read(min(length, fault.at))
            return self._hang_up()
        body = bytearray(self.rfile.read(length))
        if what == "stall":
            time.sleep(fault.seconds)
        if what == "status":
            return self._answer(
                fault.code[0], _error(fault.code[1]), {"Content-Type": "application/xml", **fault.headers}
            )
        if what == "answer":
            return self._answer(200, fault.body, {"Content-Type": "text/html"})
        if what == "flip request" and body:
            body[fault.at % len(body)] ^= 1
        status, headers, answer = self._forward(bytes(body))
        if what == "call after":
            fault.do()
        if what in ("lose", "call after"):
            return self._hang_up()
        if what == "change answer":
            answer = answer.replace(fault.old, fault.new)
        if what == "exact uploads" and (prefix := parse_qs(urlsplit(self.path).query).get("prefix")):
            others = rb"<Upload>(?:(?!</Upload>).)*<Key>(?!%s</Key>)(?:(?!</Upload>).)*</Upload>"
            answer = re.sub(others % re.escape(prefix[0].encode()), b"", answer)
        if what == "flip answer" and answer:
            changed = bytearray(answer)
            changed[fault.at % len(changed)] ^= 1
            answer = bytes(changed)
        self._answer(status, answer, headers, cut=fault.at if what == "cut answer" else None)
        return None

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=SECONDS)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
            if self.prefix:  # SeaweedFS checks the signature of the whole path, as servers below a path do
                headers["X-Forwarded-Prefix"] = self.prefix
            connection.request(self.command, self.path.removeprefix(self.prefix), body, headers)
            response = connection.getresponse()
            answer = response.read()
            kept = {name: value for name, value in response.getheaders() if name.lower() not in _OURS}
            if self.command == "HEAD":
                kept["Content-Length"] = response.getheader("Content-Length") or "0"
            return response.status, kept, answer
        finally:
            connection.close()

    def _answer(self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def run_sts() -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    """Run a token service that answers every request with full keys; yield its address and its requests.

    SeaweedFS's own service assumes no role without a web identity.
    """
    requests: list[dict[str, list[str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Log nothing."""

        def do_POST(self) -> None:
            requests.append(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            body = _ROLE.encode()
            self.send_response_only(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}", requests
        finally:
            listening.shutdown()
            thread.join()


_ROLE = f"""<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/r/monarch</Arn><AssumedRoleId>A:monarch</AssumedRoleId></AssumedRoleUser>
<Credentials><AccessKeyId>{KEY}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>
<SessionToken></SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>
</AssumeRoleResult></AssumeRoleResponse>"""
_OURS = {"content-length", "transfer-encoding", "connection", "keep-alive"}


def _error(code: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>A test fault.</Message></Error>".encode()
