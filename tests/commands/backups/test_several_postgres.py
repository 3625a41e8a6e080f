"""Several databases of a PostgreSQL server, whose names may be odd."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from tests.commands.backups.test_backups import today
from tests.commands.backups.test_several import assert_ends_with_error
from tests.support.runs.shell import Folder
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server


@pytest.fixture
def prefix(postgres: PostgresServer) -> Iterator[str]:
    """What the names of this test's databases begin with; they are dropped at its end."""
    made = f"p{uuid.uuid4().hex[:8]}"
    yield made
    with postgres.connect() as connection:
        rows = connection.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (made,))
        for (name,) in rows.fetchall():
            postgres.drop(name)


def make(server: PostgresServer, *names: str) -> None:
    """Create databases with a table of ten rows each."""
    for name in names:
        server.create(name)
        with psycopg.connect(server.uri(), dbname=name, autocommit=True) as connection:
            connection.execute("CREATE TABLE x AS SELECT generate_series(1, 10) AS a")


def count(server: PostgresServer, name: str) -> int:
    with psycopg.connect(server.uri(), dbname=name) as connection:
        (found,) = connection.execute("SELECT count(*) FROM x").fetchone() or (0,)
        return int(found)


def rows_of(folder: Folder, *arguments: str) -> dict[str, str | None]:
    """Return the name of the backup of each database, or None."""
    result = folder.invoke(*arguments, "--json")
    return {row["database"]: row["backup"] and row["backup"]["name"] for row in result.json}


def test_odd_names_and_those_that_differ_by_case(
    postgres: PostgresServer, folder: Folder, prefix: str
) -> None:
    odd = f"{prefix}/x y:*?% "
    make(postgres, f"{prefix}_a", f"{prefix}_A", odd)
    postgres.create(f"{prefix}_a_monarch_0123456789ab_old")
    entry = {"uri": postgres.uri()}  # its database, postgres, is not used
    folder.settings(
        all={**entry, "db_name": f"{prefix}*"}, one={**entry, "db_name": [f"{prefix}/x y:[*][?]% "]}
    )
    store = folder.keep_backups()
    names = {
        odd: today(f"all__{prefix}%2Fx y:%2A%3F%25%20"),
        f"{prefix}_A": today(f"all__{prefix}_A"),
        f"{prefix}_a": today(f"all__{prefix}_a"),
    }
    assert rows_of(folder, "backup", "all") == names
    assert len(list(store.glob("*.dmp.zst"))) == 3
    assert list(rows_of(folder, "backup", "one")) == [odd]
    with psycopg.connect(postgres.uri(), dbname=odd, autocommit=True) as connection:
        connection.execute("DELETE FROM x")
    restored = folder.invoke("restore", f"{names[odd]}:all", "--yes")
    assert restored.code == 0, restored.output
    assert (count(postgres, odd), count(postgres, f"{prefix}_a")) == (10, 10)
    assert folder.invoke("check_backups", "all").code == 0
    assert folder.invoke("list_backups", f"all/{odd}", "--json").json[0]["database"] == odd


def test_a_database_that_refuses_or_is_empty_fails_alone(
    postgres: PostgresServer, folder: Folder, prefix: str
) -> None:
    make(postgres, f"{prefix}_a", f"{prefix}_b", f"{prefix}_c")
    postgres.create(f"{prefix}_empty")
    with postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {prefix}_b ALLOW_CONNECTIONS false".encode())
    folder.settings(all={"uri": postgres.uri(), "db_name": [f"{prefix}_*", f"{prefix}_gone"]})
    folder.keep_backups()
    done = folder.invoke("backup", "all")
    failed = f"3 of 5 databases of all failed: {prefix}_gone, {prefix}_b, {prefix}_empty."
    assert_ends_with_error(done, 1, failed, f"monarch backup all/{prefix}_gone")
    assert f"FAILED all/{prefix}_gone (1 of 5): " in done.err
    assert f"has no database '{prefix}_gone'" in done.err
    assert "is not currently accepting connections" in done.err
    assert f"'all/{prefix}_empty' holds no tables" in done.err
    assert "Backed up 2 of 5 databases of all" in done.out


def test_backups_of_a_database_that_was_dropped_are_pruned_like_others(
    postgres: PostgresServer, folder: Folder, prefix: str
) -> None:
    make(postgres, f"{prefix}_a", f"{prefix}_b")
    folder.settings(all={"uri": postgres.uri(), "db_name": f"{prefix}_*"})
    folder.keep_backups()
    for _ in range(2):
        assert folder.invoke("backup", "all").code == 0
    postgres.drop(f"{prefix}_b")
    pruned = folder.invoke("prune_backups", "all", "--keep-last", "1", "--yes", "--json")
    assert pruned.code == 0, pruned.output
    assert {row["name"]: row["deleted"] for row in pruned.json} == {
        today(f"all__{prefix}_{one}") + end: not end for one in "ab" for end in ("", "_2")
    }
    # One that is there and cannot be asked keeps its own.
    make(postgres, f"{prefix}_b")
    for _ in range(2):
        assert folder.invoke("backup", "all").code == 0
    with postgres.connect() as connection:
        connection.execute(f"ALTER DATABASE {prefix}_b ALLOW_CONNECTIONS false".encode())
    pruned = folder.invoke("prune_backups", "all", "--keep-last", "1", "--yes", "--json")
    assert pruned.code == 5
    assert [row["database"] for row in pruned.json if row["deleted"]] == [f"{prefix}_a"] * 2


def test_embedded_environments_have_several_databases_too(folder: Folder) -> None:
    entry = {"kind": "postgres", "embedded": True}
    folder.settings(dev={**entry, "db_name": ["one", "two"]}, same={**entry, "db_name": "*"})
    folder.keep_backups()
    assert rows_of(folder, "backup", "dev", "--allow-empty") == {
        "one": today("dev__one"),
        "two": today("dev__two"),
    }
    assert_ends_with_error(folder.invoke("backup", "same"), 1, "has no database that matches * of 'same'")
