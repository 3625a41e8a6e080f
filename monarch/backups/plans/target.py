"""The database that a command would change: what it holds now, and what could bring that back."""

from __future__ import annotations

from dataclasses import dataclass

from monarch.backups.plans.newest import NewestBackup, NewestSearch
from monarch.databases.base import Database, Holdings
from monarch.databases.environment import Environment
from monarch.errors import MonarchError

# How long a server may take to count what it holds.
_PATIENCE = 5.0


@dataclass(frozen=True)
class TargetState:
    """The database of ``environment`` before a change, and the ``newest`` good backup of it.

    Without ``holdings``, ``unknown`` says why the server did not tell.
    """

    environment: Environment
    newest: NewestBackup
    holdings: Holdings | None = None
    unknown: str | None = None


def read_target(
    environment: Environment, database: Database, search: NewestSearch, seconds: float = _PATIENCE
) -> TargetState:
    """Return the state of the open ``database``. Writes nothing, and never fails.

    :param search: begun before the database was opened, so that both take their time together.
    :param seconds: what the server may take.
    """
    try:
        holdings, unknown = database.holdings(seconds), None
    except MonarchError as error:
        holdings, unknown = None, error.message.rstrip(".")
    return TargetState(environment, search.result(), holdings, unknown)
