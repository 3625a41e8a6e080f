"""``prune_backups``, ``protect_backup`` and ``unprotect_backup``: output, errors and effects."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.retention.readers import marked_as_read
from monarch.stores.local.store import LocalStore
from tests.commands.backups.test_buckets import keep_in
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.samples.backups import write_backups
from tests.support.servers.s3 import READERS_KEY, READERS_SECRET, S3Server

TODAY = datetime.now(UTC).replace(microsecond=0)
DAYS = [TODAY - timedelta(days=age) for age in range(4)]


# The next to open the store finds a file in its place.
BREAKING_HOOK = """
def after_backup(context, result):
    import pathlib
    here = pathlib.Path(__file__).parent.parent
    (here / 'backups').rename(here / 'moved')
    (here / 'backups').write_text('no folder')
"""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A project whose only environment cannot be reached."""
    made = Folder(tmp_path)
    made.settings(dev={"host": "127.0.0.1:9", "db_name": "app"})
    made.keep_backups()
    return made


@pytest.fixture
def two_backups(two: TwoEnvironments) -> list[str]:
    """Four backups of ``dev``, the newest first, in the project of ``two``."""
    return write_backups(two.folder.keep_backups(), DAYS)


def left(folder: Folder) -> set[str]:
    return {path.name.split(".dmp")[0] for path in (folder.path / "backups").glob("*.json")}


def left_files(folder: Folder, pattern: str) -> list[str]:
    return sorted(path.name for path in (folder.path / "backups").glob(pattern))


@pytest.mark.server
def test_a_plan_then_a_question_then_the_deletions(two: TwoEnvironments, two_backups: list[str]) -> None:
    plan = two.folder.invoke("prune_backups", "--keep-last", "2", "--plan")
    assert plan.code == 0, plan.output
    assert re.search(rf"{two_backups[0]} +dev .* stays +last\n", plan.out)
    assert re.search(rf"{two_backups[3]} +dev .* goes +no rule keeps it\n", plan.out)
    assert plan.out.endswith("2 backups would go; 2 stay.\n")
    refused = two.folder.invoke("prune_backups", "--keep-last", "2")
    assert_error(refused, 2, "This needs a confirmation: Delete 2 backups", "--yes")
    assert len(left(two.folder)) == 4
    done = two.folder.invoke("prune_backups", "--keep-last", "2", "--yes")
    assert done.code == 0, done.output
    assert f"Deleted {two_backups[3]}.dmp.zst.\nDeleted {two_backups[2]}.dmp.zst.\n" in done.out
    assert done.out.endswith("Deleted 2 backups, 8 B. 2 are left.\n")
    assert left(two.folder) == set(two_backups[:2])
    again = two.folder.invoke("prune_backups", "--keep-last", "2", "--json", "--yes")
    assert [(row["name"], row["goes"], row["deleted"]) for row in again.json] == [
        (name, False, False) for name in two_backups[:2]
    ]


@pytest.mark.server
def test_protected_ones_and_those_that_are_read_stay(two: TwoEnvironments, two_backups: list[str]) -> None:
    protected = two.folder.invoke("protect_backup", two_backups[3], "--until", "2099-01-31")
    assert protected.out.startswith(f"{two_backups[3]} is protected until 2099-01-31 23:59 UTC by ")
    assert_error(
        two.folder.invoke("delete_backup", two_backups[3], "--yes"),
        4,
        "is protected until 2099",
        f"monarch unprotect_backup {two_backups[3]}",
    )
    store = LocalStore(two.folder.path / "backups")
    with marked_as_read(store, f"{two_backups[2]}.dmp.zst"):
        pruned = two.folder.invoke("prune_backups", "--keep-last", "1", "--yes")
    assert pruned.code == 0, pruned.output
    assert left(two.folder) == {two_backups[0], two_backups[2], two_backups[3]}
    assert "it is being read" in pruned.out
    assert two.folder.invoke("unprotect_backup", two_backups[3]).code == 0
    assert two.folder.invoke("prune_backups", "--keep-last", "1", "--yes").code == 0
    assert left(two.folder) == {two_backups[0]}
    assert not list((two.folder.path / "backups").glob("*.protected"))
    assert not list((two.folder.path / "backups").glob("*.reading.*"))
    assert two.folder.invoke("unprotect_backup", two_backups[0]).out.endswith("is not protected.\n")
    told = two.folder.invoke("history", "dev", "--everything", "--json").json
    assert [(one["key"], one["backup"]) for one in told] == [
        (f"protect_backup {two_backups[3]} --until 2099-01-31", two_backups[3]),
        ("prune_backups dev --keep-last 1", two_backups[1]),
        (f"unprotect_backup {two_backups[3]}", two_backups[3]),
        ("prune_backups dev --keep-last 1", f"{two_backups[3]}, {two_backups[2]}"),
    ]
    assert {(one["action"], one["outcome"]) for one in told} == {
        (action, "Completed") for action in ("protect", "prune", "unprotect")
    }


