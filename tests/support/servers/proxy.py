"""A proxy between monarch and a mongod that counts commands and fails at a chosen one.

It reads uncompressed messages of type OP_MSG of MongoDB's wire protocol. A driver that discovers the
members of a replica set bypasses it, so connect with ``directConnection=true``.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NamedTuple, Self

from bson.raw_bson import RawBSONDocument

# A driver sends these on its own at any time. Counting them would give each run different numbers.
HANDSHAKE = frozenset({"hello", "isMaster", "ismaster", "ping", "saslStart", "saslContinue", "endSessions"})

_HEADER = struct.Struct("<iiii")  # length, request, the request it answers, kind
_MESSAGE = 2013
_CHECKSUM = 1

Moment = Literal["before", "after"]
Then = Literal["drop", "refuse", "go on"]
Side = Literal["server", "client"]


class Command(NamedTuple):
    """A forwarded command: its name, its database, and the value of its first field if that is a string."""

    name: str
    database: str
    target: str | None


@dataclass
class _Trap:
    """An action at a command, which is ``remaining`` commands away."""

    remaining: int
    act: Callable[[], object]
    moment: Moment
    then: Then
    only: str | None

    def springs(self, command: Command) -> bool:
        if self.only in (None, command.name):
            self.remaining -= 1
            return self.remaining == 0
        return False


class Proxy:
    """A proxy for the mongod at the port ``server``; it listens on ``port`` while it is entered.

    ``commands`` has the counted commands in order. Commands with a name in ``ignored``, or with a name and a
    target in ``uncounted``, are forwarded without being counted.
    """

    def __init__(
        self,
        server: int,
        *,
        ignored: Collection[str] = HANDSHAKE,
        uncounted: Collection[tuple[str, str | None]] = (),
    ) -> None:
        self.commands: list[Command] = []
        self.port = 0
        self._server = server
        self._ignored = ignored
        self._uncounted = uncounted
        # One command at a time is counted and acted on: nothing is forwarded while an action runs.
        self._lock = threading.RLock()
        self._flowing = threading.Event()
        self._listener: socket.socket | None = None
        self._links: set[_Link] = set()
        self._threads: list[threading.Thread] = []
        self._trap: _Trap | None = None
        self._cut: tuple[Side, int] | None = None
        self._failure: BaseException | None = None

    @property
    def uri(self) -> str:
        return f"mongodb://localhost:{self.port}/?directConnection=true"

    @property
    def names(self) -> list[str]:
        """The names of the counted commands."""
        return [command.name for command in self.commands]

    def at(
        self,
        number: int,
        act: Callable[[], object] = lambda: None,
        *,
        moment: Moment = "before",
        then: Then = "drop",
        only: str | None = None,
    ) -> None:
        """Call ``act`` once, at the command ``number``, counted from 1 and from now.

        The ``moment`` is before the server receives the command, or after it has answered and before the
        client receives the answer. ``then`` drops all connections, also refuses new ones, or passes the
        message on. With ``only``, only commands of that name count. No other command passes while ``act``
        runs, so it must not use this proxy. The ``with`` block raises what ``act`` raises.
        """
        with self._lock:
            self._trap = _Trap(number, act, moment, then, only)

    def forget(self) -> None:
        """Do nothing at the command that `at` has named."""
        with self._lock:
            self._trap = None

    def accept(self) -> None:
        """Accept connections again."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
                self.port = self._listener.getsockname()[1]
                self._start(self._accept, self._listener)

    def refuse(self) -> None:
        """Drop all connections and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                # Closing alone would not wake the thread that accepts, and the port would stay open.
                _close(self._listener)
                self._listener = None
            self.drop()

    def drop(self) -> None:
        """Drop all connections."""
        with self._lock:
            for link in self._links:
                link.close()
            self._links.clear()

    def stall(self) -> None:
        """Stop forwarding in both directions, but keep the connections open."""
        self._flowing.clear()

    def resume(self) -> None:
        """Forward everything that was held back, and continue."""
        self._flowing.set()

    def cut(self, after: int, towards: Side = "client") -> None:
        """Drop all connections after ``after`` more bytes in the direction ``towards``."""
        with self._lock:
            self._cut = towards, after

    def __enter__(self) -> Self:
        self._flowing.set()
        self.accept()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse()
        self._flowing.set()
        for thread in self._threads:
            thread.join(10)
        if self._failure is not None and error is None:
            raise self._failure

    def _start(self, run: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=run, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # it was closed
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                client.close()
                continue
            link = _Link(client, server)
            with self._lock:
                if self._listener is not listener:
                    link.close()
                    return
                self._links.add(link)
                self._start(self._forward, link, client, server, "server")
                self._start(self._forward, link, server, client, "client")

    def _forward(self, link: _Link, source: socket.socket, target: socket.socket, side: Side) -> None:
        """Forward messages until one end closes."""
        passes = self._asked if side == "server" else self._answered
        with suppress(OSError, EOFError):
            while True:
                message = _receive(source)
                self._flowing.wait()
                if side == "client":
                    message = self._rewrite(link, message)
                if passes(link, message):
                    self._send(target, message, side)
        link.close()
        with self._lock:
            self._links.discard(link)

    def _rewrite(self, link: _Link, message: memoryview) -> memoryview:
        """Return the answer that the client gets instead of ``message``."""
        return message

    def _asked(self, link: _Link, message: memoryview) -> bool:
        """Count a command; return whether to forward it."""
        command = _command(message)
        if command is None or command.name in self._ignored or command[::2] in self._uncounted:
            return True
        with self._lock:
            self.commands.append(command)
            trap = self._trap
            if trap is None or not trap.springs(command):
                return True
            self._trap = None
            if trap.moment == "before":
                return self._spring(trap)
            link.awaited[_HEADER.unpack_from(message)[1]] = trap
            return True

    def _answered(self, link: _Link, message: memoryview) -> bool:
        trap = link.awaited.pop(_HEADER.unpack_from(message)[2], None)
        return trap is None or self._spring(trap)

    def _spring(self, trap: _Trap) -> bool:
        with self._lock:
            try:
                trap.act()
            except BaseException as error:
                self._failure = error
            if trap.then == "drop":
                self.drop()
            elif trap.then == "refuse":
                self.refuse()
            return trap.then == "go on"

    def _send(self, target: socket.socket, message: memoryview, side: Side) -> None:
        with self._lock:
            cut = self._cut
            if cut is not None and cut[0] == side:
                rest = cut[1] - len(message)
                self._cut = (side, rest) if rest > 0 else None
                if rest <= 0:
                    target.sendall(message[: cut[1]])
                    self.drop()
                    return
        target.sendall(message)


class _Link:
    """A client's connection and the matching one to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.ends = (client, server)
        # The traps that wait for the answer to a request, by the id of the request.
        self.awaited: dict[int, _Trap] = {}
        for end in self.ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        for end in self.ends:
            _close(end)


