"""The plans of ``restore`` and ``copy_db``: before the question, and alone with --plan."""

from __future__ import annotations

import json
import shlex
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.commands.backups.test_backups import today
from tests.commands.backups.test_buckets import keep_in
from tests.commands.backups.test_restores import store_folder as store_folder  # a fixture
from tests.commands.backups.test_several import Tenants
from tests.commands.backups.test_several import tenants as tenants
from tests.commands.console.test_questions import end
from tests.commands.test_private import declare
from tests.commands.test_private import private as private
from tests.support.runs.shell import MONARCH, Folder
from tests.support.runs.two_environments import DOCUMENTS, TwoEnvironments, assert_error, entry
from tests.support.samples.ages import make_key
from tests.support.samples.zips import ID, make_zip
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.server, pytest.mark.command]


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def plan(two: TwoEnvironments, *arguments: str) -> list[str]:
    """Return the lines of a plan, which has changed nothing."""
    before = two.folder.files()
    planned = two.folder.invoke(*arguments, "--plan")
    assert planned.code == 0, planned.output
    two.assert_unchanged()
    assert two.target.monarch_lease.find_one() is None
    assert two.folder.files() == before
    return lines(planned.out)


def test_a_restore_shows_what_comes_and_what_goes(two: TwoEnvironments, store_folder: Path) -> None:
    first, second, third, *rest = plan(two, "restore", f"{today('app')}:dev")
    assert first.startswith(f"{two.target.name} on dev ({two.server.host}) holds 2 collections, 2 documents,")
    assert second == f"There is no good backup of {two.target.name} on dev."
    assert third.startswith(f"{today('app')} of production, taken ")
    assert ", to dev, by " in third
    assert [line.split()[0] for line in rest[:4]] == [
        "COLLECTION",
        "mongo_migration_history",
        "users",
        "young",
    ]
    assert rest[2].endswith("  1 document")
    assert rest[4:6] == [
        "On dev, 1 collection of the same name would be replaced.",
        "These would be dropped:",
    ]
    assert [line.split()[0] for line in rest[6:-1]] == ["COLLECTION", "old"]
    assert rest[-1] == "Nothing was changed."
    assert two.folder.invoke("backup", "dev", "--name", "app").code == 0
    _, second, *_ = plan(two, "restore", f"{today('app')}:dev")
    assert second.startswith(f"Its newest good backup is {today('app')}_2, ")


def test_a_restore_of_a_part_shows_what_stays(two: TwoEnvironments, store_folder: Path) -> None:
    part = ("--only", "users", "--into-existing", "--rename", "users=people")
    shown = plan(two, "restore", f"{today('app')}:dev", *part)
    assert shown[-4:-1] == [
        line for line in shown[-4:-1] if line.split()[0] in ("COLLECTION", "old", "users")
    ]
    assert shown[-6:-4] == [
        "No collection of dev would be replaced.",
        "These would stay as they are:",
    ]
    assert "Renamed: users to people." in shown
    planned = two.folder.invoke("restore", f"{today('app')}:dev", *part, "-n", "--json").json
    assert (planned["backup"], planned["to"], planned["passage"]) == (today("app"), "dev", "open")
    assert names(planned["copied"]) == ["people"]
    assert planned["copied"][0]["documents"] == DOCUMENTS
    assert (planned["replaced"], planned["dropped"], names(planned["kept"])) == ([], [], ["old", "users"])
    assert planned["renamed"] == {"users": "people"}
    assert planned["target"]["newest_backup"]["state"] == "none"


@pytest.mark.parametrize("command", ["restore", "copy_db"])
def test_it_is_shown_before_the_question(two: TwoEnvironments, store_folder: Path, command: str) -> None:
    source = today("app") if command == "restore" else "production"
    terminal = two.folder.terminal(command, f"{source}:dev", columns=200)
    terminal.expect("are you SURE")
    shown = lines(terminal.before or "")
    assert any(line.startswith(f"{two.target.name} on dev (") and "2 documents" in line for line in shown)
    assert any(f"There is no good backup of {two.target.name} on dev." in line for line in shown)
    assert "On dev, 1 collection of the same name would be replaced." in shown
    assert "Nothing was changed." not in shown
    terminal.sendline("n")
    code, output = end(terminal)
    assert (code, "Nothing was changed." in output) == (1, True)
    two.assert_unchanged()
    terminal = two.folder.terminal(command, f"{source}:dev", columns=200)
    terminal.expect("are you SURE")
    terminal.sendline("y")
    assert end(terminal)[0] == 0
    two.assert_copied()


