"""The question that a program passes to `Project`: when it is asked, and what its answer does."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

import pytest

from monarch import Project
from monarch.databases.history import MigrationState
from monarch.errors import DeadlineReached, Declined, MigrationError
from monarch.migrations.plan import AlreadyRunning
from tests.commands.migrations.test_marks import with_rollback
from tests.commands.migrations.test_migrate import await_line
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import TwoEnvironments

Ask = Callable[[], object]

CALLS: dict[str, Callable[[Project, Ask], object]] = {
    "migrate": lambda project, ask: project.migrate("dev", confirm=ask),
    "migrate_one": lambda project, ask: project.migrate_one("one", "dev", confirm=ask),
    "verify_migration": lambda project, ask: project.verify_migration("one", "dev", confirm=ask),
    "mark": lambda project, ask: project.mark("dev", "one", state=MigrationState.COMPLETED, confirm=ask),
    "mark_all": lambda project, ask: project.mark_all("dev", state=MigrationState.COMPLETED, confirm=ask),
    "drop": lambda project, ask: project.drop("dev", confirm=ask),
    "copy": lambda project, ask: project.copy("production", "dev", confirm=ask),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_question_that_returns_false_is_declined(two: TwoEnvironments, call: str) -> None:
    two.folder.migration("one", "self.database.ran.insert_one({})")
    asked: list[str] = []

    def ask() -> bool:
        asked.append(call)
        return False

    with pytest.raises(Declined, match="Nothing was changed"):
        CALLS[call](Project(two.folder.path), ask)
    assert asked == [call]
    two.assert_unchanged()


def test_a_restore_that_is_declined_changes_nothing(two: TwoEnvironments) -> None:
    two.folder.keep_backups()
    project = Project(two.folder.path)
    backup = project.backup("production").name
    with pytest.raises(Declined):
        project.restore(backup, "dev", confirm=lambda: False)
    two.assert_unchanged()


def test_a_copy_that_was_cut_off_is_finished_after_the_question_about_edits(two: TwoEnvironments) -> None:
    head = {"_id": "head", "state": "swapping", "purpose": "copy_db a:dev", "run": "a", "steps": 0}
    two.target.monarch_swap.insert_one(head)
    with pytest.raises(Declined):
        Project(two.folder.path).accept_all_edits("dev", confirm=lambda: False)
    assert two.target.monarch_swap.find_one() == head


def test_no_database_is_dropped_under_a_migration_that_began_during_the_question(project: Folder) -> None:
    project.migration("one", "import time\nprint('begun', flush=True)\ntime.sleep(60)")
    runs: list[subprocess.Popen[str]] = []

    def ask() -> None:
        runs.append(project.start("migrate", "dev"))
        await_line(runs[0], "begun")
        # Another person takes its lease away.
        assert project.invoke("unlock", "dev", "--yes").code == 0

    try:
        with pytest.raises(AlreadyRunning, match="_one_migration is being run on 'dev'"):
            Project(project.path).drop("dev", confirm=ask)
        assert set(project.states().values()) == {"Processing"}
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def test_the_time_to_answer_does_not_count_for_the_deadline(project: Folder) -> None:
    key = project.migration("one")
    Project(project.path).migrate("dev", deadline=10, confirm=lambda: time.sleep(11))
    assert project.states() == {key: "Completed"}


def test_the_time_to_import_migrations_counts_for_the_deadline(project: Folder) -> None:
    key = project.migration("one")
    path = project.path / "migrations" / f"{key}.py"
    path.write_text(f"import time\ntime.sleep(2)\n{path.read_text()}")
    with pytest.raises(DeadlineReached):
        Project(project.path).migrate("dev", deadline=1.5)
    assert project.states() == {}


def test_another_migration_than_before_the_question_is_not_rolled_back(project: Folder) -> None:
    one, two = with_rollback(project, "one"), with_rollback(project, "two")
    python = Project(project.path)
    python.migrate("dev")
    with pytest.raises(MigrationError, match=f"{one} would be rolled back, not {two}"):
        python.rollback("dev", confirm=lambda: python.rollback("dev"))
    assert project.states() == {one: "Completed", two: "New"}
    assert python.rollback("dev", confirm=lambda: True).key == one


def test_no_scratch_copy_is_dropped_that_was_declined(project: Folder) -> None:
    project.migration("one")
    project.database.users.insert_one({})

    def drops() -> int:
        status = project.database.client.admin.command("serverStatus")
        return int(status["metrics"]["commands"]["dropDatabase"]["total"])

    before = drops()
    with pytest.raises(Declined):
        Project(project.path).verify_migration("one", "dev", confirm=lambda: False)
    assert drops() == before
