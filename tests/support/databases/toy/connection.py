"""Connections to an SQLite file, their errors, and monarch's tables in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from monarch.errors import ServerError

# How long a write waits for another one, in seconds.
_PATIENCE = 5
_TABLES = """
CREATE TABLE IF NOT EXISTS monarch_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1), fence INTEGER NOT NULL, run TEXT, holder TEXT);
CREATE TABLE IF NOT EXISTS monarch_journal (id INTEGER PRIMARY KEY, key TEXT NOT NULL, entry TEXT NOT NULL);
INSERT OR IGNORE INTO monarch_lease (id, fence) VALUES (1, 0);
"""


@contextmanager
def explained() -> Iterator[None]:
    """Raise errors of SQLite as `ServerError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise ServerError(f"SQLite: {error}.", "Check the file of the database.") from error


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file at ``path``. Every statement is committed at once, except between BEGIN and COMMIT."""
    with explained():
        opened = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    with closing(opened):
        yield opened


def create_tables(connection: sqlite3.Connection) -> None:
    """Create monarch's tables if they are missing."""
    with explained():
        connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for writers
        connection.executescript(_TABLES)


def tables(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return the names of all tables, including monarch's."""
    with explained():
        return tuple(
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        )


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a transaction, which locks out other writers until it ends."""
    with explained():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
