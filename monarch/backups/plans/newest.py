"""The newest good backup of an environment, for people who are about to change its database.

It is looked for while the command does something else, and for a few seconds at most: no store keeps a
command waiting, and none makes it fail.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from monarch.backups.catalog import BackupCatalog
from monarch.backups.proof.freshness import Freshness, judge_stored
from monarch.backups.state import Backup
from monarch.databases.environment import Environment
from monarch.errors import MonarchError
from monarch.stores import NoStore

# How long a store may take before nothing is known.
PATIENCE = 5.0


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
    """

    environment: Environment
    found: WayBack
    backup: Backup | None = None
    age: timedelta | None = None
    why: str | None = None


class NewestSearch:
    """Looks for the newest good backup of ``environment`` in the background.

    :param open_catalog: opens the catalog of the project's backups.
    :param seconds: after which the search is given up, counted from now.
    """

    def __init__(
        self, open_catalog: Callable[[], BackupCatalog], environment: Environment, seconds: float = PATIENCE
    ) -> None:
        self._environment = environment
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._found: NewestBackup | None = None
        # A daemon: a store that does not answer must not keep the command from ending.
        self._thread = threading.Thread(
            target=self._search, args=(open_catalog,), name="monarch-newest", daemon=True
        )
        self._thread.start()

    def result(self) -> NewestBackup:
        """Return what was found, after waiting for the rest of the seconds. Never fails."""
        self._thread.join(max(0.0, self._until - time.monotonic()))
        found = self._found
        if found is None:
            why = f"BACKUPS did not answer within {self._seconds:g} s"
            return NewestBackup(self._environment, WayBack.UNKNOWN, why=why)
        return found

    def _search(self, open_catalog: Callable[[], BackupCatalog]) -> None:
        try:
            self._found = _find(open_catalog(), self._environment)
        except MonarchError as error:
            state = WayBack.NO_STORE if isinstance(error, NoStore) else WayBack.UNKNOWN
            self._found = NewestBackup(self._environment, state, why=error.message.rstrip("."))
        except Exception as error:  # a library of the store, for example: the command goes on
            why = f"BACKUPS cannot be read: {type(error).__name__}"
            self._found = NewestBackup(self._environment, WayBack.UNKNOWN, why=why)


def find_newest_good(
    open_catalog: Callable[[], BackupCatalog], environment: Environment, seconds: float = PATIENCE
) -> NewestBackup:
    """Return the newest good backup of ``environment``, which has one database. Never fails.

    It takes ``seconds`` at most. Manifests that this machine has read before are not read again.
    """
    return NewestSearch(open_catalog, environment, seconds).result()


def _find(catalog: BackupCatalog, environment: Environment) -> NewestBackup:
    result, _ = judge_stored(catalog, environment, catalog.list(cached=True))
    why = result.why
    if why is None and result.ahead:
        why = f"the time of {', '.join(result.ahead)} is in the future, so it does not count"
    if result.newest is not None:
        return NewestBackup(environment, WayBack.BACKUP, result.newest, result.age, why)
    unknown = result.finding is Freshness.UNKNOWN
    return NewestBackup(environment, WayBack.UNKNOWN if unknown else WayBack.NONE, why=why)
