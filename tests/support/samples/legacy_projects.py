"""A project with zip backups of monarch 0.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import pytest
from pymongo.database import Database

from monarch import Project
from monarch.copies.transfer import TransferResult
from monarch.errors import MonarchError
from tests.databases.mongo.engines.test_pairs import scratch
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.samples.zips import ID, NAME, make_zip
from tests.support.servers.mongod import Server

Files = dict[str, bytes | str]


def encode_documents(*documents: Mapping[str, Any]) -> bytes:
    return b"".join(map(bson.encode, documents))


def collection_files(name: str, metadata: str, *documents: Mapping[str, Any]) -> Files:
    """Return the two files of a collection."""
    return {f"{name}.bson": encode_documents(*documents), f"{name}.metadata.json": metadata}


def indexed(*indexes: str, options: str = "{}") -> str:
    """Return metadata with the ``indexes`` and that of ``_id``."""
    return f'{{"options":{options},"indexes":[{",".join((ID, *indexes))}]}}'


@dataclass
class LegacyProject:
    """A project with zip backups of monarch 0.1, and ``target``, the database of its ``dev``."""

    folder: Path
    target: Database[dict[str, Any]]

    def restore(self, files: Mapping[str, bytes | str] | bytes, engine: str = "native") -> TransferResult:
        data = files if isinstance(files, bytes) else make_zip(files)
        (self.folder / "backups" / NAME).write_bytes(data)
        return Project(self.folder).restore(NAME, "dev", engine=engine)

    def restore_error(self, files: Mapping[str, bytes | str] | bytes, kind: type[MonarchError]) -> str:
        """Check that a restore of ``files`` fails and changes nothing; return its one-line message."""
        before = describe(self.target)
        with pytest.raises(kind) as raised:
            self.restore(files)
        assert_equal(before, describe(self.target))
        leftovers = {name for name in self.target.list_collection_names() if name.startswith("monarch_")}
        assert leftovers <= {"monarch_lease"}
        assert "\n" not in raised.value.message
        return raised.value.message

    def options(self, name: str) -> dict[str, Any]:
        (found,) = self._list("listCollections", 1, filter={"name": name})
        options: dict[str, Any] = found["options"]
        return options

    def indexes(self, name: str) -> dict[str, dict[str, Any]]:
        """Return all indexes except ``_id``, by name, without the version that all have."""
        found = {index.pop("name"): index for index in self._list("listIndexes", name)}
        assert found.pop("_id_")["key"] == {"_id": 1}
        assert {index.pop("v") for index in found.values()} <= {2}
        return found

    def _list(self, command: str, value: object, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.target.command(command, value, **more)["cursor"]["firstBatch"]
        return found


@contextmanager
def legacy_project(server: Server, path: Path) -> Iterator[LegacyProject]:
    with scratch(server) as target:
        folder = Folder(path)
        folder.settings(dev={"uri": server.uri, "db_name": target.name})
        folder.keep_backups().mkdir()
        yield LegacyProject(path, target)
