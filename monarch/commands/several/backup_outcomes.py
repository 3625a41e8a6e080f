"""Taking the backup of one of several databases, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monarch.commands.backups.listing import manifest_members
from monarch.commands.backups.retention import protect_now
from monarch.commands.console.lines import aside, note
from monarch.commands.console.output import summary
from monarch.commands.console.progress_bar import ProgressBar
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import duration, printable, size
from monarch.commands.several.outcomes import show_failure
from monarch.errors import HookFailed, MonarchError, RunInterrupted

if TYPE_CHECKING:
    from monarch.backups.create import BackupResult
    from monarch.databases.several.targets import ChosenDatabase
    from monarch.project import Project

_INTERRUPTED = 130


@dataclass(frozen=True)
class Extras:
    """What follows each backup, and the form of the output."""

    verify: bool
    protect: bool
    prune: bool
    as_json: bool


@dataclass(frozen=True)
class BackupOutcome:
    """What became of one database: the ``backup`` as ``--json`` prints it, the ``error``, or both.

    Both if something failed after the backup was complete: ``by_hook`` if that was a hook. ``label`` names
    the database on command lines. A process hands it to another as JSON.
    """

    label: str
    environment: str
    database: str
    seconds: float = 0.0
    backup: Mapping[str, Any] | None = None
    contents: str = ""
    error: str | None = None
    hint: str | None = None
    exit_code: int = 0
    by_hook: bool = False

    @property
    def was_interrupted(self) -> bool:
        """Whether a signal ended it."""
        return self.exit_code == _INTERRUPTED

    def show(self, number: str) -> None:
        """Print it in a line while others wait; ``number`` is "2 of 12"."""
        if self.error is not None:
            show_failure(self.label, number, self.error, self.hint)
        elif self.backup is not None:
            aside(f"{printable(self.label)} ({number}) is backed up as {self.backup['name']}.")
        if self.backup is not None:
            for text in self.backup["notes"]:
                note(f"{self.label}: {text}")

    def cells(self, name: str) -> tuple[str, ...]:
        """Return it as a row of the table at the end, where the database is called ``name``."""
        took = duration(self.seconds)
        if self.backup is None:
            return name, "FAILED", "-", took, self.error or ""
        contents = self.contents
        if self.error is not None:
            contents = f"{contents}; FAILED: {self.error}"
        elif self.backup["verified"] is not None:
            contents = f"{contents}, verified"
        return name, self.backup["name"], size(self.backup["size"]), took, contents

    def as_json(self) -> dict[str, Any]:
        """Return it as a member of the list that ``--json`` prints."""
        names = ("environment", "database", "seconds", "error", "hint", "backup")
        return {name: getattr(self, name) for name in names}


def take(project: Project, target: ChosenDatabase, extras: Extras, how: Mapping[str, Any]) -> BackupOutcome:
    """Back up one database; raises nothing that a command would report."""
    environment = target.environment
    began = time.monotonic()
    taken: BackupResult | None = None
    failed: MonarchError | None = None
    try:
        with ProgressBar() as bar, prints_aside(extras.as_json):
            taken = _take(project, target.require().label, extras, {**how, "progress": bar})
    except KeyboardInterrupt:
        failed = RunInterrupted("Interrupted.")
    except MonarchError as error:
        taken, failed = error.result, error
    return BackupOutcome(
        environment.label,
        environment.name,
        environment.db_name,
        round(time.monotonic() - began, 3),
        None if taken is None else taken_as_json(taken),
        "" if taken is None else summary(taken.manifest.collections),
        failed.message if failed else None,
        failed.hint if failed else None,
        failed.exit_code if failed else 0,
        isinstance(failed, HookFailed),
    )


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
            protect_now(project, taken.name, None, aside=True)
        except MonarchError as error:
            if failed is not None:  # there are two errors, and one row
                note(failed.message)
            error.result = taken
            raise
    if failed is not None:
        raise failed
    return taken


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
