"""Backups of parts have their query set in their names, and are else like any other."""

from __future__ import annotations

import pytest

from tests.commands.backups.test_backups import today
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.parsing.test_completion import complete
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support.runs.shell import Folder
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.s3 import S3Server

pytestmark = pytest.mark.server

QUERY_SETS = """
from monarch import QuerySet


class {name}(QuerySet):

    only_one: bool = True

    def run(self):
        self.{select}
"""
OF_MONGO = "dump_collection('pets', {'_id': 1} if self.only_one else {})"
OF_POSTGRES = "dump_table('pets', 'id = 1')"


def backup(folder: Folder, environment: str, *arguments: str) -> str:
    """Take a backup, and return its name."""
    result = folder.monarch("backup", environment, "--json", *arguments)
    assert result.code == 0, result.err
    return str(result.json["name"])


def test_wholes_and_parts_beside_each_other(project: Folder) -> None:
    store = project.keep_backups()
    for name in ("PetsQuerySet", "Größe"):
        project.write(f"querysets/{name}.py", QUERY_SETS.format(name=name, select=OF_MONGO))
    project.database.pets.insert_many([{"_id": 1}, {"_id": 2}])
    db = project.db_name
    whole, part = backup(project, "dev"), backup(project, "dev", "-q", "PetsQuerySet")
    assert (whole, part) == (today(db), today(f"{db}__PetsQuerySet"))
    assert backup(project, "dev", "-q", "PetsQuerySet") == f"{part}_2"
    odd = backup(project, "dev", "-q", "Größe", "-o", "only_one=no")
    assert odd == today(f"{db}__Größe")
    assert backup(project, "dev", "-q", "Größe", "--name", "mine") == today("mine")
    listed = project.invoke("list_backups", "dev", "--json").json
    assert [(row["name"], row["query_set"]) for row in listed] == [
        (whole, None),
        (part, "PetsQuerySet"),
        (f"{part}_2", "PetsQuerySet"),
        (odd, "Größe"),
        (today("mine"), "Größe"),
    ]
    assert project.invoke("verify_backup", "dev").code == 0
    assert complete(project, f"monarch restore {db}__P") == {f"{part}:", f"{part}_2:"}
    project.database.pets.delete_many({})
    # The newest whole one; a part only by its own name.
    assert project.monarch("restore", "dev:dev", "--yes").code == 0
    assert project.database.pets.count_documents({}) == 2
    assert project.monarch("restore", f"{part}:dev", "--yes").code == 0
    assert [pet["_id"] for pet in project.database.pets.find()] == [1]
    # Parts are pruned apart from wholes, each query set and its options by themselves.
    pruned = project.monarch("prune_backups", "dev", "--keep-last", "1", "--yes")
    assert pruned.code == 0, pruned.err
    left = {row["name"] for row in project.invoke("list_backups", "--json").json}
    assert left == {whole, f"{part}_2", odd, today("mine")}
    assert project.monarch("delete_backup", odd, "--yes").code == 0
    assert not [path.name for path in store.iterdir() if path.name.startswith(f"{odd}.dmp")]
    missing = project.monarch("backup", "dev", "-q", "../evil")
    assert (missing.code, "There is no query set '../evil'" in missing.err) == (2, True)


def test_parts_of_several_databases_in_a_bucket(project: Folder, s3: S3Server, bucket: str) -> None:
    assert project.server is not None
    db = project.db_name
    project.settings(tenants={"uri": project.server.uri, "db_name": [db]})
    keep_in(project, s3.settings(bucket))
    project.write("querysets/pets.py", QUERY_SETS.format(name="Größe", select=OF_MONGO))
    project.database.pets.insert_many([{"_id": 1}, {"_id": 2}])
    result = project.monarch("backup", "tenants", "-q", "Größe", "--verify", "--json")
    assert result.code == 0, result.err
    name = today(f"tenants__{db}__Größe")
    assert [one["backup"]["name"] for one in result.json] == [name]
    assert f"{name}.dmp.zst" in objects(s3, bucket)
    assert project.monarch("restore", f"{name}:tenants", "--yes").code == 0
    assert project.database.pets.count_documents({}) == 1


def test_a_part_of_postgres(folder: Folder, postgres: PostgresServer) -> None:
    postgres.create("parts_named")
    try:
        with postgres.connect("parts_named") as connection:
            connection.execute("CREATE TABLE pets (id int PRIMARY KEY)")
            connection.execute("INSERT INTO pets VALUES (1), (2)")
        folder.settings(dev={"uri": postgres.uri("parts_named")})
        folder.keep_backups()
        folder.write("querysets/pets.py", QUERY_SETS.format(name="PetsQuerySet", select=OF_POSTGRES))
        name = backup(folder, "dev", "-q", "PetsQuerySet")
        assert name == today("parts_named__PetsQuerySet")
        assert folder.monarch("restore", f"{name}:dev", "--yes").code == 0
        with postgres.connect("parts_named") as connection:
            assert connection.execute("SELECT id FROM pets").fetchall() == [(1,)]
    finally:
        postgres.drop("parts_named")
