"""Ways in which pg_dump and pg_restore lose data, or mislead, and what monarch does instead."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import pytest

from monarch.errors import MonarchError, ServerError, UsageError
from tests.support.runs.postgres_pair import End, PostgresPair
from tests.support.servers.mongod import PASSWORD

pytestmark = pytest.mark.server

ROWS = (
    "CREATE TABLE dogs (id int PRIMARY KEY, name text)",
    "INSERT INTO dogs VALUES (1, 'a'), (2, 'b'), (3, 'c')",
)
WAYS = pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in place"])


def assert_untouched(pair: PostgresPair) -> None:
    assert pair.target.rows("SELECT id FROM old_things ORDER BY id") == [(1,), (2,)]
    assert pair.leftovers() == []
    with pair.project().open("dev") as database:
        assert database.holder() is None


@contextmanager
def role(end: End, name: str, options: str = "") -> Iterator[str]:
    """Create a role that may log in while the context lasts; yield the uri by which it does."""
    with end.server.connect() as connection:
        connection.execute(
            f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD.replace(chr(39), chr(39) * 2)}' {options}".encode()
        )
    try:
        yield f"postgresql://{name}:{quote(PASSWORD, safe='')}@localhost:{end.server.port}/{end.name}"
    finally:
        with end.server.connect() as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{end.name}" WITH (FORCE)'.encode())
            connection.execute(f"DROP ROLE {name}".encode())


class TestDamagedBackup:
    @pytest.mark.parametrize("how", ["cut", "flipped"])
    def test_is_found_and_not_restored(self, how: str, pair: PostgresPair) -> None:
        pair.source.run(*ROWS, "INSERT INTO dogs SELECT n, md5(n::text) FROM generate_series(4, 5000) n")
        archive = pair.back_up()
        data = bytearray(archive.read_bytes())
        middle = len(data) * 2 // 3
        data[middle] ^= 1
        archive.write_bytes(data[:middle] if how == "cut" else data)
        assert pair.folder.invoke("verify_backup", archive.name).code == 1
        for in_place in (False, True):
            with pytest.raises(MonarchError, match=r"broken|not as it was|damaged|cut off"):
                pair.restore(archive, in_place=in_place)
            assert_untouched(pair)

    def test_a_flipped_value_that_is_compressed_again_is_found(self, pair: PostgresPair) -> None:
        # An archive without compression has no checksum: pg_restore writes what it finds.
        pair.source.run(*ROWS, "INSERT INTO dogs VALUES (4, 'Waldi')")
        archive = pair.back_up()
        raw = subprocess.run(["zstd", "-dc", archive], check=True, capture_output=True).stdout
        assert raw.count(b"Waldi") == 1
        changed = raw.replace(b"Waldi", b"Waldo")
        other = subprocess.run(["zstd", "-c"], input=changed, check=True, capture_output=True)
        archive.write_bytes(other.stdout)
        with pytest.raises(MonarchError):
            pair.restore(archive)
        assert_untouched(pair)


class TestFailingRestore:
    @WAYS
    def test_changes_nothing_and_shows_no_row(self, in_place: bool, pair: PostgresPair) -> None:
        # It worked when the rows were written, and fails with the empty search_path of a restore.
        pair.source.run(
            *ROWS,
            "CREATE FUNCTION known(text) RETURNS boolean LANGUAGE sql AS "
            "'SELECT EXISTS (SELECT FROM dogs WHERE name = $1)'",
            "CREATE TABLE cats (name text CHECK (known(name)))",
            "ALTER TABLE dogs ADD CHECK (name <> 'secret-value')",
            "INSERT INTO cats VALUES ('a')",
        )
        with pytest.raises(ServerError, match="cannot write into 'dev'") as error:
            pair.copy(in_place=in_place)
        assert "secret-value" not in str(error.value)
        assert_untouched(pair)

    @WAYS
    @pytest.mark.parametrize("broken", ["unique", "check", "reference"])
    def test_shows_no_value_of_a_row(self, broken: str, in_place: bool, pair: PostgresPair) -> None:
        pair.source.run("CREATE TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'SECRET')")
        pair.source.run(
            {
                # A source whose catalog claims what is not so.
                "unique": "CREATE UNIQUE INDEX u ON t (v); UPDATE pg_index SET indisready = false, "
                "indislive = false WHERE indexrelid = 'u'::regclass; INSERT INTO t VALUES (2, 'SECRET'); "
                "UPDATE pg_index SET indisready = true, indislive = true WHERE indexrelid = 'u'::regclass",
                "check": "ALTER TABLE t ADD CONSTRAINT c CHECK (v <> 'SECRET') NOT VALID; "
                "UPDATE pg_constraint SET convalidated = true WHERE conname = 'c'",
                "reference": "CREATE TABLE p (v text PRIMARY KEY); ALTER TABLE t ADD CONSTRAINT r "
                "FOREIGN KEY (v) REFERENCES p NOT VALID; "
                "UPDATE pg_constraint SET convalidated = true WHERE conname = 'r'",
            }[broken]
        )
        with pytest.raises(ServerError, match="cannot write into 'dev'") as error:
            pair.copy(in_place=in_place)
        assert "SECRET" not in f"{error.value}{error.value.hint}"
        assert_untouched(pair)


class TestMissing:
    @pytest.mark.parametrize("versions", ["15 to 18"], indirect=True)
    def test_an_extension_is_missed_before_anything_begins(self, versions: PostgresPair) -> None:
        versions.source.run("CREATE EXTENSION pgcrypto", *ROWS)
        with pytest.raises(UsageError, match="lacks the extension pgcrypto"):
            versions.copy()
        with pytest.raises(UsageError, match="lacks the extension pgcrypto"):
            versions.copy(in_place=True)
        assert versions.target.rows("SELECT count(*) FROM old_things") == [(2,)]
        assert versions.leftovers() == []

    @pytest.mark.parametrize("versions", ["18 to 16"], indirect=True)
    def test_an_older_server_is_refused(self, versions: PostgresPair) -> None:
        versions.source.run(*ROWS)
        with pytest.raises(UsageError, match="needs PostgreSQL 18, and 'dev' has 16"):
            versions.copy()

    @pytest.mark.parametrize("versions", ["16 to 16"], indirect=True)
    def test_tools_that_set_what_the_server_does_not_know_are_told_apart(
        self, versions: PostgresPair
    ) -> None:
        versions.source.run(*ROWS)
        assert versions.copy() == []
        assert versions.target.rows("SELECT count(*) FROM dogs") == [(3,)]

    @pytest.mark.parametrize("versions", ["15 to 18"], indirect=True)
    def test_roles_are_told(self, versions: PostgresPair) -> None:
        with versions.source.connect() as connection:
            connection.execute("CREATE ROLE only_there")
        try:
            versions.source.run(
                *ROWS, "ALTER TABLE dogs OWNER TO only_there", "GRANT SELECT ON dogs TO only_there"
            )
            heard = versions.copy()
            assert any("only_there" in text and "will belong to" in text for text in heard)
            assert any("only_there" in text and "none are carried over" in text for text in heard)
            assert versions.target.rows("SELECT count(*) FROM dogs") == [(3,)]
        finally:
            versions.source.run("DROP OWNED BY only_there", "DROP ROLE only_there")


class TestRowSecurity:
    def test_rows_that_the_user_may_not_see_are_refused(self, pair: PostgresPair) -> None:
        pair.source.run(
            *ROWS, "ALTER TABLE dogs ENABLE ROW LEVEL SECURITY", "CREATE POLICY few ON dogs USING (id = 1)"
        )
        with role(pair.source, "sees_few") as uri:
            pair.source.run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO sees_few")
            pair.folder.settings(
                production={"uri": uri}, dev={"uri": pair.target.server.uri(pair.target.name)}
            )
            for in_place in (False, True):
                with pytest.raises(MonarchError, match=r"row-level security"):
                    pair.copy(in_place=in_place)
                assert_untouched(pair)
