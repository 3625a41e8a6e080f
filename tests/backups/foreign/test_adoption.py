"""What is taken over, of which dumps, and what people hear of it. No server is there: none is asked."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import bson
import pytest

from monarch.backups.codecs import CODECS
from monarch.backups.manifest import Manifest
from monarch.databases.mongo.archive import MAGIC, TOOL_VERSION
from tests.databases.mongo.sources.foreign.test_archive import INDEXED
from tests.databases.mongo.sources.foreign.test_archive import archive as archive_of
from tests.support.runs.shell import CommandResult, Folder
from tests.support.runs.two_environments import assert_error

NOWHERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=1"
GOOD = archive_of(("app", "users", INDEXED))
SEVERAL = archive_of(("app", "users", INDEXED), ("other", "x", INDEXED), ("admin", "y", INDEXED))
ONE = bson.encode({"_id": 1})
Files = dict[str, bytes]


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.settings(
        production={"uri": NOWHERE, "db_name": "app"}, staging={"uri": NOWHERE, "db_name": "next"}
    )
    folder.keep_backups()
    return folder


def write(project: Folder, name: str, data: bytes) -> str:
    path = project.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return name


def adopt(project: Folder, *arguments: str) -> tuple[Manifest, list[str]]:
    """Take something over; return its manifest, and the notes."""
    result = project.invoke("adopt_backup", *arguments, "--json")
    assert result.code == 0, result.output
    shown = result.json
    return manifest_of(project, shown["archive"]), shown["notes"]


def manifest_of(project: Folder, archive: str) -> Manifest:
    manifest = Manifest.from_bytes((project.path / "backups" / f"{archive}.json").read_bytes())
    assert project.invoke("verify_backup", archive).code == 0
    return manifest


def refused(project: Folder, *arguments: str) -> CommandResult:
    result = project.invoke("adopt_backup", *arguments)
    assert not list((project.path / "backups").glob("*.dmp.*")), "something was kept"
    return result


def header_of(project: Folder, archive: str) -> dict[str, Any]:
    """The header of the archive that was written."""
    packed = (project.path / "backups" / archive).read_bytes()
    data = CODECS["zst"].decompress(io.BytesIO(packed)).read(1000)[len(MAGIC) :]
    found: dict[str, Any] = bson.decode(data[: int.from_bytes(data[:4], "little")])
    return found


def header(**members: object) -> bytes:
    """An archive with these members in its header."""
    start, rest = MAGIC, GOOD[len(MAGIC) :]
    length = int.from_bytes(rest[:4], "little")
    return start + bson.encode({**bson.decode(rest[:length]), **members}) + rest[length:]


@pytest.mark.parametrize(
    ("server", "tool", "expected"),
    [
        ("3.4.24", "r3.4.2", ("MongoDB 3.4.24", "mongodump 3.4.2")),
        ("4.0.28", "4.0.28-2-gabc", ("MongoDB 4.0.28", "mongodump 4.0.28-2-gabc")),
        ("4.4.10-11", "100.5.1", ("MongoDB 4.4.10-11", "mongodump 100.5.1")),
        ("8.0.3", "100.18.0", ("MongoDB 8.0.3", "mongodump 100.18.0")),
        ("unknown", "built-without-version-string", ("MongoDB of an unknown version", "mongodump")),
        ("4.4", "\x1b[2J", ("MongoDB of an unknown version", "mongodump")),
        ("99999999999999999999.0.0", 7, ("MongoDB of an unknown version", "mongodump")),
        (None, None, ("MongoDB of an unknown version", "mongodump")),
    ],
    ids=["3.4", "4.0", "percona", "today", "words", "controls", "numbers", "none"],
)
def test_versions(project: Folder, server: object, tool: object, expected: tuple[str, str]) -> None:
    path = write(project, "x.archive", header(server_version=server, tool_version=tool))
    manifest, _ = adopt(project, path)
    assert (manifest.server, manifest.engine, *manifest.versions) == (expected[0], "adopted", expected[1])
    # mongorestore reads no archive without a version of three numbers.
    stated = header_of(project, manifest.archive)["server_version"]
    assert stated == ("0.0.0" if "unknown" in expected[0] else server)


@pytest.mark.parametrize("number", [-1, 0, 1 << 30, "many", None])
def test_how_many_collections_are_interleaved(project: Folder, number: object) -> None:
    """mongorestore starts as many threads as the archive says."""
    manifest, _ = adopt(project, write(project, "x.archive", header(concurrent_collections=number)))
    assert header_of(project, manifest.archive)["concurrent_collections"] == 1


PRELUDE = json.dumps({"ServerVersion": "7.0.2", "ToolVersion": "100.12.0"}).encode()


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("dump/app/prelude.json", PRELUDE, "MongoDB 7.0.2"),
        ("dump/prelude.json", PRELUDE, "MongoDB 7.0.2"),
        ("dump/prelude.json.gz", gzip.compress(PRELUDE), "MongoDB 7.0.2"),
        ("dump/prelude.json", b"[]", "MongoDB of an unknown version"),
        ("dump/prelude.json", b"{}", "MongoDB of an unknown version"),
        ("dump/prelude.json", b"\xff", "MongoDB of an unknown version"),
        ("dump/prelude.json", b"[" * 9_000, "MongoDB of an unknown version"),
        ("dump/prelude.json", b" " * 20_000 + PRELUDE, "MongoDB of an unknown version"),
    ],
    ids=["database", "dump", "gzip", "list", "empty", "bytes", "deep", "large"],
)
def test_the_prelude_of_a_folder(project: Folder, name: str, data: bytes, expected: str) -> None:
    write(project, "dump/app/users.bson", ONE)
    write(project, name, data)
    manifest, _ = adopt(project, "dump")
    assert manifest.server == expected
    assert manifest.versions == (("mongodump 100.12.0",) if "7" in expected else ("mongodump",))


def test_several_databases(project: Folder) -> None:
    path = write(project, "x.archive", SEVERAL)
    error = refused(project, path)
    assert_error(error, 2, "^Error: 'x.archive' holds 2 databases.$", "--database with one of these: 'app',")
    manifest, notes = adopt(project, path, "--database", "app")
    assert manifest.database == "app"
    assert "only 'app' was taken over, not 'other'." in notes
    assert (
        "admin of the archive was left out" in project.invoke("adopt_backup", path, "--database", "app").err
    )


def test_many_databases(project: Folder) -> None:
    for number, named in ((12, "'db011'."), (300, "'db029', ….")):
        data = archive_of(*((f"db{one:03}", "a", INDEXED) for one in range(number)))
        error = refused(project, write(project, "x.archive", data))
        assert_error(error, 2, f"holds {number} databases", named)


def test_when_it_was_taken(project: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(project, "x.archive", GOOD)
    when = datetime(2020, 2, 29, 4, 5, tzinfo=UTC).timestamp()
    os.utime(project.path / path, (when, when))
    manifest, notes = adopt(project, path)
    assert (manifest.archive, manifest.taken_at.year) == ("app__2020_02_29.dmp.zst", 2020)
    assert notes[-1].startswith("it counts as taken at 2020-02-29 04:05 UTC, when it was last written to. If")
    manifest, notes = adopt(project, path, "--taken", "2019-03-01")
    assert (manifest.archive, notes) == ("app__2019_03_01.dmp.zst", [])
    for strange in (-1e9, 2e10):  # before 1970, and in a year to come
        os.utime(project.path / path, (strange, strange))
        assert adopt(project, path)[0].taken_at <= datetime.now(UTC)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD)))
    _, notes = adopt(project, "-")
    assert "UTC, now. If it was dumped at another time" in notes[-1]


def test_of_another_database(project: Folder) -> None:
    """`restore production:…` and `check_backups` look for the database of the settings."""
    path = write(project, "x.archive", archive_of(("old", "users", INDEXED)))
    manifest, notes = adopt(project, path, "--environment", "production", "--taken", "2020-01-01")
    assert (manifest.environment, manifest.database) == ("production", "old")
    assert notes == [
        "it is of the database 'old', and production has 'app': `monarch restore production:…` never takes "
        "it, restore it by its own name."
    ]


def test_environments_with_one_database(project: Folder) -> None:
    project.settings(
        production={"uri": NOWHERE, "db_name": "app"}, staging={"uri": NOWHERE, "db_name": "app"}
    )
    project.keep_backups()
    path = write(project, "x.archive", GOOD)
    assert_error(refused(project, path), 2, "several environments have a database 'app'", "production, stag")


def test_another_one_of_several_databases(project: Folder) -> None:
    """`restore tenants/acme:…` would find it, so it must not be of another tenant."""
    project.settings(tenants={"uri": NOWHERE, "db_name": ["acme", "globex"]})
    project.keep_backups()
    path = write(project, "x.archive", archive_of(("acme", "users", INDEXED)))
    error = refused(project, path, "--environment", "tenants/globex")
    assert_error(error, 2, "'tenants/globex' has 'globex', and this is of 'acme'", "--environment tenants,")
    assert adopt(project, path)[0].database == "acme"


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("how", ["folder", "zip"])
def test_files_in_no_folder_of_a_database(project: Folder, how: str, suffix: str) -> None:
    """The name of the folder or of the zip may be any; --database names the database."""
    data = gzip.compress(ONE) if suffix else ONE
    files = {f"users.bson{suffix}": data, "__MACOSX/._users.bson": b"mac", ".DS_Store": b"mac"}
    if how == "zip":
        path = write(project, "nightly 7.zip", zip_of(files))
    else:
        for name, content in files.items():
            write(project, f"nightly 7/{name}", content)
        path = "nightly 7"
    error = refused(project, path)
    assert_error(error, 2, "no environment has a database 'nightly 7'", "production, staging")
    manifest, _ = adopt(project, path, "--database", "app")
    assert (manifest.environment, manifest.database, manifest.documents) == ("production", "app", 1)


def zip_of(files: Files) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    return sink.getvalue()


def tar_of(files: Files) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return sink.getvalue()


OPLOGS = {
    "x.archive": archive_of(("app", "users", INDEXED), ("", "oplog", INDEXED)),
    "x.zip": zip_of({"dump/app/users.bson": ONE, "dump/admin/y.bson": ONE, "dump/oplog.bson": ONE}),
    "dump": b"",
}


@pytest.mark.parametrize("name", OPLOGS)
def test_a_dump_with_an_oplog(project: Folder, name: str) -> None:
    if name == "dump":
        write(project, "dump/app/users.bson.gz", gzip.compress(ONE))
        write(project, "dump/oplog.bson", ONE)
    else:
        write(project, name, OPLOGS[name])
    error = refused(project, name)
    assert_error(error, 2, f"'{name}' was dumped with --oplog: monarch does not replay", "--without-oplog")
    manifest, notes = adopt(project, name, "--without-oplog")
    assert (manifest.one_moment, [one.name for one in manifest.collections]) == (False, ["users"])
    assert any(note.startswith("its oplog was not replayed") for note in notes)


SQL = b"--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n"
WITH_TOC = {"toc.dat": b"PGDMP\1\16\0", "3000.dat.gz": gzip.compress(b"1\n")}
OF_POSTGRES: dict[str, tuple[bytes, str]] = {
    "custom": (b"PGDMP\1\16\0\4", "pg_restore"),
    "custom.gz": (gzip.compress(b"PGDMP\1\16\0\4"), "pg_restore"),
    "text.sql": (SQL, "psql"),
    "text.sql.gz": (gzip.compress(SQL), "psql"),
    "all.sql": (SQL.replace(b"database dump", b"database cluster dump"), "psql"),
    "tar": (tar_of(WITH_TOC), "pg_restore"),
    "zip": (zip_of({f"dump/{name}": data for name, data in WITH_TOC.items()}), "pg_restore"),
    "folder": (b"", "pg_restore"),
}


@pytest.mark.parametrize("name", OF_POSTGRES)
def test_a_dump_of_postgresql(project: Folder, name: str) -> None:
    data, tool = OF_POSTGRES[name]
    if data:
        write(project, name, data)
    else:
        for file, content in WITH_TOC.items():
            write(project, f"{name}/{file}", content)
    result = refused(project, name)
    assert_error(
        result, 1, f"'{name}' was written by pg_dump: monarch does not read it", f"a database with {tool}"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_a_tar(project: Folder, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    data = tar_of({"dump/app/users.bson": ONE})
    data = gzip.compress(data) if packed else data
    hint = "Unpack it, and name the folder: monarch adopt_backup FOLDER"
    assert_error(refused(project, write(project, "x.tgz", data)), 1, "'x.tgz' is a tar", hint)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert_error(refused(project, "-"), 1, "'standard input' is a tar", hint)


@pytest.mark.parametrize(
    ("data", "code", "message"),
    [
        (b"", 1, "'standard input' cannot be taken over: It is empty: it has 0 bytes. Nothing was kept."),
        (gzip.compress(b""), 1, "Nothing was kept."),
        (GOOD[:-5], 1, "Nothing was kept."),
        (gzip.compress(GOOD)[:-3], 1, "Nothing was kept."),
        (GOOD + b"more", 1, "Nothing was kept."),
        (zip_of({"app/users.bson": ONE}), 2, "A zip cannot be read through a pipe"),
        (b"age-encryption.org/v1\n", 2, "'standard input' is encrypted with age, which"),
        (ONE, 1, "'standard input' cannot be taken over: This is not a mongodump archive."),
    ],
    ids=["empty", "empty gzip", "cut", "cut gzip", "longer", "zip", "age", "documents"],
)
def test_what_a_pipe_may_bring(
    project: Folder, monkeypatch: pytest.MonkeyPatch, data: bytes, code: int, message: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    result = refused(project, "-")
    assert result.code == code
    assert message in result.err
    assert "Hint: " in result.err


@pytest.mark.parametrize("what", ["folder", "file", "pipe"])
def test_links_in_a_folder(project: Folder, what: str) -> None:
    """A folder behind a link would be left out without a word, and anything else might be taken in."""
    write(project, "dump/other/users.bson", ONE)
    (project.path / "dump/app").mkdir()
    if what == "folder":
        (project.path / "dump/app").rmdir()
        (project.path / "dump/app").symlink_to(project.path)
    elif what == "file":
        (project.path / "dump/app/users.bson").symlink_to("/etc/passwd")
    else:
        os.mkfifo(project.path / "dump/app/users.bson")
    named = "'dump/app'" if what == "folder" else "'dump/app/users.bson'"
    hint = f"Replace it by a {'folder' if what == 'folder' else 'file'}"
    assert_error(refused(project, "dump", "--environment", "staging"), 1, f"{named} is a link or", hint)


def test_empty_metadata_is_told(project: Folder) -> None:
    """Like mongorestore, monarch restores the documents; the indexes are lost."""
    write(project, "app/users.bson", ONE)
    write(project, "app/users.metadata.json", b"")
    _, notes = adopt(project, "app")
    assert "users.metadata.json is empty: no options or indexes of it are known" in notes


def test_one_file_of_a_folder(project: Folder) -> None:
    path = write(project, "app/users.bson", ONE)
    error = refused(project, path)
    assert_error(error, 2, r"users\.bson' holds the documents of one collection", "monarch adopt_backup FOLD")


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"age-encryption.org/v1\n", "age -d -i KEY my.file |"),
        (b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age -d -i KEY my.file |"),
        (lzma.compress(GOOD), "xz -dc my.file |"),
        (bz2.compress(GOOD), "bzip2 -dc my.file |"),
        (b"\x04\x22\x4d\x18", "lz4 -dc my.file |"),
    ],
    ids=["age", "armored", "xz", "bzip2", "lz4"],
)
def test_what_another_program_unpacks(project: Folder, data: bytes, hint: str) -> None:
    error = refused(project, write(project, "my.file", data))
    assert_error(error, 2, "'my.file' is (encrypted|compressed) with ", f"{hint} monarch adopt_backup -")


def test_no_path(project: Folder) -> None:
    """As from a variable of the shell that is not set: not the folder of the project."""
    write(project, "app/users.bson", ONE)
    assert_error(refused(project, ""), 2, "The path is empty", "Name a file or a folder")


def test_a_name_that_is_not_unicode(project: Folder) -> None:
    """No collection can have it; the path of a dump can."""
    write(project, "app/users.bson", ONE)
    strange = Path(os.fsdecode(os.fsencode(project.path) + b"/app/caf\xe9.bson"))
    strange.write_bytes(ONE)
    error = refused(project, "app")
    assert_error(error, 1, "is not a valid name of a collection", "Dump it again")
    strange.rename(strange.with_suffix(".txt"))
    assert adopt(project, "app")[0].documents == 1


def test_an_archive_of_monarch_without_its_manifest(project: Folder) -> None:
    """It may be of a query set, or masked."""
    ours = archive_of(("app", "users", INDEXED), version=TOOL_VERSION, type="collection")
    manifest, notes = adopt(project, write(project, "x.archive", ours))
    assert manifest.versions == ("monarch",)
    assert notes[0].startswith("this is an archive of monarch, without its manifest")


def test_dangerous_names(project: Folder) -> None:
    """A terminal would obey them, and a store would take them for paths."""
    for name in ("a\x1b[2Jb", "../up", "a\nb", "x" * 300):
        path = write(project, "x.archive", archive_of((name, "users", INDEXED)))
        error = refused(project, path, "--environment", "staging")
        assert_error(error, 2, "No backup can be called ", "Use --name OTHER.")
        assert not {"\x1b", "\n"} & set(error.err.replace("\n", "", 2))
        manifest, _ = adopt(project, path, "--environment", "staging", "--name", "taken over")
        assert manifest.database == name
        for command in ("list_backups", "show_backup"):
            shown = project.invoke(command, *([manifest.archive] if command == "show_backup" else []))
            assert shown.code == 0
            assert "\x1b" not in shown.output
        assert project.invoke("delete_backup", manifest.archive, "--yes").code == 0


def test_from_the_store(project: Folder) -> None:
    """A foreign archive need not be fetched from a bucket to be taken over."""
    write(project, "backups/nightly.archive.gz", gzip.compress(SEVERAL))
    error = project.invoke("restore", "nightly.archive.gz:staging", "--yes")
    assert_error(
        error, 2, "holds 2 databases", "Take over one: monarch adopt_backup --database=app nightly.archive.gz"
    )
    manifest, notes = adopt(project, "nightly.archive.gz", "--database", "app")
    assert (manifest.environment, manifest.documents) == ("production", 1)
    assert any("when it was last written to" in note for note in notes)
    assert (project.path / "backups/nightly.archive.gz").exists()
    error = project.invoke("adopt_backup", manifest.archive)
    assert_error(error, 2, r"is a backup of monarch already \(good\)", "list_backups")
    assert_error(
        project.invoke("adopt_backup", "nightly"), 2, "'nightly' cannot be read: No such file", "Name a file"
    )
    noted = project.invoke("list_backups").err
    assert "To make it a backup: monarch adopt_backup nightly.archive.gz" in noted
