"""The names of backups and of their files."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest

from monarch.backups.names import archive_name, check_stem, names_of_day, split_archive_name
from monarch.errors import UsageError


def test_names_of_a_day() -> None:
    names = names_of_day("app", datetime(2014, 5, 9, 23, 59, tzinfo=UTC))
    assert list(islice(names, 3)) == ["app__2014_05_09", "app__2014_05_09_2", "app__2014_05_09_3"]


@pytest.mark.parametrize("codec", ["zst", "gz", "zip"])
@pytest.mark.parametrize("name", ["app__2014_05_09", "a.dmp.gz", "of: 10"])
def test_archives(name: str, codec: str) -> None:
    assert split_archive_name(archive_name(name, codec)) == (name, codec)


@pytest.mark.parametrize(
    "file", [".dmp.zst", "app.zip", "app.dmp", "app.dmp.zst.json", "app.dmp.zst.part", ""]
)
def test_other_files(file: str) -> None:
    assert split_archive_name(file) is None


@pytest.mark.parametrize("stem", ["app", "of: 10", "ü", "a.b", "a-b", "_", "n" * 200])
def test_stems(stem: str) -> None:
    check_stem(stem)


@pytest.mark.parametrize(
    "stem",
    ["", " ", ".a", "-a", "a/b", "a\\b", "a\0", "a\n", "a*", "\u202ea", "n" * 201, "ü" * 101, "\ud800"],
)
def test_invalid_stems(stem: str) -> None:
    with pytest.raises(UsageError, match="No backup can be called") as raised:
        check_stem(stem)
    raised.value.message.encode("utf-8", "strict")