@pytest.mark.server
def test_the_way_back_of_an_unfinished_migration_stays(two: TwoEnvironments) -> None:
    two.folder.migration("broken", "raise ValueError('no')")
    backups = two.folder.keep_backups()
    failed = two.folder.invoke("migrate", "dev", "--backup", "--yes")
    assert failed.code != 0
    (way_back,) = left(two.folder)
    now = datetime.now(UTC)  # a time in the future would count for nothing
    write_backups(backups, [now + timedelta(minutes=2), now - timedelta(days=3)])
    pruned = two.folder.invoke("prune_backups", "dev", "--keep-last", "1", "--yes")
    assert pruned.code == 0, pruned.output
    assert way_back in left(two.folder)
    assert re.search(
        rf"{way_back} .* the way back of _\w+_broken_migration, which has not finished", pruned.out
    )


@pytest.mark.server
def test_a_backup_that_is_protected_and_prunes(two: TwoEnvironments) -> None:
    folder = two.folder.keep_backups()
    refused = two.folder.invoke("backup", "production", "--prune")
    assert_error(refused, 2, "There is no policy", "'keep' in BACKUPS")
    assert not folder.exists()
    settings = two.folder.path / "migrations/settings.py"
    settings.write_text(settings.read_text().replace("BACKUPS = {", "BACKUPS = {'keep': {'last': 1}, "))
    old = write_backups(folder, DAYS[1:], "production", two.source.name)
    done = two.folder.invoke("backup", "production", "--protect", "--prune")
    assert done.code == 0, done.output
    assert " is protected for good by " in done.out
    assert done.out.endswith("Pruned 3 backups; 1 are left.\n")
    assert left(two.folder).isdisjoint(old)
    (listed,) = [row for row in two.folder.invoke("list_backups", "--json").json if row["protected"]]
    assert listed["name"] not in old
    assert "good, protected" in two.folder.invoke("list_backups").out
    assert "protected for good by" in two.folder.invoke("show_backup", listed["name"]).out


@pytest.mark.server
def test_a_backup_whose_pruning_fails_is_complete(two: TwoEnvironments) -> None:
    folder = two.folder.keep_backups()
    settings = two.folder.path / "migrations/settings.py"
    settings.write_text(
        settings.read_text().replace("BACKUPS = {", "BACKUPS = {'keep': {'last': 1}, ") + BREAKING_HOOK
    )
    old = write_backups(folder, DAYS[1:], "production", two.source.name)
    failed = two.folder.invoke("backup", "production", "--prune")
    assert_error(failed, 11, "is complete, but pruning older backups failed: ", "")
    assert "Backed up production as " in failed.out
    assert {path.name.split(".dmp")[0] for path in (two.folder.path / "moved").glob("*.json")} > set(old)


@pytest.mark.server
def test_what_the_store_refuses_to_delete_is_told(two: TwoEnvironments, s3: S3Server) -> None:
    bucket = "prune"
    s3.client().create_bucket(Bucket=bucket)
    names = write_backups(two.folder.path / "local", DAYS[:2])
    for path in (two.folder.path / "local").iterdir():
        s3.client().upload_file(str(path), bucket, path.name)
    keep_in(
        two.folder, s3.settings(bucket, aws_access_key_id=READERS_KEY, aws_secret_access_key=READERS_SECRET)
    )
    pruned = two.folder.invoke("prune_backups", "--keep-last", "1", "--yes")
    assert pruned.code == 0, pruned.output
    assert f"Note: {names[1]}.dmp.zst was not deleted: S3 denies s3:DeleteObject" in pruned.err
    assert pruned.out.endswith("Deleted 0 backups, 0 B. 2 are left.\n")


