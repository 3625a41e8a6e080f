"""Regressions: cases in which a copy lost data, or could have."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import Decimal128, Timestamp
from bson.datetime_ms import DatetimeMS
from pymongo import MongoClient

from monarch.databases import open_database
from monarch.databases.mongo.catalog.read import read_catalog
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.lease import MongoLease
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.swap.log import Swap, recover
from monarch.databases.mongo.swap.plan import plan_steps
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.mongo.swap.steps import Series
from monarch.errors import LockedError, ServerError
from tests.databases.mongo.engines.test_pairs import ActAtPhase, Small, environment, small_between
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.samples.everything import upsert_raw
from tests.support.servers.mongod import Server, run_mongod

EMPTY = Timestamp(0, 0)


@pytest.fixture
def small(server: Server) -> Iterator[Small]:
    with small_between(server, server) as made:
        yield made


@pytest.fixture
def plain_users(small: Small, tmp_path: Path) -> Iterator[Folder]:
    """A project whose users may only read the source and only write the target."""
    small.source.command("createUser", "reader", pwd="reader-hush", roles=["read"])
    small.target.command("createUser", "writer", pwd="writer-hush", roles=["readWrite"])
    folder = Folder(tmp_path, small.server)
    host = small.server.host
    folder.settings(
        one={"host": host, "db_name": small.source.name, "username": "reader", "password": "reader-hush"},
        other={"host": host, "db_name": small.target.name, "username": "writer", "password": "writer-hush"},
    )
    yield folder
    small.source.command("dropUser", "reader")
    small.target.command("dropUser", "writer")


def make_series(small: Small, documents: int) -> None:
    small.source.create_collection("weather", timeseries={"timeField": "t", "metaField": "m"})
    small.source.weather.insert_many(
        {"t": datetime(2014, 5, 29, n % 24), "m": n % 1000, "v": n} for n in range(documents)
    )


@pytest.mark.parametrize("delay", counts.sample([0.0, 0.3, 0.6], 1))
def test_ctrl_c_while_a_time_series_is_filled_leaves_no_duplicates(
    small: Small, plain_users: Folder, delay: float
) -> None:
    make_series(small, 30_000)
    process = plain_users.start("copy_db", "one:other", "--yes", "--engine", "native")
    while small.target.monarch_swap.find_one({"_id": "head"}) is None and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=60)
    assert process.returncode in (0, 130), output
    # At its beginning the swap can still be undone.
    undone = "'other' is as it was" in output
    assert small.target.weather.count_documents({}) == (0 if undone else 30_000)
    assert small.target.monarch_swap.find_one() is None


@contextmanager
def held(small: Small) -> Iterator[tuple[DatabaseHandle, MongoLease]]:
    """The target, and its lease."""
    target = environment("other", small.other, small.target.name)
    with small.other.client() as client, MongoLease(target, client[small.target.name], "a test") as lease:
        yield DatabaseHandle(target, client[small.target.name]), lease


def staged(small: Small, endpoint: DatabaseHandle, lease: MongoLease) -> Staging:
    """Stage the source's collections without documents, except those of ``weather``."""
    with small.server.client() as client:
        source = DatabaseHandle(
            environment("one", small.server, small.source.name), client[small.source.name]
        )
        staging = Staging(endpoint, lease, read_catalog(source))
    staging.prepare()
    return staging


def series(small: Small, endpoint: DatabaseHandle, lease: MongoLease) -> Series:
    staging = staged(small, endpoint, lease)
    small.target[staging.names["weather"]].insert_many(small.source.weather.find({}, {"_id": 0}))
    (step,) = [step for step in plan_steps(endpoint, staging) if isinstance(step, Series)]
    return step


