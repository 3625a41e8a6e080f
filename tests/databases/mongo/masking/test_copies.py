"""Masked copies between databases of a server, with both engines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import ObjectId
from pymongo.database import Database as PyMongoDatabase

from monarch.databases import open_archive, open_database
from monarch.databases.mongo.masking.transform import MongoMasking, open_masking
from monarch.databases.transfer import CollectionSummary, TransferDatabase, as_transfer_database
from monarch.errors import MonarchError, ServerError, UsageError
from monarch.privacy import Masks, constant, email, keep, null, text
from monarch.privacy.key import MaskingKey
from monarch.privacy.project_masks import ProjectMasks
from monarch.privacy.rules import MaskingError
from monarch.progress import SILENT, Progress
from monarch.settings.environments import parse_environment
from monarch.system.secrets import Secret
from tests.support.servers.mongod import Server

Database = PyMongoDatabase[dict[str, Any]]
JOURNAL, HISTORY = "mongo_migration_journal", "mongo_migration_history"


@contextmanager
def scratch(server: Server) -> Iterator[tuple[Database, TransferDatabase]]:
    name = f"t_{ObjectId()}"
    entry = {"uri": server.uri, "db_name": name}
    with server.client() as client, open_database(parse_environment("dev", entry), Path()) as opened:
        yield client[name], as_transfer_database(opened)
        client.drop_database(name)


@pytest.fixture(params=["native", "tools"])
def engine_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name == "tools":
        monkeypatch.setenv("PATH", str(request.getfixturevalue("tools")), prepend=":")
    return name


def rules_of(masks: Masks) -> ProjectMasks:
    return ProjectMasks(Path(), masks, MaskingKey(Secret("a key for tests of masks"), lasting=True))


class Messages(Progress):
    """Keeps the messages for people."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, what: str) -> None:
        self.messages.append(what)


def copy(
    source: TransferDatabase,
    target: TransferDatabase,
    engine_name: str,
    masking: MongoMasking,
    progress: Progress = SILENT,
) -> None:
    engine = target.choose_engine(engine_name)
    contents = source.read(engine)
    masking.require_rules(contents.summaries)
    with target.lease("a test") as lease:
        changed = contents.transformed((masking,))
        target.replace(changed, engine, lease, "a test", progress=progress)


def names_in(database: Database) -> set[str]:
    return set(database.list_collection_names()) - {"monarch_lease"}


def test_masked_fields_change_and_all_others_arrive(server: Server, engine_name: str) -> None:
    masks = Masks()
    masks["people"] = {"name": text(), "address.street": text(), "*": keep}
    masks["readings"] = {"who": text(), "*": keep}
    moment = datetime(2026, 1, 2)
    with scratch(server) as (source, one), scratch(server) as (target, other):
        people = [
            {"_id": n, "name": f"Ann {n}", "address": {"street": "Via Appia", "n": n}} for n in range(9)
        ]
        source.people.insert_many(people)
        source.people.create_index("name", unique=True)
        source.create_collection("readings", timeseries={"timeField": "at", "metaField": "who"})
        source.readings.insert_many([{"at": moment, "who": "Ann Miller", "v": n} for n in range(3)])
        source[HISTORY].insert_one({"key": "one", "state": "Failed"})
        source[JOURNAL].insert_one(
            {
                "key": "one",
                "action": "run",
                "outcome": "Failed",
                "echoed": "Ann",
                "traceback": "Ann",
                "user": "x",
            }
        )
        with open_masking(rules_of(masks)) as masking:
            copy(one, other, engine_name, masking)
        found = list(target.people.find().sort("_id"))
        assert [person["_id"] for person in found] == list(range(9))
        assert [person["address"]["n"] for person in found] == list(range(9))
        assert "Ann" not in str(found)
        assert "Appia" not in str(found)
        assert len({person["name"] for person in found}) == 9
        readings = list(target.readings.find())
        assert sorted(one["v"] for one in readings) == [0, 1, 2]
        assert "Miller" not in str(readings)
        assert target[HISTORY].find_one({}, {"_id": 0}) == {"key": "one", "state": "Failed"}
        assert target[JOURNAL].find_one({}, {"_id": 0, "echoed": 1, "key": 1, "user": 1}) == {"key": "one"}


@pytest.mark.parametrize("number", [5, 1_500])
def test_a_unique_index_that_masks_break_is_named(server: Server, engine_name: str, number: int) -> None:
    masks = Masks()
    masks["people"] = {"mail": constant("somebody@example.com"), "*": keep}
    with scratch(server) as (source, one), scratch(server) as (target, other):
        source.people.insert_many([{"_id": n, "mail": f"ann{n}@example.org"} for n in range(number)])
        source.people.create_index("mail", unique=True)
        target.old.insert_one({"_id": 1})
        with open_masking(rules_of(masks)) as masking, pytest.raises(MonarchError) as error:
            copy(one, other, engine_name, masking)
        assert error.value.message.startswith("The unique index 'mail_1' of 'people' cannot hold the masked")
        assert "unique=True" in str(error.value.hint)
        assert names_in(target) == {"old"}


