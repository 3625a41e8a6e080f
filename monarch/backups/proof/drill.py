"""Restoring a backup into a server that is thrown away, to prove that it restores."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from monarch.amounts import size
from monarch.backups.catalog import BackupCatalog
from monarch.backups.manifest import Manifest
from monarch.backups.operations.in_store import describe, recording
from monarch.backups.proof.comparison import DrilledCollection, HashVerdict, compare
from monarch.backups.reader import open_backup, open_packed, reading, verify
from monarch.backups.state import Backup
from monarch.backups.verification import find_restorable
from monarch.copies.transfer import DatabaseSink, Interruption, Transfer, report_interruption
from monarch.databases import KINDS, describe_error, find_kind
from monarch.databases.environment import Environment
from monarch.databases.history import Action, MigrationState
from monarch.databases.kinds import THROWAWAY, DatabaseKind
from monarch.databases.several.members import known_members
from monarch.databases.transfer import TransferDatabase, as_transfer_database
from monarch.errors import DamagedError, DrillFailed, ServerError, UsageError
from monarch.progress import SILENT, Progress
from monarch.system.ci import UNKNOWN_ORIGIN, Origin, find_origin
from monarch.system.process_identity import who
from monarch.system.tracebacks import describe_error as describe_briefly
from monarch.version import __version__

# What a server needs of the disk: for itself, and for each byte of documents with indexes and logs.
_ROOM, _PER_BYTE = 500_000_000, 1.5
# Collections that the journal names.
_MOST_NAMED = 10
_VERSION = re.compile(r"\d+")

# The project's own check of a restored database.
Verify = Callable[[Any], Any]


@dataclass(frozen=True)
class DrillResult:
    """The drill of ``backup``, which began at ``began_at``.

    ``seconds`` is how long it took, ``restore_seconds`` how long reading and restoring the backup took.
    ``server`` is the one that was thrown away. ``problems`` are those that belong to no collection.
    ``verified`` says whether the project's own check has accepted the database; None if it has none, or it
    was not called.
    """

    backup: Backup
    manifest: Manifest
    server: str
    began_at: datetime
    seconds: float
    restore_seconds: float
    collections: tuple[DrilledCollection, ...]
    problems: tuple[str, ...]
    verified: bool | None
    # The user and the machine, and the commit and the CI job as far as they are known.
    drilled_by: str = ""
    origin: Origin = UNKNOWN_ORIGIN
    monarch: str = __version__

    @property
    def passed(self) -> bool:
        """Whether all that was compared is equal, and the project's own check has accepted it."""
        return not self.problems and not any(one.problems for one in self.collections)

    @property
    def age(self) -> timedelta:
        """How old the data was when the drill began."""
        return self.began_at - self.manifest.taken_at

    @property
    def has_hashes(self) -> bool:
        """Whether the manifest has hashes: without them, everything is only counted.

        Those of encrypted backups have none, and those of older versions of monarch.
        """
        return bool(self.manifest.digests)

    @property
    def only_refused(self) -> bool:
        """Whether nothing is wrong but that the project's own check has refused it."""
        found = (*self.problems, *(why for one in self.collections for why in one.problems))
        return self.verified is False and len(found) == 1

    @property
    def uncompared(self) -> tuple[str, ...]:
        """The names of the collections whose contents were counted only."""
        return tuple(one.name for one in self.collections if one.contents is HashVerdict.UNKNOWN)


@dataclass(frozen=True)
class Drill:
    """The drill of ``backup``, with a server in the project at ``root`` for as long as it lasts."""

    root: Path
    catalog: BackupCatalog
    backup: Backup
    check: Verify | None = None

    def run(self, progress: Progress = SILENT) -> DrillResult:
        """Restore the backup, compare it with its manifest, and remove everything again.

        :raises UsageError: if it has no manifest, or the server is too old for it.
        :raises NoKey: if it is encrypted, and no key of this machine opens it.
        :raises ServerError: if there is no server on this machine, or no room for one copy.
        :raises StoreError: if the backup cannot be read now.
        :raises RunInterrupted: on Ctrl-C or a signal; nothing is left.
        """
        from monarch.databases.embedded.throwaway import throwaway_folder

        manifest = _require_manifest(self.catalog, self.backup)
        _require_key(self.catalog, self.backup, manifest)
        kind = find_kind(manifest.kind)
        with (
            report_interruption("Nothing of the drill was kept.") as interruption,
            reading(self.catalog, self.backup),
            throwaway_folder(self.root, kind.name, _stop) as folder,
        ):
            progress.message(_require_room(folder, manifest))
            began_at, began = datetime.now(UTC), time.monotonic()
            with kind.open_throwaway(folder, manifest.database, progress) as opened:
                database = as_transfer_database(opened)
                engine = database.ordered_engine()
                server = database.read(engine).server
                _require_version(kind, manifest, server)
                with recording(
                    self.root,
                    self.catalog.store,
                    f"drill {self.backup.name}",
                    Action.DRILL,
                    self.backup,
                    progress,
                ) as record:
                    found = self._restore_and_compare(database, manifest, interruption, progress)
                    failure = _describe_failure(*found[1:])
                    outcome = MigrationState.FAILED if failure else MigrationState.COMPLETED
                    record.end(outcome, failure, [describe(self.catalog, self.backup)])
            seconds = round(time.monotonic() - began, 3)
            by, origin = who(), find_origin(self.root)
            return DrillResult(self.backup, manifest, server, began_at, seconds, *found, by, origin)

    def _restore_and_compare(
        self, database: TransferDatabase, manifest: Manifest, interruption: Interruption, progress: Progress
    ) -> tuple[float, tuple[DrilledCollection, ...], tuple[str, ...], bool | None]:
        began = time.monotonic()
        try:
            verify(self.catalog, self.backup, progress)
            self._restore(database, interruption, progress)
            seconds = round(time.monotonic() - began, 3)
            progress.phase("comparing")
            compared = compare(manifest, database.inspect(progress))
        except (DamagedError, ServerError) as error:
            return round(time.monotonic() - began, 3), (), (error.message,), None
        if self.check is None:
            return seconds, compared, (), None
        problem = _call(self.check, database)
        return seconds, compared, (problem,) if problem else (), problem is None

    def _restore(self, database: TransferDatabase, interruption: Interruption, progress: Progress) -> None:
        name = self.backup.name
        sink = DatabaseSink(database, THROWAWAY, f"drill {name}", "it was restored", name)
        transfer = Transfer(
            lambda: open_backup(self.catalog, self.backup),
            sink,
            database.ordered_engine(),
            Interruption("Nothing of the drill was kept."),
            time.monotonic(),
        )
        transfer.run(progress)