def test_what_stays_is_there_at_every_moment_of_a_swap_that_keeps_it(small: Small) -> None:
    small.source.create_collection("weather", timeseries={"timeField": "t"})
    small.source.users.insert_one({"_id": "new"})
    small.source.create_collection("recent", viewOn="users", pipeline=[])
    cut = 0
    while True:
        small.target.client.drop_database(small.target.name)
        small.target.users.insert_one({"_id": "old"})
        small.target.weather.insert_one({"_id": "old"})
        small.target.kept.insert_one({"_id": "kept"})
        small.target.create_collection("own", viewOn="kept", pipeline=[])
        with held(small) as (endpoint, lease):
            steps = plan_steps(endpoint, staged(small, endpoint, lease), keep_others=True)
            Swap(endpoint, lease).begin(steps, "copy_db one:other --into-existing")
            for step in steps[:cut]:
                step.apply(endpoint, lambda: None)
        # The run is cut off here, and its lease is free for the next one.
        assert small.target.own.find_one() == {"_id": "kept"}
        with held(small) as (endpoint, lease):
            assert "the swap is finished now" in str(recover(endpoint, lease, refilling=False))
        assert small.target.own.find_one() == {"_id": "kept"}
        assert small.target.monarch_swap.find_one() is None
        kinds = {one["name"]: one["type"] for one in small.target.list_collections()}
        assert kinds["weather"] == "timeseries"
        assert kinds["recent"] == "view"
        assert not [name for name in kinds if name.startswith("monarch_staging")]
        cut += 1
        if cut > len(steps):
            break
    assert cut >= 4


def test_a_delayed_insert_of_an_interrupted_run_is_detected_and_the_series_refilled(small: Small) -> None:
    make_series(small, 100)
    with held(small) as (endpoint, lease):
        step = series(small, endpoint, lease)
        checks: list[object] = []

        def late() -> None:
            checks.append(None)
            if len(checks) == 3:  # after the series was dropped and created
                small.target.weather.insert_one({"t": datetime(2014, 5, 29), "m": 1})

        with pytest.raises(ServerError, match="'weather' of 'other' has 101 documents instead of 100"):
            step.apply(endpoint, late)
        step.apply(endpoint, late)
        assert small.target.weather.count_documents({}) == 100


def test_a_run_that_has_lost_its_lease_stops_within_a_series(small: Small) -> None:
    make_series(small, 100)
    with held(small) as (endpoint, lease):
        step = series(small, endpoint, lease)

        def lost() -> None:
            raise LockedError("lost")

        with pytest.raises(LockedError):
            step.apply(endpoint, lost)
        assert small.target.weather.count_documents({}) == 0


@pytest.mark.parametrize("rights", ["root", "plain"])
def test_empty_timestamps_in_time_series(small: Small, plain_users: Folder, rights: str) -> None:
    small.source.create_collection("weather", timeseries={"timeField": "t", "metaField": "where"})
    day = datetime(2014, 5, 29)
    small.source.weather.insert_many([{"t": day, "where": EMPTY, "v": EMPTY}, {"t": day, "v": EMPTY}])
    if rights == "root":
        small.copy()
    else:
        result = plain_users.monarch("copy_db", "one:other", "--yes")
        assert result.code == 0, result.output
    assert_equal(describe(small.source, buckets=False), describe(small.target, buckets=False))
    assert small.target.weather.count_documents({"where": EMPTY, "v": EMPTY}) == 1


def test_a_copy_fails_if_a_validator_refuses_an_empty_timestamp(small: Small, plain_users: Folder) -> None:
    upsert_raw(small.source, "strict", {"_id": 1, "at": EMPTY})
    small.source.command("collMod", "strict", validator={"at": {"$gt": EMPTY}})
    result = plain_users.monarch("copy_db", "one:other", "--yes", "--engine", "native")
    assert result.code == 5
    assert "refused the empty timestamp 'at' of a document of 'strict'" in result.err
    small.assert_old()


