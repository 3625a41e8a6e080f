"""The tables of a database, their keys and foreign keys, as a subset needs them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from monarch.databases.postgres.connection.client import Cursor

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
# Tables of an extension are dumped if the extension registers them, those rows that match a condition.
_RELATIONS = """
    SELECT c.oid, nspname AS schema, relname AS name, relkind::text AS kind, relispartition AS is_partition,
           array(SELECT inhparent FROM pg_inherits WHERE inhrelid = c.oid) AS parents,
           coalesce(condition, '') AS condition
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN (
        SELECT unnest(extconfig) AS oid, unnest(extcondition) AS condition FROM pg_extension
    ) registered ON registered.oid = c.oid
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'
        AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND (registered.oid IS NOT NULL OR NOT EXISTS (
            SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e'
        ))
    ORDER BY nspname, relname
"""
_COLUMNS = """
    SELECT attrelid AS relation, attname AS name, attnotnull AS required, attidentity <> '' AS is_identity,
           attgenerated <> '' AS is_generated, pg_get_expr(adbin, adrelid) AS "default"
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped AND attrelid = ANY(%s) ORDER BY attrelid, attnum
"""
_KEYS = """
    SELECT indrelid AS relation, relname AS name, indisprimary AS is_primary, array(
        SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
        WHERE place <= indnkeyatts ORDER BY place
    ) AS columns
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indisunique AND indpred IS NULL AND indrelid = ANY(%s) ORDER BY indrelid, relname
"""
_PARTITION_KEYS = """
    SELECT partrelid AS relation, attname AS name FROM pg_partitioned_table
    JOIN pg_attribute ON attrelid = partrelid AND attnum = ANY(partattrs) WHERE partrelid = ANY(%s)
"""
# What a foreign key of a partitioned table is for each partition has a parent. The operators compare the
# referenced column with the referring one; for a period they ask whether both overlap.
_FOREIGN_KEYS = """
    SELECT conname AS name, conrelid AS relation, confrelid AS target, confmatchtype = 'f' AS is_full, array(
        SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = conrelid AND attnum = part.number ORDER BY place
    ) AS columns, array(
        SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = confrelid AND attnum = part.number ORDER BY place
    ) AS target_columns, array(
        SELECT format('OPERATOR(%%I.%%s)', nspname, oprname)
        FROM unnest(conpfeqop) WITH ORDINALITY AS part (operator, place)
        JOIN pg_operator o ON o.oid = part.operator JOIN pg_namespace n ON n.oid = oprnamespace ORDER BY place
    ) AS operators, array(
        SELECT CASE WHEN t.attcollation IN (0, s.attcollation) THEN ''
                    ELSE format(' COLLATE %%I.%%I', nspname, collname) END
        FROM unnest(conkey, confkey) WITH ORDINALITY AS part (number, target, place)
        JOIN pg_attribute s ON s.attrelid = conrelid AND s.attnum = number
        JOIN pg_attribute t ON t.attrelid = confrelid AND t.attnum = target
        LEFT JOIN pg_collation l ON l.oid = t.attcollation LEFT JOIN pg_namespace n ON n.oid = collnamespace
        ORDER BY place
    ) AS collations
    FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conrelid = ANY(%s)
    ORDER BY conrelid, conname
"""


@dataclass(frozen=True)
class SubsetColumn:
    """A column. ``default`` is an expression in SQL; an identity has none."""

    name: str
    required: bool
    is_identity: bool
    is_generated: bool
    default: str | None


@dataclass(frozen=True)
class UniqueKey:
    """A primary key or a unique index; expressions are not among its ``columns``."""

    name: str
    is_primary: bool
    columns: tuple[str, ...]


@dataclass(frozen=True)
class SubsetRelation:
    """A table, or something else whose name people may take for that of a table.

    ``kind`` is that of pg_class. ``parents`` are those of a partition, or those from which it inherits. Of a
    table of an extension the rows that match ``condition``, a WHERE in SQL, are its configuration.
    """

    oid: int
    schema: str
    name: str
    kind: str
    is_partition: bool
    parents: tuple[int, ...]
    condition: str
    columns: tuple[SubsetColumn, ...]
    keys: tuple[UniqueKey, ...]
    partitioned_by: tuple[str, ...]

    @property
    def title(self) -> str:
        """Its name for people, with its schema if that is not "public", quoted where SQL would need it."""
        return quoted(self.name) if self.schema == "public" else f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def identifier(self) -> sql.Identifier:
        """Its name in a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def is_table(self) -> bool:
        """Whether it is a table or a partitioned one."""
        return self.kind in ("r", "p")

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of its primary key; none without one."""
        return next((key.columns for key in self.keys if key.is_primary), ())


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key from ``columns`` of the table ``relation`` to ``target_columns`` of ``target``."""

    name: str
    relation: int
    columns: tuple[str, ...]
    target: int
    target_columns: tuple[str, ...]
    operators: tuple[str, ...]
    collations: tuple[str, ...]
    is_full: bool


def quoted(name: str) -> str:
    """Return ``name`` with quotes, if it needs them in SQL."""
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def read_relations(cursor: Cursor) -> tuple[SubsetRelation, ...]:
    """Return all tables and views, sorted by schema and name, as the transaction of ``cursor`` sees them."""
    found = cursor.execute(_RELATIONS).fetchall()
    oids = [row["oid"] for row in found]
    columns: dict[int, list[SubsetColumn]] = {}
    for row in cursor.execute(_COLUMNS, (oids,)).fetchall():
        columns.setdefault(row.pop("relation"), []).append(SubsetColumn(**row))
    keys: dict[int, list[UniqueKey]] = {}
    for row in cursor.execute(_KEYS, (oids,)).fetchall():
        key = UniqueKey(row["name"], row["is_primary"], tuple(row["columns"]))
        keys.setdefault(row["relation"], []).append(key)
    partitioned: dict[int, list[str]] = {}
    for row in cursor.execute(_PARTITION_KEYS, (oids,)).fetchall():
        partitioned.setdefault(row["relation"], []).append(row["name"])
    return tuple(
        SubsetRelation(
            **row | {"parents": tuple(row["parents"])},
            columns=tuple(columns.get(row["oid"], ())),
            keys=tuple(keys.get(row["oid"], ())),
            partitioned_by=tuple(partitioned.get(row["oid"], ())),
        )
        for row in found
    )


def read_foreign_keys(cursor: Cursor, tables: Iterable[SubsetRelation]) -> tuple[ForeignKey, ...]:
    """Return the foreign keys of ``tables``."""
    found = cursor.execute(_FOREIGN_KEYS, ([table.oid for table in tables],)).fetchall()
    lists = ("columns", "target_columns", "operators", "collations")
    return tuple(ForeignKey(**row | {name: tuple(row[name]) for name in lists}) for row in found)
