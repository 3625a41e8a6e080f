"""Commands from any folder: the project is found upward, by options, or by a variable."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import assert_error, entry
from tests.support.servers.mongod import Server

pytestmark = pytest.mark.command

SETTINGS = "ENVIRONMENTS = {'dev': {'host': 'localhost', 'db_name': 'a'}}\n"


@pytest.fixture
def project(folder: Folder) -> Folder:
    folder.write("migrations/settings.py", SETTINGS)
    (folder.path / "src" / "deep").mkdir(parents=True)
    return folder


@pytest.fixture
def deep(project: Folder) -> Folder:
    return Folder(project.path / "src" / "deep")


def names(folder: Folder, *arguments: str, **variables: str) -> list[str]:
    result = folder.monarch(*arguments, "list_environments", "--json", variables=variables)
    assert (result.code, result.err) == (0, ""), result.output
    return [one["name"] for one in result.json]


def test_reading_says_nothing_of_where(
    project: Folder, deep: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = Folder(tmp_path_factory.mktemp("elsewhere"))
    path = str(project.path)
    for folder, arguments in (
        (project, ()),
        (deep, ()),
        (elsewhere, ("-C", str(deep.path))),
        (elsewhere, ("-C", path, "-C", "src")),
        (elsewhere, ("--project", path)),
        (elsewhere, ("--settings", f"{path}/migrations/settings.py")),
        (elsewhere, ("--settings", f"{path}/migrations")),
    ):
        assert names(folder, *arguments) == ["dev"], arguments
    assert names(elsewhere, MONARCH_PROJECT=path) == ["dev"]
    assert names(project, MONARCH_PROJECT="") == ["dev"]
    after = elsewhere.monarch("list_environments", "-C", path, "--project", ".")
    assert (after.code, after.err) == (0, "")


def test_a_change_names_a_project_that_is_elsewhere(project: Folder, deep: Folder) -> None:
    path = project.path
    other = Folder(path / "other")
    other.write("migrations/settings.py", SETTINGS)
    for arguments, variables, how in (
        ((), {}, f"{path} (above this folder)"),
        (("--project", "../.."), {}, f"{path} (by --project)"),
        (("-C", "../.."), {}, f"{path} (by -C)"),
        (("-C", ".."), {}, f"{path} (above this folder)"),
        (("--settings", "../../migrations"), {}, f"{path} (by --settings)"),
        ((), {"MONARCH_PROJECT": str(path)}, f"{path} (by MONARCH_PROJECT)"),
        (("--project", str(path)), {"MONARCH_PROJECT": str(other.path)}, f"{path} (by --project)"),
        (("-C", str(other.path)), {"MONARCH_PROJECT": ".."}, f"{path} (by MONARCH_PROJECT)"),
    ):
        number = len(list((path / "migrations").glob("_*.py")))
        result = deep.monarch(*arguments, "generate", f"add_{number}", variables=variables)
        assert (result.code, result.err) == (0, f"Project: {how}\n")
        assert result.out.startswith("Wrote migrations/_")
        assert len(list((path / "migrations").glob("_*.py"))) == number + 1
    assert project.monarch("generate", "here").err == ""


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("-C", "gone"), "-C 'gone': No such file or directory", "Name a folder"),
        (("-C", "file"), "-C 'file': Not a directory", "Name a folder"),
        (("--project", "gone"), "--project is 'gone', which is not a folder", "Name the folder"),
        (("--project", "file"), "--project is 'file', which is not a folder", "Name the folder"),
        (("--project", ""), "--project is '', which is not a folder", "Name the folder"),
        (("--project", "src"), "There is no migrations/settings.py here", "There is a project in"),
        (("--settings", "gone.py"), "There is no .*gone.py", "monarch"),
        (("--settings", "file"), "is no Python file", "ends in .py"),
        (("--env-file", "gone"), "gone cannot be read: No such file or directory", "Name a file"),
        (("--env-file", "src"), "src cannot be read: Is a directory", "Name a file"),
    ],
)
def test_what_leads_nowhere(project: Folder, arguments: tuple[str, ...], message: str, hint: str) -> None:
    project.write("file", "")
    before = project.files()
    assert_error(project.monarch(*arguments, "list_environments"), 2, message, hint)
    assert project.files() == before


def test_a_wrong_variable(project: Folder) -> None:
    result = project.monarch("list_environments", variables={"MONARCH_PROJECT": "/gone"})
    assert_error(
        result, 2, "MONARCH_PROJECT is '/gone', which is not a folder", "Correct MONARCH_PROJECT, or unset it"
    )
    assert project.monarch("--help", variables={"MONARCH_PROJECT": "/gone"}).code == 0


def test_a_deleted_folder_matters_to_relative_paths_only(project: Folder) -> None:
    code = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); "
        "os.execv(sys.executable, [sys.executable, '-m', 'monarch', *sys.argv[1:]])"
    )
    import subprocess

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", code, *arguments, "list_environments"]
        return subprocess.run(line, cwd=project.path, capture_output=True, text=True, check=False)

    assert run("--project", str(project.path)).returncode == 0
    assert run("-C", str(project.path)).returncode == 0
    gone = run("--project", ".")
    assert (gone.returncode, "The current folder is gone" in gone.stderr) == (2, True)


def test_paths_of_arguments_and_of_the_project(project: Folder, deep: Folder, server: Server) -> None:
    project.settings(dev=entry(server, project.db_name))
    project.write("data.txt", "of the project")
    project.migration("reads", "import pathlib; echo(pathlib.Path('data.txt').read_text())")
    result = deep.monarch("migrate", "dev", "--junit", "report.xml")
    assert result.code == 0, result.output
    assert "of the project" in result.out
    assert f"Project: {project.path} (above this folder)\n" in result.err
    assert (deep.path / "report.xml").exists()
    assert not (project.path / "report.xml").exists()
    template = deep.write("mine.py.tmpl", "class $class_name:\n    mine = 1\n")
    assert deep.monarch("generate", "by_template", "--from", template.name).code == 0
    (written,) = (project.path / "migrations").glob("_*_by_template_migration.py")
    assert "mine = 1" in written.read_text()


def test_files_of_the_projects_libraries_are_found_from_below(project: Folder, deep: Folder) -> None:
    """As from its own folder: pydantic-settings and others look into the current folder."""
    project.write(".env", "DB_NAME=shop\n")
    project.write(
        "migrations/settings.py",
        """
        from pydantic_settings import BaseSettings, SettingsConfigDict

        class Config(BaseSettings):
            model_config = SettingsConfigDict(env_file='.env')
            db_name: str

        ENVIRONMENTS = {'dev': {'host': 'localhost', 'db_name': Config().db_name}}
        """,
    )
    deep.write(".env", "DB_NAME=wrong\n")
    for folder in (project, deep):
        assert folder.monarch("list_environments", "--json").json[0]["database"] == "shop"


def test_env_files(project: Folder, deep: Folder) -> None:
    project.write(
        "migrations/settings.py",
        "import os\nENVIRONMENTS = {'dev': {'host': 'h', 'db_name': 'a', 'username': 'u', "
        "'password': os.environ['SOME_PASSWORD']}}\n"
        "if os.environ.get('FAIL'): raise ValueError(ENVIRONMENTS)",
    )
    deep.write("local.env", "export SOME_PASSWORD='hush-hush'\nFAIL=${SHALL_FAIL}\n")
    assert names(deep, "--env-file", "local.env") == ["dev"]
    failed = deep.monarch("list_environments", "--env-file", "local.env", variables={"SHALL_FAIL": "1"})
    assert (failed.code, "ValueError" in failed.err, "hush" in failed.output) == (2, True, False)
    line = f"{sys.executable} -m monarch --env-file <(echo SOME_PASSWORD=piped) list_environments --json"
    piped = deep.monarch(prefix=("bash", "-c", f"{line} #"))
    assert (piped.code, piped.json[0]["name"]) == (0, "dev")


def test_messages_have_the_projects_own_names(folder: Folder) -> None:
    folder.write("pyproject.toml", "[tool.monarch]\nfolder = 'db/steps'\n")
    result = folder.monarch("list_environments")
    assert_error(result, 2, r"There is no db/steps/settings\.py here", "monarch init")
    folder.write("db/steps/settings.py", SETTINGS)
    assert_error(folder.monarch("list_backups"), 2, r"There is no BACKUPS in db/steps/settings\.py", "")
    assert_error(folder.monarch("migrate", "no"), 2, r"no environment 'no' in db/steps/settings\.py", "")
    folder.write("db/steps/20200101_add_users.py", "")
    assert_error(
        folder.monarch("generate", "x"), 2, r"^Error: db/steps/20200101_add_users\.py looks like", ""
    )
    named = folder.monarch("--settings", "db/steps/live.py", "list_environments")
    assert_error(named, 2, r"There is no steps/live\.py|There is no db/steps/live\.py", "")


def test_completion_from_below_and_after_options(project: Folder, deep: Folder) -> None:
    key = project.migration("add_users")
    assert key

    def complete(folder: Folder, line: str, **variables: str) -> list[str]:
        words = line.split(" ")
        variables |= {
            "_MONARCH_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
        result = folder.monarch(variables=variables)
        return [one.partition(",")[2] for one in result.out.splitlines()]

    elsewhere = Folder(project.path.parent)
    assert complete(deep, "monarch check ") == ["dev"]
    assert complete(elsewhere, f"monarch -C {deep.path} check ") == ["dev"]
    assert complete(elsewhere, f"monarch --project {project.path} check ") == ["dev"]
    assert complete(elsewhere, f"monarch check --project {project.path} ") == ["dev"]
    assert complete(elsewhere, "monarch check ", MONARCH_PROJECT=str(project.path)) == ["dev"]
    assert complete(elsewhere, "monarch -C gone check ") == [""]
    assert complete(deep, "monarch -C s") == complete(deep, "monarch check --project s") == ["s"]
    assert "--env-file" in complete(elsewhere, "monarch --env")


def test_the_questions_of_a_project_above(project: Folder, deep: Folder) -> None:
    project.write("migrations/settings.py", SETTINGS.replace("'host': 'localhost'", "'host': '127.0.0.1:1'"))
    terminal = deep.terminal("drop_db", "dev")
    terminal.expect(r"Project: .* \(above this folder\)")
    terminal.expect("Hint:")
    terminal.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_folders_that_may_not_be_entered(project: Folder) -> None:
    closed = project.path / "closed"
    closed.mkdir(mode=0)
    assert_error(
        project.monarch("-C", "closed", "list_environments"), 2, "Permission denied", "Name a folder"
    )


def test_help_lists_them_once(folder: Folder) -> None:
    listed = folder.monarch("--help").out
    for option in ("-C DIR", "--project DIR", "--settings FILE", "--env-file FILE"):
        assert option in listed
        assert option not in folder.monarch("migrate", "--help").out


def test_a_place_that_is_not_utf8(folder: Folder) -> None:
    inside = Folder(folder.path / os.fsdecode(b"caf\xe9"))
    inside.write("migrations/settings.py", SETTINGS)
    inside.write("below/x", "")
    result = Folder(inside.path / "below").monarch("generate", "x")
    assert (result.code, "Project: " in result.err) == (0, True), result.output
