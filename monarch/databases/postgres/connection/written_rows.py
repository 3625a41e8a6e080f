"""What the server's replies tell of a migration: the rows that it writes, and the end of its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import ExecStatus, TransactionStatus

if TYPE_CHECKING:
    from psycopg.pq.abc import PGresult

_WRITES = (b"INSERT", b"UPDATE", b"DELETE", b"MERGE")


class WrittenRows:
    """How many rows have been inserted, changed or removed.

    ``outside`` is whether one of the replies left the connection outside of a transaction.
    """

    def __init__(self) -> None:
        self.rows = 0
        self.outside = False

    def cursor_class(self) -> type[psycopg.Cursor[Any]]:
        """Return a class of cursors that count here."""
        written = self

        class CountingCursor(psycopg.Cursor[Any]):
            # psycopg calls it with the replies to every statement. Nothing public sees all of them: a cursor
            # has only the last ones in a pipeline, and the first one of several statements.
            def _set_results(self, results: list[PGresult]) -> None:
                super()._set_results(results)
                written._count(results)
                written.outside |= self.connection.info.transaction_status == TransactionStatus.IDLE

            @contextmanager
            def copy(self, *arguments: Any, **options: Any) -> Iterator[psycopg.Copy]:
                with super().copy(*arguments, **options) as copy:
                    writes = self.pgresult is not None and self.pgresult.status == ExecStatus.COPY_IN
                    yield copy
                if writes:
                    written.rows += max(self.rowcount, 0)

        return CountingCursor

    def _count(self, results: Iterable[PGresult]) -> None:
        for result in results:
            if (result.command_status or b"").startswith(_WRITES):
                self.rows += result.command_tuples or 0
