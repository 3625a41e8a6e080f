"""Settings as the commands load them, tested with a command that needs nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from monarch.errors import SettingsError
from monarch.settings.load import load_settings
from monarch.stores.local.settings import LocalSettings
from monarch.stores.s3.settings import S3Settings
from tests.support.runs.shell import Folder

GOOD = "ENVIRONMENTS = {'dev': {'host': 'localhost', 'db_name': 'a'}}\n"


def test_settings_do_not_change_the_path(folder: Folder) -> None:
    folder.write("myapp_config.py", "HOST = 'from.the.project'")
    folder.write(
        "migrations/settings.py",
        "from myapp_config import HOST\nENVIRONMENTS = {'dev': {'host': HOST, 'db_name': 'a'}}",
    )
    path = list(sys.path)
    settings = load_settings(folder.path)
    assert settings.environment("dev").hosts == ("from.the.project",)
    assert sys.path == path


def test_backups(folder: Folder) -> None:
    folder.write("migrations/settings.py", GOOD + "BACKUPS = {'LOCAL': {'backup_dir': 'b'}}")
    assert load_settings(folder.path).store == LocalSettings("b")
    folder.write(
        "migrations/settings.py",
        GOOD + "BACKUPS = {'S3': {'bucket_name': 'our-backups', 'aws_access_key_id': 'k',"
        " 'aws_secret_access_key': 'very-hush'}}",
    )
    store = load_settings(folder.path).store
    assert isinstance(store, S3Settings)
    assert "very-hush" not in repr(store)


def test_missing_settings_are_reported_with_where_they_exist(folder: Folder) -> None:
    folder.write("migrations/settings.py", GOOD)
    below = folder.path / "src" / "deep"
    below.mkdir(parents=True)
    with pytest.raises(SettingsError) as caught:
        load_settings(below)
    assert f"There is a project in {folder.path}:" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (None, "There is no migrations/settings.py here", "monarch init"),
        ("ENVIRONMENTS = {\n  'dev': {,}\n}", "migrations/settings.py, line 2: SyntaxError", "Fix"),
        ("import os\n\nx = os.environ['NOT_SET_HERE']", "line 3: there is no 'NOT_SET_HERE'", "set it"),
        ("import nothing_of_the_kind", "line 1: ModuleNotFoundError", "set PYTHONPATH to that folder"),
        ("def f():\n    raise ValueError('mongodb://u:hush@h')\nf()", "line 2: ValueError", "Fix"),
        ("raise SystemExit(0)", "line 1: SystemExit", "Fix"),
        ("x = 1\n\0", "migrations/settings.py", "Fix"),
        ("ENVIROMENTS = {}", "does not define ENVIRONMENTS", "'ENVIROMENTS'"),
        ("", "does not define ENVIRONMENTS", "manual"),
        ("ENVIRONMENTS = {}", "not a dict with at least one environment", "Write it like"),
        ("ENVIRONMENTS = ['dev']", "not a dict with at least one environment", "Write it like"),
    ],
)
def test_an_error_is_reported_in_one_line_with_a_hint(
    folder: Folder, source: str | None, message: str, hint: str
) -> None:
    _assert_refused(folder, "list_environments", source, message, hint)


@pytest.mark.parametrize(
    ("source", "message", "hint"),
    [
        (
            GOOD + "BACKUPS = {'LOCAL': {'backup_dir': 'b'}, 'S3': {}}",
            "more than one store: 'LOCAL' and 'S3'",
            "Keep",
        ),
        (GOOD + "BACKUPS = {'LOKAL': {}}", "Unknown store 'LOKAL'", "'LOCAL'"),
        (GOOD + "BACKUPS = {'LOCAL': {'backupdir': 'b'}}", "Unknown key 'backupdir'", "'backup_dir'"),
        (GOOD + "BACKUPS = {'LOCAL': {}}", "no 'backup_dir'", "Set"),
        (GOOD + "BACKUPS = {'S3': {'bucket_name': 3}}", "'bucket_name' is not a text", "text"),
        (GOOD + "BACKUPS = 'b'", "BACKUPS in migrations/settings.py is not a dict", "'LOCAL'"),
        (GOOD + "BACKUPS = {'LOCAL': 'b'}", "BACKUPS['LOCAL'] is not a dict", "backup_dir"),
    ],
)
def test_a_wrong_store_is_reported_when_backups_are_used(
    folder: Folder, source: str, message: str, hint: str
) -> None:
    _assert_refused(folder, "list_backups", source, message, hint)
    assert folder.invoke("list_environments").code == 0


def _assert_refused(folder: Folder, command: str, source: str | None, message: str, hint: str) -> None:
    if source is not None:
        folder.write("migrations/settings.py", source)
    before = folder.files()
    result = folder.invoke(command)
    assert result.code == 2
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("Error: ")
    assert message in lines[0]
    assert lines[1].startswith("Hint: ")
    assert hint in lines[1]
    assert "hush" not in result.err
    assert folder.files() == before


@pytest.mark.parametrize("unreadable", ["migrations/settings.py", "migrations"])
def test_an_unreadable_file_is_reported(folder: Folder, unreadable: str, plain_rights: list[str]) -> None:
    folder.write("migrations/settings.py", GOOD)
    path: Path = folder.path / unreadable
    path.chmod(0)
    try:
        result = folder.monarch("list_environments", prefix=plain_rights)
    finally:
        path.chmod(0o700)
    assert result.code == 2
    assert "cannot be read: Permission denied." in result.err
    assert "Hint: Make it a file that you may read." in result.err


@pytest.mark.parametrize(
    "source",
    [
        "ENVIRONMENTS = {'d': {'host': 'h', 'password': 'very-hush' + 1}}",
        "ENVIRONMENTS = {'d': {'host': 'h', 'password': 'very-hush' oops}}",
        "import os\nint(os.environ['DB_PASSWORD'])",
        "ENVIRONMENTS = {'d': {'host': 'h', 'password': hush}}",
        "import os\ntry:\n    int(os.environ['DB_PASSWORD'])\nexcept ValueError:\n    1 / 0",
    ],
)
@pytest.mark.parametrize("traceback", [[], ["--traceback"]])
def test_an_error_in_the_settings_shows_no_secret(folder: Folder, source: str, traceback: list[str]) -> None:
    folder.write("migrations/settings.py", source)
    result = folder.monarch("list_environments", *traceback, variables={"DB_PASSWORD": "very-hush"})
    assert result.code == 2
    assert "migrations/settings.py, line" in result.err
    assert "hush" not in result.output


@pytest.mark.parametrize("password", ["'very-hush'\n ('x')", "'a' is 'b' or 'very-hush'"])
def test_a_python_warning_shows_no_line_of_the_settings(folder: Folder, password: str) -> None:
    entry = f"'host': 'h', 'db_name': 'a', 'username': 'me', 'password': {password}"
    folder.write("migrations/settings.py", f"ENVIRONMENTS = {{'d': {{{entry}}}}}")
    assert "hush" not in folder.monarch("list_environments").output


def test_output_of_the_settings_is_not_part_of_the_commands_output(folder: Folder) -> None:
    folder.write("migrations/settings.py", f"print('loading')\n{GOOD}")
    result = folder.monarch("list_environments", "--json")
    assert result.json[0]["name"] == "dev"
    assert result.err == "loading\n"
