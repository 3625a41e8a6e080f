"""No output can control a terminal or a CI system, whatever names it contains."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pexpect
import pytest

import monarch.commands
from monarch.commands.console.lines import as_json, harmless
from tests.support.runs.shell import Folder

EVIL = "x\x1b[2J\r\n::set-output name=a::b\n##vso[task.setvariable]c ##[error]d ##teamcity[e '\u202eevil"
COMMANDS = Path(monarch.commands.__file__).parent
# The modules that print something other than lines: JSON, help, a progress bar, annotations of CI systems.
PRINT = {
    "__init__.py",
    "console/boundary.py",
    "console/lines.py",
    "console/output.py",
    "looks/live_line.py",
    "reports/ci.py",
    "reports/run.py",
    "teaching/completion.py",
    "teaching/pager.py",
}


def assert_harmless(text: str) -> None:
    for line in text.splitlines():
        assert not line.lstrip().startswith("::"), line
    for command in ("##vso[", "##[", "##teamcity[", "\x1b", "\r", "\u202e"):
        assert command not in text


@pytest.mark.parametrize(
    "text", [EVIL, "::error::x", "  ::error::x", "##[group]", "a##vso[b", "\x9b31m", "\u2028x"]
)
def test_a_text_becomes_harmless(text: str) -> None:
    assert_harmless(harmless(text))
    assert len(harmless(text).splitlines()) == 1


def test_names_in_any_language_are_unchanged() -> None:
    for name in ("naïve café", "日本語", "C++::std", "a: b", "#1 ## x", "🎉"):
        assert harmless(name) == name


def test_json_is_harmless_and_unchanged_in_meaning() -> None:
    text = as_json({"name": EVIL, EVIL: [1, None]})
    assert_harmless(text)
    assert json.loads(text) == {"name": EVIL, EVIL: [1, None]}


def test_only_few_modules_print_directly() -> None:
    """The others use `show` and `note`."""
    for path in COMMANDS.rglob("*.py"):
        if path.relative_to(COMMANDS).as_posix() in PRINT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("click.echo", "click.secho"):
                raise AssertionError(f"{path}:{node.lineno}")


@pytest.mark.parametrize("variables", [{}, {"GITHUB_ACTIONS": "true"}, {"TF_BUILD": "True"}])
def test_names_from_a_database_are_harmless_everywhere(project: Folder, variables: dict[str, str]) -> None:
    project.database[EVIL.replace("$", "")].insert_one({})
    project.database.mongo_migration_history.insert_one({"key": EVIL, "state": "Completed"})
    project.database.mongo_migration_journal.insert_one(
        {
            "key": EVIL,
            "action": "Run",
            "outcome": "Failed",
            "error": EVIL,
            "host": EVIL,
            "user": EVIL,
            "echoed": EVIL,
        }
    )
    keep = project.keep_backups()
    keep.mkdir()
    (keep / "x\x1b[2J##vso[a]__2026_01_01.dmp.zst").touch()
    project.migration("one", f"raise ValueError({EVIL!r})")
    for command in (
        ["list_migrations", "dev"],
        ["list_migrations", "dev", "--json"],
        ["history", "dev"],
        ["history", "dev", "--json"],
        ["check", "dev"],
        ["list_backups"],
        ["copy_db", "dev:production", "--plan"],
        ["migrate", "dev"],
        ["migrate", "dev", "--json"],
        ["backup", "dev"],
        ["mark", "dev", EVIL, "--as", "new"],
        ["restore", f"{EVIL}:dev"],
    ):
        result = project.monarch(*command, variables=variables)
        ours = ("::error", "##vso[task.logissue type=error;")  # which `annotate` prints
        shown = [line.removeprefix(ours[0]).removeprefix(ours[1]) for line in result.err.splitlines()]
        assert_harmless("\n".join([result.out, *(line.removeprefix("::") for line in shown)]))


@pytest.mark.parametrize(
    ("variables", "colours"),
    [
        ({}, True),
        ({"TERM": "dumb"}, False),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_colours_in_a_terminal(folder: Folder, variables: dict[str, str], colours: bool) -> None:
    folder.settings(dev={"host": "h", "db_name": "a"})
    folder.variables.update(variables)
    terminal = folder.terminal("list_environments", term=variables.get("TERM", "xterm"))
    terminal.expect(pexpect.EOF)
    assert ("\x1b[1m" in str(terminal.before)) == colours


def test_colours_in_a_pipe(folder: Folder) -> None:
    folder.settings(dev={"host": "h", "db_name": "a"})
    assert "\x1b" not in folder.monarch("list_environments").out
    assert "\x1b[1m" in folder.monarch("list_environments", variables={"FORCE_COLOR": "1"}).out


def test_a_hint_wraps_between_words_and_not_in_a_command(folder: Folder) -> None:
    terminal = folder.terminal("migrate", "dev", columns=50)
    terminal.expect(pexpect.EOF)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(terminal.before)).splitlines()
    hint = next(number for number, line in enumerate(lines) if line.startswith("Hint: "))
    assert all(len(line) <= 50 for line in lines[hint:])
    assert any("`monarch init`" in line for line in lines)
    assert not any(line.endswith(("`monarch", "monarch")) for line in lines)


def test_an_interrupt_begins_a_new_line(project: Folder) -> None:
    """The terminal shows ^C without a line break."""
    project.migration("one", "import time\nprint('begun')\nwhile True: time.sleep(0.1)")
    terminal = project.terminal("migrate", "dev")
    terminal.expect("begun")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(terminal.before)).split()
    assert lines[:2] == ["^C", "Error:"]
