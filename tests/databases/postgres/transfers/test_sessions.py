"""Sessions, locks and other runs that are open while a copy is made."""

from __future__ import annotations

import signal
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from monarch.errors import LockedError, MonarchError, RunInterrupted, ServerError, UsageError
from monarch.progress import Progress
from tests.support.runs.postgres_pair import Messages, PostgresPair
from tests.support.servers.mongod import PASSWORD
from tests.support.servers.postgres_proxy import PostgresProxy

pytestmark = pytest.mark.server

ROWS = "CREATE TABLE dogs AS SELECT n AS id, md5(n::text) AS name FROM generate_series(1, 1000) n"
WAYS = pytest.mark.parametrize("in_place", [False, True], ids=["beside", "in place"])


def wait_for_locks(pair: PostgresPair, seconds: float) -> None:
    """Let copies wait for locks for ``seconds`` at most."""
    ends = {"production": pair.source, "dev": pair.target}
    pair.folder.settings(
        **{name: {"uri": end.server.uri(end.name), "lock_timeout": seconds} for name, end in ends.items()}
    )


def assert_untouched(pair: PostgresPair) -> None:
    assert pair.target.rows("SELECT id FROM old_things ORDER BY id") == [(1,), (2,)]
    assert pair.leftovers() == []
    with pair.project().open("dev") as database:
        assert database.holder() is None


class TestOpenSessions:
    def test_end_at_the_swap(self, pair: PostgresPair) -> None:
        pair.source.run(ROWS)
        stop = threading.Event()

        def reconnect() -> None:
            while not stop.is_set():
                with suppress(psycopg.Error), pair.target.connect() as connection:
                    connection.execute("SELECT 1")

        loop = threading.Thread(target=reconnect)
        with pair.target.connect() as idle, pair.target.connect() as busy:
            busy.execute("BEGIN")
            busy.execute("SELECT * FROM old_things")
            loop.start()
            try:
                pair.copy()
            finally:
                stop.set()
                loop.join()
            for one in (idle, busy):
                with pytest.raises(psycopg.OperationalError):
                    one.execute("SELECT 1")
        assert pair.target.value("SELECT count(*) FROM dogs") == 1000
        assert pair.leftovers() == []

    def test_that_reads_the_target_makes_a_copy_in_place_give_up(self, pair: PostgresPair) -> None:
        wait_for_locks(pair, 1)
        pair.source.run(ROWS)
        with pair.target.connect() as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM old_things")
            with pytest.raises(ServerError, match="another session locks a table"):
                pair.copy(in_place=True)
            reader.execute("ROLLBACK")
        assert_untouched(pair)


class TestLocksAtTheSource:
    @pytest.mark.parametrize("statement", ["TRUNCATE dogs", "ALTER TABLE dogs ADD more int"])
    def test_that_are_held_end_the_copy(self, statement: str, pair: PostgresPair) -> None:
        wait_for_locks(pair, 1)
        pair.source.run(ROWS)
        with pair.source.connect() as job:
            job.execute("BEGIN")
            job.execute(statement.encode())
            with pytest.raises(ServerError, match="lock"):
                pair.copy()
            job.execute("COMMIT")
        assert_untouched(pair)
        pair.copy()

    def test_that_are_asked_for_in_the_middle_block_nobody_for_long(self, pair: PostgresPair) -> None:
        pair.source.run(ROWS)
        wait_for_locks(pair, 1)
        done, blocked = threading.Event(), threading.Event()

        def truncate() -> None:
            with pair.source.connect() as job:
                job.execute("SET lock_timeout = '60s'")
                try:
                    while not done.is_set():
                        job.execute("BEGIN; LOCK TABLE dogs IN ACCESS EXCLUSIVE MODE; ROLLBACK")
                except psycopg.Error:
                    blocked.set()

        thread = threading.Thread(target=truncate)
        thread.start()
        try:
            with suppress(ServerError):
                pair.copy()
        finally:
            done.set()
            thread.join()
        assert not blocked.is_set()


class TestSequences:
    def test_may_grow_while_they_are_copied(self, pair: PostgresPair) -> None:
        pair.source.run(ROWS, "CREATE SEQUENCE numbers", "SELECT nextval('numbers')")
        done = threading.Event()

        def grow() -> None:
            with pair.source.connect() as writer:
                while not done.is_set():
                    writer.execute("SELECT nextval('numbers')")

        thread = threading.Thread(target=grow)
        thread.start()
        try:
            pair.copy()
        finally:
            done.set()
            thread.join()
        assert pair.target.value("SELECT last_value FROM numbers") >= 1


