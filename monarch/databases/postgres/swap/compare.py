"""Comparing a database that was written with what was to be written."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from monarch.databases.postgres.catalog.definitions import comparable, read_definitions
from monarch.databases.postgres.catalog.fingerprint import hash_contents
from monarch.databases.postgres.catalog.tables import Table, count_rows, list_relations
from monarch.databases.postgres.connection.client import Connection, rows_as_dicts
from monarch.databases.postgres.sources.base import Expected
from monarch.databases.postgres.sources.snapshot import read_large_objects, read_sequences
from monarch.errors import ServerError

# That of a partitioned table is not valid until every partition has its part, at the source too.
_INVALID = """
    SELECT indexrelid::regclass::text AS name FROM pg_index JOIN pg_class c ON c.oid = indexrelid
    WHERE NOT (indisvalid AND indisready AND indislive) AND indrelid >= 16384 AND relkind = 'i' LIMIT 1
"""
# A text without an encoding was not checked when it was written.
_TEXTS = "SELECT count(convert_to((t.*)::text, getdatabaseencoding())) FROM ONLY {} AS t"


def compare(connection: Connection, expected: Expected, name: str) -> None:
    """Check that the database of ``connection`` holds what is ``expected`` of the copy into ``name``.

    :raises ServerError: naming the first difference, without values of rows.
    """
    # Reading all tables is faster in two processes of the server; one does the rest meanwhile.
    cursor = rows_as_dicts(connection)
    relations = {one.table.title: one for one in list_relations(cursor) if one.kind == "table"}
    _require_same(expected.rows.keys() | set(), relations.keys() | set(), name)
    tables = [one.table for one in relations.values()]
    rows = {table.title: number for table, number in count_rows(cursor, tables).items()}
    for title, number in expected.rows.items():
        if rows[title] != number:
            raise differs(name, f"{title} has {rows[title]:,} rows, not {number:,}")
    for title, number in expected.indexes.items():
        if relations[title].indexes != number:
            raise differs(name, f"{title} has {relations[title].indexes:,} indexes, not {number:,}")
    invalid = cursor.execute(_INVALID).fetchone()
    if invalid is not None:
        raise differs(name, f"the index {invalid['name']} is not valid")
    if expected.large_objects is not None:
        objects = read_large_objects(cursor)
        if objects != expected.large_objects:
            raise differs(name, f"it has {objects:,} large objects, not {expected.large_objects:,}")
    if expected.sequences is not None:
        _compare_sequences(expected.sequences, read_sequences(cursor), name)
    if expected.definitions is not None:
        _compare_definitions(connection, expected.definitions, expected.major, name)
    if expected.hashes is not None:
        _compare_hashes(connection, expected.hashes, tables, name)


def require_valid_texts(connection: Connection, name: str) -> None:
    """Check that all texts in the database of ``connection``, the copy into ``name``, have its encoding.

    :raises ServerError: naming the first table that has others.
    """
    cursor = rows_as_dicts(connection)
    for one in list_relations(cursor):
        if one.kind == "table":
            try:
                cursor.execute(sql.SQL(_TEXTS).format(one.table.identifier))
            except psycopg.errors.CharacterNotInRepertoire as error:
                encoding = connection.info.parameter_status("server_encoding")
                raise ServerError(
                    f"The rows of {one.table.title} have texts that are not valid in {encoding}, the "
                    f"encoding of {name!r}. It is as it was.",
                    "The source has no encoding. Correct them there, or use a database with SQL_ASCII.",
                ) from error


def differs(name: str, why: str) -> ServerError:
    """Return the error for a copy into ``name`` that is not what it should be."""
    return ServerError(
        f"The copy for {name!r} differs from its source: {why}. {name!r} is as it was.", "Run it again."
    )


def _require_same(expected: set[str], found: set[str], name: str) -> None:
    missing, strange = sorted(expected - found), sorted(found - expected)
    if missing:
        raise differs(name, f"it lacks {missing[0]}")
    if strange:
        raise differs(name, f"it has {strange[0]} too")


def _compare_sequences(expected: Mapping[str, int], found: Mapping[str, int], name: str) -> None:
    # Sequences are in no snapshot: they may have grown since.
    behind = [one for one, value in expected.items() if found.get(one, value - 1) < value]
    if behind:
        raise differs(name, f"the sequence {behind[0]} is behind")


def _compare_definitions(connection: Connection, expected: Mapping[str, str], major: int, name: str) -> None:
    with connection.transaction():
        found = read_definitions(rows_as_dicts(connection))
    _require_same(set(expected), set(found), name)
    if connection.info.server_version // 10_000 != major:
        return  # another version prints some definitions otherwise
    other = [one for one, text in expected.items() if comparable(found[one]) != comparable(text)]
    if other:
        raise differs(name, f"the definition of {other[0]} is another one")


def _compare_hashes(
    connection: Connection, expected: Mapping[str, str], tables: list[Table], name: str
) -> None:
    with connection.transaction():
        found = hash_contents(rows_as_dicts(connection), tables)
    other = [table.title for table in tables if found[table] != expected[table.title]]
    if other:
        raise differs(name, f"the rows of {other[0]} are others")
