"""``backup`` of an environment with several databases: one backup of each, and a summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monarch.commands.backups.listing import manifest_members
from monarch.commands.backups.retention import protect_now, prune_now
from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table, summary
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import count, duration, printable, size
from monarch.databases.several.each import Done, SomeFailed, do_each
from monarch.errors import HookFailed, MonarchError, PruningFailed, RunInterrupted

if TYPE_CHECKING:
    from monarch.backups.create import BackupResult
    from monarch.databases.environment import Environment
    from monarch.project import Project


@dataclass(frozen=True)
class Extras:
    """What follows each backup, and the form of the output."""

    verify: bool
    protect: bool
    prune: bool
    as_json: bool


def back_up_each(project: Project, environment: str, extras: Extras, how: dict[str, Any]) -> None:
    """Back up the databases of ``environment`` one after another, also after one has failed.

    :param how: the arguments of `Project.backup`.
    :raises SomeFailed: at the end, if one of them failed.
    :raises PruningFailed: if only pruning failed.
    :raises RunInterrupted: on Ctrl-C. The backups until then are complete.
    """
    from monarch.backups.codecs import find_codec
    from monarch.backups.names import check_stem

    # What is wrong with these is one error, not one for each database.
    find_codec(how["codec"], how["level"])
    if how["name"] is not None:
        check_stem(how["name"])
    project.backups.encryption.sealing()
    done: list[Done[BackupResult]] = []
    if extras.prune:
        project.pruning(environment).require_policy()
    with ProgressBar() as bar:
        members = project.members(environment, bar)

        def report(one: Done[BackupResult]) -> None:
            bar.clear()
            done.append(one)
            _report(one, f"{len(done)} of {len(members)}")

        def run(member: Environment) -> BackupResult:
            with prints_aside(extras.as_json):
                return _take(project, member.label, extras, {**how, "progress": bar})

        try:
            do_each(members, run, report)
        except (RunInterrupted, KeyboardInterrupt) as error:
            bar.clear()
            _show(done, environment, extras.as_json)
            raise _interrupted(error, len(done), len(members)) from error
    _show(done, environment, extras.as_json)
    _finish(project, environment, done, extras)


def _take(project: Project, label: str, extras: Extras, how: dict[str, Any]) -> BackupResult:
    """Back up one database, and protect the backup, also if something failed after it was complete."""
    failed: MonarchError | None = None
    try:
        taken = project.backup(label, **how, verify=extras.verify)
    except MonarchError as error:
        if error.result is None or isinstance(error, RunInterrupted):
            raise
        taken, failed = error.result, error
    if extras.protect:
        try:
            how["progress"].clear()
            protect_now(project.backups, taken.name, None, aside=True)
        except MonarchError as error:
            if failed is not None:  # there are two errors, and one row
                note(failed.message)
            error.result = taken
            raise
    if failed is not None:
        raise failed
    return taken


def _finish(project: Project, environment: str, done: list[Done[BackupResult]], extras: Extras) -> None:
    failed = [(one, one.error) for one in done if one.error is not None]
    pruning = None
    complete = sum(one.result is not None for one in done)
    # What is not as it was written replaces no other one.
    doubtful = any(one.result is not None and not isinstance(error, HookFailed) for one, error in failed)
    if extras.prune and complete and not doubtful:
        what = f"{count(complete, 'backup')} of {environment} {'is' if complete == 1 else 'are'} complete"
        try:
            taken = [one.result.manifest.archive for one in done if one.result is not None]
            prune_now(project.pruning(environment, taken=taken), what, aside=extras.as_json)
        except PruningFailed as error:
            pruning = error
    if failed:
        if pruning is not None:
            note(pruning.message)
        names = ", ".join(printable(one.environment.db_name) for one, _ in failed)
        others = " The other backups are complete." if len(failed) < len(done) else ""
        raise SomeFailed(
            f"{len(failed)} of {count(len(done), 'database')} of {environment} failed: {names}.",
            f"The lines above say why.{others} To repeat one: monarch backup {environment}/DATABASE",
            [error for _, error in failed],
        )
    if pruning is not None:
        raise pruning


def _report(one: Done[BackupResult], number: str) -> None:
    """Print what became of one database while the others wait."""
    called, error = printable(one.environment.label), one.error
    if error is not None:
        why = f"{error.message.rstrip('.')}. {error.hint or ''}".rstrip()
        show(("FAILED", "red"), f" {called} ({number}): {why}", err=True)
    elif one.result is not None:
        show(f"{called} ({number}) is backed up as {printable(one.result.name)}.", err=True)
    if one.result is not None:
        for text in one.result.transfer.notes:
            note(f"{called}: {text}")


def _show(done: list[Done[BackupResult]], environment: str, as_json: bool) -> None:
    if as_json:
        print_json([_row(one) for one in done])
        return
    if not done:
        return
    rows = [_cells(one) for one in done]
    print_table(("DATABASE", "BACKUP", "SIZE", "TIME", "CONTENTS"), rows, right=(2, 3))
    taken = [one.result for one in done if one.result is not None]
    if taken:
        total = size(sum(one.manifest.size for one in taken))
        took = duration(sum(one.seconds for one in done))
        show(
            f"Backed up {len(taken)} of {count(len(done), 'database')} of {environment}: {total}, in {took}."
        )
        show(f"They are in {taken[0].place}. To restore one: monarch restore BACKUP:{environment}")


def _cells(one: Done[BackupResult]) -> tuple[str, ...]:
    error, took = one.error, duration(one.seconds)
    if one.result is None:
        return one.environment.db_name, "FAILED", "-", took, error.message if error else ""
    backup = one.result
    contents = summary(backup.manifest.collections)
    if error is not None:
        contents = f"{contents}; FAILED: {error.message}"
    elif backup.verified is not None:
        contents = f"{contents}, verified"
    return one.environment.db_name, backup.name, size(backup.manifest.size), took, contents


def _row(one: Done[BackupResult]) -> dict[str, Any]:
    error = one.error
    return {
        "environment": one.environment.name,
        "database": one.environment.db_name,
        "seconds": round(one.seconds, 3),
        "error": error.message if error else None,
        "hint": error.hint if error else None,
        "backup": taken_as_json(one.result) if one.result else None,
    }


def taken_as_json(taken: BackupResult) -> dict[str, Any]:
    """Return what ``--json`` prints of one backup."""
    return {
        "name": taken.name,
        "place": taken.place,
        **manifest_members(taken.manifest),
        "seconds": taken.transfer.seconds,
        "notes": taken.transfer.notes,
        "verified": taken.verified.good if taken.verified else None,
        "collections": [vars(copied) for copied in taken.transfer.collections],
    }


def _interrupted(error: BaseException, complete: int, databases: int) -> RunInterrupted:
    said = error.message if isinstance(error, RunInterrupted) else "Interrupted."
    before = f"{complete} of {count(databases, 'database')} {'was' if complete == 1 else 'were'} done before."
    return RunInterrupted(f"{said} {before}", error.hint if isinstance(error, RunInterrupted) else None)