class TestInterference:
    @WAYS
    def test_a_second_copy_is_refused(self, in_place: bool, pair: PostgresPair) -> None:
        pair.source.run(ROWS)
        with pair.project().open("dev") as database, database.lease("copy_db other:dev"):
            with pytest.raises(LockedError, match="is held by"):
                pair.copy(in_place=in_place)
            assert pair.folder.invoke("drop_db", "dev", "--yes").code != 0
        assert_untouched(pair)

    @WAYS
    def test_a_run_that_loses_its_lease_does_not_swap(self, in_place: bool, pair: PostgresPair) -> None:
        pair.source.run(ROWS)

        class Unlocking(Progress):
            def phase(self, name: str) -> None:
                if name != "comparing":
                    return
                with pair.project().open("dev") as database:
                    holder = database.holder()
                    assert holder is not None
                    assert database.unlock(holder)

        with pytest.raises(MonarchError, match="lost the lease"):
            pair.project().copy("production", "dev", in_place=in_place, progress=Unlocking())
        assert pair.target.rows("SELECT id FROM old_things ORDER BY id") == [(1,), (2,)]
        # Another run may have begun, so what this one has left is dropped by the next.
        pair.copy(in_place=in_place)
        assert pair.leftovers() == []

    @WAYS
    @pytest.mark.parametrize("name", ["127.0.0.1", "socket", "proxy"])
    def test_a_database_is_not_copied_into_itself(
        self, name: str, in_place: bool, pair: PostgresPair
    ) -> None:
        pair.source.run(ROWS)
        server = pair.source.server
        place = f"localhost:{server.port}"
        with PostgresProxy(server.port) as proxy:
            uri = server.uri(pair.source.name)
            other = {
                "127.0.0.1": uri.replace("localhost", "127.0.0.1"),
                "socket": f"{uri.replace(place, '')}?host={server.folder}&port={server.port}",
                "proxy": f"{uri.replace(place, f'127.0.0.1:{proxy.port}')}?sslmode=disable",
            }[name]
            pair.folder.settings(production={"uri": uri}, dev={"uri": other})
            with pytest.raises(UsageError, match="are the same database"):
                pair.copy(in_place=in_place)
        assert pair.source.value("SELECT count(*) FROM dogs") == 1000


class TestSecrets:
    @WAYS
    def test_are_in_no_arguments(self, in_place: bool, pair: PostgresPair) -> None:
        pair.source.run(ROWS, "INSERT INTO dogs SELECT n, repeat('x', 10000) FROM generate_series(1, 1000) n")
        seen: set[str] = set()
        done = threading.Event()

        def look() -> None:
            while not done.is_set():
                for one in Path("/proc").glob("[0-9]*/cmdline"):
                    with suppress(OSError):
                        words = one.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        if any(tool in words for tool in ("pg_dump", "pg_restore", "psql")):
                            seen.add(words)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            pair.copy(in_place=in_place)
            pair.back_up()
        finally:
            done.set()
            thread.join()
        assert any("pg_dump" in one for one in seen)
        assert any(("psql" if in_place else "pg_restore") in one for one in seen)
        assert not [one for one in seen if PASSWORD in one or PASSWORD[:8] in one]


class TestSilentServer:
    """A server that accepts connections, and answers nothing."""

    @WAYS
    def test_does_not_keep_an_interrupted_copy(self, in_place: bool, pair: PostgresPair) -> None:
        pair.source.run(ROWS)
        server = pair.target.server
        with PostgresProxy(server.port) as proxy:

            class Silencing(Messages):
                def phase(self, name: str) -> None:
                    if name == ("comparing" if in_place else "swapping"):
                        proxy.fall_silent()
                        raise KeyboardInterrupt

            place, other = f"localhost:{server.port}", f"127.0.0.1:{proxy.port}"
            uri = server.uri(pair.target.name).replace(place, other)
            pair.folder.settings(
                production={"uri": pair.source.server.uri(pair.source.name)},
                dev={"uri": f"{uri}?sslmode=disable"},
            )
            messages = Silencing()
            with pytest.raises(
                RunInterrupted, match="as it was" if in_place else "has all of its old contents or"
            ):
                pair.project().copy("production", "dev", in_place=in_place, progress=messages)
        assert in_place or any("may be left for the next copy to drop" in text for text in messages.texts)
        assert pair.target.rows("SELECT id FROM old_things ORDER BY id") == [(1,), (2,)]


class TestInterruption:
    @pytest.fixture(params=[signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
    def number(self, request: pytest.FixtureRequest) -> signal.Signals:
        found: signal.Signals = request.param
        return found

    @pytest.mark.command
    @WAYS
    @pytest.mark.parametrize("phase", range(3))
    def test_leaves_nothing_and_says_so(
        self, phase: int, in_place: bool, number: signal.Signals, pair: PostgresPair
    ) -> None:
        pair.source.run(ROWS)
        more = ["--in-place"] if in_place else []
        process = pair.folder.start("copy_db", "production:dev", "--yes", *more)
        sought = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'monarch {}'"
        names = ("snapshot", "pg_dump", "psql" if in_place else "pg_restore")
        while process.poll() is None and not pair.target.value(sought.format(names[phase])):
            pass
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        if process.returncode == 0 or "swapped" in err or "complete" in err:
            assert pair.target.value("SELECT count(*) FROM dogs") == 1000, out + err
        else:
            assert process.returncode == 130, err
            assert "'dev' is as it was" in err
            assert_untouched(pair)
