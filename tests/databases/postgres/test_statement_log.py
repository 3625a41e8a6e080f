"""What the log says of a statement: never a literal."""

from __future__ import annotations

import pytest

from monarch.databases.postgres.connection.statement_log import level_of, outline
from monarch.log import CHANGES, READS


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        (
            "UPDATE users SET a = 'sec''ret', b = 12.5 WHERE c = %s",
            "UPDATE users SET a = ?, b = ? WHERE c = %s",
        ),
        (
            "INSERT INTO t1 VALUES (E'sec\\'ret', $$sec'ret$$, $a$sec$$ret$a$)",
            "INSERT INTO t1 VALUES (?, ?, ?)",
        ),
        ("ALTER ROLE ann PASSWORD 'secret' -- secret", "ALTER ROLE ann PASSWORD ?"),
        ('DROP TABLE "it\'s" /* secret\n */ CASCADE', 'DROP TABLE "it\'s" CASCADE'),
        ("UPDATE t SET a = U&'secret'", "UPDATE t SET a = U&?"),
        ("UPDATE t SET a = 'secret", "UPDATE …"),
        ("UPDATE t /* a /* b */ secret */ SET a = 1", "UPDATE …"),
        ("SELECT $x$ secret", "SELECT …"),
        ("'secret", "a statement …"),
        ("CREATE INDEX " + "x" * 300, "CREATE INDEX " + "x" * 187 + "…"),
    ],
)
def test_outlines_have_no_literals(statement: str, shown: str) -> None:
    assert outline(statement) == shown
    assert "secret" not in outline(statement)


@pytest.mark.parametrize(
    ("statement", "level"),
    [
        ("SELECT 1", READS),
        ("select pg_sleep(1)", READS),
        ("SELECT setval('a', 1)", CHANGES),
        ("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", CHANGES),
        ("WITH a AS (SELECT 1) SELECT * FROM a", READS),
        ("SELECT * INTO b FROM a", CHANGES),
        ("SELECT * FROM a FOR UPDATE", READS),
        ("EXPLAIN ANALYZE DELETE FROM a", CHANGES),
        ("COPY a TO STDOUT", READS),
        ("COPY a FROM STDIN", CHANGES),
        ("SELECT 1; DROP TABLE a", CHANGES),
        ("VACUUM", CHANGES),
        ("BEGIN", READS),
        ("", READS),
    ],
)
def test_what_changes_something(statement: str, level: int) -> None:
    assert level_of(outline(statement)) == level