def test_a_copy_fails_if_a_time_series_is_replaced_while_it_is_read(small: Small) -> None:
    make_series(small, 100)

    def exchange() -> None:
        small.source.weather.drop()
        small.source.create_collection("weather", timeseries={"timeField": "t", "metaField": "m"})

    with pytest.raises(ServerError, match="'weather' of 'one' was dropped, renamed or replaced"):
        small.copy(progress=ActAtPhase("copying", exchange))
    small.assert_old()


def test_a_copy_fails_if_its_source_is_swapped_while_it_is_read(small: Small) -> None:
    def begin() -> None:
        head = {"_id": "head", "state": "swapping", "purpose": "copy_db a:one", "run": "a", "steps": 1}
        small.source.monarch_swap.insert_one(head)

    with pytest.raises(Exception, match="'one' is in the middle of `copy_db a:one`"):
        small.copy(progress=ActAtPhase("copying", begin))
    small.source.monarch_swap.drop()
    small.assert_old()


def test_views_that_reversed_their_order(small: Small) -> None:
    small.source.create_collection("v2", viewOn="users", pipeline=[])
    small.source.create_collection("v1", viewOn="v2", pipeline=[])
    small.target.create_collection("v1", viewOn="users", pipeline=[])
    small.target.create_collection("v2", viewOn="v1", pipeline=[])
    small.copy()
    assert_equal(describe(small.source), describe(small.target))


def test_views_with_another_collation(small: Small) -> None:
    # With three users only: joining each with all would give nine million documents.
    few = {"$match": {"_id": {"$lt": 3}}}
    lookup = [few, {"$lookup": {"from": "v2", "as": "x", "localField": "_id", "foreignField": "_id"}}]
    small.source.create_collection("v2", viewOn="users", pipeline=[])
    small.source.create_collection("v1", viewOn="v2", pipeline=lookup)
    small.target.create_collection("v2", viewOn="users", pipeline=[], collation={"locale": "sv"})
    small.copy()
    assert_equal(describe(small.source), describe(small.target))


def test_a_name_too_long_for_the_target(small: Small) -> None:
    name = "n" * (255 - len(small.source.name) - 1)
    small.source[name].insert_one({})
    with small.other.client() as client:
        longer = client[small.target.name + "_longer"]
        longer.users.insert_one({"_id": "old"})
        other = Small(small.server, small.other, small.source, longer)
        with pytest.raises(ServerError, match=r"is too long a name for 'other': .* it has 262 bytes"):
            other.copy()
        other.assert_old()
        client.drop_database(longer.name)


def test_options_with_dates_that_python_cannot_represent(small: Small, tmp_path: Path) -> None:
    late = DatetimeMS(300_000_000_000_000)
    for database in (small.source, small.target):
        database.create_collection("late", validator={"at": {"$lt": late}})
        database.create_collection("later", viewOn="users", pipeline=[{"$match": {"at": {"$lt": late}}}])
    small.copy()
    assert_equal(describe(small.source), describe(small.target))
    folder = Folder(tmp_path)
    folder.settings(other={"uri": small.other.uri, "db_name": small.target.name})
    assert folder.monarch("drop_db", "other", "--yes").code == 0


def test_a_copy_fails_if_a_document_arrives_twice(small: Small) -> None:
    def insert() -> None:
        names = small.target.list_collection_names()
        name = next(name for name in names if name.startswith("monarch_staging.") and name.endswith(".1"))
        small.target[name].insert_one({"_id": 17})

    with pytest.raises(ServerError, match=r"refused a document of 'users': .*E11000") as error:
        small.copy(progress=ActAtPhase("copying", insert))
    assert error.value.hint == "If the source was written to while it was read, try again when it is not."
    small.assert_old()


def test_a_capped_collection_may_have_dropped_documents(small: Small) -> None:
    small.source.create_collection("log", capped=True, size=1_000_000)
    small.source.log.insert_many({"text": "x" * 100} for _ in range(1000))

    def shrink(dump: MongoSource) -> None:
        (log,) = [one for one in dump.collections if one.name == "log"]
        assert isinstance(log.options, dict)
        log.options["size"] = 4096

    small.copy(change=shrink)
    assert 0 < small.target.log.count_documents({}) < 1000


