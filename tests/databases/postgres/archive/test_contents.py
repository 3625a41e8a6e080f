"""The head and the table of contents of real archives, and of damaged ones."""

from __future__ import annotations

import io
import random
import re
import subprocess
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
from psycopg import sql

from monarch.databases.postgres.archive.blocks import rows_as_block
from monarch.databases.postgres.archive.contents import ArchiveContents, read_contents
from monarch.databases.postgres.archive.names import parse_copy_columns, parse_name
from monarch.errors import DamagedError, UsageError
from tests.support.servers.postgres import PostgresServer

TABLES = """
    CREATE SCHEMA "Odd ""schema";
    CREATE TABLE "Odd ""schema"."50% (a, b)" (
        "x, (y" integer, "grün" text, "%s" integer, twice integer GENERATED ALWAYS AS ("%s" * 2) STORED
    );
    INSERT INTO "Odd ""schema"."50% (a, b)" VALUES (1, E'a\\nb\\\\.\\t', 3), (NULL, NULL, NULL);
    CREATE TABLE without_columns ();
    INSERT INTO without_columns DEFAULT VALUES;
    CREATE TABLE parents (id integer PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE part PARTITION OF parents FOR VALUES FROM (0) TO (10);
    INSERT INTO parents VALUES (1), (2);
    CREATE TABLE empty (id serial PRIMARY KEY);
    CREATE MATERIALIZED VIEW seen AS SELECT * FROM parents;
"""


@pytest.fixture(params=["UTF8", "LATIN1"])
def odd(request: pytest.FixtureRequest, version: PostgresServer) -> Iterator[tuple[PostgresServer, str]]:
    name = f"t_{uuid.uuid4().hex}"
    with version.connect() as connection:
        create = "CREATE DATABASE {} TEMPLATE template0 ENCODING {} LC_COLLATE 'C' LC_CTYPE 'C'"
        connection.execute(sql.SQL(create).format(sql.Identifier(name), sql.Literal(request.param)))
    with version.connect(name) as connection:
        connection.execute(TABLES)
    yield version, name
    version.drop(name)


def dump(server: PostgresServer, database: str, *options: str) -> bytes:
    command: list[str | Path] = [server.programs / "pg_dump", "-Fc", *options, "-d", server.uri(database)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def script_of(server: PostgresServer, archive: bytes) -> bytes:
    """Return the script into which pg_restore makes ``archive``."""
    command: list[str | Path] = [server.programs / "pg_restore", "-f", "-"]
    made = subprocess.run(command, input=archive, check=True, capture_output=True).stdout
    return re.sub(rb"\\(un)?restrict .*\n", b"", made)  # a random word


def test_an_archive_with_rows_of_our_own_is_one_of_pg_dump(odd: tuple[PostgresServer, str]) -> None:
    server, database = odd
    archive = dump(server, database, "-Z0")
    contents = read_contents(io.BytesIO(archive))
    assert contents.raw == archive[: len(contents.raw)]
    assert contents.attaches_indexes
    assert not read_contents(io.BytesIO(dump(server, database, "-Z0", "-t", "empty"))).attaches_indexes
    assert [(one.schema, one.table, one.columns) for one in contents.tables] == [
        ('Odd "schema', "50% (a, b)", ("x, (y", "grün", "%s")),
        ("public", "empty", ("id",)),
        ("public", "part", ("id",)),
        ("public", "without_columns", ()),
    ]
    assert not contents.has_other_data
    sink = io.BytesIO()
    sink.write(contents.raw)
    with server.connect(database) as connection:
        connection.execute(f"SET client_encoding = {contents.encoding}")
        for one in contents.tables:
            found = connection.execute(
                "SELECT %s::oid = %s::regclass::oid", (one.oid, quoted(one))
            ).fetchone()
            assert found == (True,)
            names = sql.SQL(", ").join(map(sql.Identifier, one.columns))
            with connection.cursor().copy(
                sql.SQL("COPY {} {} TO STDOUT").format(
                    sql.Identifier(one.schema, one.table),
                    sql.SQL("({})").format(names) if one.columns else names,
                )
            ) as copy:
                for data in rows_as_block(contents.integer_size, one.dump_id, map(bytes, copy)):
                    sink.write(data)
    assert script_of(server, sink.getvalue()) == script_of(server, archive)


def quoted(one: Any) -> str:
    return sql.Identifier(one.schema, one.table).as_string()


def test_long_rows_are_written_in_chunks() -> None:
    rows = [b"x" * 300_000 + b"\n", *[b"y\n"] * 5]
    written, end = b"".join(rows_as_block(4, 7, rows)), b"\\.\n\n\n"
    assert written == (
        b"\x01" + number(7) + number(300_001) + rows[0] + number(10 + len(end)) + b"y\n" * 5 + end + number(0)
    )


def number(value: int) -> bytes:
    return b"\0" + value.to_bytes(4, "little")


def text(value: str | None) -> bytes:
    return b"\1\1\0\0\0" if value is None else number(len(value.encode())) + value.encode()


def head(*, version: tuple[int, int] = (1, 14), compression: int = 0, form: int = 1) -> bytes:
    begin = b"PGDMP" + bytes([*version, 0, 4, 8, form])
    begin += bytes([compression]) if version >= (1, 15) else number(compression)
    return begin + number(0) * 7 + text("db") + text("15") + text("15")


def entry(
    description: str = "TABLE DATA", copy: str | None = "COPY a (b) FROM stdin;\n", oid: str = "5"
) -> bytes:
    before = number(3) + number(1) + text("0") + text(oid) + text("a") + text(description) + number(3)
    after = text("") + text("") + text(copy) + text("public") + text("") + text("heap")
    return before + after + text("me") + text("false") + text(None) + b"\1" + bytes(8)


def read(data: bytes) -> ArchiveContents:
    return read_contents(io.BytesIO(data))


def test_a_small_archive() -> None:
    data = head() + number(2) + entry() + entry("BLOBS", None)
    contents = read(data + b"more")
    assert (contents.raw, contents.version, contents.has_other_data) == (data, (1, 14), True)
    assert [(one.dump_id, one.oid, one.columns) for one in contents.tables] == [(3, 5, ("b",))]


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (b"", DamagedError, "ends within"),
        (b"PK\3\4 and so on", DamagedError, "no archive of pg_dump"),
        (head(form=3), DamagedError, "no archive of pg_dump in the custom format"),
        (
            head(version=(1, 17)),
            UsageError,
            "has version 1.17 of pg_dump's format, and monarch reads 1.12 to",
        ),
        (head(version=(1, 11)), UsageError, "has version 1.11"),
        (head(compression=1, version=(1, 15)), UsageError, "is compressed"),
        (head() + b"\1\5\0\0\0", DamagedError, "negative"),
        (head() + b"\7\5\0\0\0", DamagedError, "no sign"),
        (head() + number(1) + entry(copy=None), DamagedError, "entry 3 has no COPY statement"),
        (head() + number(1) + entry(copy="INSERT"), DamagedError, "entry 3 has no COPY statement"),
        (head() + number(1) + entry(oid="x"), DamagedError, "entry 3 has no COPY statement"),
        (head() + number(1 << 30) + entry(), DamagedError, "ends within"),
    ],
)
def test_what_cannot_be_read(data: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message) as raised:
        read(data)
    assert "\n" not in str(raised.value)