@pytest.mark.parametrize("command", ["restore", "copy_db", "drop_db", "delete_backup"])
def test_what_is_asked_is_not_in_the_output(
    two: TwoEnvironments, store_folder: Path, command: str, tmp_path: Path
) -> None:
    """The plan goes where the question goes: a pipe gets the result alone."""
    arguments = {
        "restore": (f"{today('app')}:dev", "--json"),
        "copy_db": ("production:dev", "--json"),
        "drop_db": ("dev",),
        "delete_backup": (today("app"),),
    }[command]
    out = tmp_path / "out"
    line = f"{shlex.join(MONARCH)} {command} {shlex.join(arguments)} > {out}"
    terminal = pexpect.spawn("sh", ["-c", line], cwd=str(two.folder.path), encoding="utf-8", timeout=60)
    terminal.expect("good (backup|one)|GOOD ONE")
    terminal.expect("are you SURE")
    terminal.sendline("y")
    assert end(terminal)[0] == 0
    if "--json" in arguments:
        assert json.loads(out.read_text())["to"] == "dev"
    else:
        assert len(out.read_text().splitlines()) == 1


def test_a_copy_shows_the_backup_of_its_target(two: TwoEnvironments, store_folder: Path) -> None:
    first, second, third, *_ = plan(two, "copy_db", "production:dev", "--engine", "native")
    assert " holds 2 collections, 2 documents, " in first
    assert second == f"There is no good backup of {two.target.name} on dev."
    assert third.startswith("From production to dev, by native (pymongo ")
    planned = two.folder.invoke("copy_db", "dev:production", "--plan", "--json").json
    assert planned["target"]["newest_backup"]["name"] == today("app")
    assert planned["target"]["collections"] == 2


def test_who_may_only_read_may_plan(two: TwoEnvironments, store_folder: Path) -> None:
    reader = {"username": "reader", "password": "reader", "authSource": two.target.name}
    two.target.command("createUser", "reader", pwd="reader", roles=["read"])
    try:
        two.folder.settings(
            production=entry(two.server, two.source.name),
            dev={"host": two.server.host, "db_name": two.target.name, **reader},
        )
        two.folder.keep_backups()
        for command in (("restore", f"{today('app')}:dev"), ("copy_db", "production:dev")):
            planned = two.folder.invoke(*command, "--plan")
            assert planned.code == 0, planned.err
            assert "2 documents" in planned.out
            assert "readWrite" in planned.err
        dropped = two.folder.invoke("drop_db", "dev", "--plan")
        assert (dropped.code, dropped.err) == (0, "")
        assert two.folder.invoke("unlock", "dev", "--plan").out == "Nobody holds dev.\n"
    finally:
        two.target.command("dropUser", "reader")


def test_a_transfer_that_was_cut_off_is_named(two: TwoEnvironments, store_folder: Path) -> None:
    head = {"_id": "head", "state": "swapping", "purpose": "copy_db a:dev", "run": "a", "steps": 0}
    two.target.monarch_swap.insert_one(head)
    for command in (("restore", f"{today('app')}:dev"), ("copy_db", "production:dev")):
        planned = two.folder.invoke(*command, "--plan")
        assert planned.code == 0, planned.err
        assert "copy_db a:dev" in planned.err
        assert "copy_db a:dev" in two.folder.invoke(*command, "--plan", "--json").json["unfinished"]
    assert two.folder.invoke("drop_db", "dev", "--plan").code == 0
    assert two.target.monarch_swap.find_one() == head


def test_the_journal_of_the_target_stays(two: TwoEnvironments, store_folder: Path) -> None:
    two.target.mongo_migration_journal.insert_one({"key": "a", "action": "run", "outcome": "Completed"})
    for command in (("restore", f"{today('app')}:dev"), ("copy_db", "production:dev")):
        planned = two.folder.invoke(*command, "--plan", "--json").json
        assert planned["target"]["collections"] == 3
        assert (names(planned["replaced"]), names(planned["dropped"])) == (["users"], ["old"])


def test_a_copy_in_place(two: TwoEnvironments) -> None:
    shown = plan(two, "copy_db", "production:dev", "--in-place")
    assert shown[-2] == "With --in-place, all of it would be dropped before anything comes."
    assert two.folder.invoke("copy_db", "production:dev", "--in-place", "--plan", "--json").json["in_place"]


@pytest.mark.parametrize(
    "options", [("--in-place", "--into-existing"), ("--compare-contents",), ("--only", "typo"), ("-q", "No")]
)
def test_it_fails_as_the_copy_would(two: TwoEnvironments, options: tuple[str, ...]) -> None:
    planned = two.folder.invoke("copy_db", "production:dev", *options, "--plan")
    done = two.folder.invoke("copy_db", "production:dev", *options, "--yes")
    assert planned.code == done.code == 2
    assert (planned.out, planned.err) == (done.out, done.err)
    two.assert_unchanged()


