"""``backup`` of several databases: one backup of each, and a summary."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from monarch.commands.backups.retention import prune_now
from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.text import count, duration, printable, shell, size
from monarch.commands.several.backup_outcomes import BackupOutcome, Extras, take
from monarch.commands.several.workers import Task, WorkerProcesses, lost, of_project
from monarch.errors import MonarchError, PruningFailed, RunInterrupted, SomeFailed

if TYPE_CHECKING:
    from monarch.databases.several.targets import ChosenDatabase
    from monarch.project import Project


@dataclass(frozen=True)
class Pace:
    """How many databases are backed up at once, and whether others begin after one has failed."""

    jobs: int
    keep_going: bool


def back_up_each(
    project: Project, names: tuple[str, ...], extras: Extras, pace: Pace, how: dict[str, Any]
) -> None:
    """Back up the databases that ``names`` mean.

    :param how: the arguments of `Project.backup`.
    :raises SomeFailed: at the end, if one of them failed.
    :raises PruningFailed: if only pruning failed.
    :raises RunInterrupted: on Ctrl-C. The backups until then are complete.
    """
    _check(project, names, extras, how)
    targets = project.targets(*names, progress=ProgressLines())
    task = _BackupTask(project, extras, pace, how, len(targets))
    called = ", ".join(dict.fromkeys(one.environment.label for one in project.select(*names)))
    interrupted, failure = False, None
    try:
        if pace.jobs == 1 or len(targets) == 1:
            task.run_in_turn(targets)
        else:
            WorkerProcesses(task, targets).run(min(pace.jobs, len(targets)))
    except RunInterrupted:
        interrupted = True
    except BaseException as error:  # such as output that is lost: what is done is named first
        failure = error
    order = {target.environment.label: number for number, target in enumerate(targets)}
    done = sorted(task.outcomes, key=lambda outcome: order[outcome.label])
    _show(done, called, len(targets), extras.as_json)
    if failure is not None:
        raise failure
    if interrupted or any(outcome.was_interrupted for outcome in done):
        complete = sum(outcome.backup is not None for outcome in done)
        before = f"{complete} of {count(len(targets), 'database')} {'was' if complete == 1 else 'were'}"
        raise RunInterrupted(f"Interrupted. {before} done before.")
    _finish(project, names, done, len(targets), called, extras)


def _check(project: Project, names: tuple[str, ...], extras: Extras, how: dict[str, Any]) -> None:
    """Check what is one error, not one for each database."""
    from monarch.backups.codecs import find_codec
    from monarch.backups.names import check_stem

    find_codec(how["codec"], how["level"])
    if how["name"] is not None:
        check_stem(how["name"])
    project.backups.encryption.sealing()
    if extras.prune:
        for one in project.select(*names):
            project.pruning(one.environment.label).require_policy()


@dataclass
class _State:
    """A database that is being backed up, and what became of it."""

    target: ChosenDatabase
    outcome: BackupOutcome | None = None


class _BackupTask(Task[_State]):
    """Backing up each of ``number`` databases, whose ``outcomes`` come in the order in which they end."""

    def __init__(
        self, project: Project, extras: Extras, pace: Pace, how: dict[str, Any], number: int
    ) -> None:
        self.outcomes: list[BackupOutcome] = []
        self._project = project
        self._extras = extras
        self._pace = pace
        self._how = how
        self._number = number

    def run_in_turn(self, targets: tuple[ChosenDatabase, ...]) -> None:
        """Back up ``targets`` in this process, one after the other."""
        for target in targets:
            if not self.end(_State(target, take(self._project, target, self._extras, self._how))):
                return

    def order(self) -> dict[str, Any]:
        project = of_project(self._project.root)
        return {"task": "backup", **project, "extras": asdict(self._extras), "how": self._how}

    def begin(self, target: ChosenDatabase) -> _State:
        return _State(target)

    def hear(self, state: _State, event: dict[str, Any]) -> bool:
        state.outcome = BackupOutcome(**event)
        return True

    def fail(self, state: _State, error: MonarchError) -> None:
        one = state.target.environment
        state.outcome = BackupOutcome(
            one.label, one.name, one.db_name, error=error.message, hint=error.hint, exit_code=error.exit_code
        )

    def lose(self, state: _State) -> None:
        self.fail(state, lost(state.target.environment.label))
        assert state.outcome is not None
        self.outcomes.append(state.outcome)

    def end(self, state: _State) -> bool:
        outcome = state.outcome
        assert outcome is not None
        self.outcomes.append(outcome)
        outcome.show(f"{len(self.outcomes)} of {self._number}")
        return outcome.error is None or (self._pace.keep_going and not outcome.was_interrupted)


def _finish(
    project: Project,
    names: tuple[str, ...],
    done: list[BackupOutcome],
    number: int,
    called: str,
    extras: Extras,
) -> None:
    failed = [one for one in done if one.error is not None]
    pruning = _prune(project, names, done, called, extras) if extras.prune else None
    if not failed and len(done) < number:
        raise MonarchError(f"{number - len(done)} of {count(number, 'database')} were not begun.")
    if failed:
        if pruning is not None:
            note(pruning.message)
        databases = ", ".join(printable(one.database or one.label) for one in failed)
        others = " The other backups are complete." if len(failed) < len(done) else ""
        left = f" {number - len(done)} not begun." if len(done) < number else ""
        errors = []
        for one in failed:
            errors.append(MonarchError(one.error or "", one.hint))
            errors[-1].exit_code = one.exit_code
        raise SomeFailed(
            f"{len(failed)} of {count(number, 'database')} of {called} failed: {databases}.",
            f"The lines above say why.{others}{left} To repeat one: monarch backup {shell(failed[0].label)}",
            errors,
        )
    if pruning is not None:
        raise pruning


def _prune(
    project: Project, names: tuple[str, ...], done: list[BackupOutcome], called: str, extras: Extras
) -> PruningFailed | None:
    """Prune the backups of the environments of which all are as they were written."""
    complete = [one for one in done if one.backup is not None]
    # What is not as it was written replaces no other one.
    if not complete or any(one.error is not None and not one.by_hook for one in complete):
        return None
    what = f"{count(len(complete), 'backup')} of {called} {'is' if len(complete) == 1 else 'are'} complete"
    failed = None
    for selected in project.select(*names):
        taken = [one.backup["archive"] for one in complete if one.backup is not None]
        try:
            request = project.pruning(selected.environment.label, taken=taken)
            prune_now(request, what, aside=extras.as_json)
        except PruningFailed as error:
            if failed is not None:
                note(failed.message)
            failed = error
    return failed


def _show(done: list[BackupOutcome], called: str, number: int, as_json: bool) -> None:
    if as_json:
        print_json([one.as_json() for one in done])
        return
    if not done:
        return
    of_one = len({one.environment for one in done}) == 1
    headers = ("DATABASE" if of_one else "ENVIRONMENT", "BACKUP", "SIZE", "TIME", "CONTENTS")
    rows = [one.cells(one.database if of_one else one.label) for one in done]
    print_table(headers, rows, right=(2, 3))
    taken = [one.backup for one in done if one.backup is not None]
    if taken:
        total = size(sum(one["size"] for one in taken))
        took = duration(sum(one.seconds for one in done))
        show(f"Backed up {len(taken)} of {count(number, 'database')} of {called}: {total}, in {took}.")
        target = called if "," not in called else "ENVIRONMENT"
        show(f"They are in {taken[0]['place']}. To restore one: monarch restore BACKUP:{target}")