def test_an_unnamed_field_leaves_the_target_as_it_was(server: Server, engine_name: str) -> None:
    masks = Masks()
    masks["people"] = {"_id": keep, "name": text()}
    with scratch(server) as (source, one), scratch(server) as (target, other):
        source.people.insert_one({"_id": 1, "name": "Ann", "nick": "Annie"})
        target.old.insert_one({"_id": 1})
        with open_masking(rules_of(masks)) as masking, pytest.raises(MonarchError, match=r"nick \(string\)"):
            copy(one, other, engine_name, masking)
        assert names_in(target) == {"old"}


def sized(size: int, **fields: Any) -> dict[str, Any]:
    """Return a document of ``size`` bytes with these ``fields``."""
    document = {**fields, "pad": ""}
    return {**document, "pad": "x" * (size - len(bson.encode(document)))}


def test_documents_may_become_as_long_as_a_server_takes(server: Server) -> None:
    """Two of 8 MB come in one reply, and no longer fit into one command once they are masked."""
    masks = Masks()
    masks["people"] = {"mails[]": email(unique=True), "*": keep}
    grown = 1000 * (len("@example.com") + 24 - len("ann"))
    half, most = (8 << 20) - 100, 16 << 20
    with scratch(server) as (source, one), scratch(server) as (target, other):
        people = [sized(half, _id=n, mails=["ann"] * 1000) for n in range(2)]
        source.people.insert_many([*people, sized(most - grown, _id=2, mails=["bob"] * 1000)])
        masking = MongoMasking(rules_of(masks), cores=1)
        copy(one, other, "native", masking)
        found = {person["_id"]: person for person in target.people.find()}
        assert [len(bson.encode(found[n])) for n in range(3)] == [half + grown, half + grown, most]
        source.people.update_one({"_id": 2}, {"$set": {"mails.0": "jill", "n": 1}})
        with pytest.raises(MaskingError, match="A document of 'people' would be larger than 16 MB") as error:
            copy(one, other, "native", masking)
        assert "jill" not in str(error.value)
        assert {person["_id"]: person for person in target.people.find()} == found
        assert names_in(target) == {"people"}


def test_a_capped_collection_keeps_its_order_and_tells_what_has_no_room(server: Server) -> None:
    masks = Masks()
    masks["log"] = {"who": email(unique=True), "*": keep}
    with scratch(server) as (source, one), scratch(server) as (target, other):
        source.create_collection("log", capped=True, size=1 << 16)
        source.log.insert_many([{"_id": n * 7 % 400, "who": f"a{n}"} for n in range(400)])
        expected = [entry["_id"] for entry in source.log.find()]
        progress = Messages()
        copy(one, other, "native", MongoMasking(rules_of(masks), cores=1), progress)
        assert [entry["_id"] for entry in target.log.find()] == expected
        assert progress.messages == []
        source.log.insert_many([{"_id": 400 + n, "who": f"b{n}"} for n in range(2_000)])
        expected = [entry["_id"] for entry in source.log.find()]
        copy(one, other, "native", MongoMasking(rules_of(masks), cores=1), progress)
        found = [entry["_id"] for entry in target.log.find()]
        assert 100 < len(found) < len(expected)
        assert found == expected[-len(found) :]
        (message,) = progress.messages
        assert f"its oldest {len(expected) - len(found):,} documents are not there" in message


def test_a_masked_document_that_the_target_refuses_names_the_masks(server: Server) -> None:
    masks = Masks()
    masks["readings"] = {"at": null, "*": keep}
    with scratch(server) as (source, one), scratch(server) as (target, other):
        source.create_collection("readings", timeseries={"timeField": "at"})
        source.readings.insert_one({"at": datetime(2026, 1, 2)})
        target.old.insert_one({"_id": 1})
        with pytest.raises(ServerError, match="refused a document of 'readings'") as error:
            copy(one, other, "native", MongoMasking(rules_of(masks), cores=1))
        assert "migrations/privacy.py" in str(error.value.hint)
        # The server keeps system.views after the last time series is dropped.
        assert names_in(target) - {"system.views"} == {"old"}


def test_archives_of_buckets_are_refused(server: Server, tmp_path: Path) -> None:
    masks = Masks()
    masks["readings"] = {"*": keep}
    with scratch(server) as (source, one), scratch(server) as (_, other):
        source.create_collection("readings", timeseries={"timeField": "at"})
        source.readings.insert_one({"at": datetime(2026, 1, 2)})
        contents = one.read(one.choose_engine("native"))
        with (tmp_path / "archive").open("wb") as sink:
            written = contents.write_archive(sink, SILENT)
        expected = tuple(CollectionSummary(o.name, o.kind, o.documents, o.bytes, o.indexes) for o in written)
        with (tmp_path / "archive").open("rb") as stream, open_masking(rules_of(masks)) as masking:
            archive = open_archive("mongo", stream, expected)
            with pytest.raises(UsageError, match="'readings' cannot be masked"):
                archive.transformed((masking,))
        assert other.contents().documents == 0