def _describe_failure(
    collections: tuple[DrilledCollection, ...], problems: tuple[str, ...], verified: bool | None
) -> str | None:
    """Return why a drill has failed, for the journal; None if it passed.

    Without what the server or the project's own check has said, which may hold values of documents.
    """
    differ = [one.name for one in collections if one.problems]
    if differ:
        more = f" and {len(differ) - _MOST_NAMED} more" if len(differ) > _MOST_NAMED else ""
        return f"not as backed up: {', '.join(differ[:_MOST_NAMED])}{more}"
    if verified is False:
        return "verify() of the settings does not accept it"
    return "it could not be restored" if problems else None


def find_newest(catalog: BackupCatalog, environments: Iterable[Environment]) -> tuple[Backup, ...]:
    """Return the newest good backup of each database of ``environments`` that has one.

    :raises UsageError: if none has one.
    :raises MonarchError: if a backup that cannot be read may be newer.
    """
    databases = {one.database for one in catalog.list()} if any(one.databases for one in environments) else ()
    members = [member for one in environments for member in known_members(one, databases)]
    found = (catalog.newest(one.name, one.db_name) for one in members if one.db_name)
    newest = {backup.archive: backup for backup in found if backup is not None}
    if not newest:
        raise UsageError(
            f"There is no good backup of any environment in {catalog.store.place}.",
            "Take one: monarch backup ENVIRONMENT. Or name one of a subset, or a masked one.",
        )
    return tuple(newest.values())


def find_backups(
    catalog: BackupCatalog, name: str, environments: tuple[Environment, ...]
) -> tuple[Backup, ...]:
    """Return what `find_backup` does; of an environment with several databases, `find_newest` of these.

    Raises what they do.
    """
    several = [one for one in environments if one.name == name and one.databases is not None]
    if several and catalog.find(name) is None:
        return find_newest(catalog, several)
    return (find_backup(catalog, name, environments),)


def find_backup(catalog: BackupCatalog, name: str, environments: tuple[Environment, ...]) -> Backup:
    """Return the backup called ``name``, or else the newest good one of the environment of that name.

    :raises DrillFailed: if the listing already shows that it is not whole.
    :raises UsageError: if there is none.
    """
    try:
        return find_restorable(catalog, name, environments)
    except DamagedError as error:
        raise DrillFailed(error.message, error.hint) from error


def _require_manifest(catalog: BackupCatalog, backup: Backup) -> Manifest:
    if not backup.has_manifest:
        raise UsageError(
            f"{backup.name!r} has no manifest: there is nothing to compare it with.",
            f"Run `monarch verify_backup {backup.archive}`.",
        )
    return catalog.manifest(backup)


def _require_key(catalog: BackupCatalog, backup: Backup, manifest: Manifest) -> None:
    """Check that a key of this machine opens ``backup``, before anything is started for it."""
    if manifest.recipients:
        with suppress(DamagedError), open_packed(catalog, backup):  # what is damaged fails the drill
            pass


def _require_room(folder: Path, manifest: Manifest) -> str:
    """Check that there is room for one copy; return how much it needs."""
    need = _ROOM + round(manifest.plain_bytes * _PER_BYTE)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise ServerError(
            f"A drill of {manifest.archive!r} needs about {size(need)} in {folder.parent}, and there "
            f"are {size(free)}.",
            "Free space there, or run the drill in a checkout on a larger disk.",
        )
    return f"the drill of {manifest.archive} needs about {size(need)} in {folder.parent}"


def _require_version(kind: DatabaseKind, manifest: Manifest, server: str) -> None:
    theirs, ours = (_VERSION.search(text) for text in (manifest.server, server))
    if theirs is not None and ours is not None and int(theirs[0]) > int(ours[0]):
        raise UsageError(
            f"The backup is of {manifest.server}, and the server for drills here is {server}: it is older.",
            f"Install {kind.title} {theirs[0]} or newer on this machine, as the first one on the PATH.",
        )


def _call(check: Verify, database: TransferDatabase) -> str | None:
    """Call the project's own check; return why it does not accept ``database``."""
    handles = database.handles()
    try:
        with redirect_stdout(sys.stderr):
            answer = check(handles["database"] if "database" in handles else handles["connection"])
    except (Exception, SystemExit) as error:
        return f"verify() of the settings has failed: {describe_briefly(error, describe_error)}"
    return "verify() of the settings has returned False." if answer is False else None


def _stop(kind: str, folder: Path) -> None:
    if kind in KINDS:
        find_kind(kind).stop_throwaway(folder)
