"""Zips of mongodump's folders, and files of documents, as people and other programs change them."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zipfile
from contextlib import AbstractContextManager

import bson
import pytest

from monarch.backups.foreign.opening import Uncheckable, open_foreign
from monarch.backups.foreign.recognition import find_foreign
from monarch.databases.foreign import ForeignSource
from monarch.errors import DamagedError, UsageError
from monarch.progress import SILENT
from tests.support.stores.memory import MemoryStore

ONE = bson.encode({"_id": 1})
PACKED = gzip.compress(ONE * 2)
METADATA = b'{"indexes":[]}'
Files = dict[str, bytes]


def zipped(files: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return sink.getvalue()


def stored(name: str, data: bytes) -> MemoryStore:
    store = MemoryStore()
    store.prepare()
    with store.create(name) as upload:
        upload.write(data)
        upload.finish()
    assert list(find_foreign(store, [name])) == [(name, "mongo")]
    return store


def read(name: str, data: bytes) -> dict[str, int]:
    """Read everything; return the number of documents in each collection."""
    with open_foreign(stored(name, data), name, len(data), "mongo") as source:
        return {one.name: one.documents for one in source.read_through(SILENT)}


def restorable(files: Files) -> dict[str, int]:
    """Return the number of documents in each collection that would be restored."""
    data = zipped(files)
    with open_foreign(stored("dump.zip", data), "dump.zip", len(data), "mongo") as source:
        return {one.name: one.documents for one in source.restorable().read_through(SILENT)}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"app/a.bson": ONE, "app/a.metadata.json": METADATA}, {"a": 1}),
        ({"app/A.BSON": ONE, "app/A.METADATA.JSON": METADATA}, {"A": 1}),
        ({"app/a.Bson.gz": PACKED, "app/b.BSON.GZ": PACKED, "app/c.bson": ONE}, {"a": 2, "b": 2, "c": 1}),
        ({"app/a.bson": ONE, "./app/b.bson": ONE, "app//c.bson": ONE}, {"a": 1, "b": 1, "c": 1}),
        ({"./app/a.bson": ONE}, {"a": 1}),
        ({"app/a.bson": b"", "app/b.bson": ONE}, {"a": 0, "b": 1}),
        ({"app/a.bson": ONE, "app/._a.bson": b"mac", "app/._a.metadata.json": b"mac"}, {"a": 1}),
        ({"app/a.bson.gz": PACKED, "app/._a.bson.gz": gzip.compress(b"mac")}, {"a": 2}),
        ({"app/a.bson": ONE, "__MACOSX/._app": b"mac", "__MACOSX/app/._a.bson": b"mac"}, {"a": 1}),
        ({"a.bson": ONE, "__MACOSX/._a.bson": b"mac"}, {"a": 1}),
        ({"dump/app/a.bson": ONE, "dump/._oplog.bson": b"mac", "dump/.DS_Store": b"mac"}, {"a": 1}),
    ],
)
def test_an_unusual_zip_is_read(files: Files, expected: dict[str, int]) -> None:
    assert read("dump.zip", zipped(files)) == expected
    assert restorable(files) == expected


@pytest.mark.parametrize(
    "names",
    [
        ("users.bson", "users.bson.gz"),
        ("users.bson", "users.BSON"),
        ("users.metadata.json", "users.metadata.json.gz"),
    ],
)
@pytest.mark.parametrize("folder", ["app/", "dump/app/", ""])
def test_two_files_with_the_same_of_a_collection(names: tuple[str, str], folder: str) -> None:
    """A restore would contain only one of them."""
    contents = {".metadata.json": METADATA, ".bson": ONE}
    files = {f"{folder}users{suffix}": data for suffix, data in contents.items()}
    plain = contents[names[0].removeprefix("users")]
    files |= {folder + names[0]: plain}
    files |= {folder + names[1]: gzip.compress(plain) if names[1].lower().endswith("gz") else plain}
    first, second = names
    twice = re.escape(f"It holds 'users' twice: in the files {first!r} and {second!r}.")
    with pytest.raises(DamagedError, match=f"^{twice}$"):
        read("dump.zip", zipped(files))
    with pytest.raises(DamagedError, match=f"^{twice}$"):
        restorable(files)


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("USERS.BSON", ONE, {"USERS": 1}),
        ("users.Bson.gz", PACKED, {"users": 2}),
        ("users.bson.GZ", PACKED, {"users": 2}),
        ("users.bson", b"", {"users": 0}),
        ("users.bson.gz", gzip.compress(b""), {"users": 0}),
    ],
    ids=["upper case", "mixed case", "upper case of gz", "no bytes", "no documents"],
)
def test_a_file_of_documents(name: str, data: bytes, expected: dict[str, int]) -> None:
    assert read(name, data) == expected


@pytest.mark.parametrize("name", ["users.bson.gz", "x.archive", "x.agz"])
def test_a_file_without_bytes(name: str) -> None:
    """Only a file of documents may be empty, and only without compression."""
    with pytest.raises(DamagedError) as raised:
        read(name, b"")
    assert raised.value.message == "It is empty: it has 0 bytes."


def hint(name: str, data: bytes) -> str:
    """Check that ``name`` cannot be restored; return the hint."""
    with (
        pytest.raises(UsageError) as raised,
        open_foreign(stored(name, data), name, len(data), "mongo") as source,
    ):
        source.restorable()
    assert raised.value.hint is not None
    return raised.value.hint


@pytest.mark.parametrize(
    ("prefix", "folder"),
    [("", "FOLDER"), ("dump/", "FOLDER/dump"), ("./a b/dump/", "'FOLDER/a b/dump'")],
)
def test_the_hint_names_the_folder_of_the_dump(prefix: str, folder: str) -> None:
    command = f'unzip dump.zip -d FOLDER && mongorestore --uri "$URI" --stopOnError {folder}'
    databases = {f"{prefix}{name}/a.bson": ONE for name in ("admin", "app", "other")}
    several = hint("dump.zip", zipped(databases))
    assert several.endswith(f"{command} --nsInclude 'app.*' --nsFrom 'app.*' --nsTo 'NAME.*'")
    oplog = hint("dump.zip", zipped({f"{prefix}app/a.bson": ONE, f"{prefix}oplog.bson": ONE}))
    assert oplog.endswith(f"{command} --oplogReplay")


def test_the_hint_reads_compressed_files() -> None:
    packed = {
        "dump/app/a.bson.gz": PACKED,
        "dump/other/a.bson.gz": PACKED,
        "dump/app/a.metadata.json.gz": b"",
    }
    restore = 'mongorestore --uri "$URI" --stopOnError'
    assert f"-d FOLDER && {restore} --gzip FOLDER/dump --nsInclude" in hint("dump.zip", zipped(packed))
    mixed = hint("dump.zip", zipped({**packed, "dump/other/b.bson": ONE}))
    unpack = "find FOLDER -name '*.gz' -exec gzip -d {} +"
    assert f"-d FOLDER && {unpack} && {restore} FOLDER/dump --nsInclude" in mixed


@pytest.mark.parametrize(
    ("paths", "command", "pattern"),
    [
        (["dump/admin/x.bson", "dump/shop/a.bson"], "--dryRun -v FOLDER/dump`", "'shop.*'"),
        (["./my dump/shop/a.bson.gz"], "--gzip --dryRun -v 'FOLDER/my dump'`", "'shop.*'"),
        (["shop/a.bson", "shop/a.metadata.json.gz"], "gzip -d {} + && mongorestore", "'shop.*'"),
        (["shop/a.bson"], "--dryRun -v FOLDER`", "'shop.*'"),
        (["dump/admin/x.bson"], "--dryRun -v FOLDER/dump`", "'app.*'"),
    ],
)
def test_the_hint_for_a_tar(paths: list[str], command: str, pattern: str) -> None:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for path in paths:
            archive.addfile(tarfile.TarInfo(path))
    with pytest.raises(Uncheckable) as raised, open_tar(sink.getvalue()):
        pass
    text = raised.value.hint or ""
    assert "`mkdir FOLDER && tar -xf x.tar -C FOLDER`" in text
    assert command in text
    assert f"--nsInclude {pattern} --nsFrom {pattern} --nsTo 'NAME.*'" in text


def open_tar(data: bytes) -> AbstractContextManager[ForeignSource]:
    return open_foreign(stored("x.tar", data), "x.tar", len(data), "mongo")


def test_a_name_that_begins_with_a_dash_is_no_option_in_the_hint() -> None:
    two_databases = zipped({"-a/a.bson": ONE, "b/a.bson": ONE})
    several = hint("-x.zip", two_databases)
    assert "unzip ./-x.zip -d FOLDER" in several
    assert "--nsInclude='-a.*' --nsFrom='-a.*' --nsTo" in several
    assert "`monarch verify_backup -- -x.zip`" in hint("-x.zip", zipped({"admin/a.bson": ONE}))
    assert hint("-x.bson", ONE).endswith("--db=NAME --collection=-x ./-x.bson")


@pytest.mark.parametrize(
    ("name", "data", "command"),
    [
        ("a.bson", ONE, "mongorestore {} --db=NAME --collection=a a.bson"),
        ("a.bson.gz", PACKED, "mongorestore {} --gzip --db=NAME --collection=a a.bson.gz"),
        ("A.BSON", ONE, "cat A.BSON | mongorestore {} --db=NAME --collection=A -"),
        ("a.Bson.gz", PACKED, "gzip -dc < a.Bson.gz | mongorestore {} --db=NAME --collection=a -"),
    ],
    ids=["plain", "packed", "upper case", "mixed case"],
)
def test_the_hint_for_a_file_of_documents(name: str, data: bytes, command: str) -> None:
    """mongorestore accepts a file only if its suffix is in lower case."""
    assert hint(name, data).endswith(": " + command.format('--uri "$URI" --stopOnError'))
