"""``copy_db``: its questions, output, errors and effects."""

from __future__ import annotations

import os
import re
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymongo import MongoClient

from tests.commands.console.test_questions import end, solve
from tests.support.runs.two_environments import DOCUMENTS, TwoEnvironments, assert_error, credentials, entry
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import PASSWORD, Server, run_mongod

pytestmark = pytest.mark.server


def test_a_copy_reports_its_result(two: TwoEnvironments) -> None:
    result = two.copy("--yes", "--engine", "native")
    assert (result.code, result.err) == (0, "")
    two.assert_copied()
    lines = [" ".join(line.split()) for line in result.out.splitlines()]
    assert lines[0] == "COLLECTION DOCUMENTS SIZE INDEXES TIME"
    assert re.fullmatch(r"users 200 \d\.\d kB 2 \d\.\d s", lines[2])
    assert re.fullmatch(r"young view - - \d\.\d s", lines[3])
    assert re.fullmatch(
        r"Copied production to dev: 2 collections, 201 documents, \d+\.\d kB in \d\.\d s, "
        r"by native \(pymongo [\d.]+\)\.",
        lines[4],
    )


def test_json(two: TwoEnvironments) -> None:
    report = two.copy("--yes", "--engine", "native", "--json").json
    assert (report["from"], report["to"], report["engine"]) == ("production", "dev", "native")
    assert {row["name"]: row["documents"] for row in report["collections"]} == {
        "mongo_migration_history": 1,
        "users": DOCUMENTS,
        "young": 0,
    }
    assert set(report["collections"][0]) == {"name", "kind", "documents", "bytes", "indexes", "seconds"}


def test_the_history_is_copied_and_monarchs_other_collections_are_not(two: TwoEnvironments) -> None:
    two.source.monarch_lease.insert_one({"_id": "lease", "fence": 77})
    two.source["monarch_staging.x.0"].insert_one({})
    two.source.monarch_butterflies.insert_one({})
    two.folder.migration("one", stamp="201405290000")
    assert two.copy("--yes").code == 0
    assert two.folder.monarch("list_migrations", "dev").out.count("Completed") == 1
    names = set(two.target.list_collection_names()) - {"system.views"}
    own = {"mongo_migration_history", "mongo_migration_journal", "monarch_lease"}
    assert names == {"users", "young", *own, "monarch_butterflies"}
    lease = two.target.monarch_lease.find_one()
    assert lease is not None
    assert lease["fence"] == 1


def test_without_yes_it_is_an_error_that_names_the_flag(two: TwoEnvironments) -> None:
    result = two.copy()
    assert result.code == 2
    assert "are you SURE" in result.err
    assert "--yes" in result.err
    two.assert_unchanged()


def test_copy_db_asks_and_requires_a_sum_for_a_hazardous_target(two: TwoEnvironments) -> None:
    terminal = two.folder.terminal("copy_db", "production:dev")
    terminal.expect("are you SURE")
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    two.assert_unchanged()
    terminal = two.folder.terminal("copy_db", "dev:production")
    solve(terminal, offset=1)
    code, output = end(terminal)
    assert code == 1
    assert "Nothing was changed" in output
    terminal = two.folder.terminal("copy_db", "production:dev")
    terminal.expect("are you SURE")
    terminal.sendline("y")
    assert end(terminal)[0] == 0
    two.assert_copied()


@pytest.mark.parametrize("columns", [30, 60, 100])
def test_the_progress_bar_fits_into_the_terminal_and_is_removed(two: TwoEnvironments, columns: int) -> None:
    terminal = two.folder.terminal(
        "copy_db", "production:dev", "--yes", "--engine", "native", columns=columns
    )
    code, output = end(terminal)
    assert code == 0
    drawn = [part for part in output.replace("\r\n", "\n").split("\r") if "\n" not in part and part]
    assert any(part.startswith("copying [") for part in drawn)
    assert all(len(part) < columns for part in drawn)
    assert drawn[-2].strip() == "swapping …"
    assert drawn[-1] == " " * len(drawn[-2].rstrip())
    assert "\r" not in two.copy("--yes").output


