"""The rehearsal detects a refusal by the server before the target is changed."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from bson import Binary

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
