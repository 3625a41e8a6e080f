"""``init`` where another tool has its migrations, and in another folder."""

from __future__ import annotations

import tomllib

import pytest

from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import assert_error

pytestmark = pytest.mark.command

DJANGO = {
    "migrations/__init__.py": "",
    "migrations/0001_initial.py": "from django.db import migrations, models\n",
}
ALEMBIC = {
    "migrations/env.py": "from alembic import context\n",
    "migrations/alembic.ini": "",
    "migrations/versions/x.py": "",
}
PRISMA = {"migrations/migration_lock.toml": 'provider = "mongodb"\n'}


@pytest.mark.parametrize(
    ("files", "whose"),
    [
        (DJANGO, r"Django \(0001_initial\.py\)"),
        (ALEMBIC, r"Alembic or Flask-Migrate \(env\.py, alembic\.ini, versions\)"),
        (PRISMA, "Prisma"),
    ],
    ids=["django", "alembic", "prisma"],
)
def test_a_folder_of_another_tool_is_left_alone(folder: Folder, files: dict[str, str], whose: str) -> None:
    for name, text in files.items():
        folder.write(name, text)
    before = folder.files()
    for arguments in ((), ("--yes",), ("--folder", "migrations")):
        result = folder.monarch("init", *arguments)
        assert_error(
            result, 2, f"migrations/ has the migrations of {whose}", "monarch init --folder db_migrations"
        )
        assert folder.files() == before
    made = folder.monarch("init", "--folder", "db_migrations")
    assert (made.code, made.err) == (0, "")
    assert made.out.splitlines()[1:] == [
        "Wrote db_migrations/settings.py",
        "Wrote pyproject.toml",
        "Now enter your databases in db_migrations/settings.py. Then: monarch generate NAME",
    ]
    assert {name: content for name, content in folder.files().items() if name in before} == before
    assert folder.monarch("generate", "add_x").out.startswith("Wrote db_migrations/_")
    assert folder.monarch("list_environments", "--json").code == 0


@pytest.mark.parametrize(
    "old",
    [
        "",
        '[project]\nname = "x"',
        "[project]\r\nname = 'x'\r\n",
        "\ufeff[project]\n",
        "# café\n[tool.ruff]\nfix = true\n",
    ],
)
def test_the_folder_is_added_to_pyproject(folder: Folder, old: str) -> None:
    file = folder.path / "pyproject.toml"
    file.write_bytes(old.encode())
    file.chmod(0o640)
    assert folder.monarch("init", "--folder", "db/steps").code == 0
    text = file.read_bytes().decode("utf-8-sig")
    assert text.startswith(old.removeprefix("\ufeff"))
    assert ("\r\n" in text) == ("\r\n" in old)
    table = tomllib.loads(text)
    assert table["tool"]["monarch"] == {"folder": "db/steps"}
    assert file.stat().st_mode & 0o777 == 0o640
    # Once more, it asks for the settings and writes no second table.
    again = folder.monarch("init", "--folder", "db/steps", "--yes")
    assert (again.code, "pyproject" in again.out) == (0, False)


@pytest.mark.parametrize(
    ("old", "arguments", "message", "hint"),
    [
        ("[tool.monarch]\nenv-file = '.env'\n", ("--folder", "db"), "has a .tool.monarch", 'folder = "db"'),
        ("no = toml\n[[[", ("--folder", "db"), "is not valid, or", 'folder = "db"'),
        ("", ("--folder", "../db"), "'../db', which is not a folder in the project", "relative path"),
        ("", ("--folder", "/db"), "'/db', which is not a folder in the project", "relative path"),
        ("", ("--folder", ""), "'', which is not a folder in the project", "relative path"),
        ("", ("--folder", "json"), "also a package", "another name"),
    ],
)
def test_a_folder_that_cannot_be(
    folder: Folder, old: str, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    folder.write("pyproject.toml", old)
    before = folder.files()
    assert_error(folder.monarch("init", *arguments), 2, message, hint)
    assert folder.files() == before


def test_a_project_does_not_lose_its_migrations_to_another_folder(folder: Folder) -> None:
    folder.write("migrations/settings.py", "MINE = 1")
    before = folder.files()
    result = folder.monarch("init", "--folder", "db", "--yes")
    assert_error(result, 2, r"has migrations/settings\.py already", "Move migrations/ to db/")
    assert folder.files() == before


def test_a_project_in_a_project(folder: Folder) -> None:
    folder.write("migrations/settings.py", "MINE = 1")
    folder.write("inner/x", "")
    inner = Folder(folder.path / "inner")
    result = inner.monarch("init")
    assert (result.code, "inner/migrations/settings.py" in folder.files()) == (0, True)
    note = f"Note: {folder.path} is a project too. In inner/ monarch will work on the new one.\n"
    assert result.err == note
    assert inner.monarch("generate", "x").err == ""
    elsewhere = folder.monarch("init", "--project", "inner", "--yes")
    assert (elsewhere.code, elsewhere.out.splitlines()[0]) == (
        0,
        "Wrote migrations/settings.py.1.old (your old settings)",
    )
    assert elsewhere.err == f"Project: {inner.path} (by --project)\n" + note
