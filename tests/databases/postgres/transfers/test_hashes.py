"""``copy_db --compare-contents`` compares a hash of each table too."""

from __future__ import annotations

from itertools import chain

import pytest

from monarch.databases.postgres.catalog.fingerprint import hash_contents
from monarch.databases.postgres.catalog.tables import Table, list_relations
from monarch.databases.postgres.connection.client import connect, rows_as_dicts
from monarch.databases.postgres.sources.snapshot import ExportedSnapshot
from monarch.databases.postgres.swap.compare import compare
from monarch.errors import ServerError, UsageError
from tests.support.runs.postgres_pair import PostgresPair, create_again
from tests.support.samples.postgres_contents import CONTENTS

pytestmark = pytest.mark.server


def test_a_copy_of_everything_has_the_same_hashes(pair: PostgresPair) -> None:
    pair.source.run(*chain.from_iterable(CONTENTS.values()))
    # What rows look like as texts depends on settings, and they may differ.
    pair.target.run(
        f'ALTER DATABASE "{pair.target.name}" SET datestyle = german',
        f'ALTER DATABASE "{pair.target.name}" SET timezone = "Asia/Tokyo"',
        f'ALTER DATABASE "{pair.target.name}" SET bytea_output = escape',
        f'ALTER DATABASE "{pair.target.name}" SET extra_float_digits = 0',
    )
    pair.project().copy("production", "dev", compare_contents=True)


def test_a_row_that_differs_is_found(pair: PostgresPair) -> None:
    pair.source.run("CREATE TABLE dogs (id int PRIMARY KEY, name text)", "INSERT INTO dogs VALUES (1, 'Rex')")
    pair.copy()
    with ExportedSnapshot(pair.project().environment("production")) as snapshot:
        tables = [one.table for one in list_relations(snapshot.cursor())]
        expected = snapshot.expected(tables, hashes=True)
    with connect(pair.project().environment("dev"), autocommit=True) as connection:
        compare(connection, expected, "dev")
        pair.target.run("UPDATE dogs SET name = 'Max'")
        with pytest.raises(ServerError, match="the rows of dogs are others"):
            compare(connection, expected, "dev")


def test_a_column_may_have_the_name_of_the_row_in_the_query(pair: PostgresPair) -> None:
    pair.source.run('CREATE TABLE dogs (id int, "row" text)', "INSERT INTO dogs VALUES (1, 'Rex')")
    with pair.source.connect() as connection:
        cursor = rows_as_dicts(connection)
        table = Table("public", "dogs")
        with connection.transaction():
            before = hash_contents(cursor, [table])
            connection.execute("UPDATE public.dogs SET id = 2")
            assert hash_contents(cursor, [table]) != before


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_contents_in_another_encoding(encoding: str, pair: PostgresPair) -> None:
    create_again(pair.source, encoding)
    pair.source.run("CREATE TABLE dogs (name text)", "INSERT INTO dogs VALUES ('bärenstark')")
    if encoding == "LATIN1":
        with pytest.raises(UsageError, match="has the encoding LATIN1, and 'dev' has UTF8"):
            pair.project().copy("production", "dev", compare_contents=True)
    else:
        pair.project().copy("production", "dev", compare_contents=True)
