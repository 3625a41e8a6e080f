"""The schema ``monarch_history`` in a PostgreSQL database: the history, the journal and the lease.

``history`` has one row for each migration, ``journal`` one for each attempt, mark and accepted edit.
``lease`` has one row that changes when the lease is taken or given back, and ``heartbeat`` the time until
which its holder has it. They are two tables because a transaction that runs for longer than a heartbeat can
still lock the row of the lease when it ends, at any isolation level. All times are the server's.

Its name is not that of a role that people have: the default search_path begins with the schema that is called
like the user, and what a migration creates without a schema would land in it.
"""

from __future__ import annotations

from typing import Any

from psycopg import errors

from monarch.databases.postgres.connection.client import Cursor

_STATEMENTS = (
    "CREATE SCHEMA IF NOT EXISTS monarch_history",
    """CREATE TABLE IF NOT EXISTS monarch_history.history (
        key text PRIMARY KEY,
        state text NOT NULL,
        processed_at timestamptz
    )""",
    """CREATE TABLE IF NOT EXISTS monarch_history.journal (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        attempt uuid NOT NULL UNIQUE,
        key text NOT NULL,
        action text NOT NULL,
        outcome text,
        started_at timestamptz NOT NULL,
        finished_at timestamptz,
        seconds double precision,
        rows bigint,
        checksum text,
        backup text,
        repeatable boolean,
        error text,
        traceback text,
        echoed text,
        positions jsonb NOT NULL DEFAULT '{}',
        process jsonb NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS journal_key ON monarch_history.journal (key, id)",
    """CREATE TABLE IF NOT EXISTS monarch_history.lease (
        id integer PRIMARY KEY CHECK (id = 1),
        fence bigint NOT NULL,
        lineage uuid NOT NULL,
        run text,
        holder jsonb,
        taken_at timestamptz
    )""",
    """CREATE TABLE IF NOT EXISTS monarch_history.heartbeat (
        id integer PRIMARY KEY CHECK (id = 1),
        expires_at timestamptz NOT NULL
    )""",
    "INSERT INTO monarch_history.lease VALUES (1, 0, gen_random_uuid()) ON CONFLICT DO NOTHING",
    "INSERT INTO monarch_history.heartbeat VALUES (1, clock_timestamp()) ON CONFLICT DO NOTHING",
)


def has_schema(cursor: Cursor) -> bool:
    """Whether the schema is complete, by what is created last."""
    row = cursor.execute("SELECT to_regclass(%s) AS found", ("monarch_history.heartbeat",)).fetchone()
    return row is not None and row["found"] is not None


def create_schema(cursor: Cursor) -> None:
    """Create what is missing of the schema, in the transaction of ``cursor``.

    It is locked by its name, because PostgreSQL lets two transactions that create one thing collide.
    """
    cursor.execute("SELECT pg_advisory_xact_lock(hashtext('monarch_history'))")
    for statement in _STATEMENTS:
        cursor.execute(statement)


def is_missing(error: Any) -> bool:
    """Whether a statement failed because there is no schema yet."""
    return isinstance(error, errors.UndefinedTable | errors.InvalidSchemaName)
