"""The help is consistent with the commands. tests/docs checks that the manual is."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import shlex
import subprocess

import click
import pytest

from monarch import commands
from monarch.commands import cli
from monarch.commands.parsing.group import Group
from monarch.errors import EXIT_CODES
from tests.support.runs.shell import MONARCH, Folder

CONTEXT = click.Context(cli, info_name="monarch")
COMMANDS = cli.list_commands(CONTEXT)


def get_command(name: str) -> click.Command:
    command = cli.get_command(CONTEXT, name)
    assert command is not None
    return command


def test_a_command_is_thin() -> None:
    for name in COMMANDS:
        callback = get_command(name).callback
        assert callback is not None
        function = ast.parse(inspect.getsource(inspect.unwrap(callback))).body[0]
        assert isinstance(function, ast.FunctionDef)
        first, last = function.body[1], function.body[-1]  # after the docstring
        assert last.end_lineno is not None
        assert last.end_lineno - first.lineno < 30, name


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_of_commands_has_the_first_line_of_each_help(name: str) -> None:
    assert isinstance(cli, Group)
    (summary,) = (rows[name][1] for rows in cli.table.values() if name in rows)
    help_text = get_command(name).help
    assert help_text is not None
    assert help_text.splitlines()[0] == summary


def test_the_table_has_every_command_that_the_modules_define() -> None:
    defined = set()
    for module in pkgutil.walk_packages(commands.__path__, "monarch.commands."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, click.Command) and not isinstance(value, click.Group):
                defined.add(value.name)
    assert defined == set(COMMANDS)


def test_each_summary_fits_on_its_line(folder: Folder) -> None:
    shown = folder.monarch("--help").out
    assert isinstance(cli, Group)
    for heading, rows in cli.table.items():
        assert f"\n{heading}:\n" in shown
        for name, (_, summary) in rows.items():
            assert re.search(rf"^  {name} +{re.escape(summary)}$", shown, re.M), name


def examples(name: str) -> list[str]:
    help_text = get_command(name).help
    assert help_text is not None
    section = inspect.cleandoc(help_text).partition("\b\nExamples:\n")[2]
    return [line.strip() for line in section.splitlines() if line.strip()]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_has_examples_that_parse(name: str) -> None:
    lines = examples(name)
    assert 2 <= len(lines) <= 3
    used = []
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "monarch"
        found, command, rest = cli.resolve_command(CONTEXT, words)
        assert command is not None
        command.make_context(found, rest, parent=CONTEXT)
        used.append(command.name)
    assert used.count(name) >= len(lines) - 1


def test_the_help_has_the_exit_codes(folder: Folder) -> None:
    shown = folder.monarch("--help").out
    for code, meaning in EXIT_CODES.items():
        assert re.search(rf"^ +{code} +{re.escape(meaning)}$", shown, re.M)


def test_help_needs_no_project(folder: Folder) -> None:
    for arguments in (["--help"], ["-h"], ["--version"], *([name, "--help"] for name in COMMANDS[:3])):
        result = folder.monarch(*arguments)
        assert (result.code, result.err) == (0, "")


def test_dashes_and_aliases_are_accepted() -> None:
    assert isinstance(cli, Group)
    assert get_command("list-migrations") is get_command("list_migrations")
    assert get_command("create") is get_command("generate")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["migrat", "dev"], "There is no command 'migrat'.", "Did you mean 'migrate'?"),
        (["xyzzy"], "There is no command 'xyzzy'.", "Run `monarch --help` to list all commands."),
        (["migrate"], "Missing argument 'ENVIRONMENT...'.", "Run `monarch migrate --help` for usage."),
        (["migrate", "dev", "--yess"], "No such option: --yess.", "Did you mean '--yes'?"),
        (["drop_db", "dev", "more"], "unexpected extra argument", "`monarch drop_db --help`"),
    ],
)
def test_wrong_usage_is_an_error_and_a_hint(
    folder: Folder, arguments: list[str], message: str, hint: str
) -> None:
    result = folder.invoke(*arguments)
    assert (result.code, result.out) == (2, "")
    error, hinted = result.err.splitlines()
    assert error.startswith("Error: ")
    assert message in error
    assert hinted.startswith("Hint: ")
    assert hint in hinted


def in_a_shell(folder: Folder, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], cwd=folder.path, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_not_a_defect(folder: Folder, closed: str) -> None:
    folder.settings(production={"host": "localhost", "db_name": "a"})
    for command, code in (("list_environments", 0), ("drop_db production", 2)):
        shell = f'"{MONARCH[0]}" -m monarch {command} {closed}'
        run = subprocess.run(
            ["sh", "-c", shell], cwd=folder.path, capture_output=True, text=True, check=False
        )
        assert run.returncode == code
        assert "defect" not in run.stderr
        assert "Traceback" not in run.stderr


def test_a_deleted_working_directory(folder: Folder) -> None:
    gone = "mkdir gone && cd gone && rmdir ../gone"
    run = in_a_shell(folder, f'{gone} && "{MONARCH[0]}" -m monarch list_environments')
    assert run.returncode == 2
    assert run.stderr.splitlines() == [
        "Error: The current folder is gone.",
        "Hint: Go to the folder of your project.",
    ]


def test_monarch_without_a_command_shows_the_help_and_fails(folder: Folder) -> None:
    result = folder.monarch()
    assert result.code == 2
    assert result.out == folder.monarch("--help").out
    assert result.err == ""
