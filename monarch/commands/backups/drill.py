"""``drill``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, summary
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.text import age, count, duration, printable, timestamp
from monarch.commands.parsing.arguments import RESTORABLE, json_option, this_project
from monarch.commands.parsing.whereabouts import from_here
from monarch.errors import DrillFailed, MonarchError, RunInterrupted, UsageError

if TYPE_CHECKING:
    from monarch.backups.proof.comparison import DrilledCollection
    from monarch.backups.proof.drill import DrillResult
    from monarch.backups.state import Backup


@click.command("drill")
@click.argument("name", metavar="[BACKUP|ENVIRONMENT]", required=False, type=RESTORABLE)
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page about it, too.")
@json_option
def drill(name: str | None, html: Path | None, as_json: bool) -> None:
    """Restore a backup into a server that is thrown away.

    Compares counts, indexes and hashes of the contents with the manifest, calls verify(database) of
    migrations/settings.py if there is one, and tells how old the data was and how long it took. Without
    arguments it takes the newest good backup of each environment; with an ENVIRONMENT, the newest of it (of
    several databases, the newest of each).

    The server runs on this machine, which needs room for one copy. Nothing is masked: the data in it is as
    private as the backup, can be read by this user only, and is removed at the end. Exits with 10 if a drill
    fails.

    \b
    Examples:
      monarch drill
      monarch drill production --html drill.html
      monarch drill app__2026_11_28 --json
    """
    from monarch.backups.proof.drill import find_backups, find_newest

    project = this_project()
    html = None if html is None else Path(from_here(str(html)))
    _require_writable(html)
    catalog, environments = project.backups, project.environments()
    backups = (
        find_newest(catalog, environments) if name is None else find_backups(catalog, name, environments)
    )
    results, undone = _drill_all(backups, as_json)
    if as_json:
        print_json([_as_json(one) for one in results])
    unwritten = _write_page(html, results) if html is not None and results else None
    failed = [one for one in results if not one.passed]
    if unwritten is not None and (failed or undone):
        note(unwritten.message)
    _require_passed(failed, len(backups), *undone, unwritten)


def _require_passed(failed: list[DrillResult], drills: int, *errors: MonarchError | None) -> None:
    """Raise the failure of the ``failed`` drills; if none has failed, the first of the other ``errors``."""
    if failed:
        names = ", ".join(printable(one.backup.name) for one in failed)
        hint = "Take a new backup, and drill that. See the manual: How sure."
        if all(one.only_refused for one in failed):
            hint = (
                "Look at verify() in migrations/settings.py and at the data: the restore itself has passed."
            )
        raise DrillFailed(f"{len(failed)} of {count(drills, 'drill')} failed: {names}.", hint)
    for error in errors:
        if error is not None:
            raise error


def _drill_all(backups: tuple[Backup, ...], as_json: bool) -> tuple[list[DrillResult], list[MonarchError]]:
    """Drill ``backups`` one after the other; return the results, and why the others could not be drilled."""
    from monarch.backups.proof.drill import Drill

    project = this_project()
    results, undone = [], []
    for backup in backups:
        with ProgressBar() as bar:
            try:
                result = Drill(project.root, project.backups, backup, project.settings.hooks.verify).run(bar)
            except RunInterrupted:
                raise
            except MonarchError as error:
                if len(backups) > 1:
                    bar.clear()
                    show(("NOT DRILLED", "yellow"), f" {printable(backup.name)}: {error.message}", err=True)
                undone.append(error)
                continue
            results.append(result)
            bar.clear()
        if not as_json:
            _show(result)
    return results, undone


def _show(result: DrillResult) -> None:
    from monarch.backups.proof.page import why_counted

    manifest = result.manifest
    name = printable(result.backup.name)
    if result.passed:
        compared, counted = "counts, indexes and hashes are equal", ""
        if not result.has_hashes:
            compared, counted = f"counts are equal; {why_counted(result)}", " (counts only)"
        check = "; verify() accepts it" if result.verified else ""
        restored = f"{summary(manifest.collections)} of {printable(manifest.environment)} restored"
        times = f"in {duration(result.seconds)}, from data {age(result.age)} old"
        show((f"passed{counted}", "green"), f" {name}: {restored} {times}: {compared}{check}")
        return
    problems = [*result.problems]
    problems += [f"{one.name}: {why}" for one in result.collections for why in one.problems]
    old = age(result.age)
    show(("FAILED", "red"), f" {name}: {printable(problems[0])} Its data is {old} old.")
    for problem in problems[1:]:
        show(f"  {printable(problem)}")


def _as_json(result: DrillResult) -> dict[str, Any]:
    manifest = result.manifest
    return {
        "backup": result.backup.name,
        "archive": manifest.archive,
        "environment": manifest.environment,
        "database": manifest.database,
        "passed": result.passed,
        "problems": result.problems,
        "verify": result.verified,
        "hashes": result.has_hashes,
        "taken_at": timestamp(manifest.taken_at),
        "drilled_at": timestamp(result.began_at),
        "age_seconds": round(result.age.total_seconds(), 3),
        "seconds": result.seconds,
        "restore_seconds": result.restore_seconds,
        "server": manifest.server,
        "restored_into": result.server,
        "drilled_by": result.drilled_by,
        "job": result.origin.job,
        "link": result.origin.link,
        "commit": result.origin.commit,
        "monarch": result.monarch,
        "sha256": manifest.sha256,
        "recipients": manifest.recipients,
        "collections": [_collection_as_json(one) for one in result.collections],
    }


def _collection_as_json(one: DrilledCollection) -> dict[str, Any]:
    expected, found = one.expected, one.found
    return {
        "name": one.name,
        "kind": one.kind,
        "documents": None if expected is None else expected.documents,
        "restored_documents": None if found is None else found.documents,
        "indexes": None if expected is None else expected.indexes,
        "restored_indexes": None if found is None else found.indexes,
        "contents": one.contents.value,
        "problems": one.problems,
    }


def _require_writable(file: Path | None) -> None:
    """Check that the page can be written, before hours of work.

    :raises UsageError: if not.
    """
    from monarch.system.atomic_files import require_writable

    if file is None:
        return
    shown = repr(printable(str(file)))
    if file.is_dir() or not file.absolute().parent.is_dir():
        wrong = "is a folder" if file.is_dir() else "is in no folder that exists"
        raise UsageError(f"--html: {shown} {wrong}.", "Name a file in a folder that exists.")
    if file.exists() and not file.is_file():
        raise UsageError(f"--html: {shown} is no regular file.", "Name a file; it is written at the end.")
    try:
        require_writable(file)
    except OSError as error:
        raise UsageError(
            f"--html: {shown} cannot be written: {error.strerror}. Nothing was drilled.",
            "Name a file in a folder that you may write to.",
        ) from error


def _write_page(file: Path, results: list[DrillResult]) -> MonarchError | None:
    """Write the page about ``results``; return what is wrong if that fails, as on a disk that is full now."""
    from monarch.backups.proof.page import render
    from monarch.system.atomic_files import write_atomically

    try:
        write_atomically(file, render(results))
    except OSError as error:
        return MonarchError(
            f"The page about the drill was not written: {printable(str(file))!r}: {error.strerror}.",
            "Fix that or name another file, and run the drill again.",
        )
    return None