def test_an_environment_that_cannot_be_asked_loses_none(folder: Folder) -> None:
    names = write_backups(folder.path / "backups", DAYS)
    result = folder.invoke("prune_backups", "--keep-last", "1", "--yes")
    assert result.code == 5
    assert left(folder) == set(names)
    assert "Backups of dev stay: " in result.err


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "There is no policy", "'keep' in BACKUPS"),
        (("--keep-daily", "0"), "would keep nothing", "--keep-daily 7"),
        (("--keep-daily", "-1"), "--keep-daily -1 is negative", "from 0"),
        (("--keep-within", "soon"), "--keep-within 'soon' is no period", "30d"),
        (("prod", "--keep-last", "1"), "no environment 'prod'", ""),
    ],
)
def test_bad_input(folder: Folder, arguments: tuple[str, ...], message: str, hint: str) -> None:
    names = write_backups(folder.path / "backups", DAYS)
    assert_error(folder.invoke("prune_backups", *arguments, "--yes"), 2, message, hint)
    assert left(folder) == set(names)


@pytest.mark.parametrize("until", ["2020-01-01", "tomorrow", "2026-13-01"])
def test_a_date_that_is_none_or_past(folder: Folder, until: str) -> None:
    (name,) = write_backups(folder.path / "backups", DAYS[:1])
    result = folder.invoke("protect_backup", name, "--until", until)
    assert result.code == 2
    assert not list((folder.path / "backups").glob("*.protected"))


def test_a_foreign_archive_is_not_protected(folder: Folder) -> None:
    """Its deletion would not look for the file beside it."""
    (folder.path / "backups").mkdir()
    (folder.path / "backups/dump.archive").write_bytes(bytes.fromhex("6de29981") + b"rest")
    result = folder.invoke("protect_backup", "dump.archive")
    assert_error(result, 2, "'dump.archive' is no backup of monarch", "")
    assert [path.name for path in (folder.path / "backups").iterdir()] == ["dump.archive"]


def test_a_name_that_holds_that_of_an_archive_is_another_backup(folder: Folder) -> None:
    """monarch gives no such name any more; a backup that has one is not deleted with the other one."""
    (name,) = write_backups(folder.path / "backups", DAYS[:1])
    other = f"{name}.dmp.zst.reading."
    write_backups(folder.path / "backups", DAYS[1:2], environment=other)
    (kept,) = left_files(folder, "*.reading.*.dmp.zst")
    assert folder.invoke("delete_backup", f"{name}.dmp.zst", "--yes").code == 0
    assert left_files(folder, "*.dmp.zst*") == [kept, f"{kept}.json"]
    (row,) = folder.invoke("list_backups", "--json").json
    assert (row["archive"], row["state"]) == (kept, "good")


def test_a_broken_protection_protects(folder: Folder) -> None:
    (name,) = write_backups(folder.path / "backups", DAYS[:1])
    (folder.path / "backups" / f"{name}.dmp.zst.protected").write_text("{")
    assert_error(
        folder.invoke("delete_backup", name, "--yes"), 4, "is protected for good", "unprotect_backup"
    )


@pytest.mark.server
def test_a_folder_that_may_not_be_written_to_is_told(
    two: TwoEnvironments, two_backups: list[str], plain_rights: list[str]
) -> None:
    store = two.folder.path / "backups"
    store.chmod(0o500)
    result = two.folder.monarch("prune_backups", "--keep-last", "2", "--yes", prefix=plain_rights)
    store.chmod(0o700)
    assert result.code == 0, result.output
    for name in two_backups[2:]:
        assert f"{name}.dmp.zst was not deleted: " in result.err
    assert "cannot be deleted: Permission denied." in result.err
    assert result.out.endswith("Deleted 0 backups, 0 B. 4 are left.\n")
    assert len(left(two.folder)) == 4