def _close(end: socket.socket) -> None:
    """Close a socket and wake the thread that waits for it, which `close` alone does not do."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


def _receive(source: socket.socket) -> memoryview:
    """Read one whole message."""
    header = bytearray(_HEADER.size)
    _fill(source, memoryview(header))
    message = bytearray(_HEADER.unpack(header)[0])
    message[: len(header)] = header
    _fill(source, memoryview(message)[len(header) :])
    return memoryview(message)


def _fill(source: socket.socket, into: memoryview) -> None:
    while into:
        count = source.recv_into(into)
        if count == 0:
            raise EOFError
        into = into[count:]


def _command(message: memoryview) -> Command | None:
    """Return the command in a message, or None if it holds none."""
    length, _, _, kind = _HEADER.unpack_from(message)
    if kind != _MESSAGE:
        return None
    (flags,) = struct.unpack_from("<I", message, _HEADER.size)
    offset, end = _HEADER.size + 4, length - (4 if flags & _CHECKSUM else 0)
    while offset < end:
        (size,) = struct.unpack_from("<i", message, offset + 1)
        if message[offset] == 0:
            body = RawBSONDocument(bytes(message[offset + 1 : offset + 1 + size]))
            name = next(iter(body))
            target = body[name]
            return Command(name, body["$db"], target if isinstance(target, str) else None)
        offset += 1 + size
    return None
