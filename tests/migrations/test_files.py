from __future__ import annotations

import os

import pytest

from monarch.errors import ProjectError
from monarch.migrations.files.classes import load_migration
from monarch.migrations.files.find import find_migration, find_migrations
from monarch.system.secrets import Secret
from monarch.system.tracebacks import describe_error_in
from tests.support.runs.shell import Folder


def test_migrations_are_found_and_ordered_by_file_name(folder: Folder) -> None:
    later = folder.migration("later", stamp="201501010000")
    first = folder.migration("first", stamp="201401010000")
    folder.write("migrations/__init__.py", "")
    folder.write("migrations/settings.py", "")
    folder.write("migrations/helpers.py", "def run():\n    pass\n")
    folder.write("migrations/notes.txt", "")
    files = find_migrations(folder.path)
    assert [file.key for file in files] == [first, later]
    assert [file.name for file in files] == ["first", "later"]


def test_a_migration_is_found_by_key_file_path_or_name(folder: Folder) -> None:
    key = folder.migration("add_users")
    files = find_migrations(folder.path)
    for word in (key, f"{key}.py", f"migrations/{key}.py", "add_users", "add_users_migration"):
        assert find_migration(files, word).key == key
    with pytest.raises(ProjectError, match="no migration 'add_user'") as caught:
        find_migration(files, "add_user")
    assert caught.value.hint == "Did you mean 'add_users'?"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("201405290038_add_users_migration.py", ""),
        ("_2014_add_users_migration.py", ""),
        ("_20140529003_add_users.py", ""),
        ("_201405290038_add users_migration.py", ""),
        ("_201405290038_café_migration.py", ""),
        ("_201405290038_add_users_Migration.py", ""),
        ("add_users_migration.py", ""),
        ("add_users_migrations.py", ""),
        (
            "add_users.py",
            "from monarch import MongoBackedMigration as M\nclass A(M):\n    async def run(self): ...\n",
        ),
        (
            "add_users.py",
            "from monarch import MongoBackedMigration as M\n"
            "class A(MongoBackedMigration):\n    def run(self): ...\n",
        ),
    ],
)
def test_a_file_that_looks_like_a_migration_is_not_ignored(folder: Folder, name: str, source: str) -> None:
    folder.write(f"migrations/{name}", source)
    with pytest.raises(ProjectError, match="looks like a migration"):
        find_migrations(folder.path)


def test_a_folder_or_another_spelling_is_not_ignored(folder: Folder) -> None:
    folder.write("migrations/helpers/__init__.py", "")
    assert find_migrations(folder.path) == ()
    for name in ("_201405290038_a_migration/__init__.py", "_201405290038_a_migration.PY"):
        path = folder.write(f"migrations/{name}", "")
        with pytest.raises(ProjectError, match="looks like a migration"):
            find_migrations(folder.path)
        path.unlink()
        if path.parent.name != "migrations":
            path.parent.rmdir()


def test_a_pipe_does_not_block(folder: Folder) -> None:
    folder.write("migrations/__init__.py", "")
    for name, message in (("fifo.py", "is not a file"), ("_201405290038_a_migration.py", "is not a file")):
        os.mkfifo(folder.path / "migrations" / name)
        with pytest.raises(ProjectError, match=message):
            find_migrations(folder.path)
        (folder.path / "migrations" / name).unlink()


def test_the_exact_one_of_two_names_is_selected(folder: Folder) -> None:
    folder.migration("users_x")
    word = folder.migration("users_x_migration")
    files = find_migrations(folder.path)
    assert find_migration(files, "users_x_migration").key == word
    folder.migration("users_x", stamp="201501010000")
    with pytest.raises(ProjectError, match="is the name of 2 migrations"):
        find_migration(find_migrations(folder.path), "users_x")


def test_no_folder(folder: Folder) -> None:
    with pytest.raises(ProjectError, match="no folder migrations/"):
        find_migrations(folder.path)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "defines no migration"),
        ("from monarch import MongoBackedMigration", "defines no migration"),
        (
            "from monarch import Migration\nclass A(Migration): ...\nclass B(Migration): ...",
            "defines 2 migrations: A, B",
        ),
        ("import os\nimport nothing_here", "ModuleNotFoundError: No module named 'nothing_here' (.*line 2)"),
        ("x = (\n", "SyntaxError: .* (.*line 1)"),
        (
            "import monarch\nclass A(monarch.Migration):\n  async def run(self): ...",
            "is async or a generator",
        ),
        ("import monarch\nclass A(monarch.Migration):\n  def run(self): yield", "is async or a generator"),
        ("raise SystemExit(0)", "SystemExit: 0 (.*line 1)"),
        ("1/0", "ZeroDivisionError: division by zero (.*line 1)"),
    ],
)
def test_a_file_that_cannot_be_used(folder: Folder, source: str, message: str) -> None:
    folder.write("migrations/_201405290038_a_migration.py", source)
    (file,) = find_migrations(folder.path)
    with pytest.raises(ProjectError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load_migration(file, folder.path)


def test_a_migration_may_import_the_project_and_its_neighbours(folder: Folder) -> None:
    folder.write("application/__init__.py", "ANSWER = 42")
    folder.write("migrations/__init__.py", "")
    folder.write("migrations/helpers.py", "QUESTION = 6 * 9")
    folder.write(
        "migrations/_201405290038_a_migration.py",
        """
        from dataclasses import dataclass
        from application import ANSWER
        from monarch import Migration
        from .helpers import QUESTION

        @dataclass
        class Row:
            x: "int" = ANSWER + QUESTION

        class AMigration(Migration):
            row = Row()
            def run(self): ...
        """,
    )
    (file,) = find_migrations(folder.path)
    assert load_migration(file, folder.path).__name__ == "AMigration"


@pytest.mark.parametrize(("what", "mode"), [("migrations", 0o300), ("migrations/odd.py", 0)])
def test_an_unreadable_file_or_folder(folder: Folder, what: str, mode: int, plain_rights: list[str]) -> None:
    folder.write("migrations/odd.py", "")
    (folder.path / what).chmod(mode)
    try:
        result = folder.monarch("generate", "x", prefix=plain_rights)
    finally:
        (folder.path / what).chmod(0o700)
    assert result.code == 2
    assert "cannot be read: Permission denied." in result.err
    assert set(folder.files()) == {"migrations/odd.py"}


def test_secrets_are_removed_from_a_message_before_it_is_shortened(folder: Folder) -> None:
    folder.migration("a")
    (file,) = find_migrations(folder.path)
    Secret("hunter2secret two  spaces")
    for padding in range(250, 300):
        assert "hunter2" not in describe_error_in(
            file.path, ValueError("x" * padding + "hunter2secret two  spaces")
        )
