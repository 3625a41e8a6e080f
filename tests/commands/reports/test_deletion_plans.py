"""The plan of ``delete_backup``: before the question, and alone with --plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands.backups.test_backups import today
from tests.commands.backups.test_buckets import keep_in, objects
from tests.commands.backups.test_restores import store_folder as store_folder  # a fixture
from tests.commands.console.test_questions import end
from tests.stores.s3.test_store import bucket as bucket
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.servers.s3 import S3Server

pytestmark = [pytest.mark.server, pytest.mark.command]


def back_up(two: TwoEnvironments, *arguments: str) -> str:
    taken = two.folder.invoke(
        "backup", "production", "--name", "app", "--engine", "native", "--json", *arguments
    )
    assert taken.code == 0, taken.output
    return str(taken.json["name"])


def plan(two: TwoEnvironments, *arguments: str) -> Any:
    before = two.folder.files()
    planned = two.folder.invoke("delete_backup", *arguments)
    assert planned.code == 0, planned.output
    assert two.folder.files() == before
    return planned


def test_it_shows_what_goes_and_what_stays(two: TwoEnvironments, store_folder: Path) -> None:
    first, second = today("app"), back_up(two)
    shown = plan(two, first, "--plan")
    assert shown.err == ""
    title, row, stays, last = shown.out.splitlines()
    assert title == "1 backup would be deleted from backups:"
    assert row.startswith(f"  {first}.dmp.zst: of production, ")
    assert stays.startswith(
        f"1 good backup of production ({two.source.name}) would be left: the newest is {second}, "
    )
    assert last == "Nothing was changed."
    shown = plan(two, first, second, "-n")
    assert f"  {second}.dmp.zst: of production, " in shown.out
    assert shown.out.count("the NEWEST GOOD ONE") == 1
    assert f"No good backup of production ({two.source.name}) would be left." in shown.out
    planned = plan(two, second, "--dry-run", "--json").json
    assert [(row["name"], row["newest_good"]) for row in planned["deleted"]] == [(second, True)]
    (stays,) = planned["stays"]
    assert (stays["environment"], stays["good"], stays["newest"]) == ("production", 1, first)
    assert (planned["place"], planned["why"], planned["read"]) == ("backups", None, [])
    reading = store_folder / f"{second}.dmp.zst.reading.0123456789abcdef"
    reading.write_bytes(b"")
    assert "which is being read NOW" in plan(two, second, "-n").out


def test_it_is_shown_before_the_question(two: TwoEnvironments, store_folder: Path) -> None:
    name = today("app")
    terminal = two.folder.terminal("delete_backup", name, columns=200)
    terminal.expect("are you SURE")
    shown = terminal.before or ""
    assert "the NEWEST GOOD ONE" in shown
    assert f"No good backup of production ({two.source.name}) would be left." in shown
    terminal.sendline("n")
    assert end(terminal)[0] == 1
    assert (store_folder / f"{name}.dmp.zst").exists()
    deleted = two.folder.invoke("delete_backup", name, "--yes")
    assert (deleted.code, deleted.out) == (0, f"Deleted {name}.dmp.zst.\n")
    assert len(deleted.err.splitlines()) == 1


def test_it_fails_as_the_command_would(two: TwoEnvironments, store_folder: Path) -> None:
    name = today("app")
    assert_error(two.folder.invoke("delete_backup", name, "--json"), 2, "--json is for", "Add --plan")
    for wrong, code in (("app__2014", 2), (name, 4)):
        if wrong == name:
            assert two.folder.invoke("protect_backup", name).code == 0
        planned = two.folder.invoke("delete_backup", wrong, "--plan")
        done = two.folder.invoke("delete_backup", wrong, "--yes")
        assert (planned.code, planned.out, planned.err) == (done.code, done.out, done.err)
        assert planned.code == code
    assert (store_folder / f"{name}.dmp.zst").exists()


def test_in_a_bucket(two: TwoEnvironments, s3: S3Server, bucket: str) -> None:
    keep_in(two.folder, s3.settings(bucket, prefix="app"))
    first, second = back_up(two), back_up(two)
    before = objects(s3, bucket)
    shown = two.folder.invoke("delete_backup", second, "--plan")
    assert shown.code == 0, shown.err
    assert f"would be left: the newest is {first}, " in shown.out
    dropped = two.folder.invoke("drop_db", "production", "--plan")
    assert f"Its newest good backup is {second}, " in dropped.out
    restored = two.folder.invoke("restore", f"{first}:dev", "--plan")
    assert restored.code == 0, restored.err
    assert objects(s3, bucket) == before
    two.assert_unchanged()
