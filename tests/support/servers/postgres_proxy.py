"""A proxy before a PostgreSQL server that acts when a chosen message of a client comes by.

It reads the messages of the protocol (PostgreSQL's manual, "Message Formats"): the first one of a connection
has a length, the others a type and a length. Clients must not ask for encryption.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

When = Literal["before", "after"]


class PostgresProxy:
    """Counts the messages of all clients; at number ``at`` it calls ``act`` before or after passing it on.

    After that it passes nothing on any more to or from that connection: the answer is lost. Only messages
    that hold ``text`` are counted.
    """

    def __init__(self, port: int, text: bytes = b"") -> None:
        self._target = port
        self._text = text
        self._turn = threading.Lock()
        self.messages = 0
        self.hit = False
        self._at = 0
        self._when: When = "before"
        self._act: Callable[[], None] = lambda: None
        self._silent, self._ended = threading.Event(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._listener.close()

    def fall_silent(self) -> None:
        """Keep all connections, accept new ones, and pass nothing on any more."""
        self._silent.set()

    def at(self, number: int, when: When, act: Callable[[], None]) -> None:
        """Act at the message with that ``number``, from now on."""
        with self._turn:
            self.messages, self.hit = 0, False
            self._at, self._when, self._act = number, when, act

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # it is restarting
                    client.close()
                    continue
                threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
                threading.Thread(target=self._return, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError, EOFError):
            size = _read(client, 4)
            self._wait_if_silent()
            server.sendall(size + _read(client, int.from_bytes(size) - 4))
            going = True
            while going:
                head = _read(client, 5)
                message = head + _read(client, int.from_bytes(head[1:]) - 4)
                self._wait_if_silent()
                going = self._pass(message, client, server)
        # Not only closed: the other thread waits for data of the server.
        for one, how in ((server, socket.SHUT_WR), (client, socket.SHUT_RDWR)):
            with suppress(OSError):
                one.shutdown(how)

    def _pass(self, message: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Pass ``message`` on; return whether the connection goes on."""
        with self._turn:
            counted = self._text in message
            self.messages += counted
            chosen = counted and self.messages == self._at
            self.hit |= chosen
        if not chosen:
            server.sendall(message)
            return True
        if self._when == "after":
            client.shutdown(socket.SHUT_WR)  # whatever the server answers is lost
            server.sendall(message)
        self._act()
        return False

    def _return(self, server: socket.socket, client: socket.socket) -> None:
        with client, server:
            with suppress(OSError):
                while data := server.recv(65536):
                    self._wait_if_silent()
                    client.sendall(data)
            self._wait_if_silent()
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def _wait_if_silent(self) -> None:
        if self._silent.is_set():
            self._ended.wait()


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
