"""Replacing the contents of a database in one transaction, for users who may not create databases.

psql gets one script: what removes the old contents, what pg_restore prints for the new ones, and what
compares them. COMMIT is sent only if all of it has arrived: whatever dies before, the server undoes all.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from psycopg import sql

from monarch.databases.postgres.catalog.tables import Table
from monarch.databases.postgres.connection.client import UNLIMITED, Connection, Cursor, connect, rows_as_dicts
from monarch.databases.postgres.connection.errors import explained
from monarch.databases.postgres.connection.session import Session
from monarch.databases.postgres.connection.settings import lock_timeout_of
from monarch.databases.postgres.emptying import EMPTY, FOREIGN_EXTENSIONS
from monarch.databases.postgres.lease import PostgresLease
from monarch.databases.postgres.sources.base import Expected, OpenDump, PostgresSource
from monarch.databases.postgres.swap.requirements import Adaptation, try_extensions
from monarch.databases.postgres.swap.script import OpenTransaction, write_all
from monarch.databases.postgres.swap.switch import Recording
from monarch.databases.postgres.tools.clock import TableClock
from monarch.databases.postgres.tools.installed import TRANSACTION_TIMEOUT, Tools
from monarch.databases.postgres.tools.process import failure, start_program, start_tool
from monarch.databases.transfer import CopiedCollection
from monarch.errors import UsageError
from monarch.progress import Progress
from monarch.system.subprocesses import Tool

_BYTES = 1 << 20
# monarch's own tables are put aside, because the new contents may hold a history too.
# A notice would be taken for the reason of a failure.
_BEGIN = (
    f"SET client_min_messages = warning;\n{UNLIMITED};\nBEGIN;\n"
    "ALTER SCHEMA monarch_history RENAME TO monarch_kept;\n"
)
_KEEP = """
RESET ROLE;
DO $monarch$
BEGIN
    DELETE FROM monarch_kept.history;
    IF to_regclass('monarch_history.history') IS NOT NULL THEN
        INSERT INTO monarch_kept.history SELECT * FROM monarch_history.history;
    END IF;
    DROP SCHEMA IF EXISTS monarch_history CASCADE;
    ALTER SCHEMA monarch_kept RENAME TO monarch_history;
END
$monarch$;
"""
_FENCE = """
DO $monarch$
BEGIN
    PERFORM FROM monarch_history.lease WHERE fence = {fence} AND run = {run} FOR SHARE;
    IF NOT FOUND THEN RAISE 'monarch has lost the lease'; END IF;
END
$monarch$;
"""
_ROWS = """
BEGIN
    IF (SELECT count(*) FROM ONLY {table}) <> {rows} THEN
        RAISE 'the copy differs from its source: % has not % rows', {title}, {rows};
    END IF;
END
"""
_TEXTS = """
BEGIN
    PERFORM count(convert_to((t.*)::text, getdatabaseencoding())) FROM ONLY {table} AS t;
EXCEPTION WHEN character_not_in_repertoire THEN
    RAISE 'rows of % have texts that are not valid in %', {title}, getdatabaseencoding();
END
"""
_COMMIT = "COMMIT;\n"
_STATE = "SELECT xmin::text AS state FROM pg_namespace WHERE nspname = 'monarch_history'"
# Its session may go on for a moment.
_STILL_THERE = """
    SELECT FROM pg_stat_activity WHERE application_name = 'monarch psql' AND datname = current_database()
