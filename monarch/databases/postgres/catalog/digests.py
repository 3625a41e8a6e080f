"""Hashes of tables and views, with which a database that was restored is compared with its backup."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from monarch.databases.postgres.catalog.definitions import comparable, read_definitions
from monarch.databases.postgres.catalog.fingerprint import hash_contents
from monarch.databases.postgres.catalog.tables import Relation, count_rows, list_relations
from monarch.databases.postgres.connection.client import UNLIMITED, Connection, Cursor
from monarch.databases.transfer import CollectionDigest, InspectedCollection

# The hash of rows is that of `catalog.fingerprint`, from which their order makes no difference.
_ROWS = "rows64"
# An index that is not valid is not dumped, and does nothing.
_INDEXES = """
    SELECT format('%I.%I', nspname, c.relname) AS relation, i.relname AS name,
           pg_get_indexdef(indexrelid) AS definition
    FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND indisvalid
        AND nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'monarch_history')
"""


def read_index_definitions(cursor: Cursor) -> dict[str, dict[str, str]]:
    """Return the definition of each index by its name, by the quoted name of its table."""
    found: dict[str, dict[str, str]] = {}
    for row in cursor.execute(_INDEXES.encode()).fetchall():
        found.setdefault(row["relation"], {})[row["name"]] = row["definition"]
    return found


def digest(
    relations: Iterable[Relation],
    definitions: Mapping[str, str],
    rows: Mapping[str, str],
    indexes: Mapping[str, Mapping[str, str]],
    connection: Connection,
) -> tuple[CollectionDigest, ...]:
    """Return the hashes of ``relations``, which are in the database of ``connection``.

    :param definitions: those of `read_definitions`. Another version prints some of them otherwise.
    :param rows: the hash of the rows of each table, by its title.
    :param indexes: those of `read_index_definitions`.
    """
    scheme = f"postgres{connection.info.server_version // 10_000}"
    # The same text has other bytes in another encoding.
    of_rows = f"{_ROWS}-{(connection.info.parameter_status('server_encoding') or '').lower()}"
    found = []
    for one in relations:
        text = definitions.get(f"{one.kind} {one.quoted}")
        hashed = rows.get(one.table.title)
        found.append(
            CollectionDigest(
                one.table.title,
                None if hashed is None else f"{of_rows}:{hashlib.sha256(hashed.encode()).hexdigest()}",
                None if text is None else _hash(scheme, text),
                {name: _hash(scheme, text) for name, text in sorted(indexes.get(one.quoted, {}).items())},
            )
        )
    return tuple(found)


def inspect(cursor: Cursor) -> tuple[InspectedCollection, ...]:
    """Read all of a database, and return its tables and views with their hashes.

    The caller has a transaction open, whose settings this changes.
    """
    cursor.execute(UNLIMITED)
    relations = list_relations(cursor)
    tables = [one.table for one in relations if one.kind == "table"]
    counted = count_rows(cursor, tables)
    hashed = {table.title: found for table, found in hash_contents(cursor, tables).items()}
    definitions = read_definitions(cursor)
    digests = digest(relations, definitions, hashed, read_index_definitions(cursor), cursor.connection)
    return tuple(
        InspectedCollection(one.summary(counted.get(one.table, 0)), found)
        for one, found in zip(relations, digests, strict=True)
    )


def _hash(scheme: str, definition: str) -> str:
    return f"{scheme}:{hashlib.sha256(comparable(definition).encode()).hexdigest()}"
