"""Environments with several databases: each is backed up, and every other command takes one of them."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import ObjectId
from pymongo import MongoClient

from monarch import Project
from monarch.errors import UsageError
from tests.commands.backups.test_backups import today
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.parsing.test_completion import complete
from tests.stores.s3.test_store import bucket as bucket
from tests.support.runs.shell import CommandResult, Folder
from tests.support.runs.two_environments import assert_error
from tests.support.servers.mongod import Server
from tests.support.servers.s3 import S3Server


@dataclass
class Tenants:
    """A project: its environment ``tenants`` has the databases of one prefix, each with a few documents."""

    folder: Folder
    client: MongoClient[dict[str, Any]]
    prefix: str
    store: Path

    def name(self, one: str) -> str:
        return f"{self.prefix}_{one}"

    def backup(self, one: str, number: int = 1) -> str:
        return today(f"tenants__{self.name(one)}") + (f"_{number}" if number > 1 else "")

    def fill(self, *ones: str) -> None:
        for one in ones:
            self.client[self.name(one)].users.insert_many({"_id": n, "of": one} for n in range(3))

    def run(self, *arguments: str) -> CommandResult:
        return self.folder.invoke(*arguments)

    def settings(self, db_name: object = None, more: str = "", **flags: Any) -> None:
        """Write settings; by default the databases are those of the pattern."""
        assert self.folder.server is not None
        uri = self.folder.server.uri
        self.folder.settings(
            tenants={"uri": uri, "db_name": db_name or f"{self.prefix}_*", **flags},
            dev={"uri": uri, "db_name": f"{self.prefix}dev"},
        )
        self.folder.keep_backups()
        if more:
            path = self.folder.path / "migrations/settings.py"
            path.write_text(path.read_text() + more)


@pytest.fixture
def tenants(folder: Folder, server: Server) -> Iterator[Tenants]:
    folder.server = server
    with server.client() as client:
        made = Tenants(folder, client, f"t{ObjectId()}", folder.path / "backups")
        made.settings()
        made.fill("a", "b")
        yield made
        for name in client.list_database_names():
            if name.startswith(made.prefix):
                client.drop_database(name)


def assert_ends_with_error(result: CommandResult, code: int, message: str, hint: str = "") -> None:
    """Check the last two lines; those before say what became of each database."""
    assert result.code == code, result.output
    error, advice = result.err.splitlines()[-2:]
    assert error.startswith("Error: ")
    assert message in error
    assert advice.startswith("Hint: ")
    assert hint in advice


def manifests(store: Path) -> dict[str, dict[str, Any]]:
    return {path.name.split(".")[0]: json.loads(path.read_text()) for path in store.glob("*.json")}


def test_each_database_is_backed_up_under_one_name_with_its_own_in_it(tenants: Tenants) -> None:
    tenants.client[f"{tenants.prefix}_x_scratch_01234567"].left.insert_one({})
    done = tenants.run("backup", "tenants", "--verify", "--protect")
    assert done.code == 0
    heads, *rows, total, where = done.out.splitlines()
    assert heads.split() == ["DATABASE", "BACKUP", "SIZE", "TIME", "CONTENTS"]
    assert [row.split()[:2] for row in rows] == [[tenants.name(x), tenants.backup(x)] for x in "ab"]
    assert all(row.endswith("verified") for row in rows)
    assert total.startswith("Backed up 2 of 2 databases of tenants: ")
    assert where == "They are in backups. To restore one: monarch restore BACKUP:tenants"
    assert f"tenants/{tenants.name('b')} (2 of 2) is backed up as {tenants.backup('b')}." in done.err
    found = manifests(tenants.store)
    assert {(one["environment"], one["database"]) for one in found.values()} == {
        ("tenants", tenants.name("a")),
        ("tenants", tenants.name("b")),
    }
    assert len(list(tenants.store.glob("*.protected"))) == 2
    history = tenants.run("history", f"tenants/{tenants.name('b')}", "--everything", "--json").json
    taken = [row["backup"] for row in history if row["action"] == "backup"]
    assert taken == [tenants.backup("b")]
    again = tenants.run("backup", f"tenants/{tenants.name('b')}", "--name", "hand", "--json")
    assert again.json["name"] == today(f"hand__{tenants.name('b')}")


def test_the_rest_goes_on_after_one_has_failed(tenants: Tenants) -> None:
    tenants.settings([tenants.name("gone"), tenants.name("a"), f"{tenants.prefix}_?", f"{tenants.prefix}z*"])
    done = tenants.run("backup", "tenants")
    assert_ends_with_error(
        done,
        1,
        f"1 of 3 databases of tenants failed: {tenants.name('gone')}.",
        "To repeat one: monarch backup tenants/",
    )
    gone = f"tenants/{tenants.name('gone')}"
    assert f"FAILED {gone} (1 of 3): '{gone}' holds no collections: there is nothing to back up." in done.err
    assert f"no database of 'tenants' matches '{tenants.prefix}z*'.\n" in done.err
    assert "The other backups are complete." in done.err
    assert done.out.splitlines()[1].split()[:3] == [tenants.name("gone"), "FAILED", "-"]
    assert "Backed up 2 of 3 databases of tenants" in done.out
    assert set(manifests(tenants.store)) == {tenants.backup("a"), tenants.backup("b")}
    told = tenants.run("backup", "tenants", "--json")
    assert told.code == 1
    gone_, a, b = told.json
    assert (gone_["database"], gone_["backup"]) == (tenants.name("gone"), None)
    assert "holds no collections" in gone_["error"]
    assert "--allow-empty" in gone_["hint"]
    assert (a["error"], a["backup"]["name"]) == (None, tenants.backup("a", 2))
    assert b["backup"]["collections"][0]["documents"] == 3


def test_nothing_was_done(tenants: Tenants) -> None:
    """The only name fails, and the only pattern matches nothing: both are said, and no more than is true."""
    tenants.settings([tenants.name("gone"), f"{tenants.prefix}z*"])
    done = tenants.run("backup", "tenants")
    assert_ends_with_error(done, 1, "1 of 1 database of tenants failed", "The lines above say why. To repeat")
    assert f"no database of 'tenants' matches '{tenants.prefix}z*'.\n" in done.err


def test_a_user_with_rights_on_some_databases(tenants: Tenants) -> None:
    """The server shows to such a user what it may read; what is named nevertheless fails alone."""
    assert tenants.folder.server is not None
    admin = tenants.client.admin
    user = f"u{ObjectId()}"
    admin.command("createUser", user, pwd="secret9", roles=[{"role": "read", "db": tenants.name("a")}])
    try:
        entry = {"host": tenants.folder.server.uri.rpartition("@")[2].partition("/")[0]}
        entry |= {"username": user, "password": "secret9"}
        names = [tenants.name("a"), tenants.name("b")]
        tenants.folder.settings(
            seen={**entry, "db_name": f"{tenants.prefix}_*"}, named={**entry, "db_name": names}
        )
        tenants.folder.keep_backups()
        assert [row["database"] for row in tenants.run("backup", "seen", "--json").json] == names[:1]
        done = tenants.run("backup", "named")
        assert done.code == 5
        assert f"FAILED named/{names[1]} (2 of 2): " in done.err
        assert "Backed up 1 of 2 databases of named" in done.out
        # No journal could be written: it lies beside each backup.
        assert len(list(tenants.store.glob("*.journal"))) == 2
    finally:
        admin.command("dropUser", user)


@pytest.mark.parametrize(
    ("db_name", "code", "message"),
    [
        ("nothing_matches_*", 1, "has no database that matches nothing_matches_* of 'tenants'."),
        ([], 2, "Environment 'tenants': its 'db_name' is an empty list."),
        (["a", "a"], 2, "Environment 'tenants': its 'db_name' has 'a' twice."),
    ],
)
def test_wrong_sets_are_one_error(tenants: Tenants, db_name: object, code: int, message: str) -> None:
    tenants.folder.settings(tenants={"uri": tenants.folder.server.uri, "db_name": db_name})  # type: ignore[union-attr]
    tenants.folder.keep_backups()
    assert_ends_with_error(tenants.run("backup", "tenants"), code, message)
    assert not tenants.store.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [(("--name", "a/b"), "No backup can be called 'a/b'"), (("--level", "99"), "99")],
    ids=["name", "level"],
)
def test_a_wrong_option_is_one_error_not_one_for_each(
    tenants: Tenants, options: tuple[str, ...], message: str
) -> None:
    assert_error(tenants.run("backup", "tenants", *options), 2, message, "")


@pytest.mark.parametrize(
    "command",
    [
        ("migrate_one", "x", "tenants", "--yes"),
        ("rollback", "tenants", "--yes"),
        ("history", "tenants"),
        ("unlock", "tenants", "--yes"),
        ("mark", "tenants", "x", "--as", "completed", "--yes"),
        ("drop_db", "tenants", "--yes"),
        ("copy_db", "tenants:dev", "--yes"),
        ("copy_db", "dev:tenants", "--yes"),
        ("restore", "tenants:dev", "--yes"),
        ("restore", "other:tenants", "--yes"),
        ("suggest_masks", "tenants"),
        ("verify_migration", "x", "tenants", "--yes"),
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_other_commands_ask_for_one_database_and_touch_none(
    tenants: Tenants, command: tuple[str, ...]
) -> None:
    tenants.folder.write("migrations/_202601010000_x_migration.py", _MIGRATION)
    tenants.client[f"{tenants.prefix}dev"].kept.insert_one({})
    assert tenants.run("backup", "dev", "--name", "other").code == 0
    done = tenants.run(*(today("other") + ":tenants" if one == "other:tenants" else one for one in command))
    several = rf"Environment 'tenants' has several databases \({tenants.prefix}_\*\), and this needs one."
    assert_error(done, 2, several, "Name it: tenants/DATABASE.")
    assert tenants.client[tenants.name("a")].list_collection_names() == ["users"]
    assert "kept" in tenants.client[f"{tenants.prefix}dev"].list_collection_names()


_MIGRATION = """
    from monarch import MongoBackedMigration

    class XMigration(MongoBackedMigration):
        def run(self):
            self.database.users.insert_one({"_id": "new"})
    """


def test_each_database_has_its_own_history(tenants: Tenants) -> None:
    tenants.folder.write("migrations/_202601010000_x_migration.py", _MIGRATION)
    one, other = (f"tenants/{tenants.name(x)}" for x in "ab")
    assert tenants.run("migrate", one, "--backup").code == 0
    assert tenants.run("check", one).code == 0
    assert tenants.run("check", other).code == 3
    assert tenants.client[tenants.name("b")].users.count_documents({}) == 3
    assert tenants.run("list_backups", one, "--json").json[0]["database"] == tenants.name("a")
    assert tenants.run("list_backups", other).out == f"There are no backups of {other} in backups.\n"
    listed = tenants.run("list_migrations", "--all", "--json")
    states = {row["environment"]: set(row["migrations"].values()) for row in listed.json}
    assert (states[one], states[other]) == ({"Completed"}, {"New"})


@pytest.mark.parametrize("how", ["pattern", "list"])
def test_a_restore_goes_into_the_database_of_the_backup(tenants: Tenants, how: str) -> None:
    if how == "list":
        tenants.settings([tenants.name("a"), tenants.name("b")])
    assert tenants.run("backup", "tenants").code == 0
    for one in "ab":
        tenants.client[tenants.name(one)].users.delete_many({})
    done = tenants.run("restore", f"{tenants.backup('b')}:tenants", "--yes")
    assert done.code == 0
    assert f"Restored {tenants.backup('b')} to tenants/{tenants.name('b')}: " in done.out
    assert [tenants.client[tenants.name(x)].users.count_documents({}) for x in "ab"] == [0, 3]
    # The newest one of a database, into another one that is named.
    done = tenants.run("restore", f"tenants/{tenants.name('b')}:tenants/{tenants.name('a')}", "--yes")
    assert done.code == 0
    assert tenants.client[tenants.name("a")].users.find_one() == {"_id": 0, "of": "b"}
    tenants.settings([tenants.name("a")])
    refused = tenants.run("restore", f"{tenants.backup('b')}:tenants", "--yes")
    assert_error(refused, 2, "Environment 'tenants' has several databases", f"tenants/{tenants.name('a')}")
    tenants.settings()
    unasked = tenants.run("restore", f"{tenants.backup('b')}:tenants")
    assert f"Replace {tenants.name('b')} on tenants " in unasked.err
    copied = tenants.run("copy_db", f"tenants/{tenants.name('a')}:dev", "--yes", "--json")
    assert copied.code == 0
    assert tenants.client[f"{tenants.prefix}dev"].users.count_documents({}) == 3


def test_each_database_is_judged_by_itself(tenants: Tenants) -> None:
    for _ in range(2):
        assert tenants.run("backup", "tenants").code == 0
    checked = tenants.run("check_backups", "tenants", "--verify")
    assert [line.split(":")[0] for line in checked.out.splitlines()] == [
        f"tenants/{tenants.name(x)}" for x in "ab"
    ]
    for end in ("", ".json"):
        (tenants.store / f"{tenants.backup('b', 2)}.dmp.zst{end}").unlink()
    pruned = tenants.run("prune_backups", "tenants", "--keep-last", "1", "--yes", "--json")
    assert {row["name"]: row["deleted"] for row in pruned.json} == {
        tenants.backup("a"): True,
        tenants.backup("a", 2): False,
        tenants.backup("b"): False,
    }
    (tenants.store / f"{tenants.backup('b')}.dmp.zst").write_bytes(b"broken")
    for command in (("check_backups",), ("check_backups", "tenants")):
        assert_error(
            tenants.run(*command),
            10,
            f"backup of tenants/{tenants.name('b')}",
            f"backup tenants/{tenants.name('b')}",
        )
    assert tenants.run("check_backups", f"tenants/{tenants.name('a')}").code == 0
    assert tenants.run("verify_backup", f"tenants/{tenants.name('a')}").code == 0
    assert tenants.run("verify_backup", "tenants").code == 1


def test_pruning_asks_each_database_for_unfinished_migrations(tenants: Tenants) -> None:
    """The way back of one of them stays; the others are pruned."""
    failing = _MIGRATION.rstrip() + "\n            raise ValueError\n"
    tenants.folder.write("migrations/_202601010000_x_migration.py", failing)
    assert tenants.run("migrate", f"tenants/{tenants.name('a')}", "--backup").code == 1
    for _ in range(2):
        assert tenants.run("backup", "tenants").code == 0
    tenants.settings(more="BACKUPS['keep'] = {'tenants': {'last': 1}}\n")
    done = tenants.run("backup", "tenants", "--prune")
    assert done.code == 0
    left = set(manifests(tenants.store))
    assert left == {tenants.backup("a"), tenants.backup("a", 4), tenants.backup("b", 3)}


def test_a_failed_hook_fails_one_database_whose_backup_is_complete(tenants: Tenants) -> None:
    hook = (
        "def after_backup(context, result):\n"
        "    print(context.environment.db_name)\n"
        "    assert not context.environment.db_name.endswith('_a'), 'no phone'\n"
    )
    tenants.settings(more=hook)
    done = tenants.run("backup", "tenants")
    assert_ends_with_error(done, 1, f"1 of 2 databases of tenants failed: {tenants.name('a')}.")
    assert "FAILED: after_backup() failed: AssertionError: no phone" in done.out
    assert f"{tenants.backup('a')} " in done.out
    assert len(manifests(tenants.store)) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "Ctrl-C"])
def test_what_was_done_before_an_end_is_good(tenants: Tenants, number: signal.Signals) -> None:
    tenants.fill("c")
    hook = (
        "def after_backup(context, result):\n"
        "    import pathlib, time\n"
        "    if context.environment.db_name.endswith('_b'):\n"
        "        pathlib.Path('here').touch()\n"
        "        time.sleep(100)\n"
    )
    tenants.settings(more=hook)
    process = tenants.folder.start("backup", "tenants")
    while not (tenants.folder.path / "here").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert "1 of 3 databases was done before." in err
        assert tenants.backup("a") in out
    assert set(manifests(tenants.store)) == {tenants.backup("a"), tenants.backup("b")}
    assert tenants.run("verify_backup", "--all").code == 0
    tenants.settings()
    assert tenants.run("backup", "tenants").code == 0
    assert tenants.run("verify_backup", "--all").code == 0
    assert len(manifests(tenants.store)) == 5


def test_into_a_bucket(tenants: Tenants, s3: S3Server, bucket: str) -> None:
    keep_in(tenants.folder, s3.settings(bucket, prefix="app"))
    assert tenants.run("backup", "tenants").code == 0
    archives = {f"app/{tenants.backup(x)}.dmp.zst{end}" for x in "ab" for end in ("", ".json")}
    assert {name for name in objects(s3, bucket) if not name.endswith(".journal")} == archives
    assert tenants.run("restore", f"{tenants.backup('a')}:tenants", "--yes").code == 0
    assert tenants.run("check_backups", "tenants").code == 0


def test_what_is_taken_over_is_of_the_database_of_the_same_name(tenants: Tenants) -> None:
    dump = tenants.folder.path / "dump" / tenants.name("a")
    dump.mkdir(parents=True)
    (dump / "users.bson").write_bytes(bson.encode({"_id": 1}))
    for more in ((), ("--environment", "tenants"), ("--environment", f"tenants/{tenants.name('a')}")):
        adopted = tenants.run("adopt_backup", "dump", *more)
        assert adopted.code == 0, adopted.err
    assert set(manifests(tenants.store)) == {tenants.backup("a", number) for number in (1, 2, 3)}
    assert len(tenants.run("list_backups", f"tenants/{tenants.name('a')}", "--json").json) == 3
    (tenants.folder.path / "dump" / tenants.name("a")).rename(tenants.folder.path / "dump" / "other")
    refused = tenants.run("adopt_backup", "dump", "--environment", "tenants")
    assert_error(refused, 2, "Environment 'tenants' has several databases", "tenants/DATABASE")


def test_private_and_protected_hold_for_each_database(tenants: Tenants) -> None:
    tenants.settings(private=True, protected=True)
    assert tenants.run("backup", "tenants").code == 0
    assert all(one["private"] for one in manifests(tenants.store).values())
    masked = tenants.run("restore", f"tenants/{tenants.name('a')}:dev", "--yes")
    assert masked.code == 2
    assert "privacy.py" in masked.err
    hazard = tenants.run("drop_db", f"tenants/{tenants.name('a')}")
    assert_error(hazard, 2, "'tenants' is hazardous: it is protected in the settings", "--yes")


def test_settings_and_completion_name_the_databases(folder: Folder) -> None:
    entry = {"host": "nowhere.invalid"}
    folder.settings(
        tenants={**entry, "db_name": ["acme", "b*"]},
        big={**entry, "db_name": [f"d{number}" for number in range(6)]},
    )
    listed = folder.invoke("list_environments").out.splitlines()
    assert listed[1].startswith("tenants      acme, b*  ")
    assert listed[2].startswith("big          d0, d1, d2, d3 and 2 more  ")
    (row, _) = folder.invoke("list_environments", "--json").json
    assert (row["database"], row["databases"]) == (None, ["acme", "b*"])
    assert complete(folder, "monarch backup tena") == {"tenants", "tenants/acme"}


def test_from_python(tenants: Tenants) -> None:
    project = Project(tenants.folder.path)
    names = [one.db_name for one in project.members("tenants")]
    assert names == [tenants.name("a"), tenants.name("b")]
    with pytest.raises(UsageError, match="has several databases"):
        project.backup("tenants")
    for one in project.members("tenants"):
        assert project.backup(one.label).manifest.database == one.db_name
    assert [one.label for one in project.members("dev")] == ["dev"]
