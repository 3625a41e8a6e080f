"""Which backups would be deleted, and what of their environments would stay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from monarch.backups.catalog import BackupCatalog
from monarch.backups.plans.patience import InTime, describe
from monarch.backups.proof.freshness import judge_freshness
from monarch.backups.state import Backup, BackupState
from monarch.databases.environment import Environment
from monarch.errors import MonarchError
from monarch.progress import SILENT, Progress


@dataclass(frozen=True)
class Staying:
    """What stays of the good backups of one ``database`` of ``environment``, counted as by ``check_backups``.

    ``number`` are these, ``newest`` is the newest of them, with its ``age``. ``lost`` is the newest one of
    today, if it goes.
    """

    environment: str
    database: str
    number: int
    newest: Backup | None = None
    age: timedelta | None = None
    lost: Backup | None = None


@dataclass(frozen=True)
class DeletionPlan:
    """The backups ``going`` from the store at ``place``, and what would be ``staying``.

    ``staying`` has an item for each database of which a good backup of all of it goes. It is None if the
    store does not tell, and ``why`` says why. ``read`` are the archives that somebody reads now.
    """

    place: str
    going: tuple[Backup, ...]
    staying: tuple[Staying, ...] | None = None
    why: str | None = None
    read: frozenset[str] = frozenset()

    def is_newest(self, backup: Backup) -> bool:
        """Whether ``backup`` is the newest good one of its database."""
        return any(one.lost is not None and one.lost.archive == backup.archive for one in self.staying or ())


class DeletionSearch:
    """Looks for what would stay without the backups ``going``, in the background, for ``seconds`` at most."""

    def __init__(
        self, catalog: BackupCatalog, going: Iterable[Backup], seconds: float, progress: Progress = SILENT
    ) -> None:
        self._place = catalog.store.place
        self._going = tuple(going)
        self._search = InTime(lambda: _read(catalog, self._going), seconds, progress)

    def result(self) -> DeletionPlan:
        """Return the plan, after waiting for the rest of the seconds. Never fails."""
        try:
            staying, read = self._search.result()
        except MonarchError as error:
            return DeletionPlan(self._place, self._going, why=describe(error))
        return DeletionPlan(self._place, self._going, staying, read=read)


def _read(catalog: BackupCatalog, going: Sequence[Backup]) -> tuple[tuple[Staying, ...], frozenset[str]]:
    backups = catalog.list(cached=True)
    return judge_staying(backups, going, datetime.now(UTC)), catalog.being_read()


def judge_staying(backups: Sequence[Backup], going: Iterable[Backup], now: datetime) -> tuple[Staying, ...]:
    """Return what would stay of the listing ``backups`` without those ``going``, at the time ``now``."""
    gone = {backup.archive for backup in going}
    left = [backup for backup in backups if backup.archive not in gone]
    found = []
    for environment, database in sorted({key for one in going if (key := _key(one)) is not None}):
        judged = Environment(environment, "", database, "")
        before, after = (judge_freshness(judged, listed, None, now) for listed in (backups, left))
        found.append(
            Staying(
                environment,
                database,
                sum(_key(backup) == (environment, database) for backup in left),
                after.newest,
                after.age,
                before.newest if before.newest and before.newest.archive in gone else None,
            )
        )
    return tuple(found)


def _key(backup: Backup) -> tuple[str, str] | None:
    """Return the environment and the database that ``backup`` can bring back; None if it cannot."""
    if backup.state is not BackupState.GOOD or backup.query_set is not None or backup.masked:
        return None
    return (backup.environment, backup.database) if backup.environment and backup.database else None
