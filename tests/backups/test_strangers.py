"""Untrusted archives: their contents are checked before the target is changed."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import bson
import pytest

from monarch.backups.codecs import CODECS
from monarch.backups.manifest import Manifest
from monarch.databases.mongo.archive import MAGIC, TERMINATOR
from monarch.databases.transfer import CollectionSummary
from tests.support.runs.shell import Folder
from tests.support.samples.equality import assert_equal, describe

HEADER = {"concurrent_collections": 4, "version": "0.1", "server_version": "6.0.5", "tool_version": "100.3.1"}
ID = '{"v":{"$numberInt":"2"},"key":{"_id":{"$numberInt":"1"}},"name":"_id_"}'


def entry(name: str, metadata: str = f'{{"indexes":[{ID}]}}') -> dict[str, Any]:
    return {"db": "app", "collection": name, "metadata": metadata, "size": 0, "type": "collection"}


@pytest.fixture
def store(project: Folder) -> Path:
    """A store with one backup of a database with one document."""
    project.database.users.insert_one({"_id": 1})
    before = project.keep_backups()
    result = project.monarch("backup", "dev", "--engine", "native", "--name", "a")
    assert result.code == 0, result.err
    return before


def forge(store: Path, entries: list[dict[str, Any]], *, repeat: int = 1) -> str:
    """Replace the backup by one with ``entries`` in its prelude and a matching manifest; return its name."""
    (written,) = store.glob("*.json")
    prelude = b"".join(map(bson.encode, entries))
    sink = io.BytesIO()
    compressor = CODECS["zst"].compress(sink, 3)
    compressor.write(MAGIC + bson.encode(HEADER))
    for _ in range(repeat):
        compressor.write(prelude)
    compressor.write(TERMINATOR)
    for one in entries:
        end = {"db": one["db"], "collection": one["collection"], "EOF": True, "CRC": bson.Int64(0)}
        compressor.write(bson.encode(end) + TERMINATOR)
    compressor.close()
    archive = sink.getvalue()
    written.with_suffix("").write_bytes(archive)
    summaries = tuple(
        CollectionSummary(one["collection"], "collection", 0, 0, one["metadata"].count('"name":'))
        for one in entries
    )
    manifest = replace(
        Manifest.from_bytes(written.read_bytes()),
        size=len(archive),
        sha256=hashlib.sha256(archive).hexdigest(),
        collections=summaries,
    )
    written.write_bytes(manifest.to_bytes())
    return written.name.partition(".")[0]


FORGED = {
    "the lease": entry("monarch_lease"),
    "the log of the swap": entry("monarch_swap"),
    "a staging": entry("monarch_staging.x.0"),
    "views of the server": entry("system.views"),
    "users of the server": entry("system.users"),
    "a profile": entry("system.profile"),
    "buckets of no series": entry("system.buckets.x"),
    "a dollar": entry("a$b"),
    "a dot in front": entry(".a"),
    "nothing": entry(""),
    "too long": entry("a" * 300),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_forged_archive_is_refused_before_the_target_is_changed(
    project: Folder, store: Path, how: str
) -> None:
    name = forge(store, sorted([entry("users"), FORGED[how]], key=lambda one: str(one["collection"])))
    before = describe(project.database)
    verified = project.monarch("verify_backup", name)
    assert verified.code == 1, verified.out + verified.err
    for more in ([], ["--in-place"]):
        result = project.monarch("restore", f"{name}:dev", "--yes", "--engine", "native", *more)
        assert result.code == 1, result.out + result.err
        assert "Traceback" not in result.err
        assert len(result.err.splitlines()) == 2
    assert_equal(before, describe(project.database))


OPTIONS = {
    "a write concern": entry("a", f'{{"options":{{"writeConcern":{{"w":0}}}},"indexes":[{ID}]}}'),
    "a session": entry("a", f'{{"options":{{"session":1}},"indexes":[{ID}]}}'),
    "no check": entry("a", f'{{"options":{{"check":false}},"indexes":[{ID}]}}'),
    "another command": entry("a", f'{{"options":{{"create":"b"}},"indexes":[{ID}]}}'),
    "a database": entry("a", f'{{"options":{{"$db":"admin"}},"indexes":[{ID}]}}'),
}


@pytest.mark.parametrize("how", OPTIONS)
def test_untrusted_options_do_not_reach_the_server_as_parameters(
    project: Folder, store: Path, how: str
) -> None:
    """Servers before 3.4 stored some of these options, so they are left out without an error."""
    name = forge(store, [OPTIONS[how], entry("users")])
    result = project.monarch("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.err
    assert {"a", "users"} <= set(project.database.list_collection_names())
    assert "b" not in project.database.list_collection_names()


def test_a_valid_forged_archive_is_restored(project: Folder, store: Path) -> None:
    """Proves that the tests above can fail."""
    name = forge(store, [entry("accounts"), entry("users")])
    result = project.monarch("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.err
    assert {"users", "accounts"} <= set(project.database.list_collection_names())


def test_a_small_archive_does_not_exhaust_memory(project: Folder, store: Path) -> None:
    long = entry("a", f'{{"indexes":[{ID}],"pad":"{"x" * 8_000_000}"}}')
    name = forge(store, [long], repeat=300)
    (archive,) = store.glob("*.zst")
    assert archive.stat().st_size < 200_000
    result = project.monarch(
        "verify_backup", name, prefix=["sh", "-c", 'ulimit -v 2000000 && exec "$@"', "sh"]
    )
    assert result.code == 1
    assert "prelude" in result.err + result.out


def test_options_of_indexes_of_old_servers_are_left_out(project: Folder, store: Path) -> None:
    number = '{"$numberInt":"1"}'
    old = (
        f'{{"v":{number},"key":{{"email":{number}}},"name":"email_1","ns":"app.users","safe":true,"w":{number},'
        f'"dropDups":true,"background":true,"unique":{number}}}'
    )
    name = forge(store, [entry("users", f'{{"indexes":[{ID},{old}]}}')])
    result = project.monarch("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.err
    assert "Note: old options of indexes of users" in result.err
    index = project.database.users.index_information()["email_1"]
    assert index["unique"]


@pytest.mark.parametrize("seconds", ['{"$numberDouble":"NaN"}', '{"$numberDouble":"3600.5"}'])
def test_unusual_seconds_of_an_index_are_not_a_difference(project: Folder, store: Path, seconds: str) -> None:
    number = '{"$numberInt":"1"}'
    ttl = f'{{"v":{number},"key":{{"at":{number}}},"name":"at_1","expireAfterSeconds":{seconds}}}'
    name = forge(store, [entry("sessions", f'{{"indexes":[{ID},{ttl}]}}')])
    result = project.monarch("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.err
    assert "at_1" in project.database.sessions.index_information()
