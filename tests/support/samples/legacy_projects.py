"""A project that keeps zips of monarch 0.1, for the tests of what is in them."""

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
from tests.support.samples.zips import ID, NAME, packed
from tests.support.servers.mongod import Server

Files = dict[str, bytes | str]


def documents(*those: Mapping[str, Any]) -> bytes:
    return b"".join(map(bson.encode, those))


def of(name: str, metadata: str, *those: Mapping[str, Any]) -> Files:
    """The two files of a collection."""
    return {f"{name}.bson": documents(*those), f"{name}.metadata.json": metadata}


def indexed(*indexes: str, options: str = "{}") -> str:
    """Metadata with that of ``_id`` and these."""
    return f'{{"options":{options},"indexes":[{",".join((ID, *indexes))}]}}'


@dataclass
class Kept:
    """A project that keeps zips of monarch 0.1, and the database of its ``dev``, with something old in it."""

    folder: Path
    target: Database[dict[str, Any]]

    def restore(self, files: Mapping[str, bytes | str] | bytes, engine: str = "native") -> TransferResult:
        data = files if isinstance(files, bytes) else packed(files)
        (self.folder / "backups" / NAME).write_bytes(data)
        return Project(self.folder).restore(NAME, "dev", engine=engine)

    def refused(self, files: Mapping[str, bytes | str] | bytes, kind: type[MonarchError]) -> str:
        """What is said of it, in one line, once it is clear that nothing was changed."""
        before = describe(self.target)
        with pytest.raises(kind) as raised:
            self.restore(files)
        assert_equal(before, describe(self.target))
        left = {name for name in self.target.list_collection_names() if name.startswith("monarch_")}
        assert left <= {"monarch_lease"}
        assert "\n" not in raised.value.message
        return raised.value.message

    def options(self, name: str) -> dict[str, Any]:
        (found,) = self._listed("listCollections", 1, filter={"name": name})
        options: dict[str, Any] = found["options"]
        return options

    def indexes(self, name: str) -> dict[str, dict[str, Any]]:
        """Those but of ``_id``, without what all have."""
        found = {one.pop("name"): one for one in self._listed("listIndexes", name)}
        assert found.pop("_id_")["key"] == {"_id": 1}
        assert {one.pop("v") for one in found.values()} <= {2}
        return found

    def _listed(self, command: str, value: object, **more: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.target.command(command, value, **more)["cursor"]["firstBatch"]
        return found


@contextmanager
def kept_on(server: Server, path: Path) -> Iterator[Kept]:
    with scratch(server) as target:
        folder = Folder(path)
        folder.settings(dev={"uri": server.uri, "db_name": target.name})
        folder.keep_backups().mkdir()
        yield Kept(path, target)