def test_a_subset_is_read_after_the_question(two: TwoEnvironments) -> None:
    query_set = """
        from monarch import QuerySet

        class Few(QuerySet):
            def run(self):
                self.dump_collection('users', {'_id': {'$lt': 3}})
    """
    two.folder.write("querysets/few.py", query_set)
    terminal = two.folder.terminal("copy_db", "production:dev", "-q", "Few", columns=200)
    terminal.expect("are you SURE")
    shown = lines(terminal.before or "")
    assert "What the subset selects is read after the question; --plan reads it, and lists it." in shown
    assert "On dev, 2 collections would be replaced or dropped:" in shown
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    terminal = two.folder.terminal("copy_db", "production:dev", "-q", "Few", "--into-existing", columns=200)
    terminal.expect("are you SURE")
    kept = "Of the 2 collections of dev, those of the names that come would be replaced:"
    assert kept in lines(terminal.before or "")
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    assert "users                    " in "\n".join(plan(two, "copy_db", "production:dev", "-q", "Few"))


def test_it_fails_as_the_restore_would(two: TwoEnvironments, store_folder: Path) -> None:
    def refused(*arguments: str) -> Any:
        planned = two.folder.invoke("restore", *arguments, "--plan")
        done = two.folder.invoke("restore", *arguments, "--yes")
        assert (planned.code, planned.out, planned.err) == (done.code, done.out, done.err)
        two.assert_unchanged()
        return planned

    name = today("app")
    assert_error(refused("app__2014:dev"), 2, "There is no backup 'app__2014'", "list_backups")
    assert_error(refused(f"{name}:deev"), 2, "no environment 'deev'", "Did you mean 'dev'?")
    assert_error(refused("dev:production"), 2, "There is no good backup of 'dev'", "monarch backup dev")
    assert_error(refused(f"{name}:dev", "--only", "typo"), 2, "typo", "")
    both = ("--in-place", "--into-existing")
    assert_error(refused(f"{name}:dev", *both), 2, "--in-place empties the target", "Leave out one")
    (store_folder / f"{name}.dmp.zst").write_bytes(b"cut")
    assert_error(refused(f"{name}:dev"), 1, "is broken", "no other good backup")
    (store_folder / "app.dmp.zip").write_bytes(make_zip({f"dump/{one}/users.bson": b"" for one in "ab"}))
    assert_error(refused("app.dmp.zip:dev"), 2, "holds 2 databases", "")


def test_a_backup_without_a_manifest_is_not_counted(two: TwoEnvironments, store_folder: Path) -> None:
    import bson

    (store_folder / "old.dmp.zip").write_bytes(make_zip({"dump/app/users.bson": bson.encode({"_id": ID})}))
    shown = plan(two, "restore", "old:dev")
    assert "1 collection, whose documents nothing counts before: users" in shown
    (users,) = two.folder.invoke("restore", "old:dev", "--plan", "--json").json["copied"]
    assert (users["name"], users["documents"]) == ("users", None)


def test_encrypted_backups(two: TwoEnvironments, tmp_path: Path) -> None:
    two.folder.keep_backups()
    key = make_key(tmp_path / "keys.txt")
    two.folder.encrypt_backups(key.recipient, identities=key.path)
    assert two.folder.invoke("backup", "production", "--name", "app", "--engine", "native").code == 0
    assert any(line.startswith("users ") for line in plan(two, "restore", f"{today('app')}:dev"))
    shown = two.folder.invoke("drop_db", "production", "--plan")
    assert f"Its newest good backup is {today('app')}, " in shown.out
    assert "encrypted" not in shown.out
    key.path.unlink()
    planned = two.folder.invoke("restore", f"{today('app')}:dev", "--plan")
    done = two.folder.invoke("restore", f"{today('app')}:dev", "--yes")
    assert planned.code == done.code != 0
    assert planned.err == done.err
    # Without a key it is a good backup nevertheless: its bytes are.
    shown = two.folder.invoke("drop_db", "production", "--plan")
    assert f"Its newest good backup is {today('app')}, " in shown.out
    assert ", encrypted, and no key of this machine opens it." in shown.out
    make_key(key.path)
    shown = two.folder.invoke("drop_db", "production", "--plan")
    assert ", encrypted, and no key of this machine opens it." in shown.out


