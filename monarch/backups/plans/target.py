"""The database that a command would change: what it holds now, and what could bring that back."""

from __future__ import annotations

from dataclasses import dataclass

from monarch.backups.plans.newest import NewestBackup, NewestSearch
from monarch.backups.plans.patience import PATIENCE, describe
from monarch.databases.base import Database, Holdings
from monarch.databases.environment import Environment
from monarch.databases.lease import Holder
from monarch.errors import MonarchError


@dataclass(frozen=True)
class TargetState:
    """The database of ``environment`` before a change, and the ``newest`` good backup of it.

    Without ``holdings``, ``unknown`` says why the server did not tell. ``holder`` is another run that has the
    lease now.
    """

    environment: Environment
    newest: NewestBackup
    holdings: Holdings | None = None
    unknown: str | None = None
    holder: Holder | None = None


def read_target(
    environment: Environment, database: Database, search: NewestSearch, seconds: float = PATIENCE
) -> TargetState:
    """Return the state of the open ``database``. Writes nothing, and never fails.

    :param search: begun before the database was opened, so that both take their time together.
    :param seconds: what the server may take.
    """
    try:
        holdings, unknown = database.holdings(seconds), None
    except MonarchError as error:
        holdings, unknown = None, describe(error)
    holder = _find_holder(database) if unknown is None else None
    return TargetState(environment, search.result(), holdings, unknown, holder)


def _find_holder(database: Database) -> Holder | None:
    try:
        holder = database.holder()
    except MonarchError:  # its user may not read that
        return None
    return None if holder is None or holder.expired else holder
