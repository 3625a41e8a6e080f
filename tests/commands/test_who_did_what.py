"""``history --everything``: who has backed up, restored, copied, dropped and unlocked what."""

from __future__ import annotations

import json
from typing import Any

import pytest

from monarch import Project
from monarch.backups.operations import lines
from monarch.errors import StoreError
from tests.databases.mongo.engines.test_pairs import ActAtPhase
from tests.support.runs.two_environments import TwoEnvironments, entry

pytestmark = pytest.mark.server


def everything(two: TwoEnvironments, environment: str, *more: str) -> list[dict[str, Any]]:
    result = two.folder.invoke("history", environment, "--everything", "--json", *more)
    assert result.code == 0, result.err
    entries: list[dict[str, Any]] = json.loads(result.out)
    return entries


def backed_up(two: TwoEnvironments, environment: str = "production", *more: str) -> str:
    result = two.folder.invoke("backup", environment, "--json", "--engine", "native", *more)
    assert result.code == 0, result.err
    name: str = result.json["name"]
    return name


def test_a_target_remembers_both_lives(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    two.folder.migration("own", stamp="201405300000")
    assert two.folder.invoke("migrate", "dev").code == 0
    two.folder.migration("more", stamp="201405310000")
    assert two.folder.invoke("migrate", "production", "--yes").code == 0
    backup = backed_up(two)
    for command in (("copy_db", "production:dev"), ("restore", f"{backup}:dev")):
        assert two.folder.invoke(*command, "--yes", "--engine", "native").code == 0
    found = everything(two, "dev")
    shown = [(one["environment"], one["action"], one["key"], one["replaced"]) for one in found]
    own, more = "_201405300000_own_migration", "_201405310000_more_migration"
    assert sorted(shown[:3]) == [
        ("dev", "run", own, True),
        ("production", "run", own, False),
        ("production", "run", more, False),
    ]
    # The copy has also brought the line of the backup of production; the restored backup does not hold it.
    assert shown[3:] == [
        ("dev", "copy", "copy_db production:dev", True),
        ("dev", "restore", f"restore {backup}:dev", False),
    ]
    restored = found[-1]
    assert restored["backup"] == backup
    assert restored["documents"] > 200
    assert restored["bytes"] > 1000
    assert restored["user"]
    assert restored["host"]
    assert restored["seconds"] >= 0
    assert "monarch history dev --everything" in two.folder.invoke("history", "dev").err
    assert two.folder.invoke("history", "dev", "--json").err == ""
    plain = two.folder.invoke("history", "dev", "--json").json
    assert [(one["environment"], one["key"]) for one in plain] == [("production", own), ("production", more)]
    two.folder.migration("one", stamp="201405290000")
    assert two.folder.invoke("check", "dev").code == 0
    table = two.folder.invoke("history", "dev", "--everything").out
    assert "Completed, replaced since" in table
    assert f"restore {backup}:dev" in table
    assert [one["action"] for one in everything(two, "production")] == ["run", "run", "backup"]
    line = everything(two, "production", "--last", "1")
    assert [(one["key"], one["backup"]) for one in line] == [("backup production", backup)]
    assert backup in two.folder.invoke("history", "production", "--everything").out


def test_what_of_a_database_was_copied_or_restored(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    backup = backed_up(two)
    names = ("--only", "users", "--rename", "users=a\x1bb", "--without-indexes")
    copied = ("copy_db", "production:dev", "--into-existing")
    for command in (copied, ("restore", f"{backup}:dev", "--in-place")):
        assert two.folder.invoke(*command, *names, "--yes", "--engine", "native").code == 0
    named = "--only users --rename 'users=a\x1bb' --without-indexes"
    keys = [one["key"] for one in everything(two, "dev")][-2:]
    assert keys == [
        f"copy_db production:dev {named} --into-existing",
        f"restore {backup}:dev {named} --in-place",
    ]
    shown = two.folder.invoke("history", "dev", "--everything").out
    assert r"--rename 'users=a\x1bb'" in shown
    assert "\x1b" not in shown


def test_a_backup_by_a_user_who_may_only_read_is_recorded_beside_it(two: TwoEnvironments) -> None:
    store = two.folder.keep_backups()
    with two.server.client() as client:
        client[two.source.name].command(
            "createUser", "reader", pwd="secret", roles=[{"role": "read", "db": two.source.name}]
        )
        two.source.mongo_migration_journal.insert_one({"key": "x", "action": "mark", "outcome": "New"})
        uri = f"mongodb://reader:secret@localhost:{two.server.port}/?authSource={two.source.name}"
        two.folder.settings(production={"uri": uri, "db_name": two.source.name}, dev=entry(two.server, "x"))
        two.folder.keep_backups()
        name = backed_up(two)
        client[two.source.name].command("dropUser", "reader")
    line = store / f"{name}.journal"
    assert "secret" not in line.read_text()
    two.folder.settings(production=entry(two.server, two.source.name), dev=entry(two.server, "x"))
    two.folder.keep_backups()
    found = everything(two, "production")
    assert [(one["action"], one["backup"]) for one in found if one["action"] == "backup"] == [
        ("backup", name)
    ]
    listed = two.folder.invoke("list_backups", "--json").json
    assert [one["name"] for one in listed] == [name]
    sha256 = json.loads((store / f"{name}.dmp.zst.json").read_text())["sha256"]
    assert two.folder.invoke("delete_backup", name, "--yes").code == 0
    # Who took it is remembered, and who deleted it.
    assert not list(store.glob("*.dmp.*"))
    taken, deleted = everything(two, "production")[-2:]
    assert (taken["action"], taken["backup"], taken["user"]) == ("backup", name, found[-1]["user"])
    assert (deleted["key"], deleted["backup"]) == ("delete_backup of production", name)
    (item,) = deleted["backups"]
    assert (item["name"], item["deleted"], item["sha256"]) == (name, True, sha256)
    assert (
        f"delete_backup of production: {name}"
        in two.folder.invoke("history", "production", "--everything").out
    )
    # Another backup may have the name again.
    assert backed_up(two) == name
    assert [one["backup"] for one in everything(two, "production") if one["action"] == "backup"] == [name] * 2


def test_what_cannot_be_recorded_is_a_note(two: TwoEnvironments, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup is not lost because nothing can be written about it."""

    def fail(*_: object) -> None:
        raise StoreError("no room")

    two.folder.keep_backups()
    monkeypatch.setattr(lines, "_write", fail)
    result = two.folder.invoke("backup", "production", "--engine", "native", "--json")
    assert result.code == 0
    assert "Note: backup production could not be recorded: no room" in result.err
    name = result.json["name"]
    assert two.folder.invoke("verify_backup", name).code == 0
    deleted = two.folder.invoke("delete_backup", name, "--yes")
    assert deleted.code == 0
    assert "Note: delete_backup of production could not be recorded: no room" in deleted.err


def test_drops_unlocks_and_pruned_backups_are_remembered(two: TwoEnvironments) -> None:
    store = two.folder.keep_backups()
    names = [backed_up(two, "dev") for _ in range(3)]
    two.target.monarch_lease.insert_one(
        {"_id": "lease", "fence": 1, "holder": {"run": "r", "purpose": "migrate dev", "host": "h", "pid": 1}}
    )
    assert two.folder.invoke("unlock", "dev", "--yes").code == 0
    two.target.monarch_lease.update_one({}, {"$unset": {"holder": ""}})
    assert [(one["key"], one["action"]) for one in everything(two, "dev")][-1] == (
        "unlock dev: migrate dev",
        "unlock",
    )
    assert two.folder.invoke("drop_db", "dev", "--yes").code == 0
    assert two.target.name not in two.target.client.list_database_names()
    sizes = {one["name"]: one["bytes"] for one in two.folder.invoke("list_backups", "--json").json}
    assert two.folder.invoke("prune_backups", "dev", "--keep-last", "1", "--yes").code == 0
    found = everything(two, "dev")
    assert [one["action"] for one in found] == ["backup", "backup", "backup", "drop", "prune"]
    assert [one["backup"] for one in found[:3]] == names
    assert found[3]["documents"] >= 2
    assert found[4]["backup"] == ", ".join(names[:2])
    assert found[4]["bytes"] == sum(sizes[name] for name in names[:2])
    table = two.folder.invoke("history", "dev", "--everything").out
    assert f"prune_backups dev --keep-last 1: {names[0]}, {names[1]}" in table
    # Broken lines are left out; a store that is away is a note.
    for path in store.glob("prune*"):
        path.write_text('{"entries": [{"key": 1}]}')
    (store / "x.journal").write_bytes(b"\xff")
    assert [one["action"] for one in everything(two, "dev")] == ["backup", "backup", "backup", "drop"]
    assert [one["action"] for one in everything(two, "dev", "--last", "1")] == ["drop"]


def test_a_project_without_a_store_has_the_journal_of_its_database(two: TwoEnvironments) -> None:
    assert two.folder.invoke("drop_db", "dev", "--yes").err == ""
    assert everything(two, "dev") == []
    empty = two.folder.invoke("history", "dev")
    assert empty.out == "The journal of dev has no attempt at a migration.\n"
    (two.folder.path / "migrations/settings.py").open("a").write("BACKUPS = {'NOWHERE': {}}\n")
    result = two.folder.invoke("history", "dev", "--everything", "--json")
    assert result.json == []
    assert "Note: what the store of the backups has is not shown: " in result.err


@pytest.mark.parametrize("into_existing", [False, True])
def test_a_backup_while_a_copy_is_about_to_swap(two: TwoEnvironments, into_existing: bool) -> None:
    """The copy has taken over the journal already: what is written into the old one then would be lost."""
    two.folder.keep_backups()
    two.folder.migration("own", stamp="201405300000")
    assert two.folder.invoke("migrate", "dev").code == 0
    taken: list[str] = []

    def back_up() -> None:
        taken.append(two.folder.monarch("backup", "dev", "--json", "--engine", "native").json["name"])

    Project(two.folder.path).copy(
        "production",
        "dev",
        engine="native",
        only=("users",) if into_existing else (),
        into_existing=into_existing,
        progress=ActAtPhase("swapping", back_up),
    )
    assert [one["backup"] for one in everything(two, "dev") if one["action"] == "backup"] == taken


def test_a_store_that_cannot_be_read_is_told(two: TwoEnvironments) -> None:
    with (two.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write("BACKUPS = {'backup_dir': 'backups'}\n")
    result = two.folder.invoke("history", "dev", "--everything")
    assert result.code == 0
    assert "is not shown: Unknown store 'backup_dir' in BACKUPS.\n" in result.err
