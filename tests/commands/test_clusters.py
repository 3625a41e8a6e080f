"""A sharded cluster behind a mongos: what is copied, what is refused, and what is reported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import Int64, Timestamp
from pymongo import MongoClient

from monarch import Project
from monarch.databases.mongo.catalog.read import list_entries
from monarch.databases.mongo.connection.client import connect
from monarch.databases.mongo.connection.handle import DatabaseHandle
from tests.support.runs.clusters import Sharded, limited, through
from tests.support.runs.two_environments import DOCUMENTS, assert_error
from tests.support.servers.mongod import Server
from tests.support.servers.mongos import Document, Mongos, refuse, run_cluster

pytestmark = pytest.mark.server

LOSES = "'users' of 'production' is sharded. Its shard key, zones and chunks are not carried. It is written "
USE = "Percona Backup for MongoDB, mongosync, or mongorestore into empty sharded collections"
UNREADABLE = "its user may not read"


# Copies and backups from a cluster


def test_a_copy_from_a_cluster_reports_its_losses(sharded: Sharded) -> None:
    sharded.reach_through("production")
    sharded.shard(sharded.source, "users")
    sharded.shard(sharded.source, "mongo_migration_history", dropped=True)
    sharded.shard(sharded.target, "users")
    plan = sharded.run("copy_db", "production:dev", "--plan", "--engine", "native")
    assert plan.code == 0, plan.output
    assert LOSES in plan.err
    assert "mongo_migration_history" not in plan.err
    sharded.assert_unchanged()
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert LOSES in result.err
    sharded.assert_copied()
    for more in (["--plan"], ["--yes"]):
        printed = sharded.run("copy_db", "production:dev", *more, "--json").json
        (loss,) = printed["notes"]
        assert loss.startswith(LOSES)


def test_a_copy_from_a_private_cluster_is_masked(sharded: Sharded) -> None:
    sharded.folder.settings(
        production={**through(sharded.mongos, sharded.source.name), "private": True},
        dev={"uri": sharded.server.uri, "db_name": sharded.target.name},
    )
    sharded.shard(sharded.source, "users")
    sharded.folder.write(
        "migrations/privacy.py",
        """\
        from monarch.privacy import Masks, email, keep

        masks = Masks()
        masks['users'] = {'_id': keep, 'name': email(unique=True)}
        """,
    )
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert LOSES in result.err
    masked = {one["_id"]: one["name"].partition("@")[2] for one in sharded.target.users.find()}
    assert masked == dict.fromkeys(range(DOCUMENTS), "example.com")


def test_a_copy_from_a_cluster_without_sharded_collections_loses_nothing(sharded: Sharded) -> None:
    sharded.reach_through("production")
    sharded.shard(sharded.target, "users")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert (result.code, result.err) == (0, ""), result.output
    sharded.assert_copied()


def test_collections_that_are_not_read_are_not_reported_as_losses(sharded: Sharded) -> None:
    sharded.reach_through("production")
    sharded.source.orders.insert_one({})
    sharded.shard(sharded.source, "orders")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native", "--exclude", "orders")
    assert (result.code, result.err) == (0, ""), result.output


def test_a_subset_of_a_cluster(sharded: Sharded) -> None:
    sharded.reach_through("production")
    sharded.source.orders.insert_many({"_id": n, "user": n % 7} for n in range(50))
    sharded.shard(sharded.source, "orders")
    sharded.shard(sharded.source, "users")
    sharded.folder.write(
        "querysets/part.py",
        """\
        from monarch import QuerySet


        class Part(QuerySet):
            def run(self):
                self.dump_collection("orders", {"user": 3}, sample=4, seed=1)
                self.follow("orders.user", "users._id")
        """,
    )
    for more in (["--plan"], ["--yes"]):
        result = sharded.run("copy_db", "production:dev", "--query-set", "Part", *more)
        assert result.code == 0, result.output
        assert "'orders', 'users' of 'production' are sharded" in result.err
    assert sharded.target.orders.count_documents({}) == 4
    assert [one["_id"] for one in sharded.target.users.find()] == [3]


def test_time_series_and_moved_collections_are_named(sharded: Sharded) -> None:
    sharded.reach_through("production")
    sharded.source.create_collection("weather", timeseries={"timeField": "t"})
    sharded.shard(sharded.source, "system.buckets.weather")
    sharded.shard(sharded.source, "users", unsplittable=True)
    result = sharded.run("copy_db", "production:dev", "--plan", "--engine", "native")
    assert "'weather' of 'production' is sharded" in result.err
    assert "'users' of 'production' was moved to another shard" in result.err


def test_a_backup_of_a_cluster(sharded: Sharded) -> None:
    sharded.reach_through("production")
    sharded.folder.keep_backups()
    sharded.shard(sharded.source, "users")
    result = sharded.run("backup", "production", "--name", "app", "--engine", "native")
    assert result.code == 0, result.output
    assert LOSES in result.err
    printed = sharded.run("backup", "production", "--name", "app", "--engine", "native", "--json").json
    assert printed["notes"][0].startswith(LOSES)
    # The backup is from one snapshot, in which all shards have the same cluster time.
    assert printed["one_moment"] is True
    assert printed["server"].endswith(", a sharded cluster")
    assert any("atClusterTime" in command.get("readConcern", {}) for command in sharded.mongos.asked)
    restored = sharded.run("restore", "production:dev", "--yes", "--engine", "native")
    assert restored.code == 0, restored.output
    sharded.assert_copied()


def test_a_new_mongos_reports_the_cluster_time_after_a_delay(sharded: Sharded) -> None:
    pings: list[Document] = []

    def timeless(command: Document, reply: Document) -> Document | None:
        if "ping" not in command or pings:
            return None
        pings.append(command)
        return {name: value for name, value in reply.items() if name != "operationTime"}

    sharded.mongos.changes.append(timeless)
    sharded.reach_through("production")
    sharded.folder.keep_backups()
    assert sharded.run("backup", "production", "--engine", "native", "--json").json["one_moment"] is True
    assert pings


def test_a_mongos_without_snapshots(sharded: Sharded) -> None:
    def too_old(command: Document) -> Document | None:
        if "atClusterTime" not in command.get("readConcern", {}):
            return None
        return {"ok": 0.0, "code": 72, "errmsg": "only valid in multi-statement transactions"}

    sharded.mongos.refusals.append(too_old)
    sharded.reach_through("production")
    sharded.folder.keep_backups()
    assert sharded.run("backup", "production", "--engine", "native", "--json").json["one_moment"] is False


def test_a_stale_history_of_chunks_ends_the_snapshot(sharded: Sharded) -> None:
    """It ends after the probe: the rest is read without the snapshot, and that is reported."""
    probed: list[Document] = []

    def stale(command: Document) -> Document | None:
        if "atClusterTime" not in command.get("readConcern", {}):
            return None
        probed.append(command)
        return None if len(probed) == 1 else {"ok": 0.0, "code": 250, "errmsg": "stale chunk history"}

    sharded.mongos.refusals.append(stale)
    sharded.reach_through("production")
    sharded.folder.keep_backups()
    result = sharded.run("backup", "production", "--engine", "native", "--json")
    assert result.code == 0, result.output
    assert result.json["one_moment"] is False
    assert len(probed) > 1


@pytest.mark.parametrize("is_unique", [True, False])
def test_a_snapshot_that_ends_while_a_sharded_collection_is_read(sharded: Sharded, is_unique: bool) -> None:
    """The second reading leaves out documents by ``_id``, which may exist on two shards."""

    def half(command: Document, reply: Document) -> Document | None:
        if command.get("find") != "users" or command.get("limit"):
            return None
        batch = reply["cursor"]["firstBatch"]
        if "atClusterTime" in command.get("readConcern", {}):
            return {**reply, "cursor": {**reply["cursor"], "id": Int64(7), "firstBatch": batch[:100]}}
        batch = batch if is_unique else [*batch, {**batch[0], "name": "another"}]
        return {**reply, "cursor": {**reply["cursor"], "firstBatch": batch}}

    sharded.mongos.changes.append(half)
    sharded.mongos.refusals.append(refuse("getMore", 246, "snapshot unavailable"))
    sharded.reach_through("production")
    folder = sharded.folder.keep_backups()
    folder.mkdir()
    result = sharded.run("backup", "production", "--engine", "native", "--json")
    if is_unique:
        assert result.json["one_moment"] is False
        assert {one["name"]: one["documents"] for one in result.json["collections"]}["users"] == DOCUMENTS
    else:
        words = "'users' of 'production' has documents with one _id on two shards"
        assert_error(result, 5, words, "minSnapshotHistoryWindowInSeconds")
        assert not list(folder.glob("*.json"))


@pytest.mark.parametrize("direct", [False, True])
def test_a_mongos_is_not_asked_for_resume_tokens(sharded: Sharded, direct: bool) -> None:
    """The same holds with directConnection, which makes a driver treat it as a single server."""
    sharded.reach_through("production", directConnection=direct)
    sharded.folder.keep_backups()
    result = sharded.run("backup", "production", "--engine", "native", "--json")
    assert result.json["one_moment"] is True
    assert not [one for one in sharded.mongos.asked if "$_requestResumeToken" in one]


def test_a_user_who_may_not_read_the_config_database(sharded: Sharded) -> None:
    def statistics(command: Document, reply: Document) -> Document | None:
        if command.get("collStats") != "users":
            return None
        return {**reply, "sharded": True, "shards": {"one": {"count": 1}}}

    sharded.mongos.changes.append(statistics)
    sharded.reach_through("production", **limited(sharded, sharded.source, "read"))
    result = sharded.run("copy_db", "production:dev", "--plan", "--engine", "native")
    assert result.code == 0, result.output
    assert LOSES in result.err
    assert "its user may not read config.collections" in result.err
    sharded.source.command("dropUser", "limited")


def test_a_catalog_in_several_replies_is_read_from_one_mongos(sharded: Sharded) -> None:
    """Other mongos do not have the cursor."""
    with Mongos(sharded.server) as other:
        for number, mongos in enumerate((sharded.mongos, other), 1):
            rest: list[Document] = []

            def first(
                command: Document, reply: Document, rest: list[Document] = rest, cursor: int = number
            ) -> Document | None:
                if "listCollections" not in command:
                    return None
                batch = reply["cursor"]["firstBatch"]
                rest[:] = batch[1:]
                return {**reply, "cursor": {**reply["cursor"], "id": Int64(cursor), "firstBatch": batch[:1]}}

            def more(command: Document, rest: list[Document] = rest, cursor: int = number) -> Document | None:
                if "getMore" not in command:
                    return None
                if command["getMore"] != cursor:
                    return {"ok": 0.0, "code": 43, "errmsg": "cursor not found"}
                space = f"{sharded.source.name}.$cmd.listCollections"
                return {"ok": 1.0, "cursor": {"id": Int64(0), "ns": space, "nextBatch": rest}}

            mongos.changes.append(first)
            mongos.refusals.append(more)
        uri = sharded.mongos.uri.replace("/?", f",localhost:{other.port}/?")
        sharded.folder.settings(production={"uri": uri, "db_name": sharded.source.name})
        environment = Project(sharded.folder.path).environment("production")
        with connect(environment) as client:
            handle = DatabaseHandle(environment, client[sharded.source.name])
            for _ in range(30):
                names = {entry["name"] for entry in list_entries(handle)}
                assert {"users", "young", "mongo_migration_history"} <= names


def test_the_primary_is_asked_which_collections_are_sharded(sharded: Sharded) -> None:
    """The read preference of the settings is ignored: a secondary may not have the answer yet."""
    sharded.reach_through("production", "dev", readPreference="secondaryPreferred")
    sharded.mongos.asked.clear()
    assert sharded.run("copy_db", "production:dev", "--plan").code == 0
    asked = [one for one in sharded.mongos.asked if one["$db"] == "config" and "find" in one]
    assert {one["find"] for one in asked} == {"collections"}
    modes = {one.get("$readPreference", {}).get("mode", "primary") for one in asked}
    assert modes == {"primary"}


def test_an_index_that_a_shard_is_building_is_not_ready(sharded: Sharded) -> None:
    def building(command: Document, reply: Document) -> Document | None:
        if command.get("collStats") != "users":
            return None
        return {**reply, "shards": {"one": {"indexBuilds": []}, "two": {"indexBuilds": ["name_1"]}}}

    sharded.reach_through("production")
    indexes = {}
    for changes in ([], [building]):
        sharded.mongos.changes[:] = changes
        printed = sharded.run("copy_db", "production:dev", "--plan", "--json").json
        indexes[bool(changes)] = {row["name"]: row["indexes"] for row in printed["copied"]}["users"]
    assert indexes == {False: 2, True: 1}


def test_each_shard_counts_its_part_of_a_collection(sharded: Sharded) -> None:
    """The first shard has no documents of it, but the collection is not empty."""
    parts: list[Document] = []

    def count(command: Document, reply: Document) -> Document | None:
        if command.get("aggregate") != "users" or "$collStats" not in command["pipeline"][0]:
            return None
        parts.append(command)
        first = reply["cursor"]["firstBatch"]
        return {**reply, "cursor": {**reply["cursor"], "firstBatch": [{**first[0], "count": 0}, *first]}}

    def nothing(command: Document, reply: Document) -> Document | None:
        if command.get("find") != "users" or command.get("limit") == 1:
            return None
        return {**reply, "cursor": {**reply["cursor"], "id": 0, "firstBatch": []}}

    sharded.mongos.changes += [count, nothing]
    sharded.reach_through("production")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert_error(result, 5, "'users' of 'production' was dropped, renamed or replaced", "Nothing was changed")
    assert parts
    sharded.assert_unchanged()


# Copies and restores into a cluster


def test_a_sharded_collection_is_not_replaced(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    sharded.shard(sharded.target, "users")
    sharded.shard(sharded.target, "old", unsplittable=True)
    sharded.shard(sharded.source, "young")
    refusal = (
        "'dev' is a sharded cluster, and replacing its contents would lose the shard keys of 'users' and "
        "would move 'old' back to its primary shard."
    )
    for more in (["--plan"], ["--yes"], ["--yes", "--in-place"]):
        result = sharded.run("copy_db", "production:dev", "--engine", "native", *more)
        assert_error(result, 2, refusal, USE)
        sharded.assert_unchanged()
        assert "monarch_lease" not in sharded.target.list_collection_names()
    names = {command["create"] for command in sharded.mongos.asked if "create" in command}
    assert not names, "nothing was staged"


def test_a_restore_is_refused_before_the_backup_is_read(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    folder = sharded.folder.keep_backups()
    sharded.shard(sharded.target, "users")
    assert sharded.run("backup", "production", "--name", "app", "--engine", "native").code == 0
    (archive,) = folder.glob("app*.dmp.zst")
    archive.write_bytes(archive.read_bytes()[:-9] + b"x" * 9)  # the verification would detect it
    result = sharded.run("restore", f"{archive.name}:dev", "--yes")
    assert_error(result, 2, "would lose the shard keys of 'users'", USE)
    sharded.assert_unchanged()


def test_a_collection_that_is_sharded_during_the_copy(sharded: Sharded) -> None:
    sharded.reach_through("dev")

    def shard_now(command: Document) -> Document | None:
        if command.get("insert", "").startswith("monarch_staging.") and not done:
            done.append(command)
            sharded.shard(sharded.target, "users")
        return None

    done: list[Document] = []
    sharded.mongos.refusals.append(shard_now)
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert done
    assert_error(result, 2, "would lose the shard keys of 'users'", USE)
    sharded.assert_unchanged()


def test_a_database_without_sharded_collections_is_replaced(sharded: Sharded) -> None:
    sharded.reach_through("dev")
    sharded.shard(sharded.source, "users")  # another database of the cluster
    sharded.source.create_collection("weather", timeseries={"timeField": "t"})
    sharded.folder.keep_backups()
    for more in ([], ["--in-place"]):
        sharded.reset_target()
        result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native", *more)
        assert (result.code, result.err) == (0, ""), result.output
        sharded.assert_copied()
    assert sharded.run("backup", "production", "--engine", "native").code == 0
    sharded.reset_target()
    result = sharded.run("restore", "production:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    sharded.assert_copied()


def test_a_target_whose_config_database_cannot_be_read(sharded: Sharded) -> None:
    sharded.reach_through("dev", **limited(sharded, sharded.target, "readWrite", "dbAdmin"))
    for more in (["--plan"], ["--yes"]):
        result = sharded.run("copy_db", "production:dev", "--engine", "native", *more)
        assert_error(result, 2, f"'dev' is a sharded cluster, and {UNREADABLE}", "clusterMonitor")
    sharded.assert_unchanged()
    sharded.target.command("dropUser", "limited")


@pytest.mark.parametrize("side", ["source", "target"])
def test_system_js_is_not_swapped(sharded: Sharded, side: str) -> None:
    sharded.reach_through("dev")
    getattr(sharded, side)["system.js"].insert_one({"_id": "f", "value": "function () {}"})
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert_error(result, 2, "where monarch does not replace 'system.js'", "--exclude system.js")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native", "--exclude", "system.js")
    assert result.code == (0 if side == "source" else 2), result.output


def test_a_mongos_that_reports_no_uuids(sharded: Sharded) -> None:
    def without(command: Document, reply: Document) -> Document | None:
        if "listCollections" not in command:
            return None
        batch = [
            {**one, "info": {name: value for name, value in one.get("info", {}).items() if name != "uuid"}}
            for one in reply["cursor"]["firstBatch"]
        ]
        return {**reply, "cursor": {**reply["cursor"], "firstBatch": batch}}

    sharded.mongos.changes.append(without)
    sharded.reach_through("dev")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert_error(result, 2, "does not report the UUID of", USE)
    sharded.mongos.changes.clear()
    sharded.assert_unchanged()


def test_a_mongos_that_cannot_rename_by_uuid(sharded: Sharded) -> None:
    """The rehearsal detects it: during the swap it would be too late."""
    sharded.mongos.refusals.append(refuse("renameCollection", 361, "another UUID"))
    sharded.reach_through("dev")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert_error(result, 5, "does not rename a collection by its UUID", "Nothing was changed")
    sharded.assert_unchanged()


def test_a_swap_waits_for_another_operation_of_the_cluster(sharded: Sharded) -> None:
    renames = [0]

    def busy(command: Document) -> Document | None:
        if "renameCollection" not in command or ".rehearsal." in command["renameCollection"]:
            return None
        renames[0] += 1
        return {"ok": 0.0, "code": 117, "errmsg": "another operation"} if renames[0] == 1 else None

    sharded.mongos.refusals.append(busy)
    sharded.reach_through("dev")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert renames[0] > 1
    sharded.assert_copied()


def test_the_tools_in_both_directions(sharded: Sharded, tools: Path) -> None:
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    for name in ("production", "dev"):
        sharded.reset_target()
        sharded.reach_through(name)
        result = sharded.copy("--yes", "--engine", "tools", variables=with_tools)
        assert (result.code, result.err) == (0, ""), result.output
        sharded.assert_copied()


def test_empty_timestamps(sharded: Sharded) -> None:
    """The server replaces them on insert, so an update writes them, which mongos forwards."""
    sharded.source.command("insert", "stamps", documents=[{"_id": 1, "at": Timestamp(1, 1)}])
    sharded.source.stamps.update_one({"_id": 1}, [{"$set": {"at": Timestamp(0, 0)}}])
    sharded.reach_through("dev")
    assert sharded.run("copy_db", "production:dev", "--yes", "--engine", "native").code == 0
    assert sharded.target.stamps.find_one() == {"_id": 1, "at": Timestamp(0, 0)}


# The same database


def test_two_mongos_of_one_cluster_are_one_server(sharded: Sharded) -> None:
    with Mongos(sharded.server) as other:
        name = sharded.target.name
        sharded.folder.settings(production=through(sharded.mongos, name), dev=through(other, name))
        for more in (["--plan"], ["--yes"]):
            result = sharded.run("copy_db", "production:dev", *more)
            assert_error(result, 2, "'production' and 'dev' are the same database", "Nothing was changed")
        sharded.assert_unchanged()
        assert "monarch_lease" not in sharded.target.list_collection_names()


def test_one_address_is_one_server_without_the_right_to_read_its_id(sharded: Sharded) -> None:
    """A balancer may forward each connection to a different mongos."""
    user = limited(sharded, sharded.target, "readWrite")
    sharded.mongos.is_balancer = True
    entries = through(sharded.mongos, sharded.target.name, **user)
    sharded.folder.settings(production=entries, dev=entries)
    result = sharded.run("copy_db", "production:dev", "--plan")
    assert_error(result, 2, "'production' and 'dev' are the same database", "Nothing was changed")
    sharded.target.command("dropUser", "limited")


def test_the_lease_detects_two_mongos_one_of_which_hides_its_id(sharded: Sharded) -> None:
    user = limited(sharded, sharded.target, "readWrite")
    with Mongos(sharded.server) as other:
        name = sharded.target.name
        sharded.folder.settings(production=through(sharded.mongos, name, **user), dev=through(other, name))
        for more in ([], ["--in-place"]):
            result = sharded.run("copy_db", "production:dev", "--yes", *more)
            assert_error(result, 2, "'production' and 'dev' are the same database", "Nothing was changed")
        sharded.assert_unchanged()
    sharded.target.command("dropUser", "limited")


def test_two_clusters_are_two_servers(sharded: Sharded, server: Server) -> None:
    name = sharded.target.name
    with run_cluster(server, cluster=None) as other, server.client() as client:
        client["config"]["version"].insert_one({"_id": 1, "clusterId": "another"})
        client[name].things.insert_many({"_id": n} for n in range(DOCUMENTS))
        sharded.folder.settings(production=through(other, name), dev=through(sharded.mongos, name))
        result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
        assert result.code == 0, result.output
        assert sharded.target.things.count_documents({}) == DOCUMENTS
        client.drop_database(name)


def test_a_trial_is_refused_before_anything_is_copied(sharded: Sharded) -> None:
    key = sharded.folder.migration("one")
    sharded.reach_through("dev")
    result = sharded.run("verify_migration", key, "dev")
    assert_error(
        result, 2, "'dev' is a sharded cluster, which cannot report what", "verify the migration there"
    )
    names = sharded.target.client.list_database_names()
    assert not [name for name in names if "_scratch_" in name]


def test_the_name_of_a_replica_set_is_an_error_for_a_mongos(sharded: Sharded) -> None:
    sharded.reach_through("dev", replicaSet="rs", serverSelectionTimeoutMS=500)
    result = sharded.run("list_migrations", "dev")
    assert_error(result, 5, "Cannot reach MongoDB for 'dev'", "remove it for a mongos")


@pytest.fixture
def shard_identity(sharded: Sharded) -> Iterator[None]:
    """Mark the mongod as a shard in its own collection of versions."""
    admin = sharded.source.client["admin"]
    admin.command("createUser", "shard", pwd="shard-hush", roles=["__system"])
    user: dict[str, Any] = {"username": "shard", "password": "shard-hush", "authSource": "admin"}
    with MongoClient[Document]("localhost", sharded.server.port, **user) as client:
        versions = client["admin"]["system.version"]
        versions.insert_one({"_id": "shardIdentity", "shardName": "one"})
        yield
        versions.delete_one({"_id": "shardIdentity"})
    admin.command("dropUser", "shard")


@pytest.mark.usefixtures("shard_identity")
def test_a_shard_without_its_mongos(sharded: Sharded) -> None:
    sharded.reach_through()
    sharded.folder.keep_backups()
    part = "The server of 'production' is one shard of a cluster, reached without mongos. Of sharded"
    assert part in sharded.run("backup", "production", "--engine", "native").err
    refusal = "The server of 'dev' is one shard of a cluster, reached without mongos"
    for more in (["--plan"], ["--yes"]):
        result = sharded.run("copy_db", "production:dev", "--engine", "native", *more)
        assert_error(result, 2, refusal, "to a mongos")
    restored = sharded.run("restore", "production:dev", "--yes")
    assert (restored.code, refusal in restored.err) == (2, True)
    sharded.folder.migration("one", "self.database.ran.insert_one({})")
    assert_error(sharded.run("migrate", "dev", "--yes"), 2, refusal, "to a mongos")
    sharded.assert_unchanged()


@pytest.mark.usefixtures("shard_identity")
def test_a_shard_is_reached_through_its_mongos(sharded: Sharded) -> None:
    sharded.reach_through("production", "dev")
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert (result.code, result.err) == (0, ""), result.output
    sharded.assert_copied()


@pytest.mark.usefixtures("shard_identity")
def test_a_user_who_may_not_read_the_kind_of_server(sharded: Sharded) -> None:
    user = limited(sharded, sharded.source, "read")
    entries = {"host": sharded.server.host, "db_name": sharded.source.name, **user}
    sharded.folder.settings(production=entries, dev=through(sharded.mongos, sharded.target.name))
    result = sharded.run("copy_db", "production:dev", "--yes", "--engine", "native")
    assert (result.code, result.err) == (0, ""), result.output
    sharded.source.command("dropUser", "limited")
