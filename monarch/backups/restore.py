"""Restoring a backup into a database: read once to see that it is whole, then once more to use it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from monarch.backups.catalog import Backup, BackupCatalog
from monarch.backups.reader import open_backup, verify
from monarch.databases import open_database, require_transfers
from monarch.databases.base import CopiedCollection, Database, Engine
from monarch.databases.environment import Environment
from monarch.errors import DamagedError, DuplicateKey, RunInterrupted
from monarch.progress import SILENT, Progress

# Of a database that was written to while it was backed up, and not as of one moment.
_TWICE = "It has a document twice. README, Getting data back by hand, tells how to restore it all the same."


@dataclass(frozen=True)
class RestoreResult:
    """What a restore has brought. ``seconds`` are of all of it, verification and swap included."""

    backup: Backup
    engine: str
    versions: tuple[str, ...]
    collections: tuple[CopiedCollection, ...]
    seconds: float


@dataclass(frozen=True)
class Restoration:
    """The restoring of ``backup`` into ``target``, which is open and called ``environment``."""

    shelf: BackupCatalog
    backup: Backup
    target: Database
    environment: str
    engine: Engine

    def run(self, *, in_place: bool = False, progress: Progress = SILENT) -> RestoreResult:
        """Let ``target`` hold what the backup holds, and nothing else.

        :raises BrokenBackup: if the backup cannot be trusted; the target is then as it was.
        :raises LockedError: if another run holds the target.
        :raises ServerError: if it does not come to its end; until the swap the target is as it was.
        """
        began = time.monotonic()
        done: list[tuple[CopiedCollection, ...]] = []
        try:
            self._restore(done, in_place, progress)
        except DamagedError as error:
            name = self.environment
            if name not in error.message:  # else it says itself what has become of it
                raise type(error)(f"{error.message} {name!r} is as it was.", error.hint) from error
            raise
        except DuplicateKey as error:
            raise DuplicateKey(error.message, _TWICE) from error
        except KeyboardInterrupt as error:
            raise interrupted(self.environment, done=bool(done)) from error
        return RestoreResult(
            self.backup,
            self.engine.name,
            self.engine.versions,
            done[0],
            round(time.monotonic() - began, 3),
        )

    def _restore(self, done: list[tuple[CopiedCollection, ...]], in_place: bool, progress: Progress) -> None:
        """Do it; what has been swapped in stands in ``done``, whatever comes after."""
        # Before anything of the target is touched. It is all checked again when it is used.
        verify(self.shelf, self.backup, progress)
        purpose = f"restore {self.backup.name}:{self.environment}" + (" --in-place" if in_place else "")
        with self.target.lease(purpose) as lease:
            mended = self.target.mend(lease, emptied_is_fine=True)
            if mended is not None:
                progress.mended(mended)
            with open_backup(self.shelf, self.backup) as archive:
                copied = self.target.replace(
                    archive, self.engine, lease, purpose, in_place=in_place, progress=progress
                )
                done.append(copied)


def interrupted(target: str, *, done: bool) -> RunInterrupted:
    """What to tell somebody who has interrupted a restore before it changed ``target``, or after it."""
    if done:
        return RunInterrupted(f"Interrupted, but by then {target!r} was restored completely.")
    return RunInterrupted(f"Interrupted. {target!r} is as it was.")


def restore_environment(
    root: Path,
    catalog: BackupCatalog,
    backup: Backup,
    environment: Environment,
    *,
    engine: str,
    in_place: bool,
    progress: Progress,
) -> RestoreResult:
    """Connect to ``environment`` of the project at ``root``, and restore ``backup`` into it.

    Raises what `Restoration.run` does.
    """
    require_transfers((backup.kind, repr(backup.name)), (environment.kind, repr(environment.name)))
    result: RestoreResult | None = None
    try:
        with open_database(environment, root, progress) as database:
            chosen = database.choose_engine(engine)
            restoration = Restoration(catalog, backup, database, environment.name, chosen)
            result = restoration.run(in_place=in_place, progress=progress)
    except KeyboardInterrupt as error:  # while connecting or disconnecting
        raise interrupted(environment.name, done=result is not None) from error
    return result