def test_every_truncation_is_an_error() -> None:
    data = head() + number(1) + entry()
    for cut in range(len(data)):
        with pytest.raises(DamagedError):
            read(data[:cut])


def test_every_flipped_bit_is_an_error_or_harmless() -> None:
    data = head() + number(2) + entry("ENCODING") + entry()
    for at in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        with suppress(DamagedError, UsageError):
            read(bytes(flipped))


def test_garbage_uses_little_memory() -> None:
    class Endless:
        def read(self, size: int) -> bytes:
            return b"\0" + random.randbytes(size - 1) if size > 1 else b"\0"

    begin = io.BytesIO(head() + number(1) + number(1) + number(1) + number(0x7FFFFFFF))
    tracemalloc.start()
    with pytest.raises(DamagedError, match="has more than 512 MB"):
        read_contents(cast("Any", begin))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()
    with pytest.raises(DamagedError):
        read_contents(Endless())


@pytest.mark.parametrize(
    ("encoding", "column"),
    [
        *((name, "Ã¼") for name in ("LATIN1", "WIN1252")),
        *((name, "ü") for name in ("UTF8", "SQL_ASCII", "LATIN99", "ROT13")),
    ],
)
def test_names_are_in_the_encoding_of_the_archive(encoding: str, column: str) -> None:
    begin = number(1) + number(0) + text("0") + text("0") + text("ENCODING") + text("ENCODING") + number(2)
    after = text("") + text("") + text("") + text("") + text("") + text("") + text("false") + text(None)
    told = begin + text(f"SET client_encoding = '{encoding}';\n") + after + b"\3" + bytes(8)
    contents = read(head() + number(2) + told + entry(copy="COPY a (ü) FROM stdin;\n"))
    assert (contents.encoding, contents.tables[0].columns) == (encoding, (column,))


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("orders", ("orders",)),
        ("Orders", ("orders",)),
        ('"Orders"', ("Orders",)),
        ('billing."My ""table"""', ("billing", 'My "table"')),
        (" a . b ", ("a", "b")),
        ("GRÜN.b", ("grÜn", "b")),
        *((name, None) for name in ("", ".", "a.", ".a", "a b", '"a', '""', "a;", "1a")),
    ],
)
def test_names(name: str, parts: tuple[str, ...] | None) -> None:
    assert (parse_name(name) or None) == parts


@pytest.mark.parametrize(
    ("statement", "columns"),
    [
        ("COPY public.a (b, c) FROM stdin;\n", ("b", "c")),
        ('COPY "x (y"."z" ("a, b", """)") FROM stdin;\n', ("a, b", '")')),
        ("COPY public.a  FROM stdin;\n", ()),
        *(
            (text, None)
            for text in ("", "COPY", "COPY a", "COPY a (", "COPY a () FROM stdin", "COPY a (b) TO")
        ),
    ],
)
def test_the_columns_of_a_copy(statement: str, columns: tuple[str, ...] | None) -> None:
    assert parse_copy_columns(statement) == columns