def steal_lease(small: Small) -> None:
    small.target.monarch_lease.update_one({}, {"$inc": {"fence": 1}, "$set": {"holder.run": "another"}})


def drop_staged(small: Small) -> None:
    for name in small.target.list_collection_names():
        if name.startswith("monarch_staging."):
            small.target[name].drop()


def test_a_lost_lease_leaves_no_staging(small: Small) -> None:
    with pytest.raises(LockedError, match="lost the lease of 'other'"):
        small.copy(progress=ActAtPhase("swapping", lambda: steal_lease(small)))
    small.assert_old()
    small.target.monarch_lease.drop()


@pytest.mark.parametrize("phase", ["comparing", "indexing"])
def test_a_run_whose_staging_the_next_holder_dropped_has_lost_its_lease(small: Small, phase: str) -> None:
    """The lease was checked recently, so it is not checked again before the missing staging is noticed."""

    def take_over() -> None:
        steal_lease(small)
        drop_staged(small)

    with pytest.raises(LockedError, match="lost the lease of 'other'") as caught:
        small.copy(progress=ActAtPhase(phase, take_over))
    assert caught.value.exit_code == 4
    small.assert_old()
    small.target.monarch_lease.drop()


def test_a_staged_collection_dropped_by_another_client_is_a_clear_error(small: Small) -> None:
    with held(small) as (endpoint, lease):
        staging = staged(small, endpoint, lease)
        drop_staged(small)
        with pytest.raises(ServerError, match="The staged copy of 'dogs' in 'other' was dropped before the"):
            plan_steps(endpoint, staging)


def test_an_option_of_old_servers_is_ignored(small: Small) -> None:
    small.source.command("create", "aged", autoIndexId=True)
    small.copy()
    assert "aged" in small.target.list_collection_names()


