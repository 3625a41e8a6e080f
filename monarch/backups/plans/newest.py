"""The newest good backup of an environment, for people who are about to change its database.

It is looked for while the command does something else, and for a few seconds at most: no store keeps a
command waiting, and none makes it fail.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from monarch.backups.catalog import BackupCatalog
from monarch.backups.plans.patience import PATIENCE, InTime, describe
from monarch.backups.proof.freshness import Freshness, judge_stored
from monarch.backups.state import Backup
from monarch.databases.environment import Environment
from monarch.errors import MonarchError
from monarch.progress import SILENT, Progress
from monarch.stores import NoStore


class WayBack(Enum):
    """Whether a backup can bring a database back, as far as the listing of the store tells."""

    BACKUP = "backup"
    NONE = "none"
    NO_STORE = "no store"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class NewestBackup:
    """The newest good backup of the database of ``environment``; what is good is as for ``check_backups``.

    Backups of subsets and masked ones do not count. ``found`` says what is known: with BACKUP there is a
    ``backup`` and its ``age``; with UNKNOWN, ``why`` says why the store could not tell. Otherwise ``why`` is
    a doubt in words, for example that a newer one is broken; None if there is none.

    ``opens`` is whether a key of this machine opens it, if it is encrypted; None if that is not known.
    """

    environment: Environment
    found: WayBack
    backup: Backup | None = None
    age: timedelta | None = None
    why: str | None = None
    opens: bool | None = None


class NewestSearch:
    """Looks for the newest good backup of ``environment`` in the background.

    :param open_catalog: opens the catalog of the project's backups.
    :param seconds: after which the search is given up, counted from now.
    :param progress: learns if somebody waits long for the result.
    """

    def __init__(
        self,
        open_catalog: Callable[[], BackupCatalog],
        environment: Environment,
        seconds: float = PATIENCE,
        progress: Progress = SILENT,
    ) -> None:
        self._environment = environment
        self._search = InTime(lambda: _find(open_catalog(), environment), seconds, progress)

    def result(self) -> NewestBackup:
        """Return what was found, after waiting for the rest of the seconds. Never fails."""
        try:
            return self._search.result()
        except MonarchError as error:
            state = WayBack.NO_STORE if isinstance(error, NoStore) else WayBack.UNKNOWN
            return NewestBackup(self._environment, state, why=describe(error))


def _find(catalog: BackupCatalog, environment: Environment) -> NewestBackup:
    result, _ = judge_stored(catalog, environment, catalog.list(cached=True))
    why = result.why
    if why is None and result.ahead:
        why = f"the time of {', '.join(result.ahead)} is in the future, so it does not count"
    if result.newest is not None:
        opens = _is_opened(catalog, result.newest) if result.newest.encrypted else None
        return NewestBackup(environment, WayBack.BACKUP, result.newest, result.age, why, opens)
    if why is None:
        why = catalog.store.absence()
    unknown = result.finding is Freshness.UNKNOWN
    return NewestBackup(environment, WayBack.UNKNOWN if unknown else WayBack.NONE, why=why)


def _is_opened(catalog: BackupCatalog, backup: Backup) -> bool | None:
    """Whether a key of this machine opens the encrypted ``backup``; None if that is not known."""
    own = catalog.encryption.own_identities()
    if own is None:
        return False
    try:
        recipients = catalog.manifest(backup).recipients
    except MonarchError:
        return None
    if own.recipients.intersection(recipients):
        return True
    return None if len(own.recipients) < len(own.keys) else False
