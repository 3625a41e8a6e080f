"""Scans end, verdicts are true, and transactions count and retry as users expect."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.runs.shell import Folder
from tests.support.servers.mongod import Server


@pytest.fixture
def on_replicas(tmp_path_factory: pytest.TempPathFactory, replica_set: Server) -> Iterator[Folder]:
    made = Folder(tmp_path_factory.mktemp("project"), replica_set)
    made.settings(dev={"uri": replica_set.uri, "db_name": made.db_name})
    yield made
    with replica_set.client() as client:
        client.drop_database(made.db_name)


INSERTS = """
for document in self.{how}:
    documents = document if isinstance(document, list) else [document]
    self.database.c.insert_many([{{'copy_of': one['_id']}} for one in documents])
"""


@pytest.mark.parametrize("how", ["each('c')", "each('c', batch=3)", "batches('c', batch=4)"])
def test_a_scan_ends_if_the_migration_inserts(project: Folder, how: str) -> None:
    project.database.c.insert_many({"n": n} for n in range(10))
    project.migration("one", INSERTS.format(how=how))
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert project.database.c.count_documents({}) == 20


def test_an_interrupted_scan_ends_at_its_original_end(project: Folder) -> None:
    project.database.c.insert_many({"_id": n} for n in range(10))
    body = """
    for documents in self.batches('c', batch=4):
        self.database.seen.insert_many(documents)
        self.database.c.insert_many({'_id': 100 + one['_id']} for one in documents)
        if self.database.seen.count_documents({}) == 8 and not self.database.fail.find_one():
            self.database.fail.insert_one({})
            raise ValueError('half way')
    """
    project.migration("one", body)
    assert project.monarch("migrate", "dev").code == 1
    project.database.c.insert_one({"_id": 1000})
    project.database.seen.delete_many({"_id": {"$gte": 4}})
    project.database.c.delete_many({"_id": {"$gte": 104, "$lt": 1000}})
    result = project.monarch("migrate", "dev", "--retry")
    assert result.code == 0, result.err
    assert sorted(one["_id"] for one in project.database.seen.find()) == list(range(10))


def test_batches_of_large_documents_are_bounded(project: Folder) -> None:
    for n in range(4):
        project.database.c.insert_one({"_id": n, "pad": "x" * 12_000_000})
    project.migration(
        "one",
        "for documents in self.batches('c'):\n    self.database.sizes.insert_one({'n': len(documents)})",
    )
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert [one["n"] for one in project.database.sizes.find()] == [1, 1, 1, 1]


def test_more_scans_than_an_entry_of_the_journal_holds(project: Folder) -> None:
    project.database.c.insert_one({"_id": "x" * 50_000})
    body = """
    for n in range(700):
        for document in self.each('c', {'missing': {'$ne': n}}):
            pass
    raise ValueError('at the end')
    """
    project.migration("one", body)
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "ValueError: at the end" in result.err
    assert project.database.mongo_migration_journal.find_one()["outcome"] == "Failed"  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "self.client['{other}'].users.update_many({{}}, {{'$inc': {{'n': 1}}}})",
            "It wrote to other databases",
        ),
        ("self.client['{other}'].users.aggregate([{{'$out': 'copies'}}])", "It wrote to other databases"),
        (
            "from pymongo import MongoClient\nMongoClient({uri!r})['{name}'].users.insert_one({{}})",
            "Meanwhile users of the environment itself changed",
        ),
        ("self.client['{name}'].users.insert_one({{}})", "It wrote to other databases"),
    ],
)
def test_no_clean_verdict_for_invisible_effects(project: Folder, body: str, message: str) -> None:
    assert project.server is not None
    other = f"{project.db_name}_other"
    project.database.users.insert_one({"n": 0})
    project.database.client[other].users.insert_one({"n": 0})
    project.migration("one", body.format(other=other, uri=project.server.uri, name=project.db_name))
    result = project.monarch("verify_migration", "one", "dev", "--engine", "native")
    project.database.client.drop_database(other)
    assert result.code == 1, result.out
    assert message in result.out
    assert "it can be run again" not in result.out


def test_reading_elsewhere_does_not_affect_the_verdict(project: Folder) -> None:
    project.database.users.insert_one({"n": 0})
    project.migration(
        "one",
        "self.client['other'].users.find_one()\nself.database.users.update_many({}, {'$set': {'n': 1}})",
    )
    result = project.monarch("verify_migration", "one", "dev", "--engine", "native")
    assert result.code == 0, result.out + result.err
    assert "it can be run again" in result.out


TRANSACTION = """
from monarch import MongoBackedMigration


class OneMigration(MongoBackedMigration):
    transaction = True

    def run(self):
        {body}

    def rollback(self):
        self.database.c.update_many({{}}, {{'$unset': {{'a': 1}}}}, session=self.session)
"""


def test_a_transaction_counts_what_the_migration_wrote(on_replicas: Folder) -> None:
    on_replicas.database.c.insert_many({"n": n} for n in range(4))
    update = "self.database.c.update_many({}, {'$set': {'a': 1}}, session=self.session)"
    on_replicas.write("migrations/_201405290038_one_migration.py", TRANSACTION.format(body=update))
    result = on_replicas.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert "4 documents written" in result.out
    assert on_replicas.monarch("rollback", "dev").code == 0
    (row,) = on_replicas.monarch("list_migrations", "dev", "--json").json
    assert (row["state"], row["processed_at"]) == ("New", None)


def test_a_conflict_with_another_transaction_is_retried(on_replicas: Folder) -> None:
    database = on_replicas.database
    database.c.insert_one({"_id": 1})
    update = "self.database.c.update_one({'_id': 1}, {'$set': {'a': 1}}, session=self.session)"
    on_replicas.write("migrations/_201405290038_one_migration.py", TRANSACTION.format(body=update))
    with database.client.start_session() as session:
        session.start_transaction()
        database.c.update_one({"_id": 1}, {"$set": {"b": 1}}, session=session)
        process = on_replicas.start("migrate", "dev")
        while database.mongo_migration_journal.find_one({"outcome": "Failed"}) is None:
            if process.poll() is not None:
                break
        session.commit_transaction()
    out, err = process.communicate(timeout=60)
    if process.returncode == 0:
        assert "trying it again" in err
        assert database.c.find_one() == {"_id": 1, "b": 1, "a": 1}
    else:  # the other transaction took longer than all attempts
        assert err.count("trying it again") == 3, out + err