def test_another_copy_replaces_a_swap_that_cannot_be_finished(small: Small, tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.settings(
        one={"uri": small.server.uri, "db_name": small.source.name},
        other={"uri": small.other.uri, "db_name": small.target.name},
    )
    with held(small) as (endpoint, lease):
        staging = staged(small, endpoint, lease)
        Swap(endpoint, lease).begin(plan_steps(endpoint, staging), "copy_db one:other")
        small.target[staging.names["users"]].drop()
    for _ in range(2):
        result = folder.monarch("list_migrations", "other")
        assert result.code == 5
        assert "The swap of 'other' is unfinished." in result.err
        assert "Copy or restore into it again, or drop it: monarch drop_db other" in result.err
    assert (
        "'other' is in the middle of `copy_db one:other`"
        in folder.monarch("copy_db", "one:other", "--plan").err
    )
    assert folder.monarch("copy_db", "one:other", "--yes").code == 0
    assert_equal(describe(small.source), describe(small.target))
    assert folder.monarch("list_migrations", "other").code == 0


def test_the_swap_waits_for_an_index_build_on_the_target(server: Server) -> None:
    with run_mongod("--setParameter", "enableTestCommands=1") as (port, _):
        other = Server(port, 0)
        with small_between(server, other) as small, MongoClient[dict[str, Any]]("localhost", port) as client:
            small.target.dogs.insert_one({})

            point = "hangAfterStartingIndexBuild"

            def hang(mode: str) -> int:
                return int(client.admin.command("configureFailPoint", point, mode=mode)["count"])

            building = threading.Thread(target=lambda: small.target.dogs.create_index("a"))
            releasing = threading.Timer(3, lambda: hang("off"))

            def build() -> None:
                entered = hang("alwaysOn")
                building.start()
                client.admin.command("waitForFailPoint", point, timesEntered=entered + 1, maxTimeMS=60_000)
                releasing.start()

            try:
                small.copy(progress=ActAtPhase("swapping", build))
            finally:
                hang("off")
                building.join()
            assert_equal(describe(small.source), describe(small.target))


def test_steps_are_read_as_they_were_written(server: Server) -> None:
    with open_database(environment("one", server, "app"), Path()):
        options = {"timeseries": {"timeField": "t"}, "$odd.name": bson.Regex("a", "i")}
        step = Series("a", "b", options, ({"v": 2, "key": {"m": 1}, "name": "m_1"},), True)
        from monarch.databases.mongo.swap.steps import from_document, to_document

        assert from_document(bson.decode(bson.encode(to_document(step)))) == step


def test_names_that_pymongo_does_not_accept(small: Small, tmp_path: Path) -> None:
    for name in ("a..b", "a."):
        small.source.command("insert", name, documents=[{"_id": 1}, {"_id": 2}])
        small.source.command("createIndexes", name, indexes=[{"key": {"a": 1}, "name": "a"}])
    small.copy()
    found = {entry["name"] for entry in small.target.list_collections()}
    assert {"a..b", "a."} <= found
    assert [small.target.command("count", name)["n"] for name in ("a..b", "a.")] == [2, 2]
    folder = Folder(tmp_path)
    folder.settings(other={"uri": small.other.uri, "db_name": small.target.name})
    folder.keep_backups()
    assert folder.monarch("backup", "other").code == 0
    assert folder.monarch("drop_db", "other", "--yes").code == 0


def change_collection(small: Small, name: str, **changes: Any) -> Callable[[MongoSource], None]:
    """Return what replaces fields of the collection ``name`` in a source."""

    def change(source: MongoSource) -> None:
        source.collections = tuple(
            replace(one, **changes) if one.name == name else one for one in source.collections
        )

    small.source[name].insert_one({"_id": 1})
    return change


def test_a_temporary_collection_of_the_server(small: Small) -> None:
    """The server keeps the results of $out and mapReduce in one, and lists it while they run."""
    small.copy(change=change_collection(small, "tmp.agg_out.1", options={"temp": True}))
    assert small.target["tmp.agg_out.1"].count_documents({}) == 1


OF_ID = {"v": 2, "key": {"_id": 1}, "name": "_id_"}


@pytest.mark.parametrize(
    ("stored", "built"),
    [
        ({"sparse": 0}, {}),
        ({"sparse": 1.5, "unique": 1}, {"sparse": True, "unique": True}),
        ({"sparse": "x"}, {"sparse": True}),
        ({"expireAfterSeconds": Decimal128("3600.5")}, {"expireAfterSeconds": 3600}),
        ({"expireAfterSeconds": float("nan")}, {"expireAfterSeconds": 2**31 - 1}),
    ],
)
def test_values_of_index_options_that_servers_before_5_stored(
    small: Small, stored: dict[str, Any], built: dict[str, Any]
) -> None:
    indexes = (OF_ID, {"v": 2, "key": {"a": 1}, "name": "a", **stored})
    small.copy(change=change_collection(small, "aged", indexes=indexes))
    found = small.target.aged.index_information()["a"]
    assert {word: value for word, value in found.items() if word not in ("v", "key") and value} == built


@pytest.mark.parametrize("documents", [1, 1_000_000])
def test_an_index_that_the_server_no_longer_has_is_refused_before_anything_is_read(
    small: Small, documents: int
) -> None:
    haystack = {"v": 2, "key": {"at": "geoHaystack", "kind": 1}, "name": "near", "bucketSize": 5}
    change = change_collection(small, "places", indexes=(OF_ID, haystack), documents=documents)
    with pytest.raises(ServerError, match="GeoHaystack indexes cannot be created") as caught:
        small.copy(change=change, progress=ActAtPhase("copying", lambda: pytest.fail("it was read")))
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("add --exclude-index places.near.")
    small.assert_old()