def test_out_of_a_private_environment(private: TwoEnvironments) -> None:
    private.folder.keep_backups()
    assert private.folder.invoke("backup", "production", "--name", "app", "--engine", "native").code == 0
    shown = plan(private, "restore", f"{today('app')}:dev")
    assert "Masked by migrations/privacy.py:" in shown
    planned = private.folder.invoke("restore", f"{today('app')}:dev", "--plan", "--json").json
    assert planned["passage"] == "masked"
    assert {"collection": "users", "path": "secret", "rule": "null"} in planned["masked"]
    raw = private.folder.invoke("restore", f"{today('app')}:dev", "--plan", "--raw")
    assert "Nothing would be masked (--raw)." in raw.err
    # A masked backup cannot bring its database back.
    declare(private, private=True)
    private.folder.keep_backups("masked")
    assert private.folder.invoke("backup", "production", "--masked", "--engine", "native").code == 0
    dropped = private.folder.invoke("drop_db", "production", "--plan")
    assert f"There is no good backup of {private.source.name} on production." in dropped.out


def test_several_databases(tenants: Tenants) -> None:
    assert tenants.run("backup", "tenants").code == 0
    target = f"tenants/{tenants.name('a')}"
    dropped = tenants.run("drop_db", target, "-n")
    assert dropped.code == 0
    assert f"Its newest good backup is {tenants.backup('a')}, " in dropped.out
    planned = tenants.run("restore", f"{tenants.backup('b')}:tenants", "-n", "--json")
    assert planned.code == 0, planned.err
    assert planned.json["to"] == f"tenants/{tenants.name('b')}"
    assert planned.json["target"]["newest_backup"]["name"] == tenants.backup("b")
    assert planned.json["target"]["documents"] == 3


def test_a_store_that_does_not_answer(two: TwoEnvironments) -> None:
    """A bucket behind a server that accepts and says nothing keeps no question waiting."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b"}
        keep_in(two.folder, {"bucket_name": "app", "endpoint_url": url, "region": "x", **keys})
        assert two.folder.invoke("copy_db", "production:dev", "--yes").code == 0
        silent.setblocking(False)
        with pytest.raises(BlockingIOError):
            silent.accept()  # nobody has asked it
        two.reset_target()
        terminal = two.folder.terminal("copy_db", "production:dev", columns=200)
        terminal.expect("Waiting:")
        terminal.sendintr()
        code, output = end(terminal)
        assert (code, "Interrupted. 'dev' is as it was." in output) == (130, True)
        two.assert_unchanged()
        terminal = two.folder.terminal("copy_db", "production:dev", columns=200)
        terminal.expect("Waiting: the store of backups has not answered yet …")
        terminal.expect("are you SURE")
        assert "Its newest good backup is not known: BACKUPS could not be read within 5 s." in (
            terminal.before or ""
        )
        terminal.sendline("y")
        assert end(terminal)[0] == 0
        two.assert_copied()


@pytest.fixture
def tables(tmp_path: Path, postgres: PostgresServer) -> Iterator[Folder]:
    """A project with two PostgreSQL databases: production has dogs, dev has dogs and cats."""
    folder, ends = Folder(tmp_path), {name: f"t_{uuid.uuid4().hex}" for name in ("production", "dev")}
    for name, made in ends.items():
        postgres.create(made)
        with postgres.connect(made) as connection:
            connection.execute("CREATE TABLE dogs (id bigint PRIMARY KEY)")
            connection.execute("INSERT INTO dogs SELECT generate_series(1, 7)")
            if name == "dev":
                connection.execute("CREATE TABLE cats (id bigint)")
    folder.settings(**{name: {"uri": postgres.uri(made)} for name, made in ends.items()})
    folder.keep_backups()
    yield folder
    for made in ends.values():
        postgres.drop(made)


def test_tables_of_postgres(tables: Folder) -> None:
    assert tables.invoke("backup", "production", "--name", "app").code == 0
    for command in (("restore", "production:dev"), ("copy_db", "production:dev")):
        planned = tables.invoke(*command, "--plan")
        assert planned.code == 0, planned.err
        shown = lines(planned.out)
        assert " holds 2 tables, 7 rows, " in shown[0]
        assert "On dev, 1 table of the same name would be replaced." in shown
        assert shown[-2].startswith("cats ")
        as_json = tables.invoke(*command, "--plan", "--json").json
        assert (names(as_json["replaced"]), names(as_json["dropped"])) == (["dogs"], ["cats"])
    terminal = tables.terminal("restore", "production:dev", columns=200)
    terminal.expect("are you SURE")
    assert "On dev, 1 table of the same name would be replaced." in (terminal.before or "")
    terminal.sendline("y")
    assert end(terminal)[0] == 0
