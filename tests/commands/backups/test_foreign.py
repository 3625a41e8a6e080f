"""Foreign archives in the commands: archives of mongodump in a folder of backups, or in a bucket."""

from __future__ import annotations

import gzip
import io
import os
import re
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bson
import pytest

from monarch.databases.mongo.connection.client import tool_uri
from tests.backups.foreign.test_packing import compressed
from tests.commands.backups.test_backups import flat, today
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.console.test_questions import end
from tests.commands.parsing.test_completion import complete
from tests.databases.mongo.engines.test_pairs import environment
from tests.databases.mongo.sources.foreign.test_archive import archive as archive_of
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.samples.equality import describe
from tests.support.servers.mongod import PASSWORD, Server, run_replica_set
from tests.support.servers.s3 import S3Server

pytestmark = pytest.mark.server
MADE = "made by mongodump, not by monarch, and without a manifest"
NOBODY_KNOWS = "nothing tells whether it is complete"


@dataclass(frozen=True)
class Dumps:
    """Dumps by the real mongodump: of ``production``, of the complete server, and as a folder."""

    one: bytes
    whole: bytes
    folder: Path

    def zipped(self, path: str = "dump") -> bytes:
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(self.folder.rglob("*")):
                archive.write(file, f"{path}/{file.relative_to(self.folder)}")
        return sink.getvalue()


