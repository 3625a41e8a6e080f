"""Errors and hints of the commands for backups, which need no server: what newcomers run into."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.runs.shell import Folder
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
