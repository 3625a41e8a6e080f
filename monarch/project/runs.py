"""Opening a database for a run of migrations, with what is shown before its question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from monarch.migrations.files.kinds import naming_wrong_kinds
from monarch.migrations.migrate import DatabaseRun
from monarch.progress import SILENT, Progress, Question, ask_nothing, asked_once
from monarch.project.backups import ProjectBackups
from monarch.project.files import ProjectFiles
from monarch.system.ci import find_origin

if TYPE_CHECKING:
    from monarch.backups.plans.newest import NewestSearch
    from monarch.backups.plans.target import TargetState
    from monarch.databases.base import Database
    from monarch.databases.environment import Environment

Plan = TypeVar("Plan")
Run = TypeVar("Run", bound=DatabaseRun)


@dataclass(frozen=True)
class ShownPlan(Generic[Plan]):
    """A ``plan``, and the state of the database that it would change."""

    plan: Plan
    target: TargetState


# Shows a plan.
Preview = Callable[[ShownPlan[Any]], object]


class ProjectRuns(ProjectFiles, ProjectBackups):
    """What runs of migrations and marks have in common."""

    @contextmanager
    def _run(
        self,
        kind: type[Run],
        environment: str,
        progress: Progress = SILENT,
        confirm: Question = ask_nothing,
        preview: Preview | None = None,
    ) -> Iterator[Run]:
        search = None if preview is None else self.look_for_newest(environment)
        files, origin = self.migrations_of(environment), find_origin(self.root)
        with self.open(environment, progress) as database:
            target, hooks = self.environment(environment), self.settings.hooks
            show, ask = showing(target, database, search, confirm, preview)
            with naming_wrong_kinds(self.root, target):
                yield kind(self.root, files, target, database, hooks, origin, progress, ask, show)

    def _planned(
        self, kind: type[Run], environment: str, plan: Callable[[Run], Plan], progress: Progress
    ) -> ShownPlan[Plan]:
        """Return the ``plan`` of a run, and the state of its database. Writes nothing."""
        from monarch.backups.plans.patience import UNHURRIED
        from monarch.backups.plans.target import read_target

        search = self.look_for_newest(environment, UNHURRIED)
        with self._run(kind, environment, progress) as run:
            found = plan(run)
            with run.database.reading():
                return ShownPlan(found, read_target(run.environment, run.database, search, UNHURRIED))


def showing(
    environment: Environment,
    database: Database,
    search: NewestSearch | None,
    confirm: Question,
    preview: Preview | None,
) -> tuple[Callable[[Any], object] | None, Question]:
    """Return what shows a plan, None without ``preview``, and the question, which is asked once.

    A plan that is shown makes it a new question: whoever has agreed that a copy that was cut off is finished
    has not seen the plan.
    """
    questions = [asked_once(confirm)]
    if preview is None or search is None:
        return None, questions[0]

    def show(plan: Any) -> None:
        from monarch.backups.plans.target import read_target

        preview(ShownPlan(plan, read_target(environment, database, search)))
        questions.append(asked_once(confirm))

    return show, lambda: questions[-1]()
