"""Migrations on a sharded cluster: history, journal, lease and transactions through a mongos."""

from __future__ import annotations

import pytest

from monarch import Project
from tests.support.runs.clusters import Sharded, limited, through
from tests.support.runs.two_environments import assert_error
from tests.support.servers.mongos import Document, Mongos

pytestmark = pytest.mark.server


def states(sharded: Sharded) -> dict[str, str]:
    return {row["key"]: row["state"] for row in sharded.target.mongo_migration_history.find()}


def test_migrations_run_fail_are_retried_and_rolled_back(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    one = sharded.folder.migration("one", "self.database.ran.insert_one({'_id': 1})")
    two = sharded.folder.migration("two", "raise RuntimeError('not yet')")
    assert sharded.run("list_migrations", "dev").output.count("New") == 2
    failed = sharded.run("migrate", "dev", "--yes")
    assert failed.code == 1, failed.output
    assert states(sharded) == {one: "Completed", two: "Failed"}
    path = sharded.folder.path / "migrations" / f"{two}.py"
    path.write_text(path.read_text().replace("raise RuntimeError('not yet')", "pass"))
    assert sharded.run("migrate", "dev", "--retry", "--yes").code == 0
    assert states(sharded) == {one: "Completed", two: "Completed"}
    assert sharded.run("check", "dev").code == 0
    assert sharded.run("mark", "dev", two, "--as", "new", "--yes").code == 0
    outcomes = [entry["outcome"] for entry in history(sharded)]
    assert outcomes == ["Completed", "Failed", "Completed", "New"]


def history(sharded: Sharded) -> list[Document]:
    entries: list[Document] = sharded.run("history", "dev", "--json").json
    return entries


def test_a_transaction(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    for name, more in (("good", "pass"), ("bad", "raise RuntimeError('no')")):
        body = f"self.database.ran.insert_one({{'_id': {name!r}}}, session=self.session)\n{more}"
        key = sharded.folder.migration(name, body)
        path = sharded.folder.path / "migrations" / f"{key}.py"
        path.write_text(path.read_text().replace("    def run", "    transaction = True\n\n    def run"))
    sharded.target.create_collection("ran")
    result = sharded.run("migrate", "dev", "--yes")
    assert result.code == 1, result.output
    assert [one["_id"] for one in sharded.target.ran.find()] == ["good"]
    assert sorted(states(sharded).values()) == ["Completed", "Failed"]
    assert [one for one in sharded.mongos.asked if "commitTransaction" in one]


def test_a_scan_and_its_positions(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    sharded.target.many.insert_many({"_id": n} for n in range(30))
    sharded.folder.migration(
        "scan",
        "for one in self.each('many', batch=10):\n"
        "    self.database.many.update_one({'_id': one['_id']}, {'$set': {'seen': True}})",
    )
    assert sharded.run("migrate", "dev", "--yes").code == 0
    assert sharded.target.many.count_documents({"seen": True}) == 30


def test_the_lease_is_held_through_every_mongos(sharded: Sharded) -> None:
    key = sharded.folder.migration("one")
    with Mongos(sharded.server) as other:
        name = sharded.target.name
        sharded.folder.settings(dev=through(sharded.mongos, name), beside=through(other, name))
        with Project(sharded.folder.path).open("beside") as database, database.lease("a test"):
            assert_error(
                sharded.run("migrate_one", key, "dev", "--yes"), 4, "'dev' is held by", "Wait until that run"
            )
    assert states(sharded) == {}


def test_nothing_is_written_without_the_lease(sharded: Sharded) -> None:
    """The fence is checked in the pipeline, which mongos forwards."""
    sharded.reach_through("dev")
    take_over = "self.database.monarch_lease.update_one({}, {'$inc': {'fence': 1}})"
    key = sharded.folder.migration("one", take_over)
    result = sharded.run("migrate", "dev", "--yes")
    assert_error(result, 4, "This run has lost the lease of 'dev'", "Check what it did")
    assert states(sharded) == {key: "Processing"}


def test_a_shard_temporarily_without_a_primary(sharded: Sharded) -> None:
    failed: list[Document] = []

    def no_primary(command: Document) -> Document | None:
        if command.get("aggregate") != "monarch_lease" or failed:
            return None
        failed.append(command)
        return {"ok": 0.0, "code": 133, "errmsg": "Could not find host matching read preference"}

    sharded.mongos.refusals.append(no_primary)
    sharded.reach_through("dev")
    key = sharded.folder.migration("one")
    result = sharded.run("migrate", "dev", "--yes")
    assert result.code == 0, result.output
    assert failed
    assert states(sharded) == {key: "Completed"}


@pytest.mark.parametrize("name", ["mongo_migration_history", "mongo_migration_journal"])
@pytest.mark.parametrize("readable", [True, False])
def test_a_sharded_history(sharded: Sharded, name: str, readable: bool) -> None:
    def statistics(command: Document, reply: Document) -> Document | None:
        return {**reply, "sharded": True} if command.get("collStats") == name else None

    if readable:
        sharded.shard(sharded.target, name)
        sharded.reach_through("dev")
    else:
        sharded.mongos.changes.append(statistics)
        sharded.reach_through("dev", **limited(sharded, sharded.target, "readWrite"))
    sharded.folder.migration("one", "self.database.ran.insert_one({})")
    result = sharded.run("migrate", "dev", "--yes")
    assert_error(result, 2, f"The history in 'dev' cannot be written: '{name}' is sharded", "Nothing was run")
    assert "ran" not in sharded.target.list_collection_names()
    if not readable:
        sharded.target.command("dropUser", "limited")


def test_drop_db(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    sharded.shard(sharded.target, "users")
    assert sharded.run("drop_db", "dev", "--yes").code == 0
    assert sharded.target.list_collection_names() == []


def test_a_backup_before_migrations_reports_its_losses(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    sharded.folder.keep_backups()
    sharded.shard(sharded.target, "users")
    sharded.folder.migration("one")
    result = sharded.run("migrate", "dev", "--yes", "--backup")
    assert result.code == 0, result.output
    assert "'users' of 'dev' is sharded. Its shard key, zones and chunks are not carried." in result.output