def dump(tools: Path, server: Server, *arguments: str) -> bytes:
    uri = tool_uri(environment("any", server, "any"))
    command = [str(tools / "mongodump"), f"--uri={uri}", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture
def dumps(two: TwoEnvironments, tools: Path, server: Server, tmp_path: Path) -> Dumps:
    folder = tmp_path / "dump"
    dump(tools, server, "--gzip", f"--out={folder}")
    for other in set(folder.iterdir()) - {folder / "admin", folder / two.source.name}:
        if other.is_dir():  # from other tests that run on this server
            for file in other.iterdir():
                file.unlink()
            other.rmdir()
    return Dumps(
        dump(tools, server, "--archive", f"--db={two.source.name}"),
        dump(tools, server, "--archive"),
        folder,
    )


@pytest.fixture
def store_folder(two: TwoEnvironments) -> Path:
    folder = two.folder.keep_backups()
    folder.mkdir()
    return folder


def state_of(two: TwoEnvironments, name: str) -> dict[str, Any]:
    (row,) = two.folder.invoke("list_backups", "--json").json
    assert row["archive"] == name
    found: dict[str, Any] = row
    return found


PACKED = {
    "x.archive": False,
    "x.archive.gz": True,
    "x.agz": True,
    "x.gz": True,
    "x.dump": False,
    "x.BAK": True,
    "nightly": True,
    "x.dmp.gz": True,
    "y.dmp.gz": False,
    "app__2026_11_25.dmp.gz": True,
    "renamed.archive": True,
    "plain.gz": False,
}


@pytest.mark.parametrize("name", PACKED)
def test_all_commands_report_the_same_state(
    two: TwoEnvironments, store_folder: Path, dumps: Dumps, name: str
) -> None:
    (store_folder / name).write_bytes(gzip.compress(dumps.one) if PACKED[name] else dumps.one)
    row = state_of(two, name)
    assert (row["state"], row["environment"], row["documents"]) == ("foreign", None, None)
    assert row["why"] == MADE
    listed = two.folder.invoke("list_backups")
    assert f"Note: {row['name']} is foreign: {row['why']}. To check it: monarch verify_backup {name}" in (
        listed.err
    )
    assert "delete_backup" not in listed.err
    shown = two.folder.invoke("show_backup", name)
    assert flat(shown.out)[1] == f"State foreign: {row['why']}"
    verified = two.folder.invoke("verify_backup", name)
    assert verified.code == 0, verified.output
    assert re.match(
        rf"intact {re.escape(row['name'])}: 2 collections, 201 documents, .* read in", verified.out
    )
    assert verified.out.endswith(f"It was {row['why']}, so {NOBODY_KNOWS}\n")
    assert two.folder.invoke("verify_backup", "--all", "--json").json == [
        {"name": row["name"], "archive": name, "good": True, "why": row["why"], "contents_checked": True}
    ]
    assert two.folder.invoke("verify_backup", "--all").out.endswith("1 backup: 1 intact.\n")
    # Its environment is unknown.
    assert_error(two.folder.invoke("restore", "production:dev", "--yes"), 2, "There is no good backup", "")
    two.assert_unchanged()
    asked = two.folder.invoke("restore", f"{name}:dev")
    assert asked.code == 2
    assert f"by {name}, written " in asked.err
    assert row["why"] in asked.err
    result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert two.target.users.count_documents({}) == 200
    assert "name_1" in two.target.users.index_information()
    assert two.target.young.count_documents({}) == 10
    asked = two.folder.invoke("delete_backup", name)
    assert asked.code == 2
    assert f"foreign: {row['why']}" in asked.err
    assert (store_folder / name).exists()
    gone = two.folder.invoke("delete_backup", name, "--yes")
    assert (gone.code, gone.out) == (0, f"Deleted {name}.\n")
    assert not (store_folder / name).exists()


def test_with_the_tools(two: TwoEnvironments, store_folder: Path, dumps: Dumps, tools: Path) -> None:
    (store_folder / "x.archive.gz").write_bytes(gzip.compress(dumps.one))
    path = {"PATH": f"{tools}:{os.environ['PATH']}"}
    result = two.folder.monarch("restore", "x.archive.gz:dev", "--yes", "--engine", "tools", variables=path)
    assert result.code == 0, result.output
    assert two.target.users.count_documents({}) == 200


def test_a_complete_server(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    """The dump includes admin and the databases of other tests."""
    (store_folder / "x.archive.gz").write_bytes(gzip.compress(dumps.whole))
    verified = two.folder.invoke("verify_backup", "x.archive.gz")
    assert verified.code == 0, verified.output
    assert verified.out.startswith("intact x.archive.gz: ")
    before = describe(two.target)
    for more in ([], ["--in-place"]):
        result = two.folder.invoke("restore", "x.archive.gz:dev", "--yes", *more)
        assert result.code == 2, result.output
        error, hint = result.err.splitlines()
        assert re.search(r"'x\.archive\.gz' holds \d+ databases \('", error)
        assert 'mongorestore --uri "$URI" --stopOnError --gzip --archive=x.archive.gz' in hint
        assert re.search(r"--nsInclude '?\S+\.\*'? --nsFrom '?\S+\.\*'? --nsTo 'NAME\.\*'", hint)
        assert PASSWORD not in result.output
    assert describe(two.target) == before


def test_mongorestore_accepts_the_command_in_the_hint(
    two: TwoEnvironments, store_folder: Path, dumps: Dumps, tools: Path, server: Server
) -> None:
    (store_folder / "x.archive.gz").write_bytes(gzip.compress(dumps.whole))
    hint = two.folder.invoke("restore", "x.archive.gz:dev", "--yes").err.splitlines()[1]
    command = hint.partition("called NAME: ")[2]
    first = re.search(r"--nsFrom '?(\S+?)\.\*'?", command)
    assert first
    command = command.replace(first[1], two.source.name).replace("NAME", two.target.name)
    uri = tool_uri(environment("any", server, "any"))
    two.target.client.drop_database(two.target.name)
    subprocess.run(
        ["sh", "-ec", command],
        cwd=store_folder,
        check=True,
        capture_output=True,
        env={"URI": uri, "PATH": f"{tools}:/usr/bin:/bin"},
    )
    assert two.target.users.count_documents({}) == 200


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory, tools: Path) -> bytes:
    """A dump of a server with users and one database, which monarch has used."""
    # The shared servers hold databases of other tests.
    with run_replica_set(tmp_path_factory.mktemp("alone")) as server, server.client() as client:
        client.app.users.insert_one({"_id": "alone"})
        client.app.monarch_lease.insert_one({"_id": "lease"})
        return dump(tools, server, "--archive")


def test_a_server_with_one_database(two: TwoEnvironments, store_folder: Path, alone: bytes) -> None:
    (store_folder / "x.archive").write_bytes(alone)
    result = two.folder.invoke("restore", "x.archive:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert "Note: admin and config of the archive were left out" in result.err
    assert two.target.users.find_one() == {"_id": "alone"}
    assert two.target.monarch_lease.find_one({"_id": "lease", "holder": {"$exists": True}}) is None


def test_a_dump_with_an_oplog(
    two: TwoEnvironments, store_folder: Path, replica_set: Server, tools: Path
) -> None:
    with replica_set.client() as client:
        client[two.source.name].users.insert_one({"_id": "alone"})
        (store_folder / "x.archive").write_bytes(dump(tools, replica_set, "--archive", "--oplog"))
        client.drop_database(two.source.name)
    assert two.folder.invoke("verify_backup", "x.archive").code == 0
    result = two.folder.invoke("restore", "x.archive:dev", "--yes")
    assert_error(result, 2, "was dumped with --oplog", "--oplogReplay")
    two.assert_unchanged()


def test_users_of_a_database_are_left_out(
    two: TwoEnvironments, store_folder: Path, tools: Path, server: Server
) -> None:
    more = ("--archive", f"--db={two.source.name}", "--dumpDbUsersAndRoles")
    (store_folder / "x.archive").write_bytes(dump(tools, server, *more))
    assert two.folder.invoke("verify_backup", "x.archive").code == 0
    result = two.folder.invoke("restore", "x.archive:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert two.target.users.count_documents({}) == 200


def test_a_missing_database(two: TwoEnvironments, store_folder: Path, tools: Path, server: Server) -> None:
    """mongodump writes an empty archive, and exits with 0."""
    (store_folder / "x.archive").write_bytes(dump(tools, server, "--archive", "--db=no_such_database"))
    assert two.folder.invoke("verify_backup", "x.archive").out.startswith("intact x.archive: 0 collections")
    result = two.folder.invoke("restore", "x.archive:dev", "--yes")
    assert_error(
        result, 2, "'x.archive' holds no collections of a database", "monarch verify_backup x.archive"
    )
    two.assert_unchanged()


def damaged(dumps: Dumps) -> dict[str, tuple[bytes, str]]:
    """Return damaged archives, and the message for each."""
    place = dumps.one.index(b"user 77")
    return {
        "cut.archive": (dumps.one[: len(dumps.one) // 2], "is cut off"),
        "cut.gz": (gzip.compress(dumps.one)[:-100], "compressed data is cut off"),
        "late.archive": (dumps.one[:-40], "cut off"),
        "bit.archive.gz": (
            gzip.compress(dumps.one[:place] + b"user 78" + dumps.one[place + 7 :]),
            "the checksum of '.*users' does not match",
        ),
        "empty.archive": (b"", "It is empty: it has 0 bytes"),
        "empty.agz": (gzip.compress(b""), "not a mongodump archive"),
        "other.archive": (b"something else", "not a mongodump archive"),
        "cut.dmp.gz": (gzip.compress(dumps.one)[:-100], "compressed data is cut off"),
        "whole.archive": (dumps.whole[:-1], "cut off"),
    }


def test_damage_is_reported_when_the_archive_is_read(
    two: TwoEnvironments, store_folder: Path, dumps: Dumps
) -> None:
    cases = damaged(dumps)
    for name, (data, _) in cases.items():
        (store_folder / name).write_bytes(data)
    rows = {row["archive"]: row["state"] for row in two.folder.invoke("list_backups", "--json").json}
    assert rows == dict.fromkeys(cases, "foreign")
    for name, (_, message) in cases.items():
        verified = two.folder.invoke("verify_backup", name)
        assert verified.code == 1, verified.output
        assert re.match(rf"BROKEN .*: Backup '.*' is broken: .*{message}", verified.out), verified.out
        result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
        assert result.code in (1, 2), result.output
        two.assert_unchanged()
    result = two.folder.invoke("verify_backup", "--all")
    assert result.code == 1
    assert f"{len(cases)} of {len(cases)} backups cannot be restored" in result.err


def test_an_archive_that_may_still_be_written_is_distinguished(
    two: TwoEnvironments, store_folder: Path, dumps: Dumps
) -> None:
    """Only the time of an archive shows that mongodump may not have finished it."""
    (store_folder / "x.archive").write_bytes(dumps.one[:-9])
    recent = "It was written to less than 15 minutes ago, so it may not be finished."
    assert recent in two.folder.invoke("verify_backup", "x.archive").out
    os.utime(store_folder / "x.archive", (1_401_323_880, 1_401_323_880))
    assert recent not in two.folder.invoke("verify_backup", "x.archive").out


def test_a_path_is_accepted_as_a_name(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    (store_folder / "x.archive").write_bytes(dumps.one)
    result = two.folder.invoke("restore", "backups/x.archive:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert "newest" not in result.err


def test_a_foreign_archive_is_never_suggested(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    """It is not suggested in place of another backup, by completion, or for a similar name."""
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    (store_folder / "app.archive").write_bytes(dumps.one)
    (store_folder / "apq.dmp.gz").write_bytes(gzip.compress(dumps.one))
    assert complete(two.folder, "monarch restore ap") == {f"{today('app')}:"}
    assert complete(two.folder, "monarch delete_backup ap") == {today("app")}
    for wrong in ("app.archivf", "apr"):
        result = two.folder.invoke("delete_backup", wrong, "--yes")
        assert_error(result, 2, f"There is no backup '{wrong}'", "list_backups")
    archive = store_folder / f"{today('app')}.dmp.zst"
    archive.write_bytes(archive.read_bytes()[:-1])
    for command in (["verify_backup", "--all"], ["restore", f"{today('app')}:dev", "--yes"]):
        result = two.folder.invoke(*command)
        assert result.code == 1
        assert "ap.archive" not in result.err
        assert "apq" not in result.err
    two.assert_unchanged()


def test_deletion_without_a_question_requires_the_complete_file_name(
    two: TwoEnvironments, store_folder: Path, dumps: Dumps
) -> None:
    (store_folder / "x.dmp.gz").write_bytes(gzip.compress(dumps.one))
    result = two.folder.invoke("delete_backup", "x", "--yes")
    assert_error(result, 2, "'x' may be the file 'x.dmp.gz'", "use the whole name of the file")
    assert (store_folder / "x.dmp.gz").exists()
    terminal = two.folder.terminal("delete_backup", "x", columns=300)
    terminal.expect_exact("foreign: made by mongodump")
    terminal.expect_exact("are you SURE")
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    assert (store_folder / "x.dmp.gz").exists()
    assert two.folder.invoke("delete_backup", "backups/x.dmp.gz", "--yes").code == 0
    assert not (store_folder / "x.dmp.gz").exists()


def test_other_files_are_not_deleted(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    (store_folder / "x.archive").write_bytes(dumps.one)
    beside = {"x.archive.json", "x.archive.sha256", "x.archive.gz.json.part"}
    for name in beside:
        (store_folder / name).write_bytes(b"mine")
    assert two.folder.invoke("delete_backup", "x.archive", "--yes").code == 0
    assert {path.name for path in store_folder.iterdir() if path.suffix != ".journal"} == beside


@pytest.mark.parametrize("name", ["users.bson.gz", "users.bson"])
def test_the_documents_of_one_collection(two: TwoEnvironments, store_folder: Path, name: str) -> None:
    data = b"".join(map(bson.encode, two.source.users.find()))
    (store_folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert state_of(two, name)["state"] == "foreign"
    verified = two.folder.invoke("verify_backup", name)
    assert verified.code == 0, verified.output
    assert verified.out.startswith(f"intact {name}: 1 collection, 200 documents, ")
    result = two.folder.invoke("restore", f"{name}:dev", "--yes")
    assert_error(
        result, 2, f"'{name}' holds the documents of one collection", f"--db=NAME --collection=users {name}"
    )
    two.assert_unchanged()
    (store_folder / name).write_bytes((store_folder / name).read_bytes()[:-9])
    verified = two.folder.invoke("verify_backup", name)
    assert verified.code == 1
    assert "cut off" in verified.out


@pytest.mark.parametrize("name", ["users.bson", "users.bson.gz", "-users.BSON", "users.Bson.gz"])
def test_mongorestore_accepts_the_command_for_documents(
    two: TwoEnvironments, store_folder: Path, tools: Path, server: Server, name: str
) -> None:
    data = b"".join(map(bson.encode, two.source.users.find()))
    (store_folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    hint = two.folder.invoke("restore", "--yes", "--", f"{name}:dev").err.splitlines()[1]
    command = hint.partition("NAME: ")[2].replace("NAME", two.target.name)
    two.target.client.drop_database(two.target.name)
    subprocess.run(
        ["sh", "-ec", command],
        cwd=store_folder,
        check=True,
        capture_output=True,
        env={"URI": tool_uri(environment("any", server, "any")), "PATH": f"{tools}:/usr/bin:/bin"},
    )
    assert two.target[name.partition(".")[0]].count_documents({}) == 200


@pytest.mark.parametrize("name", ["dump.zip", "app.dmp.zip"])
def test_a_zip_of_a_complete_dump(two: TwoEnvironments, store_folder: Path, dumps: Dumps, name: str) -> None:
    """The zip includes ``admin/``, and mongodump has compressed its files."""
    (store_folder / name).write_bytes(dumps.zipped())
    assert state_of(two, name)["state"] == ("foreign" if name == "dump.zip" else "legacy")
    verified = two.folder.invoke("verify_backup", name)
    assert verified.code == 0, verified.output
    assert ": 2 collections, 201 documents, " in verified.out
    result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert two.target.users.count_documents({}) == 200
    assert "system.users" not in two.target.list_collection_names()


def test_a_zip_of_one_compressed_folder(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    """The zip is like those of monarch 0.1, but has the files of ``mongodump --gzip``."""
    with zipfile.ZipFile(store_folder / "app.dmp.zip", "w") as archive:
        for file in (dumps.folder / two.source.name).iterdir():
            archive.write(file, file.name)
    verified = two.folder.invoke("verify_backup", "app")
    assert verified.code == 0, verified.output
    result = two.folder.invoke("restore", "app:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert two.target.users.count_documents({}) == 200


def test_compressed_with_another_program(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    """An archive of ``mongodump --archive | zstd``, with a name that monarch also uses."""
    for name in ("x.dmp.zst", "x.archive.zst"):
        (store_folder / name).write_bytes(compressed("zst", dumps.one))
        assert state_of(two, name)["state"] == "foreign"
        assert two.folder.invoke("verify_backup", name).out.startswith("intact ")
        result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native")
        assert result.code == 0, result.output
        assert two.folder.invoke("delete_backup", name, "--yes").code == 0


@pytest.mark.parametrize("name", ["dump.zip", "app.dmp.zip"])
def test_a_zip_of_two_databases(two: TwoEnvironments, store_folder: Path, dumps: Dumps, name: str) -> None:
    (dumps.folder / "other").mkdir()
    (dumps.folder / "other/things.bson").write_bytes(bson.encode({"_id": 1}))
    (store_folder / name).write_bytes(dumps.zipped())
    assert two.folder.invoke("verify_backup", name).code == 0
    result = two.folder.invoke("restore", f"{name}:dev", "--yes")
    assert_error(result, 2, f"'{name}' holds 2 databases", f"unzip {name} -d FOLDER && find FOLDER")
    assert "mongorestore --uri" in result.err
    assert "--nsFrom 'other.*' --nsTo 'NAME.*'" in result.err
    two.assert_unchanged()


@pytest.mark.parametrize("name", ["dump.zip", "app.dmp.zip"])
@pytest.mark.parametrize("folders", [("app",), ("dump/app", "dump/admin"), ("",)])
def test_a_zip_without_anything_to_restore(
    two: TwoEnvironments, store_folder: Path, name: str, folders: tuple[str, ...]
) -> None:
    """A restore of it would empty the target."""
    with zipfile.ZipFile(store_folder / name, "w") as archive:
        for folder in folders:
            for file in ("system.users.bson", "system.profile.bson"):
                archive.writestr(f"{folder}/{file}" if folder else file, bson.encode({"_id": 1}))
    assert two.folder.invoke("verify_backup", name).code == 0
    for more in ([], ["--in-place"]):
        result = two.folder.invoke("restore", f"{name}:dev", "--yes", "--engine", "native", *more)
        assert_error(
            result,
            2,
            f"'{name}' holds no collection that monarch restores",
            f"`monarch verify_backup {name}`",
        )
        two.assert_unchanged()


def test_an_archive_without_anything_to_restore(two: TwoEnvironments, store_folder: Path) -> None:
    (store_folder / "-x.archive").write_bytes(archive_of(("app", "system.profile", '{"indexes":[]}')))
    listed = two.folder.invoke("list_backups")
    assert f"{MADE}. To check it: monarch verify_backup -- -x.archive" in listed.err
    result = two.folder.invoke("restore", "--yes", "--", "-x.archive:dev")
    assert_error(
        result,
        2,
        "'-x.archive' holds no collection that monarch restores",
        "`monarch verify_backup -- -x.archive`",
    )
    two.assert_unchanged()


def test_a_damaged_zip_of_a_complete_dump(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    (store_folder / "dump.zip").write_bytes(dumps.zipped()[:-1])
    assert state_of(two, "dump.zip")["state"] == "foreign"
    verified = two.folder.invoke("verify_backup", "dump.zip")
    assert verified.code == 1
    assert "is broken: It is not a zip file, or a damaged one" in verified.out


@pytest.mark.parametrize("name", ["dump.zip", "dump.tar.gz"])
@pytest.mark.parametrize("mixed", [False, True])
def test_mongorestore_accepts_the_command_for_compressed_files(
    two: TwoEnvironments,
    store_folder: Path,
    dumps: Dumps,
    tools: Path,
    server: Server,
    name: str,
    mixed: bool,
) -> None:
    (dumps.folder / "zz_other").mkdir()
    other = bson.encode({"_id": 1})
    (dumps.folder / "zz_other/things.bson.gz").write_bytes(gzip.compress(other))
    if mixed:
        (dumps.folder / two.source.name / "more.bson").write_bytes(other)
    (store_folder / name).write_bytes(dumps.zipped())
    if name == "dump.tar.gz":
        with tarfile.open(store_folder / name, "w:gz") as archive:
            archive.add(dumps.folder, "dump")
    hint = two.folder.invoke("restore", f"{name}:dev", "--yes").err.splitlines()[1]
    command = hint.partition("NAME: ")[2]
    if name == "dump.tar.gz":
        unpack, restore, *_ = re.findall("`(.*?)`", hint)
        renaming = re.search("--nsInclude .* --nsTo 'NAME.*'", hint)
        assert renaming
        command = f"{unpack} && {restore.replace('--dryRun', renaming[0])}"
    two.target.client.drop_database(two.target.name)
    subprocess.run(
        ["sh", "-ec", command.replace("NAME", two.target.name)],
        cwd=store_folder,
        check=True,
        capture_output=True,
        env={"URI": tool_uri(environment("any", server, "any")), "PATH": f"{tools}:/usr/bin:/bin"},
    )
    assert two.target.users.count_documents({}) == 200


def test_a_tar_is_not_checked(two: TwoEnvironments, store_folder: Path, dumps: Dumps) -> None:
    """It does not affect the result of the backups that are checked."""
    with tarfile.open(store_folder / "dump.tar.gz", "w:gz") as archive:
        archive.add(dumps.folder, "dump")
    assert state_of(two, "dump.tar.gz")["state"] == "foreign"
    result = two.folder.invoke("verify_backup", "dump.tar.gz")
    assert_error(result, 1, "1 of 1 backup could not be checked: dump.tar.gz", "tar -xf dump.tar.gz")
    assert result.out.startswith("unchecked dump.tar.gz: monarch does not read a tar")
    assert 'mongorestore --uri "$URI" --gzip --dryRun -v FOLDER/dump' in result.out
    result = two.folder.invoke("restore", "dump.tar.gz:dev", "--yes")
    assert_error(result, 1, "monarch does not read a tar", "mongorestore")
    two.assert_unchanged()
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    result = two.folder.invoke("verify_backup", "--all")
    assert result.code == 0, result.output
    assert result.out.endswith("2 backups: 1 unchecked, 1 good.\n")
    rows = two.folder.invoke("verify_backup", "--all", "--json").json
    assert [row["good"] for row in rows] == [None, True]


def test_other_files_are_not_shown(two: TwoEnvironments, store_folder: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("notes.txt", "mine")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("notes.txt"))
    others = {
        "notes.zip": sink.getvalue(),
        "notes.tar.gz": tar.getvalue(),
        "notes.gz": gzip.compress(b"mine"),
        "cut.gz": gzip.compress(b"mine")[:7],
        "README": b"mine",
        "empty": b"",
        "empty.gz": b"",
        "notes.txt": b"\x6d\xe2\x99\x81",
        ".archive": b"",
    }
    for name, data in others.items():
        (store_folder / name).write_bytes(data)
    assert two.folder.invoke("list_backups", "--json").json == []
    assert two.folder.invoke("delete_backup", "notes.gz", "--yes").code == 2


def test_a_lost_manifest_is_not_damage(two: TwoEnvironments, store_folder: Path) -> None:
    """Only monarch writes files with this name, so the archive is read without its manifest."""
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    archive = store_folder / f"{today('app')}.dmp.zst"
    Path(f"{archive}.json").unlink()
    result = two.folder.invoke("verify_backup", today("app"))
    assert result.code == 1
    assert result.out.startswith(f"incomplete {today('app')}: Backup '{today('app')}' is incomplete: ")
    assert "Its archive is intact, with 201 documents." in result.out
    assert "BROKEN" not in result.out
    archive.write_bytes(archive.read_bytes()[:-1])
    result = two.folder.invoke("verify_backup", today("app"))
    assert result.out.startswith(f"BROKEN {today('app')}: ")
    assert "cut off" in result.out


def test_in_a_bucket(two: TwoEnvironments, s3: S3Server, bucket: str, dumps: Dumps) -> None:
    keep_in(two.folder, s3.settings(bucket, prefix="app"))
    client = s3.client()
    files = {
        "x.archive.gz": gzip.compress(dumps.one),
        "x.gz": gzip.compress(dumps.one),
        "cut.archive": dumps.one[:-9],
        "dump.zip": dumps.zipped(),
        "notes.gz": gzip.compress(b"mine"),
    }
    for name, data in files.items():
        client.put_object(Bucket=bucket, Key=f"app/{name}", Body=data)
    rows = two.folder.monarch("list_backups", "--json").json
    assert {row["name"] for row in rows} == files.keys() - {"notes.gz"}
    assert {row["state"] for row in rows} == {"foreign"}
    result = two.folder.monarch("verify_backup", "--all")
    assert result.code == 1
    assert "1 of 4 backups cannot be restored: cut.archive." in result.err
    assert len(re.findall("^intact ", result.out, re.MULTILINE)) == 3
    for name in ("x.gz", "dump.zip"):
        two.reset_target()
        restored = two.folder.monarch("restore", f"{name}:dev", "--yes", "--engine", "native")
        assert restored.code == 0, restored.output
        assert two.target.users.count_documents({}) == 200
    assert two.folder.monarch("delete_backup", "x.archive.gz", "x.gz", "cut.archive", "--yes").code == 0
    left = {key for key in objects(s3, bucket) if not key.endswith(".journal")}
    assert left == {"app/dump.zip", "app/notes.gz"}