def test_names_of_collections_do_not_control_the_terminal(two: TwoEnvironments) -> None:
    two.source["red\x1b[31m and\ttabs"].insert_one({})
    two.source["名前のコレクション"].insert_one({})
    output = two.copy("--yes", "--engine", "native").out
    assert "\x1b" not in output
    assert "red\\x1b[31m and\\ttabs" in output
    rows = [line for line in output.splitlines() if line.endswith(" s")]
    # The times are aligned, whatever the width of the letters before them.
    wide = next(row for row in rows if "名前" in row)
    assert len(wide) + 9 == len(rows[0])


def test_the_question_warns_that_the_copy_cannot_be_undone(two: TwoEnvironments) -> None:
    result = two.copy("--in-place")
    assert result.code == 2
    assert "dropping all of it first, with no way back: are you SURE" in result.err
    assert "no way back" not in two.copy().err


def test_an_invalid_pair_is_reported_before_any_question(two: TwoEnvironments) -> None:
    result = two.folder.monarch("copy_db", "production:production")
    assert_error(result, 2, "is both the source and the target", "Name two")


def test_the_plan_only_reads(two: TwoEnvironments) -> None:
    with two.server.client() as client:
        client.admin.command("createUser", "looker", pwd="looker-hush", roles=["readAnyDatabase"])
    host = {"host": two.server.host, "username": "looker", "password": "looker-hush", "authSource": "admin"}
    two.folder.settings(
        production={**host, "db_name": two.source.name}, dev={**host, "db_name": two.target.name}
    )
    result = two.copy("--plan", "--engine", "native")
    assert result.code == 0
    assert result.err.startswith("Note: The copy would be refused: the user 'looker' of 'dev' lacks create")
    output = " ".join(result.out.split())
    assert "From production to dev, by native" in output
    assert re.search(
        r"users 200 \d\.\d kB 2 1 document young view - - - On dev, 1 collection of the same name", output
    )
    assert re.search(
        r"These would be dropped: COLLECTION DOCUMENTS SIZE INDEXES old 1 22 B 1 Nothing", output
    )
    assert output.endswith("Nothing was changed.")
    plan = two.copy("--plan", "--json").json
    assert [held["name"] for held in plan["dropped"]] == ["old"]
    assert [held["name"] for held in plan["replaced"]] == ["users"]
    two.assert_unchanged()
    assert "monarch_lease" not in two.target.list_collection_names()
    with two.server.client() as client:
        client.admin.command("dropUser", "looker")


def test_the_plan_does_not_say_that_the_journal_goes(two: TwoEnvironments) -> None:
    """It stays, with what it has of its own environment."""
    two.target.mongo_migration_journal.insert_one({"environment": "dev", "action": "backup"})
    planned = two.copy("--plan", "--engine", "native")
    assert planned.code == 0, planned.output
    assert "mongo_migration_journal" not in planned.out
    two.source.mongo_migration_journal.insert_one({"environment": "production", "action": "backup"})
    plan = two.copy("--plan", "--json").json
    assert [held["name"] for held in (*plan["dropped"], *plan["replaced"])] == ["old", "users"]
    assert two.copy("--yes", "--engine", "native").code == 0
    assert two.target.mongo_migration_journal.count_documents({"environment": "dev", "action": "backup"}) == 1


def test_auto_uses_the_tools_if_both_are_installed(two: TwoEnvironments, tools: Path) -> None:
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    result = two.copy("--yes", "--json", variables=with_tools)
    assert result.json["engine"] == "tools"
    assert [version.split()[0] for version in result.json["versions"]] == ["mongodump", "mongorestore"]
    two.assert_copied()


