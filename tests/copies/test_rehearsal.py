"""The rehearsal detects a refusal by the server before the target is changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bson import Binary
from pymongo.database import Database as PyMongoDatabase

from monarch import Project
from monarch.errors import ServerError
from tests.databases.mongo.engines.test_pairs import scratch
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import PASSWORD, Server

FIELDS = {"fields": [{"keyId": Binary(uuid4().bytes, 4), "path": "ssn", "bsonType": "string"}]}


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("role", ["readWrite", "dbOwner", "restore"])
def test_encrypted_collections_need_the_role_restore(
    tmp_path: Path, replica_set: Server, role: str, in_place: bool
) -> None:
    server = replica_set
    with scratch(server) as source, scratch(server) as target, server.client() as client:
        source.command({"create": "people", "encryptedFields": FIELDS})
        target["old"].insert_one({"_id": 1})
        roles = [{"role": "readWrite", "db": target.name}]
        roles.append({"role": role, "db": "admin" if role == "restore" else target.name})
        client.admin.command("createUser", "swapping", pwd=PASSWORD, roles=roles)
        user = {"host": server.host, "username": "swapping", "password": PASSWORD, "authSource": "admin"}
        Folder(tmp_path).settings(
            one={"uri": server.uri, "db_name": source.name}, other={**user, "db_name": target.name}
        )
        try:
            project = Project(tmp_path)
            if role == "restore":
                project.copy("one", "other", engine="native", in_place=in_place)
                assert "people" in target.list_collection_names()
                return
            with pytest.raises(ServerError, match="'people'") as raised:
                project.copy("one", "other", engine="native", in_place=in_place)
            assert "the role `restore`" in (raised.value.hint or "")
            assert set(target.list_collection_names()) == {"old", "monarch_lease"}
        finally:
            client.admin.command("dropUser", "swapping")


WRITES = ["find", "insert", "update", "remove", "createCollection", "createIndex", "dropCollection"]
READS = ["listCollections", "listIndexes", "collStats"]
CASES = {
    "no drop": ([*WRITES[:-1], "renameCollectionSameDB"], [], "dropCollection"),
    "no rename": ([one for one in WRITES if one != "createIndex"], [], "renameCollectionSameDB"),
    "no rename of system.js": (WRITES, [], "system.js"),
    "all": (WRITES, ["find", "insert", "createIndex", "dropCollection"], None),
}


@pytest.fixture
def databases(
    tmp_path: Path, replica_set: Server
) -> Iterator[tuple[Folder, PyMongoDatabase[dict[str, Any]], PyMongoDatabase[dict[str, Any]]]]:
    """A project with the environments ``one`` and ``other``, whose user is ``swapping``, and both."""
    server = replica_set
    with scratch(server) as source, scratch(server) as target:
        user = {"host": server.host, "username": "swapping", "password": PASSWORD, "authSource": "admin"}
        folder = Folder(tmp_path)
        folder.settings(
            one={"uri": server.uri, "db_name": source.name}, other={**user, "db_name": target.name}
        )
        source["new"].insert_one({"_id": 1})
        target["old"].insert_one({"_id": 1})
        yield folder, source, target


@pytest.mark.parametrize("how", ["--plan", "--in-place", "--engine=native"])
@pytest.mark.parametrize("case", CASES)
def test_missing_rights_are_found_before_the_swap(databases: Any, case: str, how: str) -> None:
    folder, source, target = databases
    normal, javascript, missing = CASES[case]
    source["system.js"].insert_one({"_id": "f", "value": 1})
    resource = {"db": target.name, "collection": ""}
    privileges = [{"resource": resource, "actions": normal + READS}]
    privileges.append({"resource": {**resource, "collection": "system.js"}, "actions": javascript + READS})
    target.command("createRole", "limited", privileges=privileges, roles=[])
    with _user(target, [{"role": "limited", "db": target.name}]):
        run = folder.monarch("copy_db", "one:other", how, *(() if how == "--plan" else ("--yes",)))
        if missing is None:
            assert run.code == 0, run.err
            assert "lacks" not in run.err
            assert ("new" in target.list_collection_names()) == (how != "--plan")
            return
        assert run.code == (0 if how == "--plan" else 5)
        assert "he role `readWrite`" in run.err
        assert how != "--plan" or missing in run.err
        assert missing != "system.js" or missing in run.err
        if case == "no drop" and how != "--plan":
            assert target["old"].find_one() == {"_id": 1}  # its own staging stays, because it may not drop it
        else:
            assert set(target.list_collection_names()) <= {"old", "monarch_lease"}
    target.command("dropAllRolesFromDatabase")


@pytest.mark.parametrize("role", ["readWrite", "dbOwner", "restore"])
def test_the_plan_knows_that_encrypted_collections_need_the_role_restore(databases: Any, role: str) -> None:
    folder, source, target = databases
    source.command({"create": "people", "encryptedFields": FIELDS})
    roles = [{"role": "readWrite", "db": target.name}]
    roles.append({"role": role, "db": "admin" if role == "restore" else target.name})
    with _user(target, roles):
        run = folder.monarch("copy_db", "one:other", "--plan")
        assert run.code == 0
        assert ("The role `restore` has it" in run.err) == (role != "restore")
        assert target.list_collection_names() == ["old"]


def test_what_the_server_refuses_is_found_before_the_target_is_emptied(databases: Any) -> None:
    folder, source, target = databases
    source.create_collection("some", viewOn="new")
    actions = [one for one in WRITES if one != "createCollection"] + READS
    privileges = [{"resource": {"db": target.name, "collection": ""}, "actions": actions}]
    target.command("createRole", "limited", privileges=privileges, roles=[])
    with _user(target, [{"role": "limited", "db": target.name}]):
        run = folder.monarch("copy_db", "one:other", "--in-place", "--yes")
        assert run.code == 5
        assert set(target.list_collection_names()) == {"old", "monarch_lease"}
        assert "lacks createCollection in" in folder.monarch("copy_db", "one:other", "--plan").err
        source["some"].drop()
        assert folder.monarch("copy_db", "one:other", "--plan").err == ""
        assert folder.monarch("copy_db", "one:other", "--in-place", "--yes").code == 0
    target.command("dropAllRolesFromDatabase")


@contextmanager
def _user(database: PyMongoDatabase[dict[str, Any]], roles: list[dict[str, str]]) -> Iterator[None]:
    """Let the user ``swapping`` exist, with ``roles``."""
    admin = database.client.admin
    admin.command("createUser", "swapping", pwd=PASSWORD, roles=roles)
    try:
        yield
    finally:
        admin.command("dropUser", "swapping")
