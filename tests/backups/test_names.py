"""The names of backups and of their files."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monarch.backups.names import (
    PROTECTED,
    READING,
    archive_name,
    check_stem,
    generation_of,
    names_of_day,
    split_archive_name,
    split_note_name,
    stem_of,
)
from monarch.databases.environment import Environment
from monarch.errors import UsageError


def test_names_of_a_day() -> None:
    names = names_of_day("app", datetime(2014, 5, 9, 23, 59, tzinfo=UTC))
    assert list(islice(names, 3)) == ["app__2014_05_09", "app__2014_05_09_2", "app__2014_05_09_3"]


@pytest.mark.parametrize("codec", ["zst", "gz", "zip"])
@pytest.mark.parametrize("name", ["app__2014_05_09", "a.dmp.gz", "of: 10"])
def test_archives(name: str, codec: str) -> None:
    assert split_archive_name(archive_name(name, codec)) == (name, codec)


@pytest.mark.parametrize("codec", ["zst", "gz"])
@pytest.mark.parametrize(("generation", "ending"), [(0, ""), (1, ".age"), (2, ".2.age"), (10, ".10.age")])
def test_encrypted_archives(codec: str, generation: int, ending: str) -> None:
    file = archive_name("app__2014_05_09", codec, generation)
    assert file == f"app__2014_05_09.dmp.{codec}{ending}"
    assert split_archive_name(file) == ("app__2014_05_09", codec)
    assert generation_of(file) == generation


@pytest.mark.parametrize(
    "file",
    [
        "a.dmp.zip.age",
        "a.dmp.zst.1.age",
        "a.dmp.zst.02.age",
        "a.dmp.zst.age.age",
        "a.dmp.zst.2",
        ".dmp.gz.age",
    ],
)
def test_names_that_no_monarch_gives(file: str) -> None:
    assert split_archive_name(file) is None
    assert generation_of(file) == 0


@pytest.mark.parametrize(
    "file", [".dmp.zst", "app.zip", "app.dmp", "app.dmp.zst.json", "app.dmp.zst.part", ""]
)
def test_other_files(file: str) -> None:
    assert split_archive_name(file) is None


def test_notes_beside_archives() -> None:
    for archive in ("a.dmp.zst", "a.dmp.gz.2.age", "a.dmp.zst.reading.0123456789abcdef__2026_11_29.dmp.zst"):
        assert split_note_name(f"{archive}.reading.0123456789abcdef") == (archive, READING)
        assert split_note_name(f"{archive}.protected") == (archive, PROTECTED)


@pytest.mark.parametrize(
    "file",
    [
        "a.dmp.zst",
        "a.dmp.zst.json",
        "a.dmp.zst.reading.mine__2026_11_29.dmp.zst",
        "a.dmp.zst.reading.mine__2026_11_29.dmp.zst.json",
        "a.dmp.zst.reading.",
        "a.dmp.zst.reading.mine",
        "a.dmp.zst.reading.0123456789abcdef0",
        "a.reading.0123456789abcdef",
        "a.protected",
    ],
)
def test_what_is_beside_no_archive(file: str) -> None:
    """With its archive, a backup deletes what is beside it."""
    assert split_note_name(file) is None


@pytest.mark.parametrize("stem", ["app", "of: 10", "ü", "a.b", "a-b", "_", "n" * 200])
def test_stems(stem: str) -> None:
    check_stem(stem)


@pytest.mark.parametrize(
    "stem",
    [
        "",
        " ",
        "a.dmp.zst.reading.mine",
        ".a",
        "-a",
        "a/b",
        "a\\b",
        "a\0",
        "a\n",
        "a*",
        "\u202ea",
        "n" * 201,
        "ü" * 101,
        "\ud800",
    ],
)
def test_invalid_stems(stem: str) -> None:
    with pytest.raises(UsageError, match="No backup can be called") as raised:
        check_stem(stem)
    raised.value.message.encode("utf-8", "strict")


def environment(db_name: str, name: str = "tenants", *, member: bool = True) -> Environment:
    return Environment(name, "postgres", db_name, "h", is_member=member)


def test_the_stem_of_one_of_several_databases_has_its_name_in_it() -> None:
    assert stem_of(environment("acme"), None) == "tenants__acme"
    assert stem_of(environment("acme"), "nightly") == "nightly__acme"
    alone = environment("acme", member=False)
    assert (stem_of(alone, None), stem_of(alone, "nightly")) == ("acme", "nightly")


@pytest.mark.parametrize(
    ("database", "escaped"),
    [
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("a b ", "a b%20"),
        ("*?|", "%2A%3F%7C"),
        ("ü\n", "ü%0A"),
        ("-x", "-x"),
        ("a.dmp.dmp.b", "a%2Edmp%2Edmp.b"),
    ],
)
def test_odd_names_of_several_databases_are_escaped_so_that_none_collide(database: str, escaped: str) -> None:
    assert stem_of(environment(database), None) == f"tenants__{escaped}"


@given(st.lists(st.text(min_size=1, max_size=9), min_size=2, max_size=2, unique=True))
def test_no_two_databases_have_one_stem(names: list[str]) -> None:
    one, other = (stem_of(environment(name), None) for name in names)
    assert one != other


@pytest.mark.parametrize(
    ("database", "query_set", "stem"),
    [
        ("app", "OrdersQuerySet", "app__OrdersQuerySet"),
        ("app", "Größe", "app__Größe"),
        ("app", "../evil", "app"),  # it will not be found
        ("app", "", "app"),
        ("n" * 195, "ÄÄÄ", f"{'n' * 195}__Ä"),
        ("n" * 198, "Orders", "n" * 198),
        ("n" * 200, "Orders", "n" * 200),
    ],
)
def test_the_stem_of_a_part_has_its_query_set_in_it(database: str, query_set: str, stem: str) -> None:
    alone = environment(database, member=False)
    assert stem_of(alone, None, query_set) == stem
    check_stem(stem)
    assert stem_of(alone, "nightly", query_set) == "nightly"


def test_the_stem_of_a_part_of_one_of_several_databases() -> None:
    assert stem_of(environment("a/b"), None, "OrdersQuerySet") == "tenants__a%2Fb__OrdersQuerySet"
    assert stem_of(environment("acme"), "nightly", "OrdersQuerySet") == "nightly__acme"


@pytest.mark.parametrize("name", ["n" * 130, "/", "", ".x"])
def test_names_that_no_store_accepts(name: str) -> None:
    with pytest.raises(UsageError, match="No backup can be called"):
        stem_of(environment("d" * 63 + "x" * 10), name)
