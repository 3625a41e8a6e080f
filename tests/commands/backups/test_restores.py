"""``restore``: its output, errors and effects; and restoring a backup without monarch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.backups.test_backups import flat, today
from tests.commands.console.test_questions import end, solve
from tests.support.runs.two_environments import DOCUMENTS, TwoEnvironments, assert_error, entry
from tests.support.samples.equality import assert_equal, describe

pytestmark = pytest.mark.server


@pytest.fixture
def store_folder(two: TwoEnvironments) -> Path:
    """The folder of the store with one backup of today of the full database, called ``app``."""
    folder = two.folder.keep_backups()
    result = two.folder.invoke("backup", "production", "--name", "app", "--engine", "native")
    assert result.code == 0, result.output
    return folder


def test_a_restore_reports_its_result(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes", "--engine", "native")
    assert (result.code, result.err) == (0, "")
    two.assert_copied()
    assert flat(result.out)[-1].startswith(f"Restored {today('app')} to dev: 2 collections, 201 documents, ")
    assert {path.name for path in store_folder.iterdir()} == {
        ".gitignore",
        f"{today('app')}.dmp.zst",
        f"{today('app')}.dmp.zst.json",
        f"{today('app')}.journal",
    }


def test_json(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("restore", f"{today('app')}.dmp.zst:dev", "--yes", "--json")
    report = result.json
    assert (report["backup"], report["archive"], report["to"]) == (
        today("app"),
        f"{today('app')}.dmp.zst",
        "dev",
    )
    assert {row["name"]: row["documents"] for row in report["collections"]}["users"] == DOCUMENTS
    two.assert_copied()


def test_in_place(two: TwoEnvironments, store_folder: Path) -> None:
    asked = two.folder.invoke("restore", f"{today('app')}:dev", "--in-place")
    assert asked.code == 2
    assert "dropping all of it first, with no way back: are you SURE" in asked.err
    two.assert_unchanged()
    assert two.folder.invoke("restore", f"{today('app')}:dev", "--in-place", "--yes").code == 0
    two.assert_copied()


def test_the_newest_good_one_of_an_environment(two: TwoEnvironments, store_folder: Path) -> None:
    two.source.users.insert_one({"_id": "later", "name": "later"})
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    assert two.folder.invoke("backup", "dev", "--name", "app").code == 0
    newest = today("app") + "_2"
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert (result.code, result.err) == (0, f"The newest good backup of production is {newest}.\n")
    two.assert_copied()
    # A broken backup is not used.
    (store_folder / f"{newest}.dmp.zst").write_bytes(b"")
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert result.err == f"The newest good backup of production is {today('app')}.\n"
    assert two.target.users.count_documents({}) == DOCUMENTS
    # A backup with that name has priority.
    for end_of_name in (".dmp.zst", ".dmp.zst.json"):
        shutil.copy(store_folder / (today("app") + end_of_name), store_folder / f"production{end_of_name}")
    result = two.folder.invoke("restore", "production:dev", "--yes")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1].startswith("Restored production to dev")


def test_an_environment_without_a_backup(two: TwoEnvironments, store_folder: Path) -> None:
    result = two.folder.invoke("restore", "dev:production", "--yes")
    assert_error(result, 2, "There is no good backup of 'dev'", "Run `monarch backup dev`")


def test_a_name_with_colons(two: TwoEnvironments, store_folder: Path) -> None:
    report = two.folder.invoke("backup", "production", "--name", "before: v2", "--json").json
    assert two.folder.invoke("restore", f"{report['name']}:dev", "--yes").code == 0
    two.assert_copied()


@pytest.mark.parametrize(
    ("pair", "message", "hint"),
    [
        (
            "app",
            "'app' has no colon, and names no environment",
            "For example: monarch restore production:development",
        ),
        (":dev", "has no backup before the colon", "For example: monarch restore"),
        ("app:", "has no environment after the colon", "For example: monarch restore"),
        ("app__2014:dev", "There is no backup 'app__2014'", "Run `monarch list_backups`"),
        ("app:deev", "There is no environment 'deev'", "Did you mean 'dev'?"),
    ],
)
def test_invalid_pairs(two: TwoEnvironments, store_folder: Path, pair: str, message: str, hint: str) -> None:
    assert_error(two.folder.invoke("restore", pair, "--yes"), 2, message, hint)
    two.assert_unchanged()


def test_restore_asks_and_requires_a_sum_for_a_hazardous_target(
    two: TwoEnvironments, store_folder: Path
) -> None:
    name = today("app")
    without = two.folder.invoke("restore", f"{name}:dev")
    assert without.code == 2
    assert f"by {name} of production, taken " in without.err
    two.assert_unchanged()
    terminal = two.folder.terminal("restore", f"{name}:production")
    solve(terminal, offset=1)
    code, output = end(terminal)
    assert code == 1
    assert "Nothing was changed" in output
    terminal = two.folder.terminal("restore", f"{name}:dev")
    terminal.expect("are you SURE")
    terminal.sendline("y")
    code, output = end(terminal)
    assert code == 0
    assert "verifying [" in output
    assert "restoring [" in output
    two.assert_copied()


def test_a_broken_backup_is_reported_with_a_good_one(two: TwoEnvironments, store_folder: Path) -> None:
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    broken, good = today("app") + "_2", today("app")
    archive = store_folder / f"{broken}.dmp.zst"
    data = bytearray(archive.read_bytes())
    data[-20] ^= 0xFF
    archive.write_bytes(data)
    for more in ([], ["--in-place"]):
        result = two.folder.invoke("restore", f"{broken}:dev", "--yes", *more)
        assert_error(
            result, 1, f"Backup '{broken}' is broken: .* 'dev' is as it was", f"other good backup is '{good}'"
        )
        two.assert_unchanged()


def test_a_target_with_a_held_lease(two: TwoEnvironments, store_folder: Path) -> None:
    from monarch import Project

    with Project(two.folder.path).open("dev") as database, database.lease("something long"):
        result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes")
        assert_error(result, 4, "'dev' is held by .*something long", "Wait")
    two.assert_unchanged()


def test_a_target_whose_user_may_only_read(two: TwoEnvironments, store_folder: Path) -> None:
    with two.server.client() as client:
        client.admin.command("createUser", "looker2", pwd="looker-hush", roles=["readAnyDatabase"])
    host = {"host": two.server.host, "username": "looker2", "password": "looker-hush", "authSource": "admin"}
    two.folder.settings(production=entry(two.server, "any"), dev={**host, "db_name": two.target.name})
    two.folder.keep_backups()
    result = two.folder.invoke("restore", f"{today('app')}:dev", "--yes")
    assert result.code == 5
    assert "not authorized" in result.err or "may not" in result.err
    two.assert_unchanged()
    with two.server.client() as client:
        client.admin.command("dropUser", "looker2")


@pytest.mark.parametrize("codec", ["zst", "gz"])
def test_a_backup_is_restored_without_monarch(
    two: TwoEnvironments, store_folder: Path, tools: Path, codec: str
) -> None:
    """The commands are those of docs/recovery.rst, except for the address of the server."""
    two.target.old.drop()
    report = two.folder.invoke("backup", "production", "--codec", codec, "--engine", "native", "--json").json
    archive = store_folder / report["archive"]
    where = [f"--uri={two.server.uri}", f"--nsFrom={two.source.name}.*", f"--nsTo={two.target.name}.*"]
    restore = [str(tools / "mongorestore"), *where, "--archive", "--drop", "--stopOnError"]
    if codec == "gz":
        with archive.open("rb") as file:
            done = subprocess.run([*restore, "--gzip"], stdin=file, capture_output=True, check=False)
    else:
        plain = subprocess.run(unpack(archive), stdout=subprocess.PIPE, check=True).stdout
        done = subprocess.run(restore, input=plain, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert_equal(describe(two.source), describe(two.target))


def unpack(archive: Path) -> list[str]:
    """Return ``zstd -dc``, or an equivalent command if it is not installed."""
    if shutil.which("zstd"):
        return ["zstd", "-dc", str(archive)]
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    code = f"import sys; from {module} import decompress; from pathlib import Path"
    return [
        sys.executable,
        "-c",
        f"{code}; sys.stdout.buffer.write(decompress(Path(sys.argv[1]).read_bytes()))",
        str(archive),
    ]


def test_with_the_tools(two: TwoEnvironments, store_folder: Path, tools: Path) -> None:
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    report = two.folder.invoke("restore", f"{today('app')}:dev", "--yes", "--json", variables=with_tools).json
    assert report["engine"] == "tools"
    two.assert_copied()
