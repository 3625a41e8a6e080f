"""What a server has no room for, or no encoding, ends a transfer with what to do; the target is as it was."""

from __future__ import annotations

import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monarch.errors import ServerError, UsageError
from tests.support.runs.postgres_pair import End, PostgresPair, create_again, make_pair
from tests.support.servers.postgres import PostgresServer, run_postgres

pytestmark = pytest.mark.server

WAYS = pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in place"])
# More than the log of a server has in one file.
MOST_BYTES = 17 << 20
PLAIN = (
    "CREATE TABLE big (pad text)",
    "ALTER TABLE big ALTER pad SET STORAGE PLAIN",
    "INSERT INTO big SELECT repeat('x', 7000) FROM generate_series(1, 2600)",
)


@contextmanager
def limited_files(server: PostgresServer) -> Iterator[None]:
    """Let no new session of ``server`` write a file of more than `MOST_BYTES` while the context lasts."""
    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (MOST_BYTES, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)


def assert_untouched(pair: PostgresPair) -> None:
    assert pair.target.rows("SELECT id FROM old_things ORDER BY id") == [(1,), (2,)]
    assert pair.leftovers() == []
    with pair.project().open("dev") as database:
        assert database.holder() is None


class TestRoom:
    @WAYS
    def test_that_the_disk_of_the_target_lacks(self, in_place: bool, pair: PostgresPair) -> None:
        pair.source.run(*PLAIN)
        with limited_files(pair.target.server), pytest.raises(ServerError) as error:
            pair.copy(in_place=in_place)
        # PostgreSQL 18 may fail by itself when a write fails while it reads ahead.
        if "batch already in progress" not in error.value.message:
            assert re.search("could not (extend file|write block)", error.value.message)
            assert "Make room" in str(error.value.hint)
        assert_untouched(pair)

    def test_for_the_locks_of_one_transaction(self, tmp_path: Path, postgres: PostgresServer) -> None:
        few = "max_connections=10", "max_locks_per_transaction=10", "autovacuum=off"
        with run_postgres(*few) as server, make_pair(tmp_path, postgres, server) as pair:
            pair.source.run("".join(f"CREATE TABLE t{number} (id int PRIMARY KEY);" for number in range(250)))
            with pytest.raises(ServerError, match="out of shared memory") as error:
                pair.copy(in_place=True)
            assert "increase max_locks_per_transaction" in str(error.value.hint)
            assert_untouched(pair)


class TestTextsWithoutEncoding:
    @pytest.fixture
    def source(self, pair: PostgresPair) -> End:
        """The source, in SQL_ASCII."""
        end = pair.source
        create_again(end, "SQL_ASCII")
        end.run("CREATE TABLE dogs (t text)", "INSERT INTO dogs VALUES ('bärenstark')")
        return end

    def test_that_are_valid_arrive(self, source: End, pair: PostgresPair) -> None:
        pair.copy()
        pair.copy(in_place=True)
        pair.restore(pair.back_up())
        assert pair.target.rows("TABLE dogs") == [("bärenstark",)]

    @pytest.mark.parametrize("way", ["beside", "in place", "restore"])
    def test_that_are_not_valid_are_refused(self, way: str, source: End, pair: PostgresPair) -> None:
        source.run("INSERT INTO dogs VALUES (convert_from('\\xe9534543524554', 'SQL_ASCII'))")
        archive = pair.back_up()
        transfers: dict[str, Callable[[], object]] = {
            "beside": pair.copy,
            "in place": lambda: pair.copy(in_place=True),
            "restore": lambda: pair.restore(archive),
        }
        with pytest.raises(ServerError, match="ows of dogs have texts that are not valid in UTF8") as error:
            transfers[way]()
        assert error.value.hint
        assert_untouched(pair)

    def test_are_in_no_message_of_a_query_set(self, source: End, pair: PostgresPair) -> None:
        source.run("INSERT INTO dogs VALUES (convert_from('\\xe9534543524554', 'SQL_ASCII'))")
        body = "def run(self):\n        self.dump_table('dogs', \"t <> 'x'\")\n"
        begin = "from monarch import QuerySet\nclass DogsQuerySet(QuerySet):\n    "
        pair.folder.write("querysets/dogs.py", begin + body)
        with pytest.raises(ServerError, match="invalid byte sequence") as error:
            pair.project().copy("production", "dev", query_set="DogsQuerySet")
        assert "0x" not in f"{error.value}{error.value.hint}"
        assert_untouched(pair)


def test_an_archive_whose_encoding_the_target_lacks_is_refused(pair: PostgresPair) -> None:
    pair.source.run("CREATE TABLE dogs ()")
    create_again(pair.target, "LATIN1")
    with pytest.raises(UsageError, match="LATIN1, which lacks characters of UTF8"):
        pair.restore(pair.back_up())


TIMEOUTS = ("statement", "idle_in_transaction_session", "transaction", "idle_session")


@WAYS
def test_timeouts_of_the_database_do_not_end_a_copy(in_place: bool, pair: PostgresPair) -> None:
    pair.source.run(
        "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.2); RETURN $1; END'",
        "CREATE TABLE dogs (id int)",
        "INSERT INTO dogs VALUES (1), (2), (3)",
        "CREATE INDEX ON dogs (slow(id))",
    )
    for end in (pair.source, pair.target):
        for name in TIMEOUTS:
            end.run(f"ALTER DATABASE {end.name} SET {name}_timeout = '500ms'")
    assert pair.copy(in_place=in_place) == []
    assert pair.target.value("SELECT count(*) FROM dogs") == 3