def no_tools(folder: Path, *installed: str) -> dict[str, str]:
    """Return a PATH with only ``some`` of the tools, which print a version."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in installed:
        (programs / name).write_text(f"#!/bin/sh\necho {name} version: 4.2.0\n")
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin"}


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        ((), "mongodump and mongorestore cannot be found"),
        (("mongodump",), "mongorestore cannot be found"),
        (("mongodump", "mongorestore"), "mongodump 4.2.0 is too old: 100.3 or newer is needed"),
    ],
)
def test_missing_tools(
    two: TwoEnvironments, tmp_path: Path, installed: tuple[str, ...], message: str
) -> None:
    variables = no_tools(tmp_path, *installed)
    assert_error(
        two.copy("--yes", "--engine", "tools", variables=variables), 2, message, "use --engine native"
    )
    two.assert_unchanged()
    assert two.copy("--yes", "--json", variables=variables).json["engine"] == "native"
    two.assert_copied()


@pytest.mark.parametrize(
    ("pair", "message", "hint"),
    [
        ("production", "names only one environment", "For example: monarch copy_db production:development"),
        ("a:b:c", "has 2 colons", "For example: monarch copy_db"),
        ("production:", "has no environment after the colon", "For example: monarch copy_db"),
        ("prodution:dev", "There is no environment 'prodution'", "Did you mean 'production'?"),
        ("production:deev", "There is no environment 'deev'", "Did you mean 'dev'?"),
        ("production:production", "is both the source and the target", "Name two environments"),
    ],
)
def test_invalid_pairs(two: TwoEnvironments, pair: str, message: str, hint: str) -> None:
    assert_error(two.folder.monarch("copy_db", pair, "--yes"), 2, message, hint)
    two.assert_unchanged()


def test_the_same_database_at_another_address_is_refused(two: TwoEnvironments, replica_set: Server) -> None:
    server = two.server
    other = entry(server, two.target.name)
    other["uri"] = server.uri.replace("localhost", "127.0.0.1")
    two.folder.settings(production=other, dev=entry(server, two.target.name))
    message = "'production' and 'dev' are the same database"
    for more in (["--yes"], ["--plan"]):
        assert_error(two.copy(*more), 2, message, "Nothing was changed")
    two.assert_unchanged()
    assert "monarch_lease" not in two.target.list_collection_names()
    direct = {"directConnection": True}
    one = entry(replica_set, "same", replicaSet="rs")
    another = {**entry(replica_set, "same"), **direct}
    another["uri"] = replica_set.uri.replace("localhost", "127.0.0.1")
    two.folder.settings(production=one, dev=another)
    assert_error(two.copy("--yes", "--allow-empty"), 2, "are the same database", "Nothing was changed")


def test_the_lease_identifies_the_same_database(two: TwoEnvironments) -> None:
    """It is the only way for servers before 4.4, and for two routers of one cluster."""
    from monarch import Project

    project = Project(two.folder.path)
    with project.open("dev") as one, project.open("dev") as other, one.lease("a test") as lease:
        assert other.sees(lease)
        with project.open("production") as third:
            assert not third.sees(lease)


def test_an_empty_source_is_an_error(two: TwoEnvironments) -> None:
    two.folder.settings(
        production=entry(two.server, "no_such_database"), dev=entry(two.server, two.target.name)
    )
    for engine in ("native", "auto"):
        result = two.copy("--yes", "--engine", engine)
        assert_error(result, 1, "'production' holds no collections", "--allow-empty")
        two.assert_unchanged()
    assert two.copy("--yes", "--allow-empty").code == 0
    names = set(two.target.list_collection_names())
    assert names == {"monarch_lease", "mongo_migration_journal"}, "the copy is recorded"


def test_no_secret_is_shown(two: TwoEnvironments, tools: Path) -> None:
    seen: set[str] = set()
    done = threading.Event()

    # Other tests run at the same time, and some run tools with a URI among their arguments.
    mark = f"TEST_OF_SECRETS={two.target.name}"

    def watch() -> None:
        while not done.wait(0.005):
            for path in Path("/proc").glob("[0-9]*"):
                try:
                    if mark.encode() in (path / "environ").read_bytes():
                        seen.add((path / "cmdline").read_bytes().decode(errors="replace"))
                except OSError:
                    continue

    watching = threading.Thread(target=watch)
    watching.start()
    two.source.many.insert_many([{"text": "x" * 1000} for _ in range(5000)])
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}", **dict([mark.split("=")])}
    good = two.copy("--yes", "--engine", "tools", "--traceback", variables=with_tools)
    assert good.code == 0, good.output
    two.target.command("dropAllUsersFromDatabase")
    wrong = {**entry(two.server, two.target.name), "uri": f"mongodb://who:very-hush@{two.server.host}/"}
    two.folder.settings(production=entry(two.server, two.source.name), dev=wrong)
    bad = two.copy("--yes", "--engine", "tools", "--traceback", variables=with_tools)
    assert bad.code == 5
    done.set()
    watching.join()
    assert any("mongodump" in line and "--archive" in line for line in seen)
    assert any("mongorestore" in line and "--archive" in line for line in seen)
    files = "".join(
        content.decode(errors="replace")
        for name, content in two.folder.files().items()
        if "settings" not in name
    )
    for text in [good.output, bad.output, files, *seen]:
        for spelling in (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), "very-hush"):
            assert spelling not in text


def test_missing_rights(two: TwoEnvironments) -> None:
    users = {"reader": (two.target, ["read"]), "stranger": (two.source, [])}
    for name, (database, roles) in users.items():
        database.command("createUser", name, pwd=f"{name}-hush", roles=roles)
    host = two.server.host
    reader = {"host": host, "db_name": two.target.name, "username": "reader", "password": "reader-hush"}
    two.folder.settings(production=entry(two.server, two.source.name), dev=reader)
    result = two.copy("--yes")
    assert_error(result, 5, r"MongoDB of 'dev' .* refuses user 'reader': not authorized on", "readWrite")
    stranger = {"host": host, "db_name": two.source.name, "username": "stranger", "password": "stranger-hush"}
    two.folder.settings(production=stranger, dev=entry(two.server, two.target.name))
    result = two.copy("--yes")
    assert_error(result, 5, r"MongoDB of 'production' .* refuses user 'stranger': not authorized on", "read")
    two.assert_unchanged()
    for name, (database, _) in users.items():
        database.command("dropUser", name)


def test_read_and_readwrite_are_enough(two: TwoEnvironments) -> None:
    """With these rights time series are copied as documents, and a refusal by a validator is an error."""
    two.source.command("createUser", "reader", pwd="reader-hush", roles=["read"])
    two.target.command("createUser", "writer", pwd="writer-hush", roles=["readWrite"])
    two.source.create_collection("weather", timeseries={"timeField": "t", "metaField": "m"})
    two.source.weather.insert_many({"t": datetime(2014, 5, 29, n % 24), "m": n % 3} for n in range(100))
    host = two.server.host
    two.folder.settings(
        production={
            "host": host, "db_name": two.source.name, "username": "reader", "password": "reader-hush"
        },
        dev={"host": host, "db_name": two.target.name, "username": "writer", "password": "writer-hush"},
    )  # fmt: skip
    reader = two.folder.files()["migrations/settings.py"].decode()
    root = reader.replace("'username': 'reader', 'password': 'reader-hush'", f"**{credentials(two.server)}")
    for settings in (reader, root):
        two.folder.write("migrations/settings.py", settings)
        result = two.copy("--yes")
        assert result.code == 0, result.output
        assert_equal(describe(two.source, buckets=False), describe(two.target, buckets=False))
        two.target.weather.drop()

    two.source.create_collection("strict", validator={"a": {"$type": "int"}})
    two.source.command("insert", "strict", documents=[{"a": "x"}], bypassDocumentValidation=True)
    before = describe(two.target)
    result = two.copy("--yes", "--engine", "native")
    assert_error(result, 5, "refused a document of 'strict': Document failed validation", "dbAdmin")
    assert_equal(before, describe(two.target))
    two.source.command("dropUser", "reader")
    two.target.command("dropUser", "writer")


def test_a_refused_document_is_an_error_of_the_tools_too(two: TwoEnvironments, tools: Path) -> None:
    two.target.command("createUser", "writer", pwd="writer-hush", roles=["readWrite"])
    two.source.create_collection("strict", validator={"a": {"$type": "int"}})
    two.source.command("insert", "strict", documents=[{"a": "x"}], bypassDocumentValidation=True)
    writer = {
        "host": two.server.host,
        "db_name": two.target.name,
        "username": "writer",
        "password": "writer-hush",
    }
    two.folder.settings(production=entry(two.server, two.source.name), dev=writer)
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    result = two.copy("--yes", "--engine", "tools", variables=with_tools)
    assert_error(result, 5, "mongorestore into 'dev' failed: .*strict.*validation", "--engine native")
    two.assert_unchanged()
    two.target.command("dropUser", "writer")


def test_a_target_too_old_for_a_kind_of_collection(two: TwoEnvironments) -> None:
    two.source.create_collection("clustered", clusteredIndex={"key": {"_id": 1}, "unique": True})
    with run_mongod() as (port, _):
        old = Server(port, 0)
        with old.client() as client:
            client.admin.command("setFeatureCompatibilityVersion", "5.0")
            client.app.kept.insert_one({})
            two.folder.settings(production=entry(two.server, two.source.name), dev=entry(old, "app"))
            result = two.copy("--yes")
            assert_error(result, 5, "'dev' does not accept the collection 'clustered': ", "older")
            assert "--exclude clustered" in result.err
            assert set(client.app.list_collection_names()) == {"kept", "monarch_lease"}


def test_a_target_that_refuses_writes(two: TwoEnvironments, tmp_path: Path) -> None:
    with run_mongod("--replSet", "rs") as (port, _):
        only = Server(port, 0)
        with MongoClient[dict[str, Any]]("localhost", port, directConnection=True) as client:
            members = [{"_id": 0, "host": f"localhost:{port}"}]
            client.admin.command("replSetInitiate", {"_id": "rs", "members": members})
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.02)
            client.admin.command("replSetStepDown", 60, force=True)
        dev = entry(only, "app", directConnection=True)
        two.folder.settings(production=entry(two.server, two.source.name), dev=dev)
        result = two.copy("--yes")
        assert result.code == 5
        assert "'dev'" in result.err
        assert len(result.err.splitlines()) == 2


def test_contents_are_not_compared_by_hashes(two: TwoEnvironments) -> None:
    result = two.copy("--yes", "--compare-contents")
    assert_error(
        result, 2, "Contents of a MongoDB database cannot be compared", "Leave out --compare-contents"
    )
    two.assert_unchanged()


def test_the_result_of_a_copy_in_place(two: TwoEnvironments) -> None:
    assert two.copy("--yes", "--in-place").code == 0
    two.assert_copied()
    assert "monarch_swap" not in two.target.list_collection_names()


def test_every_command_reports_a_failed_copy_in_place_until_it_is_repaired(two: TwoEnvironments) -> None:
    two.folder.migration("one")
    two.source.create_collection("strict", validator={"a": {"$type": "int"}})
    two.source.command("insert", "strict", documents=[{"a": "x"}], bypassDocumentValidation=True)
    two.target.command("createUser", "writer", pwd="writer-hush", roles=["readWrite"])
    writer = {
        "host": two.server.host,
        "db_name": two.target.name,
        "username": "writer",
        "password": "writer-hush",
    }
    two.folder.settings(production=entry(two.server, two.source.name), dev=writer)
    result = two.copy("--yes", "--in-place", "--engine", "native")
    assert result.code == 5
    assert "is empty" in result.err
    two.target.command("dropUser", "writer")
    two.folder.settings(production=entry(two.server, two.source.name), dev=entry(two.server, two.target.name))
    for command in (["migrate", "dev"], ["list_migrations", "dev"], ["copy_db", "dev:production", "--yes"]):
        message = "'dev' was emptied for `copy_db production:dev --in-place`, which did not finish"
        assert_error(two.folder.monarch(*command), 1, message, "monarch drop_db dev")
    assert "Note: 'dev' was emptied for `copy_db production:dev --in-place`" in two.copy("--plan").err
    assert two.copy("--yes").code == 0
    two.assert_copied()
    assert two.folder.monarch("list_migrations", "dev").code == 0


def test_a_full_disk(two: TwoEnvironments, tmp_path: Path) -> None:
    """mongod stops, but keeps what it has written before."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=90m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip("a full disk needs the right to mount a small one: run the tests as root")
    two.source.many.insert_many([{"text": os.urandom(50_000).hex()} for _ in range(600)])
    (disk / "data").mkdir()
    try:
        with run_mongod(data=disk / "data", log="4MB") as (port, process):
            target = Server(port, 0)
            with target.client() as client:
                client.app.kept.insert_one({"_id": "old"})
                client.admin.command("fsync")
            two.folder.settings(production=entry(two.server, two.source.name), dev=entry(target, "app"))
            result = two.copy("--yes", "--engine", "native")
            assert result.code == 5, result.output
            assert len(result.err.splitlines()) == 2
            process.wait(30)
        roomy = tmp_path / "roomy"
        subprocess.run(["cp", "-r", str(disk / "data"), str(roomy)], check=True)
        with run_mongod(data=roomy) as (port, _):
            again = Server(port, 0)
            two.folder.settings(production=entry(two.server, two.source.name), dev=entry(again, "app"))
            with again.client() as client:
                assert client.app.kept.find_one() == {"_id": "old"}
                result = two.copy("--yes", "--engine", "native")
                assert result.code == 0, result.output
                # A server that stopped at once has lost the first writes of the copy, so nothing is left.
                assert (
                    result.err == "" or "a copy into 'dev' was cut off; it had changed nothing" in result.err
                )
                assert_equal(describe(two.source), describe(client.app))
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_documents_that_expire_meanwhile_are_not_an_error(two: TwoEnvironments) -> None:
    with run_mongod("--setParameter", "ttlMonitorSleepSecs=1") as (port, _):
        other = Server(port, 0)
        two.source.client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
        two.source.sessions.insert_many({"at": datetime(2014, 5, 29), "n": n} for n in range(3000))
        two.source.sessions.create_index("at", expireAfterSeconds=1)
        two.folder.settings(production=entry(two.server, two.source.name), dev=entry(other, "app"))
        result = two.copy("--yes", "--engine", "native")
        two.source.client.admin.command("setParameter", 1, ttlMonitorEnabled=True)
        assert (result.code, result.err) == (0, "")


