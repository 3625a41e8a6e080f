"""``--quiet`` and ``--verbose``."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from monarch import Project
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments, assert_error


def test_quiet_prints_the_result_alone(project: Folder) -> None:
    project.migration("one", "print('of the migration')")
    result = project.monarch("migrate", "dev", "--yes", "--quiet")
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[0] == "of the migration"
    assert re.fullmatch(r"1 migration done in .*", lines[1])
    assert len(lines) == 2


def test_quiet_prints_errors_and_warnings(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    assert_error(two.folder.invoke("--quiet", "check", "nowhere"), 2, "nowhere", "Hint")
    listed = two.folder.invoke("list_backups", "--quiet")
    assert "Note: the folder" in listed.err
    (two.folder.path / "backups").mkdir()
    (two.folder.path / "backups/x__2026_01_01.dmp.zst").touch()
    assert "Note: x__2026_01_01 is incomplete" in two.folder.invoke("list_backups", "--quiet").err


def test_quiet_draws_nothing_on_a_terminal(two: TwoEnvironments) -> None:
    shown = two.folder.terminal("--quiet", "copy_db", "production:dev", "--yes").read()
    assert "\r" not in shown.replace("\r\n", "")
    assert "Copied production to dev" in shown
    two.assert_copied()


def test_verbose_says_what_is_done(project: Folder) -> None:
    project.migration("one", "self.database.users.insert_one({}); self.database.users.create_index('a')")
    plain = project.monarch("migrate", "dev", "--plan")
    verbose = project.monarch("migrate", "dev", "--plan", "-v")
    assert plain.out == verbose.out
    assert f"database: connecting to MongoDB of dev (localhost:{project.server.port})" in verbose.err  # type: ignore[union-attr]
    assert "insert" not in verbose.err
    run = project.monarch("-v", "migrate", "dev", "--yes")
    name = project.db_name
    steps = [f"database: insert {name}.users: 1 document", f"database: createIndexes {name}.users: a_1"]
    assert [line for line in run.err.splitlines() if ".users" in line] == steps
    assert "database:" not in project.monarch("migrate", "dev").err


def test_verbose_names_programs_with_their_arguments(two: TwoEnvironments, tools: Path) -> None:
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    result = two.copy("--yes", "--engine", "tools", "--verbose", variables=with_tools)
    started = [line for line in result.err.splitlines() if line.startswith("program: starting ")]
    assert any("mongodump" in line and f"--db={two.source.name}" in line for line in started)
    assert any("mongorestore" in line for line in started)
    assert two.server.password is not None
    assert two.server.password not in result.err


def test_verbose_lines_do_not_mix_with_a_bar(two: TwoEnvironments) -> None:
    shown = two.folder.terminal("copy_db", "production:dev", "--yes", "-v", columns=300).read()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n")
    assert any(line.rpartition("\r")[0] or line for line in lines)
    said = [line.rstrip("\r").rpartition("\r")[2] for line in lines if "database: " in line]
    assert said
    assert all(line.startswith("database: ") for line in said)


@pytest.mark.parametrize("arguments", [("--quiet", "check", "-v"), ("check", "-v", "--quiet")])
def test_both_are_refused(folder: Folder, arguments: tuple[str, ...]) -> None:
    assert_error(folder.invoke(*arguments), 2, "Both --quiet and --verbose", "Use one of them")


def test_python_hears_it_too(project: Folder, caplog: pytest.LogCaptureFixture) -> None:
    project.migration("one", "self.database.users.insert_one({'mail': 'ann@example.com'})")
    with caplog.at_level(logging.INFO, "monarch"):
        Project(project.path).migrate("dev")
    said = [(record.name, record.getMessage()) for record in caplog.records]
    assert ("monarch.database", f"insert {project.db_name}.users: 1 document") in said
    assert "ann@example.com" not in caplog.text
    caplog.clear()
    Project(project.path).check("dev")
    assert not caplog.records


def test_a_project_that_configures_logging_sees_nothing_new(project: Folder) -> None:
    """Its settings may import the whole application, which logs."""
    project.migration("one")
    with (project.path / "migrations/settings.py").open("a") as settings:
        settings.write("import logging\nlogging.basicConfig(level=logging.INFO)\n")
    assert project.monarch("migrate", "dev", "--yes").err == ""
    with (project.path / "migrations/settings.py").open("a") as settings:
        settings.write("logging.getLogger('monarch').setLevel(logging.INFO)\n")
    assert "INFO:monarch.database:connecting" in project.monarch("check", "dev").err


def test_a_log_that_is_switched_off_by_the_project_does_not_silence_verbose(project: Folder) -> None:
    with (project.path / "migrations/settings.py").open("a") as settings:
        settings.write("import logging\nlogging.disable()\nlogging.getLogger('monarch').disabled = True\n")
    assert "database: connecting" in project.monarch("check", "dev", "-v").err


def test_nothing_is_imported_for_it() -> None:
    """What is not used costs no start-up."""
    code = (
        "import sys, monarch.commands\n"
        "bad = {'logging', 'monarch.commands.loudness.log_file', 'shlex'} & set(sys.modules)\n"
        "sys.exit(bool(bad))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("how", [("-v",), ("--quiet",), ()])
def test_processes_that_work_at_once_are_as_loud(two: TwoEnvironments, how: tuple[str, ...]) -> None:
    two.folder.migration("both", "self.database.both.insert_one({})")
    command = ("migrate", "production", "dev", "--jobs", "2", "--yes", "--log-file", "log", *how)
    result = two.folder.monarch(*command)
    assert result.code == 0, result.output
    inserted = [
        f"database: [{name}] insert {database.name}.both: 1 document"
        for name, database in (("production", two.source), ("dev", two.target))
    ]
    log = (two.folder.path / "log").read_text()
    for line in inserted:
        assert (line in result.err) == (how == ("-v",))
        assert f" {line}\n" in log
