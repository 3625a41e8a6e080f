"""``migrate`` of several databases: the plan, the question, the runs, and a table of what became of each."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TextIO

from monarch.commands.console.lines import aside, note, show
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.streams import own_stdout
from monarch.commands.console.text import printable
from monarch.commands.reports.ci import annotate
from monarch.commands.reports.run import Events, Report, finish_junit, writable
from monarch.commands.reports.story import Story
from monarch.commands.several.fleet import Fleet, make_order, run_in_turn
from monarch.commands.several.migration_task import MigrationTask
from monarch.commands.several.outcomes import as_total, failure, show_end, show_table, summary
from monarch.commands.several.plans import ask_once, read_plans, show_plans
from monarch.commands.several.workers import WorkerProcesses
from monarch.errors import RunInterrupted

if TYPE_CHECKING:
    from pathlib import Path

    from monarch.databases.several.targets import ChosenDatabase
    from monarch.progress import Progress
    from monarch.project import Project


def migrate_each(project: Project, names: tuple[str, ...], how: dict[str, Any], fleet: Fleet) -> None:
    """Migrate the databases that ``names`` mean.

    :param how: the arguments of `Project.migrate`.
    :raises SomeFailed: at the end, if one of them failed.
    :raises RunInterrupted: on Ctrl-C. What is done until then is recorded.
    """
    with ExitStack() as stack:
        out = stack.enter_context(own_stdout()) if fleet.as_json or fleet.plan else None
        path = None if fleet.junit is None else writable(fleet.junit)
        targets = project.targets(*names, progress=ProgressLines())
        if not fleet.keep_going:
            for target in targets:
                target.require()
        if fleet.plan:
            plans = read_plans(project, targets, how)
        else:
            ask_once(project, targets, how, yes=fleet.yes)
            _run_all(_Run(fleet, len(targets), out), project, targets, how, path)
            return
    show_plans(plans, fleet.as_json)


def _run_all(
    run: _Run, project: Project, targets: tuple[ChosenDatabase, ...], how: dict[str, Any], junit: Path | None
) -> None:
    error: BaseException | None = None
    try:
        run.migrate(project, targets, how)
        error = failure(run.stories, run.left(targets))
    except BaseException as raised:
        error = raised
    run.finish(targets, error)
    if junit is not None:
        finish_junit(junit, *run.stories)
    if error is not None:
        raise error


class _Run:
    """The runs on all databases: their stories, and how people and programs hear of them."""

    def __init__(self, fleet: Fleet, number: int, out: TextIO | None) -> None:
        self.stories: list[Story] = []
        self._fleet = fleet
        self._number = number
        self._out = out

    def migrate(self, project: Project, targets: tuple[ChosenDatabase, ...], how: dict[str, Any]) -> None:
        """Migrate ``targets``, one after the other or several at once."""
        order, going = make_order(how), self._fleet.keep_going
        try:
            if self._fleet.jobs == 1 or len(targets) == 1:
                run_in_turn(project, targets, order, self._tell, self._ended, keep_going=going)
            else:
                task = MigrationTask(
                    project.root, order, self._hear, self._ended, self._keep, keep_going=going
                )
                WorkerProcesses(task, targets).run(min(self._fleet.jobs, len(targets)))
        finally:
            number = {target.environment.label: number for number, target in enumerate(targets)}
            self.stories.sort(key=lambda story: number[story.environment])
        if any(story.exit_code == 130 for story in self.stories):
            raise RunInterrupted("Interrupted.", "What is done is recorded: the same command goes on.")

    def left(self, targets: tuple[ChosenDatabase, ...]) -> list[str]:
        """Return the names of the databases that were not begun."""
        begun = {story.environment for story in self.stories}
        return [name for one in targets if (name := one.environment.label) not in begun]

    def finish(self, targets: tuple[ChosenDatabase, ...], error: BaseException | None) -> None:
        """Print what became of all of them."""
        left = self.left(targets)
        if self._out is not None:
            Events(Story(""), self._out).write("total", **as_total(self.stories, left, error))
            return
        if self.stories:
            show_table(self.stories, left)
        if error is None:
            show(summary(self.stories))

    def _tell(self, target: ChosenDatabase) -> tuple[Progress, Story]:
        story = Story(target.environment.label)
        self.stories.append(story)
        if self._out is not None:
            return Events(story, self._out, environment=story.environment), story
        return Report(story), story

    def _keep(self, story: Story) -> None:
        if not any(one is story for one in self.stories):
            self.stories.append(story)

    def _ended(self, story: Story) -> None:
        self._keep(story)
        if self._out is not None:
            Events(story, self._out, environment=story.environment).summarize()
        else:
            show_end(story, f"{len(self.stories)} of {self._number}")
        annotate(story)

    def _hear(self, story: Story, event: dict[str, Any]) -> None:
        """Pass on an event of a database that is migrated beside others."""
        if self._out is not None:
            if event["event"] != "failed":  # follows at the end of the story
                what = {name: value for name, value in event.items() if name != "event"}
                Events(story, self._out).write(event["event"], **what)
            return
        name = printable(story.environment)
        match event["event"]:
            case "waiting":
                aside(f"{name} waits: {event['why']} …")
            case "mended" | "noted":
                note(f"{name}: {event['what'].removesuffix('.')}.")