def test_migrate_and_copy_exclude_each_other(two: TwoEnvironments) -> None:
    two.folder.migration(
        "slow", "import time\nself.database.began.insert_one({})\nwhile True: time.sleep(0.1)"
    )
    migrating = two.folder.start("migrate", "dev")
    try:
        while two.target.began.find_one() is None:
            time.sleep(0.05)
        result = two.copy("--yes")
        assert_error(
            result, 4, rf"'dev' is held by process {migrating.pid} of .* \(migrate dev, since", "Wait"
        )
        held = two.target.monarch_lease.find_one() or {}
    finally:
        migrating.kill()
        migrating.communicate()
    # The lease of a dead process does not block.
    assert two.copy("--yes").code == 0
    assert (two.target.monarch_lease.find_one() or {})["taken_at"] < held["expires_at"]
    two.assert_copied()


def test_a_document_that_is_refused_in_place_is_one_sentence_of_two(two: TwoEnvironments) -> None:
    two.source.command("collMod", "users", validator={"name": {"$type": "int"}})
    with two.server.client() as client:
        roles = [{"role": "readWrite", "db": two.target.name}]
        client[two.target.name].command("createUser", "writer", pwd="secret", roles=roles)
        uri = f"mongodb://writer:secret@localhost:{two.server.port}/?authSource={two.target.name}"
        two.folder.settings(
            production=entry(two.server, two.source.name), dev={"uri": uri, "db_name": two.target.name}
        )
        result = two.copy("--in-place", "--yes", "--engine", "native")
        client[two.target.name].command("dropUser", "writer")
    message = r"failed validation.*\. 'dev' is empty now: it was"
    assert_error(result, 5, message, "drop it: monarch drop_db dev")
