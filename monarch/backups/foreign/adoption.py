"""Taking over what a tool wrote: it becomes a normal backup, with its manifest."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import find_codec
from monarch.backups.create import BackupResult
from monarch.backups.foreign.paths import ForeignPath
from monarch.backups.foreign.stored import StoredForeign, opened_origin
from monarch.backups.names import stem_of
from monarch.backups.operations.record import record_adoption
from monarch.backups.store_sink import BackupPrivacy, StoreSink
from monarch.copies.transfer import Interruption, Transfer, report_interruption
from monarch.databases import foreign_formats
from monarch.databases.environment import Environment
from monarch.databases.foreign import AdoptedDatabase
from monarch.databases.history import Action, Operation
from monarch.databases.several.members import find_environment, known_members
from monarch.databases.transfer import Engine, measured
from monarch.errors import UsageError
from monarch.progress import SILENT, Progress
from monarch.system.ci import find_origin


class Adoption(Engine):
    """How an adopted backup came: by the ``tool`` that wrote it."""

    name: ClassVar[str] = "adopted"

    def __init__(self, tool: str) -> None:
        self._tool = tool

    @property
    def versions(self) -> tuple[str, ...]:
        return (self._tool,)


@dataclass(frozen=True)
class AdoptionRequest:
    """The adoption of what is at ``path`` by the project at ``root``, as a backup of an environment.

    ``environment`` is its name; None is the one of ``environments`` whose database has the same name.
    ``database`` is that in the dump; None is the only one. The backup's name begins with ``name`` or, without
    one, with the database's. ``taken_at`` is when it was dumped; None is when its file was written. An oplog
    in it is an error, unless it is left out: ``without_oplog``.
    """

    root: Path
    environments: tuple[Environment, ...]
    path: str
    environment: str | None = None
    database: str | None = None
    name: str | None = None
    taken_at: datetime | None = None
    without_oplog: bool = False
    codec: str = "zst"
    level: int | None = None

    def run(self, catalog: BackupCatalog, progress: Progress = SILENT) -> BackupResult:
        """Read it to its end, and write the backup into the store of ``catalog``, encrypted as that says.

        :raises UsageError: if it is not what a tool wrote, or nothing tells what of it is meant.
        :raises DamagedError: if it is not as it was written. Nothing is kept then.
        :raises StoreError: if the backup cannot be kept.
        :raises RunInterrupted: on Ctrl-C or a signal, saying whether there is a backup.
        """
        began = time.monotonic()
        catalog.encryption.sealing()
        (kind,) = foreign_formats()
        with (
            report_interruption("Nothing was kept of the backup.") as interruption,
            opened_origin(self.path, kind, catalog) as (origin, opened),
        ):
            adopted = opened.adoptable(self.database, without_oplog=self.without_oplog)
            environment = choose_environment(self.environments, self.environment, adopted)
            taken_at = self.taken_at or origin.written_at()
            sink = self._sink(catalog, environment, adopted, taken_at)
            notes = _another_database(environment, adopted.database)
            notes += () if self.taken_at else (_guess(origin, taken_at),)
            taken = _write(sink, adopted, interruption, began, notes, progress)
            operation = Operation(
                f"adopt_backup {environment.label}",
                Action.BACKUP,
                environment.label,
                find_origin(self.root),
                began,
                backup=taken.name,
            )
            record_adoption(catalog.store, measured(operation, taken.transfer.collections), progress)
            return taken

    def _sink(
        self,
        catalog: BackupCatalog,
        environment: Environment,
        adopted: AdoptedDatabase,
        taken_at: datetime,
    ) -> StoreSink:
        stem = stem_of(replace(environment, db_name=adopted.database), self.name)
        codec, level = find_codec(self.codec, self.level)
        return StoreSink(
            catalog.store,
            stem,
            codec,
            level,
            environment.name,
            adopted.database,
            None,
            # Nobody can tell whose documents these are.
            BackupPrivacy(private=any(one.private for one in self.environments)),
            catalog.encryption,
            taken_at,
        )


def _write(
    sink: StoreSink,
    adopted: AdoptedDatabase,
    interruption: Interruption,
    began: float,
    notes: tuple[str, ...],
    progress: Progress,
) -> BackupResult:
    source = adopted.source
    if not source.summaries:
        raise UsageError(
            f"{adopted.database!r} holds no collection that monarch restores: there is nothing to take over.",
            "Name another database: --database NAME",
        )
    created = sink.store.prepare()
    if created is not None:
        progress.message(created)
    opened = nullcontext(source)
    notes = (*source.notes, *notes, *sink.notes())
    transfer = Transfer(lambda: opened, sink, Adoption(adopted.tool), interruption, began, notes=notes)
    transferred = transfer.run(progress)
    stored = sink.stored
    assert stored is not None
    return BackupResult(stored.name, sink.store.place, stored.manifest, transferred)


def choose_environment(
    environments: Iterable[Environment], wanted: str | None, adopted: AdoptedDatabase
) -> Environment:
    """Return the environment called ``wanted``, or else the only one whose database was ``adopted``.

    Of several databases, it is for the one of this name.

    :raises UsageError: if there is none, or there are several.
    """
    known = [one for one in environments if one.problem is None]
    kind = adopted.source.kind
    if wanted is not None:
        environment = find_environment(known, wanted)
        if environment is None or (environment.known_kind or kind) != kind:
            raise UsageError(
                f"{wanted!r} is not an environment with a {adopted.source.title} database.",
                _choices([one for one in known if one.kind == kind]),
            )
        members = known_members(environment, [adopted.database])
        environment = next((one for one in members if one.db_name == adopted.database), environment)
        environment.require_one()
        if environment.is_member and environment.db_name != adopted.database:
            raise UsageError(
                f"{environment.label!r} has {environment.db_name!r}, and this is of {adopted.database!r}.",
                f"Use --environment {environment.name}, which chooses by the name of the database.",
            )
        return environment
    members = tuple(member for one in known for member in known_members(one, [adopted.database]))
    found = [one for one in members if (one.kind, one.db_name) == (kind, adopted.database)]
    if len(found) == 1:
        return found[0]
    how_many = "several environments have" if found else "no environment has"
    raise UsageError(
        f"Nothing tells of which environment this is: {how_many} a database {adopted.database!r}.",
        _choices(found or [one for one in known if one.kind == kind]),
    )


def _choices(environments: Iterable[Environment]) -> str:
    names = ", ".join(one.label for one in environments)
    return f"Use --environment with one of these: {names}." if names else "Add one to migrations/settings.py."


def _another_database(environment: Environment, database: str) -> tuple[str, ...]:
    """Return what people should know of a backup that the environment's own name does not find."""
    if environment.db_name == database:
        return ()
    name, its_own = environment.label, environment.db_name
    return (
        f"it is of the database {database!r}, and {name} has {its_own!r}: `monarch restore {name}:…` never "
        "takes it, restore it by its own name.",
    )


def _guess(origin: ForeignPath | StoredForeign, taken_at: datetime) -> str:
    """Return what people should know of a time that they did not name: pruning goes by it."""
    when = "now" if origin.is_stream else "when it was last written to"
    return (
        f"it counts as taken at {taken_at:%Y-%m-%d %H:%M} UTC, {when}. If it was dumped at another time, "
        "delete it, and use --taken DATE."
    )


def parse_taken(text: str) -> datetime:
    """Return the time that ``text`` names, ``2026-11-28`` or ``2026-11-28T04:00``, in UTC if it says no zone.

    :raises UsageError: if it names none, or one that has not come yet.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is not a date.", "Write it like 2026-11-28 or 2026-11-28T04:00."
        ) from None
    moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    if moment > datetime.now(UTC):
        raise UsageError(f"{text} has not come yet.", "Use the time at which the dump was taken.")
    return moment
