"""Restore a backup into a database. It is read twice: first to verify it, then to restore it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from monarch.backups.catalog import BackupCatalog
from monarch.backups.reader import open_backup, reading, verify_contents
from monarch.backups.state import Backup
from monarch.copies.plan import CopyPlan, arriving, describe_unfinished
from monarch.copies.transfer import (
    DatabaseSink,
    Interruption,
    Transfer,
    TransferResult,
    report_interruption,
)
from monarch.databases import open_database, require_transfers
from monarch.databases.environment import Environment
from monarch.databases.history import Action, Operation
from monarch.databases.selection import EVERYTHING, Choice
from monarch.databases.transfer import (
    ArchiveSource,
    Engine,
    TransferDatabase,
    as_transfer_database,
)
from monarch.databases.transform import Transform
from monarch.errors import DamagedError, DuplicateKey
from monarch.handouts.masks import NO_MASKS, TransferMasks, load_rules, open_masks
from monarch.handouts.policy import Passage
from monarch.progress import SILENT, Progress
from monarch.system.ci import find_origin

# The backup was taken while the database was written to, and without a snapshot.
_TWICE = "The backup holds a document twice. See 'Recovering by hand' in the manual to restore it."


@dataclass(frozen=True)
class Restoration:
    """The restoration of ``backup`` into the open database ``target`` of ``environment``.

    ``masks`` and ``operation`` are as in `monarch.copies.copy.Copy`.
    """

    catalog: BackupCatalog
    backup: Backup
    target: TransferDatabase
    environment: str
    engine: Engine
    transforms: tuple[Transform, ...] = ()
    choice: Choice = EVERYTHING
    masks: TransferMasks = NO_MASKS
    operation: Operation | None = None

    def check(self, *, rights: bool = False) -> CopyPlan:
        """Check what can be known without reading all of the backup, and return it. Writes nothing.

        What goes is not in it: see `CopyPlan.replacing`. Raises what `run` does.

        :param rights: whether it notes which rights the user of the target lacks.
        """
        self.target.require_replaceable(())
        with self._contents() as contents:
            refusal = self.target.missing_rights(contents) if rights else None
            notes = contents.notes if refusal is None else (*contents.notes, refusal)
            return CopyPlan(
                self.engine.name,
                self.engine.versions,
                arriving(self.choice, contents.summaries),
                (),
                describe_unfinished(self.target),
                (*notes, *self.masks.notes(contents)),
                self.masks.passage,
                self.masks.fields(contents),
                renamed=self.choice.rename,
                keeps_others=self.choice.into_existing,
            )

    @contextmanager
    def _contents(self) -> Iterator[ArchiveSource]:
        """Open what is chosen of the backup, for all of which there are rules if it is masked."""
        with open_backup(self.catalog, self.backup) as source:
            contents = source.chosen(self.choice)
            self.masks.require_rules(contents.summaries)
            yield contents

    def _check_contents(self) -> tuple[str, ...]:
        """Check the choice, and that there are rules for what is masked; return what people should know."""
        with self._contents() as contents:
            return (*contents.notes, *self.masks.notes(contents))

    def run(
        self, interruption: Interruption, *, in_place: bool = False, progress: Progress = SILENT
    ) -> TransferResult:
        """Replace the contents of ``target`` by those of the backup.

        :raises BrokenBackup: if the backup is not as it was written; the target is then as it was.
        :raises NoKey: if the backup is encrypted, and no key of this machine opens it.
        :raises LockedError: if another run holds the target.
        :raises ServerError: if the restore does not finish; until the swap the target is as it was.
        """
        began = time.monotonic()
        name = self.environment
        sink = DatabaseSink(
            self.target,
            name,
            purpose=f"restore {self.backup.name}:{name}",
            completed=f"{name!r} was restored completely",
            source_name=self.backup.name,
            in_place=in_place,
            keep_others=self.choice.into_existing,
            operation=self.operation,
        )
        transfer = Transfer(
            lambda: open_backup(self.catalog, self.backup),
            sink,
            self.engine,
            interruption,
            began,
            (*self.transforms, *self.masks.transforms),
            self.choice,
            passage=self.masks.passage,
            lasting_masks=self.masks.lasting,
        )
        # Reading a large archive takes long, so what needs none of it comes first.
        self.target.require_replaceable(())
        try:
            notes = self._check_contents() if self.choice or self.masks.masking is not None else ()
            with reading(self.catalog, self.backup):  # both times: it must not be pruned in between
                # Before anything of the target is changed. The transfer checks all of it again.
                verify_contents(self.catalog, self.backup, progress)
                return replace(transfer, notes=notes).run(progress)
        except DamagedError as error:
            if name not in error.message:  # otherwise the message says what has become of the target
                raise type(error)(f"{error.message} {name!r} is as it was.", error.hint) from error
            raise
        except DuplicateKey as error:
            raise DuplicateKey(error.message, _TWICE) from error


@dataclass(frozen=True)
class RestoreRequest:
    """A restore of ``backup`` into ``environment`` of the project at ``root``, before anything is connected.

    ``passage`` is how its contents pass.
    """

    root: Path
    catalog: BackupCatalog
    backup: Backup
    environment: Environment
    engine: str
    choice: Choice
    passage: Passage
    check_all: bool = False

    @contextmanager
    def open(self, progress: Progress) -> Iterator[tuple[Restoration, Interruption]]:
        """Connect to the environment for as long as the context lasts.

        :raises RunInterrupted: on Ctrl-C or a signal in the context, saying what has become of the target.
        """
        backup, name = self.backup, self.environment.label
        require_transfers((backup.kind, repr(backup.name)), (self.environment.kind, repr(name)))
        rules = load_rules(
            self.passage, self.environment.kind, self.root, backup.environment, check_all=self.check_all
        )
        with (
            report_interruption(f"{name!r} is as it was.") as interruption,
            open_database(self.environment, self.root, progress) as opened,
            open_masks(
                self.passage, rules, as_transfer_database(opened), progress, backup.environment
            ) as masks,
        ):
            target = as_transfer_database(opened)
            restoration = Restoration(
                self.catalog,
                backup,
                target,
                name,
                target.choose_engine(self.engine),
                choice=self.choice,
                masks=masks,
                operation=self._operation(),
            )
            yield restoration, interruption

    def _operation(self) -> Operation:
        backup, name = self.backup, self.environment.label
        return Operation(
            f"restore {backup.name}:{name} {self.choice.as_arguments()}".rstrip(),
            Action.RAW if self.passage is Passage.RAW else Action.RESTORE,
            name,
            find_origin(self.root),
            time.monotonic(),
            backup=backup.name,
            query_set=backup.query_set,
            query_options=self.catalog.manifest(backup).query_options if backup.query_set else (),
        )
