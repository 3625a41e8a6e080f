"""Ending a wait for a server that keeps its connection and does not answer.

TCP does not end it: a proxy, or a machine that hangs, may go on confirming what it receives.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg

from monarch.databases.postgres.connection.client import Connection


@contextmanager
def deadline(connection: Connection, seconds: float | None) -> Iterator[threading.Event]:
    """Cut ``connection`` off if the context takes longer than ``seconds``, if they are given.

    :return: an event that is set when it was cut off.
    """
    passed = threading.Event()
    if seconds is None:
        yield passed
        return

    def end() -> None:
        passed.set()
        cut_off(connection)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield passed
    finally:
        timer.cancel()


def cut_off(connection: Connection) -> None:
    """Let whoever waits for an answer on ``connection`` get an error at once."""
    with suppress(OSError, psycopg.Error):
        used = socket.socket(fileno=connection.fileno())
        try:
            used.shutdown(socket.SHUT_RDWR)
        finally:
            used.detach()  # the connection closes it
