"""Finding the project upward, as git finds a repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monarch.errors import SettingsError, UsageError
from monarch.migrations.files.find import find_migrations
from monarch.project import Project
from monarch.settings.paths import Place
from monarch.settings.search import find_place, place_at, place_of_settings, where_else
from tests.support.runs.shell import Folder

SETTINGS = "ENVIRONMENTS = {'dev': {'host': 'localhost', 'db_name': 'a'}}\n"


@pytest.fixture
def deep(folder: Folder) -> Path:
    folder.write("migrations/settings.py", SETTINGS)
    deep = folder.path / "src" / "deep"
    deep.mkdir(parents=True)
    return deep


def test_the_nearest_folder_upward_counts(folder: Folder, deep: Path) -> None:
    for start in (folder.path, deep, folder.path / "migrations"):
        assert find_place(start) == Place(folder.path)
    folder.write("src/migrations/settings.py", SETTINGS)
    assert find_place(deep) == Place(folder.path / "src")
    assert Project.find(deep).root == folder.path / "src"


@pytest.mark.parametrize("start", ["db", "db/migrations", "db/migrations/2026"])
def test_settings_that_a_project_above_names_are_no_project_of_their_own(folder: Folder, start: str) -> None:
    folder.write("pyproject.toml", '[tool.monarch]\nfolder = "db/migrations"\n')
    folder.write("db/migrations/settings.py", SETTINGS)
    (folder.path / "db/migrations/2026").mkdir()
    found = find_place(folder.path / start)
    assert found is not None
    assert (found.root, found.folder) == (folder.path, "db/migrations")
    folder.write("other/migrations/settings.py", SETTINGS)
    assert find_place(folder.path / "other") == Place(folder.path / "other")


def test_a_folder_of_another_tool_is_passed_over(folder: Folder, deep: Path) -> None:
    folder.write("src/migrations/0001_initial.py", "from django.db import migrations\n")
    assert find_place(deep) == Place(folder.path)


def test_a_link_to_a_folder_is_where_it_leads(
    folder: Folder, deep: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "link").symlink_to(deep)
    assert find_place(elsewhere / "link") == Place(folder.path)
    (folder.path / "away").symlink_to(elsewhere)
    assert find_place(folder.path / "away") is None


@pytest.mark.parametrize("broken", ["link", "folder"])
def test_settings_that_cannot_be_read_are_not_passed_over(folder: Folder, deep: Path, broken: str) -> None:
    (deep / "migrations").mkdir()
    if broken == "link":
        (deep / "migrations/settings.py").symlink_to("nowhere")
    else:
        (deep / "migrations/settings.py").mkdir()
    assert find_place(deep) == Place(deep)
    with pytest.raises(SettingsError):
        Project.find(deep).environments()


def test_the_search_ends_after_home(folder: Folder, deep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.path))
    assert find_place(deep) == Place(folder.path)
    monkeypatch.setenv("HOME", str(deep.parent))
    assert find_place(deep) is None
    assert find_place(folder.path) == Place(folder.path)


def test_the_search_ends_where_another_file_system_begins(folder: Folder) -> None:
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == other.parent.stat().st_dev:
        pytest.skip("there is no other file system here")
    assert find_place(other) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_project_of_a_stranger_is_not_executed(folder: Folder, deep: Path) -> None:
    os.chown(folder.path / "migrations/settings.py", 1234, 1234)
    if os.geteuid() == 0:
        with pytest.raises(UsageError, match="belongs to another user") as caught:
            find_place(deep)
        assert caught.value.hint == f"If you trust its code, name it: --project {folder.path}"
    assert find_place(folder.path) == Place(folder.path)
    os.chown(deep, 1234, 1234)
    assert find_place(deep) == Place(folder.path)


def test_where_else_there_is_a_project(folder: Folder, deep: Path) -> None:
    assert where_else(deep) == f"There is a project in {folder.path}: run monarch there."
    (folder.path / "migrations/settings.py").unlink()
    assert "monarch init" in where_else(folder.path)
    folder.write("services/one/migrations/settings.py", SETTINGS)
    one = folder.path / "services/one"
    assert where_else(folder.path) == f"There is a project in {one}: monarch -C {one} …"


@pytest.mark.parametrize("folder_name", ["db/migrations", "db-migrations", "db_migrations/", "./a.b/c"])
def test_another_folder(folder: Folder, folder_name: str) -> None:
    folder.write("pyproject.toml", f'[project]\nname = "x"\n[tool.monarch]\nfolder = "{folder_name}"\n')
    name = folder_name.removeprefix("./").strip("/")
    folder.write(f"{name}/settings.py", "from .helper import NAME\n" + SETTINGS.replace("'a'", "NAME"))
    folder.write(f"{name}/helper.py", "NAME = 'helped'")
    folder.write(f"{name}/_202001010000_x_migration.py", "from .helper import NAME")
    project = Project(folder.path)
    assert (project.place.folder, project.environment("dev").db_name) == (name, "helped")
    assert [file.shown_path for file in project.migrations()] == [f"{name}/_202001010000_x_migration.py"]
    assert find_migrations(folder.path)[0].top == folder.path / name


def test_code_of_another_folder_has_the_name_that_imports_give_it(folder: Folder) -> None:
    folder.write("pyproject.toml", '[tool.monarch]\nfolder = "database/steps"\n')
    # The packages above are the application's: they are not imported for the settings.
    folder.write("database/__init__.py", "raise ImportError('not asked for')")
    folder.write(
        "database/steps/settings.py", f"{SETTINGS}assert __name__ == 'database.steps.settings', __name__\n"
    )
    assert Project(folder.path).environments()


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[tool.monarch]\nfoldr = 'x'", "unknown key 'foldr'", "'folder'"),
        ("[tool.monarch]\nenv_file = 'x'", "unknown key 'env_file'", "'env-file'"),
        ("[tool.monarch]\nfolder = 3", "'folder' of .* is not a text", "folder = "),
        ("[tool.monarch]\nfolder = ''", "'folder' of .* is not a text", "folder = "),
        ("[tool.monarch]\nenv-file = ['.env']", "'env-file' of .* is not a text", "env-file = "),
        ("[tool.monarch]\nfolder = '../x'", "'../x', which is not a folder in the project", "relative path"),
        ("[tool.monarch]\nfolder = '/x'", "'/x', which is not a folder in the project", "relative path"),
        ("[tool.monarch]\nfolder = '.'", "'.', which is not a folder in the project", "relative path"),
        ('[tool.monarch]\nfolder = "a\\u0007"', "not printable", "Rename"),
        ("[tool.monarch]\nfolder = 'json'", "also a package", "another name"),
        ("[tool.monarch]\nfolder = 'monarch/x'", "also a package", "another name"),
        ("[tool]\nmonarch = 3", "not a table", "folder ="),
        ("[tool.monarch]\nfolder = x", "is not valid TOML: .*line 2", "Fix"),
    ],
)
def test_a_wrong_table(folder: Folder, text: str, message: str, hint: str) -> None:
    folder.write("pyproject.toml", text)
    with pytest.raises(SettingsError, match=message) as caught:
        find_place(folder.path)
    assert hint in str(caught.value.hint)


def test_a_pyproject_without_the_table_is_not_even_read_as_toml(folder: Folder) -> None:
    folder.write("pyproject.toml", "dependencies = ['monarch'] [[[ is no TOML")
    assert find_place(folder.path) is None
    (folder.path / "pyproject.toml").write_bytes(b"# \xff\n[tool.monarch]\n")
    with pytest.raises(SettingsError, match="line 1: this is not UTF-8"):
        find_place(folder.path)
    (folder.path / "pyproject.toml").unlink()
    os.mkfifo(folder.path / "pyproject.toml")
    assert find_place(folder.path) is None


@pytest.mark.parametrize(
    "text", ["[tool.monarch]", "\ufeff[tool . 'monarch']", "[tool]\nmonarch = {}", "tool = {monarch = {}}"]
)
def test_a_table_alone_makes_a_project(folder: Folder, text: str) -> None:
    folder.write("pyproject.toml", text)
    (folder.path / "below").mkdir()
    assert find_place(folder.path / "below") == Place(folder.path)


def test_a_place_of_settings(folder: Folder) -> None:
    file = folder.write("db/steps/live.py", SETTINGS)
    assert place_of_settings(file) == Place(folder.path / "db", "steps", "live.py")
    assert place_of_settings(file.parent) == Place(folder.path / "db", "steps")
    assert place_of_settings(file, folder.path) == Place(folder.path, "db/steps", "live.py")
    folder.write("pyproject.toml", "[tool.monarch]\n")
    assert place_of_settings(file) == Place(folder.path, "db/steps", "live.py")
    for wrong in (folder.path / "x.toml", folder.path / "settings.py"):
        with pytest.raises(UsageError, match="--settings"):
            place_of_settings(wrong, folder.path)


def test_the_place_without_anything(folder: Folder) -> None:
    assert find_place(folder.path) is None
    assert place_at(folder.path) == Place(folder.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("given", ["migrations", "migrations/__init__.py", "migrations/settings.py", "."])
def test_a_folder_or_a_link_of_a_stranger_is_not_trusted(folder: Folder, deep: Path, given: str) -> None:
    folder.write("migrations/__init__.py", "")
    if given == "migrations/settings.py":  # a link of a stranger, to a file of mine
        (folder.path / given).rename(folder.path / "mine.py")
        (folder.path / given).symlink_to(folder.path / "mine.py")
    os.chown(folder.path / given, 65534, 65534, follow_symlinks=False)
    with pytest.raises(UsageError, match="belongs to another user"):
        find_place(deep)
