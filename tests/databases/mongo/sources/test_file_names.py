"""The names of collections in zips of tools that escaped file names and stored the names nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo.database import Database

from monarch.backups.reader import BrokenBackup
from monarch.databases.mongo.connection.client import tool_uri
from monarch.databases.mongo.sources.file_names import collection_of
from tests.databases.mongo.engines.test_pairs import environment, old, scratch
from tests.databases.mongo.sources.test_folder import read, read_error
from tests.support.runs.shell import Folder
from tests.support.samples.legacy_projects import (
    Files,
    LegacyProject,
    collection_files,
    indexed,
    legacy_project,
)
from tests.support.samples.values import NAMES
from tests.support.samples.zips import NAME, make_zip
from tests.support.servers.mongod import Server


@pytest.fixture
def legacy(tmp_path: Path, server: Server) -> Iterator[LegacyProject]:
    with legacy_project(server, tmp_path) as made:
        old(made.target)
        yield made


def of_collection(*names: str) -> str:
    """Return metadata of a server before 4.4, with indexes of the collections ``names``."""
    indexes = (f'{{"v":1,"key":{{"_id":1}},"name":"_id_","ns":"app.{name}"}}' for name in names)
    return f'{{"options":{{}},"indexes":[{",".join(indexes)}]}}'


WITHOUT_NS = '{"options":{},"indexes":[{"v":2,"key":{"_id":1},"name":"_id_"}]}'
# The file, its metadata, and the name of the collection.
CASES = {
    "escaped, with ns": ("caf%C3%A9s", of_collection("cafés"), "cafés"),
    "escaped, without ns": ("caf%C3%A9s", WITHOUT_NS, "cafés"),
    "escaped, without indexes": ("caf%C3%A9s", "{}", "cafés"),
    "a literal percent sign, with ns": ("caf%C3%A9s", of_collection("caf%C3%A9s"), "caf%C3%A9s"),
    "an escaped percent sign, with ns": ("100%25", of_collection("100%"), "100%"),
    "an escaped percent sign, without ns": ("100%25", WITHOUT_NS, "100%"),
    "escaped once, not twice": ("a%2525", WITHOUT_NS, "a%25"),
    "a slash": ("a%2Fb", WITHOUT_NS, "a/b"),
    "a slash, with ns": ("a%2Fb", of_collection("a/b"), "a/b"),
    "dots": ("a.b.c%20d", of_collection("a.b.c d"), "a.b.c d"),
    "dots, without ns": ("a.b.c%20d", WITHOUT_NS, "a.b.c d"),
    "a space": ("a+b", WITHOUT_NS, "a b"),
    "a plus sign": ("a%2Bb", WITHOUT_NS, "a+b"),
    "a literal plus sign, with ns": ("a+b", of_collection("a+b"), "a+b"),
    "a colon": ("a%3Ab", WITHOUT_NS, "a:b"),
    "a view": ("caf%C3%A9s", '{"options":{"viewOn":"users","pipeline":[]}}', "cafés"),
    "a percent sign that escapes nothing": ("100%", WITHOUT_NS, "100%"),
    "a percent sign before no number": ("100%zz", WITHOUT_NS, "100%zz"),
    "never escaped, for the space is not": ("50 %25", WITHOUT_NS, "50 %25"),
    "never escaped, for it is no text": ("%FF", WITHOUT_NS, "%FF"),
    "the newer name goes first": ("a%2Fb", '{"collectionName":"a%2Fb","indexes":[]}', "a%2Fb"),
    "renamed by hand": ("people", of_collection("users"), "people"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_collection_of_a_file(case: str) -> None:
    file, metadata, name = CASES[case]
    assert collection_of(file, metadata) == name


@pytest.mark.parametrize("case", [case for case in CASES if case != "a view"])
def test_the_documents_are_those_of_the_file(case: str) -> None:
    file, metadata, name = CASES[case]
    ((collection,), found) = read(make_zip(collection_files(file, metadata, {"_id": 1})))
    assert (collection.name, list(found)) == (name, [name])


def test_two_files_with_one_collection() -> None:
    message = read_error(
        {**collection_files("a%2Fb", WITHOUT_NS), **collection_files("other", '{"collectionName":"a/b"}')}
    )
    assert message == "It holds 'a/b' twice: in the files 'a%2Fb.metadata.json' and 'other.metadata.json'."


def test_indexes_of_two_collections() -> None:
    message = read_error(collection_files("a%2Fb", of_collection("a/b", "a%2Fb")))
    assert message == (
        "'a%2Fb.metadata.json' is not valid metadata: "
        "its indexes are those of 'a%2Fb' and of 'a/b', so it may be either."
    )


def test_a_file_name_that_decodes_to_an_invalid_name() -> None:
    assert read_error(collection_files("%24cmd", WITHOUT_NS)) == (
        "'%24cmd' holds '$cmd', which is not a valid name of a collection."
    )


def test_they_are_restored_shown_and_verified(legacy: LegacyProject) -> None:
    """The commands are those of a user."""
    files: Files = {}
    expected = {"users"}
    for file, metadata, name in CASES.values():
        if name not in expected and f"{file}.bson" not in files and "viewOn" not in metadata:
            files |= collection_files(file, metadata, {"_id": name})
            expected.add(name)
    files |= collection_files("users", indexed(), {"_id": "users"})
    (legacy.folder / "backups" / NAME).write_bytes(make_zip(files))
    folder = Folder(legacy.folder)
    verified = folder.invoke("verify_backup", NAME)
    assert verified.code == 0
    assert f": {len(expected)} collections, {len(expected)} documents, " in verified.out
    assert folder.invoke("show_backup", NAME, "--json").json["state"] == "legacy"
    result = folder.invoke("restore", f"{NAME}:dev", "--yes", "--engine", "native", "--json")
    assert {one["name"] for one in result.json["collections"]} == expected
    for name in expected:
        assert legacy.target[name].find_one() == {"_id": name}


def test_empty_metadata_is_reported_and_ignored(legacy: LegacyProject) -> None:
    files: Files = {
        **collection_files("users", "", {"_id": 1}),
        **collection_files("caf%C3%A9s", "", {"_id": 2}),
    }
    (legacy.folder / "backups" / NAME).write_bytes(make_zip(files))
    note = "users.metadata.json is empty: no options or indexes of it are known"
    folder = Folder(legacy.folder)
    for command in (["verify_backup", NAME], ["restore", f"{NAME}:dev", "--yes", "--engine", "native"]):
        result = folder.invoke(*command)
        assert result.code == 0, result.output
        assert f"Note: {note}" in result.err
    assert legacy.target["users"].find_one() == {"_id": 1}
    assert legacy.target["cafés"].find_one() == {"_id": 2}
    assert legacy.indexes("users") == {}


def test_indexes_for_empty_metadata_come_from_the_servers_own_list(legacy: LegacyProject) -> None:
    listed = collection_files(
        "system.indexes", "", {"v": 1, "key": {"a": 1}, "ns": "app.users", "name": "a_1"}
    )
    del listed["system.indexes.metadata.json"]
    legacy.restore({**collection_files("users", "", {"_id": 1}), **listed})
    assert legacy.indexes("users") == {"a_1": {"key": {"a": 1}}}


def test_metadata_with_a_false_size_of_zero(legacy: LegacyProject) -> None:
    """The directory of the zip has the size 0, but there are bytes."""
    data = make_zip(collection_files("users", indexed(), {"_id": 1}))
    place = data.rindex(b"users.metadata.json") - 46 + 24
    changed = data[:place] + bytes(4) + data[place + 4 :]
    assert "users.metadata.json' in its zip is damaged" in legacy.restore_error(changed, BrokenBackup)


@pytest.fixture
def odd(server: Server) -> Iterator[Database[dict[str, object]]]:
    with scratch(server) as source:
        for name in NAMES:
            if name != "Case":  # on Windows, it has the same file name as "case"
                source[name].insert_one({"_id": name})
        yield source


def test_the_real_mongodump_escapes_like_this(
    odd: Database[dict[str, object]], tools: Path, server: Server, tmp_path: Path
) -> None:
    """Reads its files with the metadata of the tools of 2019, without ``collectionName``."""
    uri = tool_uri(environment("any", server, "any"))
    command = [str(tools / "mongodump"), f"--uri={uri}", f"--db={odd.name}", f"--out={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True)
    files: Files = {path.name: path.read_bytes() for path in (tmp_path / odd.name).glob("*.bson")}
    files |= {name.replace(".bson", ".metadata.json"): WITHOUT_NS for name in files}
    _, found = read(make_zip(files))
    assert set(found) == set(odd.list_collection_names())
