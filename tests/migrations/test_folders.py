"""Migrations in folders of ``migrations/``: which are found, and what is not taken for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monarch.errors import ProjectError
from monarch.migrations.files.classes import load_migration
from monarch.migrations.files.find import checksum, find_migration, find_migrations
from monarch.migrations.files.kinds import find_kinds
from tests.support.runs.shell import Folder

MIGRATION = "from monarch import Migration\n\n\nclass AMigration(Migration):\n    def run(self): ...\n"


def write(folder: Folder, *names: str, text: str = MIGRATION) -> None:
    for name in names:
        folder.write(f"migrations/{name}", text)


def found(folder: Folder) -> list[str]:
    return [file.shown_path.removeprefix("migrations/") for file in find_migrations(folder.path)]


def test_they_are_found_at_any_depth_in_the_order_of_their_file_names(folder: Folder) -> None:
    write(
        folder,
        "_202601010000_c_migration.py",
        "2027/_202501010000_b_migration.py",
        "2026/11/_202602010000_d_migration.py",
        "old stuff/_202401010000_a_migration.py",
        "2026/__init__.py",
        "2026/11/add_emails.sql",
    )
    files = find_migrations(folder.path)
    assert [file.shown_path for file in files] == [
        "migrations/old stuff/_202401010000_a_migration.py",
        "migrations/2027/_202501010000_b_migration.py",
        "migrations/_202601010000_c_migration.py",
        "migrations/2026/11/_202602010000_d_migration.py",
    ]
    assert [file.key for file in files][-1] == "_202602010000_d_migration"
    assert {file.top for file in files} == {folder.path / "migrations"}
    for word in ("d", "migrations/2026/11/_202602010000_d_migration.py", "_202602010000_d_migration"):
        assert find_migration(files, word) is files[-1]


def test_a_file_that_was_moved_is_the_same_migration(folder: Folder) -> None:
    key = folder.migration("a")
    (before,) = find_migrations(folder.path)
    old = checksum(before)
    (folder.path / "migrations/2014").mkdir()
    before.path.rename(folder.path / "migrations/2014" / before.path.name)
    (after,) = find_migrations(folder.path)
    assert (after.key, checksum(after)) == (key, old)


def test_two_of_one_name_are_an_error_that_names_both(folder: Folder) -> None:
    name = "_202601010000_a_migration.py"
    write(folder, name, f"2026/{name}")
    with pytest.raises(ProjectError) as raised:
        find_migrations(folder.path)
    assert raised.value.message == (
        f"Two migrations have the name {name}: migrations/{name} and migrations/2026/{name}."
    )
    named = "A migration is recorded by the name of its file. "
    assert raised.value.hint == f"{named}Their contents are the same: delete one of them."
    write(folder, f"2026/{name}", text=f"# more\n{MIGRATION}")
    with pytest.raises(ProjectError) as raised:
        find_migrations(folder.path)
    assert raised.value.hint == (
        f"{named}Delete one of them, or rename the one that has not run anywhere yet."
    )


@pytest.mark.parametrize(
    "name",
    [
        "__pycache__/_202601010000_a_migration.py",
        ".git/_202601010000_a_migration.py",
        "2026/.hidden/_202601010000_a_migration.py",
        "2026/._202601010000_a_migration.py",
        "2026/__old__/_202601010000_a_migration.py",
        "node_modules/x/_202601010000_a_migration.py",
        "lost+found/_202601010000_a_migration.py",
    ],
)
def test_folders_of_other_programs_are_not_looked_into(folder: Folder, name: str) -> None:
    write(folder, "2026/_202601010000_b_migration.py", name)
    assert found(folder) == ["2026/_202601010000_b_migration.py"]


def test_a_virtual_environment_is_not_looked_into(folder: Folder) -> None:
    write(folder, "venv/pyvenv.cfg", "venv/lib/_202601010000_a_migration.py")
    assert found(folder) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "app/0001_initial.py",
            "from django.db import migrations\nclass Migration(migrations.Migration): ...",
        ),
        ("versions/2026_01_01_ab12_add_migration.py", "from alembic import op\ndef upgrade(): ..."),
    ],
)
def test_the_migrations_of_other_tools_in_a_folder_are_theirs(folder: Folder, name: str, source: str) -> None:
    write(folder, name, text=source)
    assert found(folder) == []
    write(folder, name.rpartition("/")[2], text=source)
    with pytest.raises(ProjectError, match="looks like a migration"):
        find_migrations(folder.path)


@pytest.mark.parametrize(
    "name", ["2026/add_users.py", "2026/11/_2026_add_users.py", "2026/202601010000_add_migration.py"]
)
def test_a_file_that_looks_like_a_migration_is_not_ignored_in_a_folder(folder: Folder, name: str) -> None:
    write(folder, name, text="from monarch import Migration\nclass A(Migration):\n    def run(self): ...\n")
    with pytest.raises(ProjectError) as raised:
        find_migrations(folder.path)
    assert raised.value.message.startswith(f"migrations/{name} looks like a migration, but is not named like")


def test_a_package_that_is_called_like_a_migration_is_one_only_if_it_has_some(folder: Folder) -> None:
    write(folder, "20260101/__init__.py", "20260101/more/_202601010000_a_migration.py")
    assert found(folder) == ["20260101/more/_202601010000_a_migration.py"]
    write(folder, "2026/_202601020000_b_migration/__init__.py")
    with pytest.raises(ProjectError, match=r"migrations/2026/_202601020000_b_migration looks like"):
        find_migrations(folder.path)


def test_a_helper_may_be_imported_from_any_folder(folder: Folder) -> None:
    write(folder, "bases/team_migration.py")
    with pytest.raises(ProjectError, match=r"migrations/bases/team_migration.py looks like"):
        find_migrations(folder.path)
    source = f"from migrations.bases.team_migration import AMigration as Base\n{MIGRATION}"
    write(folder, "2026/_202601010000_a_migration.py", text=source)
    assert found(folder) == ["2026/_202601010000_a_migration.py"]


def test_other_files_in_folders_may_have_dates_and_be_called_like_one(folder: Folder) -> None:
    write(folder, "data/2014_countries.py", "data/20140529_dogs.py", "tools/data_migration.py", text="x = 1")
    write(folder, "data/20140529/__init__.py")
    assert found(folder) == []
    write(folder, "2026/_202601010000_add_users.py", text="x = 1")
    with pytest.raises(ProjectError, match="looks like a migration"):
        find_migrations(folder.path)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\udcff"])
def test_the_name_of_a_folder_can_be_shown(folder: Folder, name: str) -> None:
    (folder.path / "migrations" / name).mkdir(parents=True)
    assert found(folder) == []
    write(folder, f"{name}/_202601010000_a_migration.py")
    with pytest.raises(ProjectError, match="has a character that is not printable"):
        find_migrations(folder.path)
    result = folder.invoke("generate", "x")
    assert (result.code, len(result.err.splitlines())) == (2, 2)


def test_links_are_followed_once_and_circles_end(folder: Folder, tmp_path: Path) -> None:
    write(folder, "2026/_202601010000_a_migration.py")
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "_202601020000_b_migration.py").write_text(MIGRATION)
    top = folder.path / "migrations"
    (top / "shared").symlink_to(outside)
    (top / "current").symlink_to("2026")  # a second way to it
    (top / "2026/up").symlink_to("..")  # a circle
    (top / "here").symlink_to(".")
    (outside / "back").symlink_to(top / "2026/deeper")
    write(folder, "2026/deeper/notes.txt")
    (top / "itself").symlink_to("itself")
    (top / "nowhere").symlink_to("nothing")
    (top / "2026/_202601030000_c_migration.py").symlink_to(outside / "_202601020000_b_migration.py")
    assert found(folder) == [
        "2026/_202601010000_a_migration.py",
        "shared/_202601020000_b_migration.py",
        "2026/_202601030000_c_migration.py",
    ]
    (file, *_) = find_migrations(folder.path)
    assert load_migration(file, folder.path).__module__ == "migrations.2026._202601010000_a_migration"


def test_pipes_and_folders_in_place_of_files(folder: Folder) -> None:
    write(folder, "2026/__init__.py")
    for name in ("fifo.py", "_202601010000_a_migration.py"):
        os.mkfifo(folder.path / "migrations/2026" / name)
        with pytest.raises(ProjectError, match=rf"migrations/2026/{name} "):
            find_migrations(folder.path)
        (folder.path / "migrations/2026" / name).unlink()
    named = folder.path / "migrations/2026/_202601010000_a_migration.py"
    named.mkdir()
    with pytest.raises(ProjectError, match="is named like a migration, but is not a file"):
        find_migrations(folder.path)
    named.rmdir()
    named.symlink_to("nothing")
    with pytest.raises(ProjectError, match="is named like a migration, but is not a file"):
        find_migrations(folder.path)


def test_a_migration_in_a_folder_may_import_its_neighbours_and_the_helpers_above(folder: Folder) -> None:
    write(folder, "helpers.py", text="ANSWER = 42")
    write(folder, "v1.2/old/beside.py", text="QUESTION = 6 * 9")
    write(folder, "v1.2/other.py", text="from ..helpers import ANSWER as AGAIN")
    source = """
        from dataclasses import dataclass
        from monarch import Migration
        from migrations.helpers import ANSWER
        from .beside import QUESTION
        from ..other import AGAIN

        @dataclass
        class Row:
            x: "int" = ANSWER + QUESTION + AGAIN

        class AMigration(Migration):
            row = Row()
            def run(self): ...
    """
    write(folder, "v1.2/old/_201405290038_a_migration.py", text=source)
    (file,) = find_migrations(folder.path)
    loaded = load_migration(file, folder.path)
    assert (loaded.migration_key.fget or (lambda _: ""))(loaded()) == file.key  # type: ignore[attr-defined]


def test_a_moved_file_that_imports_its_former_neighbour_is_told_how(folder: Folder) -> None:
    write(folder, "helpers.py", text="ANSWER = 42")
    write(folder, "2026/_202601010000_a_migration.py", text=f"from .helpers import ANSWER\n{MIGRATION}")
    (file,) = find_migrations(folder.path)
    with pytest.raises(ProjectError) as raised:
        load_migration(file, folder.path)
    assert "migrations/2026/_202601010000_a_migration.py, line 1" in raised.value.message
    assert raised.value.hint is not None
    assert "'helpers' is in migrations/, not beside the file: write `from migrations.helpers import …`" in (
        raised.value.hint
    )


@pytest.mark.parametrize("name", ["users", "settings"])
def test_a_folder_may_be_called_like_a_module(folder: Folder, name: str) -> None:
    write(folder, f"{name}.py", text="ANSWER = 42")
    source = f"from migrations.{name} import ANSWER\nfrom .beside import ANSWER as AGAIN\n{MIGRATION}"
    write(folder, f"{name}/beside.py", text=f"from migrations.{name} import ANSWER")
    write(folder, f"{name}/_202601010000_a_migration.py", "_202601010001_b_migration.py", text=source)
    folder.write("migrations/beside.py", "ANSWER = 42")
    for file in (*find_migrations(folder.path), *find_migrations(folder.path)):
        assert load_migration(file, folder.path).__name__ == "AMigration"


@pytest.mark.parametrize("source", ["from .nothing import x", "from .helpers import x", "1 / 0"])
def test_the_init_of_a_folder_fails(folder: Folder, source: str) -> None:
    write(folder, "helpers.py", text="x = 42")
    write(folder, "2026/__init__.py", text=source)
    write(folder, "2026/_202601010000_a_migration.py")
    (file,) = find_migrations(folder.path)
    for _ in range(2):
        with pytest.raises(ProjectError, match="_202601010000_a_migration cannot be loaded: ") as raised:
            load_migration(file, folder.path)
        assert ("write `from migrations.helpers import" in (raised.value.hint or "")) == ("helpers" in source)


def test_the_kind_of_a_migration_in_a_folder_counts(folder: Folder) -> None:
    """An environment without a ``uri`` on this machine has no known kind: the files tell."""
    folder.settings(production={"db_name": "app"})
    write(folder, "2026/_202601010000_a_migration.py", text="from monarch import PostgresBackedMigration")
    from monarch.settings.load import load_settings

    assert find_kinds(load_settings(folder.path).environments, folder.path) == {"postgres"}


@pytest.mark.parametrize("link", [True, False])
def test_a_folder_whose_files_nobody_may_open(folder: Folder, link: bool, plain_rights: list[str]) -> None:
    write(folder, "2026/helper.py", "__init__.py")
    if link:
        (folder.path / "migrations/2026/_202601010000_a_migration.py").symlink_to("helper.py")
    (folder.path / "migrations/2026").chmod(0o600)
    try:
        result = folder.monarch("generate", "x", prefix=plain_rights)
    finally:
        (folder.path / "migrations/2026").chmod(0o700)
    assert (result.code, len(result.err.splitlines())) == (2, 2)
    assert "cannot be read: Permission denied." in result.err


def test_an_unreadable_folder_is_an_error(folder: Folder, plain_rights: list[str]) -> None:
    write(folder, "2026/_202601010000_a_migration.py", "__init__.py")
    (folder.path / "migrations/2026").chmod(0o300)
    try:
        result = folder.monarch("generate", "x", prefix=plain_rights)
    finally:
        (folder.path / "migrations/2026").chmod(0o700)
    assert (result.code, result.err.splitlines()) == (
        2,
        [
            "Error: migrations/2026/ cannot be read: Permission denied.",
            "Hint: There may be migrations in it. Make it readable, or move it elsewhere.",
        ],
    )
