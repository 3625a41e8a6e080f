"""Trying a migration on a database that is thrown away afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from monarch.copies.copy import Copy
from monarch.copies.transfer import report_interruption
from monarch.databases import find_kind, open_database, require_transfers
from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.history import MigrationState
from monarch.databases.transfer import TransferDatabase, as_transfer_database
from monarch.errors import AccessDenied, MigrationError
from monarch.migrations.backwards.rollback import RollbackRun
from monarch.migrations.execution import MigrationFailed, MigrationResult
from monarch.migrations.files.find import MigrationFile, find_migration
from monarch.migrations.migrate import MigrationRun, RunResult
from monarch.migrations.plan import RunSelection
from monarch.progress import SILENT, Progress, Question, ask_nothing
from monarch.settings.hooks import NO_HOOKS
from monarch.system.ci import UNKNOWN_ORIGIN

# Bytes of the name that are kept, so that with the addition it is no longer than databases allow.
_LONGEST = 40
# The usual hint names rights on the environment's own database, which its user may have.
_RIGHTS_BESIDE = (
    "The scratch copy is another database on the server of {!r}. "
    "Use an account that may create, change and drop databases there."
)


@dataclass(frozen=True)
class TrialDatabase:
    """A database that is dropped when its context ends, and the migrations of a project.

    ``database`` and ``uri`` are those that a migration has: the driver's database, or its connection where it
    has no databases, and the whole connection string.
    """

    root: Path
    files: tuple[MigrationFile, ...]
    environment: Environment
    opened: Database

    @property
    def database(self) -> Any:
        """The driver's database, or its connection."""
        handles = self.opened.handles()
        return handles["database"] if "database" in handles else handles["connection"]

    @property
    def uri(self) -> str:
        """The connection string of the server, password included."""
        return str(self.opened.handles()["uri"])

    def migrate(self, *, to: str | None = None, only: tuple[str, ...] = ()) -> RunResult:
        """Run what is pending: all of it, or up to ``to``, or ``only`` those."""
        return self._migrating().migrate(RunSelection(retry=True, to=to, only=only))

    def migrate_one(self, migration: str) -> MigrationResult:
        """Run one migration, regardless of its recorded state."""
        return self._migrating().migrate_one(find_migration(self.files, migration))

    def rollback(self, migration: str | None = None) -> MigrationResult:
        """Undo the newest migration, or the one that is named."""
        return RollbackRun(**vars(self._migrating())).rollback(migration)

    def _migrating(self) -> MigrationRun:
        # Without hooks, which notify others.
        return MigrationRun(
            self.root, self.files, self.environment, self.opened, NO_HOOKS, UNKNOWN_ORIGIN, SILENT
        )


@dataclass(frozen=True)
class TrialResult:
    """A migration that has run twice on a scratch copy.

    ``had_run``: it had run on the database that was copied, so that the first run here was not its first.
    ``changed`` are the collections that the second run changed; ``error`` is why that failed. ``elsewhere``
    are other databases that were written to, and ``source_changed`` collections of the environment itself
    that changed meanwhile, by the migration or by others: of both, nothing can be verified.
    """

    key: str
    first: MigrationResult
    second: MigrationResult | None
    changed: tuple[str, ...]
    error: str | None = None
    had_run: bool = False
    elsewhere: tuple[str, ...] = ()
    source_changed: tuple[str, ...] = ()

    @property
    def idempotent(self) -> bool:
        """Whether a second run does nothing, as far as all that was written could be seen."""
        return self.error is None and not (self.changed or self.elsewhere or self.source_changed)


@contextmanager
def open_scratch(
    root: Path, files: tuple[MigrationFile, ...], environment: Environment
) -> Iterator[TrialDatabase]:
    """An empty database on the server of ``environment``, removed when the context ends.

    :raises AccessDenied: if the user of ``environment`` has no rights on another database.
    """
    beginning = environment.db_name.encode()[:_LONGEST].decode(errors="ignore")
    beside = replace(environment, db_name=f"{beginning}_scratch_{secrets.token_hex(4)}")
    kind = find_kind(environment.kind)
    try:
        with kind.open_beside(environment.require(), beside.db_name, root, SILENT) as database:
            yield TrialDatabase(root, files, beside, database)
    except AccessDenied as error:
        if beside.db_name in error.message:
            raise AccessDenied(error.message, _RIGHTS_BESIDE.format(environment.label)) from error
        raise


def verify_migration(
    root: Path,
    files: tuple[MigrationFile, ...],
    environment: Environment,
    migration: str,
    *,
    engine: str,
    progress: Progress,
    confirm: Question = ask_nothing,
) -> TrialResult:
    """Run a migration twice on a scratch copy of ``environment``, with all that are pending before it.

    ``confirm`` is called before the copy begins.

    :raises MigrationError: if the first run fails, or one of those before it.
    """
    file = find_migration(files, migration)
    require_transfers((environment.kind, repr(environment.label)))
    with open_database(environment, root, progress) as opened:
        source = as_transfer_database(opened)
        source.require_whole()
        confirm()
        with open_scratch(root, files, environment) as scratch:
            return _run_twice(file, source, scratch, engine, progress)


def _run_twice(
    file: MigrationFile, source: TransferDatabase, scratch: TrialDatabase, engine: str, progress: Progress
) -> TrialResult:
    name = scratch.environment.label
    names = (name, "a scratch copy")
    target = as_transfer_database(scratch.opened)
    with report_interruption(f"{name!r} is as it was.") as interruption:
        copy = Copy(source, target, names, target.choose_engine(engine), interruption, allow_empty=True)
        untouched = source.fingerprint()
        copy.transfer().run(progress)
    progress.phase("migrating")
    record = scratch.opened.history.read().get(file.key)
    had_run = record is not None and record.state is MigrationState.COMPLETED
    before = tuple(earlier.key for earlier in scratch.files if earlier.key < file.key)
    try:
        if before:
            scratch.migrate(only=before)
        first = scratch.migrate_one(file.key)
    except MigrationFailed as error:
        raise MigrationError(
            f"{error.file.key} failed on a scratch copy of {name!r}: {error.reason}",
            f"Nothing else was changed, and {name!r} was only read.",
        ) from error
    except MigrationError as error:
        raise MigrationError(
            f"On a scratch copy of {name!r}: {error.message}", "Nothing else was changed."
        ) from error
    result = _again(scratch, file, first)
    return replace(result, had_run=had_run, source_changed=_differences(untouched, source.fingerprint()))


def _again(scratch: TrialDatabase, file: MigrationFile, first: MigrationResult) -> TrialResult:
    database = as_transfer_database(scratch.opened)
    before = database.fingerprint()
    second, failed = None, None
    try:
        second = scratch.migrate_one(file.key)
    except MigrationFailed as error:
        failed = error.reason
    except MigrationError as error:
        failed = error.message
    after = database.fingerprint()
    elsewhere = {*first.elsewhere, *(second.elsewhere if second else ())}
    changed = _differences(before, after)
    return TrialResult(file.key, first, second, changed, failed, elsewhere=tuple(sorted(elsewhere)))


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))
