"""Errors and hints of the commands for backups, which need no server: what newcomers run into."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.runs.shell import CommandResult, Folder
from tests.support.runs.two_environments import assert_error
from tests.support.samples.backups import write_backups

TAKEN = datetime(2014, 5, 29, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A project with a backup of ``production`` that is called ``production000__2014_05_29``."""
    made = Folder(tmp_path)
    entry = {"uri": "mongodb://nowhere.invalid", "db_name": "app"}
    made.settings(production=entry, development={**entry, "db_name": "dev"})
    write_backups(made.keep_backups(), [TAKEN], "production")
    return made


NAME = "production000__2014_05_29"


def test_a_page_that_cannot_be_written_is_found_before_the_drill(
    folder: Folder, plain_rights: list[str]
) -> None:
    locked = folder.path / "locked"
    locked.mkdir(mode=0o500)
    result = folder.monarch("drill", NAME, "--html", "locked/page.html", prefix=plain_rights)
    assert_error(
        result,
        2,
        "'locked/page.html' cannot be written: Permission denied. Nothing was drilled",
        "Name a file",
    )
    assert not (folder.path / ".monarch").exists()
    result = folder.invoke("drill", NAME, "--html", "/dev/null")
    assert_error(result, 2, "'/dev/null' is no regular file", "Name a file")
    assert Path("/dev/null").is_char_device()


def test_both_names_of_a_restore_are_swapped(folder: Folder) -> None:
    result = folder.invoke("restore", f"development:{NAME}", "--yes")
    assert_error(
        result, 2, f"There is no environment '{NAME}'", f"'{NAME}' is a backup. Did you mean: monarch restore"
    )
    assert result.err.endswith(f" monarch restore {NAME}:development\n")
    result = folder.invoke("restore", f"nowhere:{NAME}", "--yes")
    assert "is a backup" not in result.err


@pytest.mark.parametrize(
    "command",
    ["show_backup", "verify_backup", "protect_backup", "unprotect_backup", "drill", "delete_backup"],
)
def test_a_name_that_is_one_edit_away(folder: Folder, command: str) -> None:
    for name in (NAME[:-1], f"{NAME}9", NAME.replace("_29", "_28")):
        result = folder.invoke(command, name)
        assert_error(result, 2, f"There is no backup '{name}' in backups", f"Did you mean '{NAME}'?")


def test_a_name_may_be_that_of_an_environment(folder: Folder) -> None:
    message = "There is no backup 'nix' in backups, and no environment of that name"
    hint = "The environments are production, development. Run `monarch list_backups` to see the backups"
    for command, name in (("drill", "nix"), ("verify_backup", "nix"), ("restore", "nix:development")):
        assert_error(folder.invoke(command, name), 2, message, hint)
    assert_error(folder.invoke("drill", "prodution"), 2, "", "Did you mean 'production'?")
    result = folder.invoke("show_backup", "nix")
    assert_error(result, 2, "There is no backup 'nix' in backups.$", "list_backups")


def test_missing_rights_are_named(folder: Folder, plain_rights: list[str]) -> None:
    store = folder.path / "backups"
    for mode, lacking in ((0o000, "rights r and x"), (0o600, "right x"), (0o300, "right r")):
        store.chmod(mode)
        result = folder.monarch("show_backup", NAME, prefix=plain_rights)
        assert_error(
            result,
            5,
            f"{store} cannot be read: Permission denied",
            f"Give your user the {lacking} on {store}.",
        )
    store.chmod(0o700)
    above = folder.path / "above"
    above.mkdir()
    store.rename(above / "backups")
    folder.keep_backups("above/backups")
    above.chmod(0o600)
    result = folder.monarch("list_backups", prefix=plain_rights)
    lacking = f"Give your user the right x on {above}."
    assert_error(result, 5, "above/backups cannot be read: Permission denied", lacking)
    above.chmod(0o700)
    above.joinpath("backups").chmod(0o500)
    result = folder.monarch("protect_backup", NAME, prefix=plain_rights)
    lacking = f"Give your user the right w on {above}/backups, or set another 'backup_dir'"
    assert_error(result, 5, "above/backups cannot be written to: Permission denied", lacking)
    assert folder.monarch("show_backup", NAME, prefix=plain_rights).code == 0


def test_a_folder_that_does_not_exist_is_named(folder: Folder) -> None:
    folder.keep_backups("typo")
    note = f"Note: the folder {folder.path}/typo does not exist. If there should be backups, check BACKUPS in"
    pruned = folder.invoke("prune_backups", "--keep-last", "1", "--yes")
    assert (pruned.code, pruned.out) == (0, "There are no good backups to judge in typo.\n")
    assert pruned.err.startswith(note)
    listed = folder.invoke("list_backups")
    assert (listed.code, listed.out) == (0, "There are no backups in typo.\n")
    assert listed.err.startswith(note)
    (folder.path / "typo").mkdir()
    pruned = folder.invoke("prune_backups", "--keep-last", "1", "--yes")
    assert (pruned.out, pruned.err) == ("There are no good backups to judge in typo.\n", "")


def test_an_age_below_a_minute_has_its_seconds(folder: Folder) -> None:
    checked = folder.invoke("check_backups", "production", "--max-age", "30s")
    assert checked.code == 10
    assert checked.out.endswith(" old (at most 30 s)\n")


def test_a_protection_is_not_shortened_unknowingly(folder: Folder) -> None:
    def protect(*until: str) -> CommandResult:
        return folder.invoke("protect_backup", NAME, *until)

    assert protect("--until", "2099-01-31").code == 0
    before = folder.files()
    hint = f"If it may be shorter, remove that first: monarch unprotect_backup {NAME}"
    longer = f"'{NAME}' is protected until 2099-01-31 23:59 UTC by .*, which is longer. Nothing was changed"
    assert_error(protect("--until", "2099-01-30"), 4, longer, hint)
    assert folder.files() == before
    assert protect("--until", "2099-01-31").code == 0
    assert protect().code == 0
    assert_error(protect("--until", "2099-12-31"), 4, f"'{NAME}' is protected for good by .* is longer", hint)
    assert protect().code == 0
    assert folder.invoke("unprotect_backup", NAME).code == 0
    assert protect("--until", "2099-01-30").code == 0


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        ("2099-01-31 18:00", "2099-01-31 18:00"),
        ("2099-01-31T18:00+01:00", "2099-01-31 17:00"),
        ("20990131", "2099-01-31 23:59"),
    ],
)
def test_a_protection_may_end_at_a_time(folder: Folder, until: str, shown: str) -> None:
    result = folder.invoke("protect_backup", NAME, "--until", until)
    assert result.code == 0, result.output
    assert f" is protected until {shown} UTC by " in result.out
    assert_error(folder.invoke("protect_backup", NAME, "--until", ""), 2, "'' is no date", "2027-01-31")
