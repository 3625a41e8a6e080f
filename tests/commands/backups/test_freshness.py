"""``check_backups``, ``backup --verify``, and the backups of one environment."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monarch.backups.manifest import Manifest
from tests.backups.test_many import fill as fill_folder
from tests.commands.backups.test_backups import store_folder as store_folder  # a fixture
from tests.commands.backups.test_backups import today
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.backups.test_buckets import proxy as proxy
from tests.commands.backups.test_buckets import store_bucket as store_bucket
from tests.commands.parsing.test_completion import complete
from tests.stores.s3.test_store import bucket as bucket
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.servers.s3 import FaultyProxy, S3Server

ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "production": {"uri": "mongodb://nowhere.invalid", "db_name": "app", "protected": True},
    "staging": {"uri": "mongodb://nowhere.invalid", "db_name": "app"},
    "development": {"embedded": True, "db_name": "app"},
}
NAMES = ("app__2014_05_29", "app__2014_05_30")


@pytest.fixture
def two_backups(folder: Folder) -> Path:
    """The folder of two backups of production, one old and one of an hour ago, as the listing has them."""
    folder.settings(**ENVIRONMENTS)
    kept = folder.keep_backups()
    fill_folder(kept, 2)
    change(kept / f"{NAMES[1]}.dmp.zst.json", taken_at=datetime.now(UTC) - timedelta(minutes=61))
    return kept


def change(path: Path, **members: object) -> None:
    """Rewrite a manifest with other members."""
    path.write_bytes(replace(Manifest.from_bytes(path.read_bytes()), **members).to_bytes())  # type: ignore[arg-type]


def test_it_is_one_line_and_an_exit_code(folder: Folder, two_backups: Path) -> None:
    checked = folder.invoke("check_backups", "production", "--max-age", "26h")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out == f"production: ok, {NAMES[1]} is 1 h 1 min old (at most 26 h)\n"
    shown = folder.invoke("check_backups", "production")
    assert (shown.code, shown.out) == (0, f"production: ok, {NAMES[1]} is 1 h 1 min old\n")
    late = folder.invoke("check_backups", "production", "--max-age", "1h")
    assert_error(late, 10, "There is no good and new backup of production", "monarch backup production")
    assert late.out == f"production: too old, {NAMES[1]} is 1 h 1 min old (at most 1 h)\n"
    none = folder.invoke("check_backups", "staging")
    assert_error(none, 10, "no good and new backup of staging", "monarch backup staging")
    assert none.out == "staging: none, it has no good backup (app)\n"
    (two_backups / f"{NAMES[1]}.dmp.zst").write_bytes(b"longer than it was")
    broken = folder.invoke("check_backups", "production", "--max-age", "26h")
    assert broken.code == 10
    assert broken.out.startswith(
        f"production: broken, the newest, {NAMES[1]}, is broken: its archive has 18 b"
    )


def test_without_an_environment_those_are_checked_that_need_backups(
    folder: Folder, two_backups: Path
) -> None:
    assert [row["environment"] for row in folder.invoke("check_backups", "--json").json] == ["production"]
    for path in two_backups.glob("*.json"):
        change(path, environment="staging")
    checked = folder.invoke("check_backups", "--max-age", "26h", "--json")
    assert checked.code == 10
    production, staging = checked.json
    assert production == {
        "environment": "production",
        "database": "app",
        "state": "none",
        "name": None,
        "archive": None,
        "taken_at": None,
        "empty": None,
        "age_seconds": None,
        "max_age_seconds": 26 * 3600,
        "verified": None,
        "why": None,
        "ahead": [],
        "damaged": None,
    }
    assert (staging["environment"], staging["state"], staging["archive"]) == (
        "staging",
        "ok",
        f"{NAMES[1]}.dmp.zst",
    )
    assert 3660 <= staging["age_seconds"] < 3800
    folder.settings(development=ENVIRONMENTS["development"])
    folder.keep_backups()
    nothing = folder.invoke("check_backups")
    assert_error(nothing, 10, "No environment has a backup in backups", "Name the environment")


@pytest.mark.parametrize("how", ["no archive", "no manifest", "a manifest that was cut"])
def test_a_damaged_one_that_may_be_the_newest_is_named(folder: Folder, two_backups: Path, how: str) -> None:
    """Nothing tells whose it is, so the one before it is no proof that all is well."""
    archive = two_backups / f"{NAMES[1]}.dmp.zst"
    manifest = two_backups / f"{archive.name}.json"
    older = two_backups / f"{NAMES[0]}.dmp.zst"
    text = older.read_bytes()
    older.unlink()  # it may be a link to the other
    older.write_bytes(text)
    os.utime(older, (archive.stat().st_mtime - 86_400,) * 2)
    if how == "a manifest that was cut":
        manifest.write_bytes(manifest.read_bytes()[:-20])
    else:
        (archive if how == "no archive" else manifest).unlink()
    state = "incomplete" if how == "no manifest" else "broken"
    checked = folder.invoke("check_backups", "production")
    assert_error(checked, 5, "The backups of production could not be checked", "Fix the cause")
    assert checked.out.startswith(
        f"production: unknown, {NAMES[1]} may be its newest backup, and is {state}: "
    )
    late = folder.invoke("check_backups", "production", "--max-age", "26h")
    assert late.code == 10
    assert f"(at most 26 h); {NAMES[1]} may be a newer one, and is {state}: " in late.out
    (row,) = folder.invoke("check_backups", "production", "--json").json
    assert (row["state"], row["damaged"]) == ("unknown", archive.name)
    assert folder.invoke("delete_backup", NAMES[1], "--yes").code == 0
    assert folder.invoke("check_backups", "production").code == 0


def test_bad_input(folder: Folder, two_backups: Path) -> None:
    for age in ("26", "h", "-1h", "1.5h", "0h", "", "26 h", "1w", "٣h", "9999999d"):
        result = folder.invoke("check_backups", f"--max-age={age}")
        assert_error(result, 2, "is not an age. Use 26h, 90m or 2d.", "check_backups --help")
    assert folder.invoke("check_backups", "production", "--max-age", "1d2h").code == 0
    for command in ("check_backups", "list_backups"):
        wrong = folder.invoke(command, "prodution")
        assert_error(wrong, 2, "There is no environment 'prodution'", "Did you mean 'production'?")
    assert_error(folder.invoke("verify_backup", "prodution"), 2, "no backup 'prodution'", "'production'")
    # The store is no folder: nothing is known of the backups.
    folder.settings(**ENVIRONMENTS)
    folder.keep_backups("migrations/settings.py")
    assert_error(folder.invoke("check_backups", "production"), 5, "is not a folder", "backup_dir")
    folder.settings(**ENVIRONMENTS)
    assert_error(folder.invoke("check_backups"), 2, "There is no BACKUPS", "'LOCAL'")


def test_a_machine_that_watches_needs_no_address_of_the_database(folder: Folder, two_backups: Path) -> None:
    folder.settings(production={"uri": None, "db_name": "app"})
    folder.keep_backups()
    assert folder.invoke("check_backups").out.startswith(f"production: ok, {NAMES[1]}")


def test_the_backups_of_one_environment(folder: Folder, two_backups: Path) -> None:
    change(two_backups / f"{NAMES[0]}.dmp.zst.json", environment="retired")
    assert [row["name"] for row in folder.invoke("list_backups", "production", "--json").json] == [NAMES[1]]
    # Also one that the settings do not have any more.
    assert [row["name"] for row in folder.invoke("list_backups", "retired", "--json").json] == [NAMES[0]]
    none = folder.invoke("list_backups", "staging")
    assert (none.code, none.out) == (0, "There are no backups of staging in backups.\n")
    rows = folder.invoke("verify_backup", "production", NAMES[1], "--json")
    assert [(row["name"], row["good"]) for row in json.loads(rows.out)] == [(NAMES[1], False)]
    assert [row["name"] for row in folder.invoke("verify_backup", "retired", "--json").json] == [NAMES[0]]
    assert_error(folder.invoke("verify_backup", "staging"), 1, "There is no backup of 'staging'", "staging")
    assert complete(folder, "monarch list_backups p") == {"production"}
    assert complete(folder, "monarch check_backups p") == {"production"}
    assert complete(folder, "monarch verify_backup p") == {"production"}


@pytest.mark.server
def test_backups_are_read_back(two: TwoEnvironments, store_folder: Path) -> None:
    taken = two.folder.invoke("backup", "production", "--name", "app", "--verify")
    assert (taken.code, taken.out.count("It was read back from backups in")) == (0, 1)
    assert two.folder.invoke("backup", "production", "--verify", "--json").json["verified"] is True
    assert two.folder.invoke("backup", "production", "--json").json["verified"] is None
    last = f"{today(two.source.name)}_2"
    checked = two.folder.invoke("check_backups", "--max-age", "1h", "--verify")
    assert re.fullmatch(
        rf"production: ok, {last} is (\d+ min )?\d+ s old \(at most 1 h\), "
        r"verified: 2 collections, 201 documents, 6\.6 kB\n",
        checked.out,
    )
    verified = two.folder.invoke("verify_backup", "production")
    assert [line.split(":")[0] for line in verified.out.splitlines()] == [
        f"good {today('app')}",
        f"good {today(two.source.name)}",
        f"good {last}",
        "3 backups, all of them good.",
    ]
    archive = store_folder / f"{last}.dmp.zst"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    assert two.folder.invoke("check_backups", "--max-age", "1h").code == 0
    checked = two.folder.invoke("check_backups", "--max-age", "1h", "--verify")
    assert_error(checked, 10, "no good and new backup of production", "monarch backup production")
    assert checked.out.startswith(f"production: broken, Backup '{last}' is broken: ")


@pytest.mark.server
def test_a_backup_that_cannot_be_read_back_is_named_and_stays(
    two: TwoEnvironments, s3: S3Server, store_bucket: str, proxy: FaultyProxy
) -> None:
    keep_in(two.folder, replace(s3, url=proxy.url).settings(store_bucket, prefix="app"))
    first = today(two.source.name)
    proxy.add("flip answer", r"^GET [^?]*\.zst$", at=1000)
    taken = two.folder.monarch("backup", "production", "--engine", "native", "--verify", "--json")
    assert_error(taken, 1, f"'{first}' was written, but it cannot be restored: ", "It was not deleted")
    assert taken.json["verified"] is False
    proxy.add("status", r"^GET [^?]*\.zst$", times=20, code=(403, "AccessDenied"))
    taken = two.folder.monarch("backup", "production", "--engine", "native", "--verify")
    assert_error(taken, 5, f"'{first}_2' was written, but it could not be", f"verify_backup {first}_2")
    checked = two.folder.monarch("check_backups", "production", "--verify")
    assert_error(checked, 5, "backups of production could not be checked", "Fix the cause")
    assert checked.out.startswith("production: unknown, ")
    proxy.clear()
    assert len([key for key in objects(s3, store_bucket) if ".dmp." in key]) == 4
    assert two.folder.monarch("verify_backup", "production").code == 0
    proxy.add("refuse", times=1000)
    assert_error(two.folder.monarch("check_backups", "production"), 5, "cannot be reached", "endpoint_url")


@pytest.mark.server
def test_an_empty_one_is_named_and_pushes_out_no_full_one(two: TwoEnvironments, store_folder: Path) -> None:
    assert two.folder.invoke("backup", "production").code == 0
    for name in two.source.list_collection_names():
        if not name.startswith("system."):
            two.source.drop_collection(name)
    two.source["mongo_migration_history"].insert_one(
        {"key": "_201405290038_a", "state": "Completed", "processed_at": datetime.now(UTC)}
    )
    with (two.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write("BACKUPS['keep'] = {'last': 1}\n")
    full = {path.name for path in store_folder.glob("*.dmp.zst")}
    for number in (1, 2):
        taken = two.folder.invoke("backup", "production", "--allow-empty", "--prune")
        assert taken.code == 0, taken.output
        left = {path.name for path in store_folder.glob("*.dmp.zst")}
        assert len(left - full) == 1, number
        assert len(left & full) == 1, number
    checked = two.folder.invoke("check_backups", "production")
    assert checked.code == 0
    assert ", and is empty\n" in checked.out
