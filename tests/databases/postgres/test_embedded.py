"""The embedded PostgreSQL server, through the real commands."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.runs.shell import Folder

pytestmark = [pytest.mark.server, pytest.mark.command]

MIGRATION = """\
from monarch import PostgresBackedMigration


class DogsMigration(PostgresBackedMigration):
    def run(self):
        self.connection.execute("CREATE TABLE dogs (id int)")
"""


@pytest.fixture
def project() -> Iterator[Folder]:
    """A project in a folder that others may enter: the server does not run as root."""
    with tempfile.TemporaryDirectory(prefix="monarch-test-postgres-", dir="/tmp") as path:
        Path(path).chmod(0o755)
        folder = Folder(Path(path))
        folder.settings(dev={"embedded": True, "kind": "postgres", "db_name": "billing"})
        folder.write("migrations/_201405290038_dogs_migration.py", MIGRATION)
        yield folder
        for server in servers(folder):
            server.kill()


def servers(folder: Folder) -> list[psutil.Process]:
    """Return the processes that have the data of the project open."""
    data = str(folder.path / ".monarch/dev/postgres")
    return [one for one in psutil.process_iter() if data in _arguments(one)]


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_it_runs_for_as_long_as_a_command_needs_it(project: Folder) -> None:
    done = project.monarch("migrate", "dev")
    assert done.code == 0, done.err
    assert servers(project) == []
    assert project.monarch("check", "dev").code == 0
    assert servers(project) == []
    secret = (project.path / ".monarch/dev/password").read_text()
    assert secret not in done.output
    assert (project.path / ".monarch/dev/password").stat().st_mode & 0o077 == 0


def test_what_a_migration_creates_is_not_in_the_schema_of_monarch(project: Folder) -> None:
    where = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = 'dogs'"
    look = MIGRATION.replace("CREATE TABLE dogs (id int)", where).replace('")\n', '").fetchall()\n')
    look = look.replace("self.connection", "print(self.connection").replace("fetchall()", "fetchall())")
    project.write("migrations/_201405290039_look_migration.py", look.replace("Dogs", "Look"))
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert "[('public',)]" in result.out


def test_several_commands_share_it(project: Folder) -> None:
    runs = [project.start("migrate", "dev") for _ in range(4)]
    ends = [(run.communicate(timeout=120), run.returncode) for run in runs]
    assert {code for _, code in ends} == {0}, ends
    assert servers(project) == []


def test_the_server_of_a_command_that_was_killed_is_stopped(project: Folder) -> None:
    kill = MIGRATION.replace("CREATE TABLE", "SELECT 1; --") + "        import os; os.kill(os.getpid(), 9)\n"
    project.write("migrations/_201405290038_dogs_migration.py", kill)
    assert project.monarch("migrate", "dev").code == -signal.SIGKILL
    assert len(servers(project)) == 1
    project.write("migrations/_201405290038_dogs_migration.py", MIGRATION)
    assert project.monarch("migrate", "dev", "--retry").code == 0
    assert servers(project) == []


def test_a_folder_that_others_may_not_enter(project: Folder) -> None:
    project.path.chmod(0o700)
    result = project.monarch("migrate", "dev")
    # Where root may not make a user namespace, another user runs the server, and is refused with the reason.
    assert result.code == 0 or f"may not enter {project.path}" in result.err


def test_a_server_that_cannot_start_is_reported(project: Folder) -> None:
    assert project.monarch("check", "dev").code == 3
    (project.path / ".monarch/dev/postgres/PG_VERSION").write_text("12\n")
    result = project.monarch("migrate", "dev")
    assert result.code == 5
    assert "The embedded PostgreSQL server did not start" in result.err
    assert "Traceback" not in result.err
