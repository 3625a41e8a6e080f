"""Backups of the environments of a project."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from monarch.errors import RunInterrupted, UsageError
from monarch.progress import SILENT, Progress
from monarch.workspace.base import NO_OPTIONS, Base

if TYPE_CHECKING:
    from monarch.backups.catalog import Backup, BackupCatalog
    from monarch.backups.create import BackupResult
    from monarch.backups.restore import RestoreResult


class Backups(Base):
    """Into the store that the settings name, and back."""

    @cached_property
    def shelf(self) -> BackupCatalog:
        """The backups, in the store that the settings name.

        :raises SettingsError: if they name none.
        """
        from monarch.backups.catalog import BackupCatalog
        from monarch.stores import open_store

        return BackupCatalog(open_store(self.settings.store, self.root))

    def backup(
        self,
        environment: str,
        *,
        name: str | None = None,
        codec: str = "zst",
        level: int | None = None,
        engine: str = "auto",
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = NO_OPTIONS,
        progress: Progress = SILENT,
    ) -> BackupResult:
        """Take a backup of the database of ``environment``, called after it or as ``name`` says.

        ``codec`` is "zst" or "gz", ``level`` how hard it tries; ``engine``, ``query_set`` and ``options`` are
        as for `copy`.

        :raises ServerError: if the database cannot be read to its end.
        :raises StoreError: if the backup cannot be kept. Nothing is, after either of them.
        """
        from monarch.backups.codecs import find_codec
        from monarch.backups.create import BackupCreation
        from monarch.backups.names import check_stem

        source = self.environment(environment)
        stem = name if name is not None else source.db_name
        check_stem(stem)
        packing = find_codec(codec, level)
        store = self.shelf.store
        taken: BackupResult | None = None
        try:
            with self.open(environment, progress) as database:
                chosen = database.choose_engine(self._engine_for(engine, query_set))
                asked = self._ask(query_set, options, environment, database, progress)
                taking = BackupCreation(
                    database, environment, source.db_name, chosen, store, stem, *packing, allow_empty, asked
                )
                taken = taking.run(progress)
        except KeyboardInterrupt as error:  # while the server was reached, or left
            if taken is not None:
                message = f"Interrupted, but by then the backup was complete: {taken.name}."
                raise RunInterrupted(message) from error
            raise RunInterrupted("Interrupted. Nothing was kept of the backup.") from error
        return taken

    def find_backup(self, name: str) -> Backup:
        """The backup called ``name``; where none is, the newest good one of the environment of that name.

        :raises BrokenBackup: if it is not whole, as far as can be seen without reading it.
        :raises UsageError: if there is none.
        """
        from monarch.backups.reader import require_restorable

        backup = self.shelf.find(name)
        known = [environment for environment in self.settings.environments if environment.name == name]
        if backup is None and known:
            backup = self.shelf.newest(name, known[0].db_name)
            if backup is None:
                raise UsageError(
                    f"There is no good backup of {name!r} ({known[0].db_name}) in {self.shelf.store.place}.",
                    f"Take one: monarch backup {name} (one of a part goes by its own name only)",
                )
        backup = backup or self.shelf.get(
            name, [environment.name for environment in self.settings.environments]
        )
        require_restorable(self.shelf, backup)
        return backup

    def restore(
        self,
        backup: str | Backup,
        environment: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        progress: Progress = SILENT,
    ) -> RestoreResult:
        """Let the database of ``environment`` hold what ``backup`` holds, and nothing else; see `copy`.

        :raises BrokenBackup: if it is not as it was written; the target is then as it was.
        """
        from monarch.backups.restore import Restoration, interrupted

        found = self.find_backup(backup) if isinstance(backup, str) else backup
        result: RestoreResult | None = None
        try:
            with self.open(environment, progress) as database:
                chosen = database.choose_engine(engine)
                restoring = Restoration(self.shelf, found, database, environment, chosen)
                result = restoring.run(in_place=in_place, progress=progress)
        except KeyboardInterrupt as error:  # while the server was reached, or left
            raise interrupted(environment, done=result is not None) from error
        return result
