"""Copying over a slow link: ``python -m benchmarks.hours [--megabytes N]``, from the top of the repository.

``copy_db --engine native`` through a link of ``--megabytes`` a second, once from a server that keeps its
snapshot for as long as the copy takes, once from one that keeps it for a second. Shows the seconds, and the
bytes that came over the link beside those of the documents: what has been read is not read again. Starts a
server of its own. Less than a minute.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pymongo.errors import PyMongoError

from benchmarks.pairs import print_head
from benchmarks.sample import FILLINGS, Client, fill, make_project, run_server, see_equal

SOURCE, TARGET, MEGABYTES, SHARE = "source", "target", 4.0, 10
# Most bytes over the link, relative to those of the documents.
MOST = 1.25
# What monarch says then.
_ENDED = "no longer keeps the snapshot"
_PIECE = 64 * 1024


class Link:
    """A relay to the server on ``port`` that lets ``megabytes`` a second through to the client.

    ``sent`` counts the bytes to the client.
    """

    def __init__(self, port: int, megabytes: float) -> None:
        self.sent = 0
        self._server = port
        self._seconds = 1 / (megabytes * 1e6)
        self._free = 0.0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._server))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, slow: bool) -> None:
        with suppress(OSError), source, target:
            while piece := source.recv(_PIECE):
                if slow:
                    self._wait(len(piece))
                target.sendall(piece)
            target.shutdown(socket.SHUT_RDWR)

    def _wait(self, size: int) -> None:
        """Wait until all connections together may send ``size`` more bytes."""
        with self._lock:
            self.sent += size
            self._free = max(self._free, time.monotonic()) + size * self._seconds
            free = self._free
        time.sleep(max(0.0, free - time.monotonic()))


@contextmanager
def keeping(client: Client, seconds: int) -> Iterator[None]:
    """Let the server keep snapshots for ``seconds``. It drops older ones when it is written to, as here."""
    client.admin.command("setParameter", 1, minSnapshotHistoryWindowInSeconds=seconds)
    ended = threading.Event()

    def write() -> None:
        with suppress(PyMongoError):
            while not ended.wait(0.5):
                client["other"]["c"].insert_one({})
                client.admin.command("fsync")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hours")
    parser.add_argument("--megabytes", type=float, default=MEGABYTES)
    megabytes = parser.parse_args().megabytes
    monarch = str(Path(sys.executable).with_name("monarch"))
    command = [monarch, "copy_db", f"{SOURCE}:{TARGET}", "--yes", "--engine", "native"]
    with tempfile.TemporaryDirectory() as temporary, run_server(Path(temporary) / "data") as client:
        fill(client[SOURCE], SHARE)
        size = sum(int(client[SOURCE].command("collStats", name)["size"]) for name in FILLINGS)
        assert client.address is not None
        link = Link(client.address[1], megabytes)
        folder = make_project(Path(temporary) / "project", client, (SOURCE, TARGET))
        settings = folder / "migrations" / "settings.py"
        slow = f"mongodb://127.0.0.1:{link.port}/?directConnection=true"
        settings.write_text(f"{settings.read_text()}ENVIRONMENTS[{SOURCE!r}]['uri'] = {slow!r}\n")
        print_head(
            f"Copying {size / 1e6:.0f} MB over a link of {megabytes:g} MB a second",
            f"MongoDB {client.server_info()['version']}",
        )
        for seconds in (300, 1):
            link.sent = 0
            with keeping(client, seconds):
                began = time.perf_counter()
                ran = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
                took = time.perf_counter() - began
            see_equal(client[SOURCE], client[TARGET])
            ratio = link.sent / size
            verdict = ", until the snapshot ended" if _ENDED in ran.stdout + ran.stderr else ", one snapshot"
            verdict += "" if ratio <= MOST else f"; more than {MOST}"
            print(f"snapshot kept for {seconds:3} s: {took:6.1f} s, {ratio:.2f} of the documents{verdict}")


if __name__ == "__main__":
    main()