"""
# In seconds.
_ENDING, _PAUSE = 10.0, 0.05
# The version of the server since which it looks whether the client is there while a statement runs.
_CHECKS_CLIENT = 140_000


def replace_in_place(
    session: Session,
    lease: PostgresLease,
    source: PostgresSource,
    tools: Tools,
    adaptation: Adaptation,
    progress: Progress,
    recording: Recording | None = None,
) -> tuple[CopiedCollection, ...]:
    """Replace the contents of the database of ``session`` in one transaction.

    :raises UsageError: if these tools cannot do it on this server.
    :raises ServerError: if it fails; the database is as it was.
    """
    environment = session.environment
    progress.phase("copying")
    with explained(environment), connect(environment, autocommit=True) as connection:
        cursor = rows_as_dicts(connection)
        cursor.execute(UNLIMITED)
        foreign = cursor.execute(FOREIGN_EXTENSIONS).fetchone()
        # Only the owner of an extension may comment on it, and every dump does.
        without = ["--no-comments"] if foreign is not None and foreign["found"] else []
        if connection.info.server_version // 10_000 < TRANSACTION_TIMEOUT <= tools.major:
            raise UsageError(
                f"pg_restore {tools.major} cannot write into {environment.label!r} in place: it is too new.",
                f"Install the client programs of PostgreSQL {connection.info.server_version // 10_000}.",
            )
        try_extensions(connection, adaptation.untrusted, environment.label)
        with source.open(tools, lease.check, progress) as dump:
            script = Script(session, tools, connection, lease, [*adaptation.arguments, *without])
            with script:
                expected = script.write(dump, progress)
                progress.phase("comparing")
                copied = source.copied(expected, TableClock(""))
                record = None if recording is None else lambda cursor: recording(cursor, copied)
                script.commit(expected, [_ROWS, _TEXTS] if adaptation.checks_texts else [_ROWS], record)
        return copied


class Script:
    """The script that psql runs on the server of ``connection``, for as long as the context lasts.

    Without `commit` nothing of it happens. ``arguments`` are those of pg_restore.
    """

    def __init__(
        self,
        session: Session,
        tools: Tools,
        connection: Connection,
        lease: PostgresLease,
        arguments: list[str],
    ) -> None:
        self._environment = session.environment
        self._tools = tools
        self._connection = connection
        self._lease = lease
        self._arguments = arguments

    def __enter__(self) -> Script:
        reading, self._pipe = os.pipe()
        try:
            self._psql = start_tool(
                self._tools,
                "psql",
                self._environment,
                self._connection,
                ["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"],
                takes_input=True,
                # A session whose client was killed must not stay in the queue for a lock.
                settings="-c client_connection_check_interval=2s" if self._may_check_client() else "",
                stdin=reading,
                alive=self._lease.check,
            )
        finally:
            os.close(reading)
        return self

    def __exit__(self, *_: object) -> None:
        self._psql.stop()  # before it could see the end of a script that is not complete
        self._close()

    def _may_check_client(self) -> bool:
        return self._connection.info.server_version >= _CHECKS_CLIENT

    def write(self, dump: OpenDump, progress: Progress) -> Expected:
        """Write what replaces the contents by those of ``dump``; return what was to arrive."""
        self.send(self._patience() + _BEGIN + EMPTY)
        printed = OpenTransaction(self._pipe)
        try:
            restoring = start_program(
                self._tools,
                "pg_restore",
                ["--single-transaction", f"--file=/dev/fd/{printed.writing}", *self._arguments],
                takes_input=True,
                inherited=[printed.writing],
                alive=self._lease.check,
            )
        except BaseException:
            printed.started()  # and not waited for: a signal may have left a pg_restore that nobody knows
            raise
        try:
            printed.started()
            expected = self._feed(restoring, dump, progress)
            if expected is None or restoring.wait() != 0 or not self._finish(printed):
                self._check_psql()
                raise failure(restoring, self._environment, "write into")
            return expected
        except BaseException:
            self._psql.stop()  # which may wait for a lock, and reads nothing then
            raise
        finally:
            restoring.stop()
            printed.close()

    def commit(
        self, expected: Expected, checks: Sequence[str], record: Callable[[Cursor], str] | None = None
    ) -> None:
        """Do ``checks`` of each table that is ``expected``, and commit what was written.

        The statement that ``record`` returns is part of the transaction.

        :raises ServerError: if it differs, or cannot be committed.
        """
        statements = [
            self._patience(),
            _KEEP,
            self._text(_FENCE, fence=self._lease.fence, run=self._lease.run),
        ]
        if record is not None:
            statements.append(f"{record(rows_as_dicts(self._connection))};\n")
        for title, rows in expected.rows.items():
            table = Table.from_title(title).identifier
            for check in checks:
                body = self._text(check, table=table, rows=rows, title=title)
                statements.append(self._text("DO {body};\n", body=body))  # no name can end its quotes
        before = self.state()
        self.send("".join(statements) + _COMMIT)
        self._close()
        # psql may be ended, or cut off, after the server has committed.
        if self._psql.wait() != 0 and not self.has_committed(before):
            raise failure(self._psql, self._environment, "write into")

    def state(self) -> str:
        """Return what a commit of the script changes: it renames the schema."""
        (row,) = rows_as_dicts(self._connection).execute(_STATE).fetchall()
        return str(row["state"])

    def has_committed(self, before: str) -> bool:
        """Whether the script was committed although psql has failed; waits for its end."""
        self._psql.wait()
        deadline = time.monotonic() + _ENDING
        while time.monotonic() < deadline:
            if not rows_as_dicts(self._connection).execute(_STILL_THERE).fetchall():
                break
            time.sleep(_PAUSE)
        return self.state() != before

    def _feed(self, restoring: Tool, dump: OpenDump, progress: Progress) -> Expected | None:
        """Pass ``dump`` on; return what it holds, or None if pg_restore ends before."""
        try:
            while data := dump.read(_BYTES):
                self._lease.check()
                progress.transferred(0, len(data))
                restoring.write(data)
        except BrokenPipeError:
            return None  # the rest of the dump is not read: waiting for its end would take forever
        expected = dump.finish()
        restoring.close()
        return expected

    def _finish(self, printed: OpenTransaction) -> bool:
        try:
            return printed.finish()
        except BrokenPipeError:
            return False

    def _check_psql(self) -> None:
        if self._psql.ended():
            raise failure(self._psql, self._environment, "write into")

    def _patience(self) -> str:
        """Return the statement that limits how long it waits for a lock: others wait behind it."""
        return f"SET lock_timeout = '{lock_timeout_of(self._environment)}ms';\n"

    def _text(self, statement: str, **values: object) -> str:
        composed = {
            name: value if isinstance(value, sql.Composable) else sql.Literal(value)
            for name, value in values.items()
        }
        return sql.SQL(cast(Any, statement)).format(**composed).as_string(self._connection)

    def send(self, text: str) -> None:
        """Pass SQL on to psql.

        :raises ServerError: if psql has ended.
        """
        try:
            write_all(self._pipe, text.encode())
        except BrokenPipeError as error:
            self._psql.ended()  # its last words arrive until then
            raise failure(self._psql, self._environment, "write into") from error

    def _close(self) -> None:
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
