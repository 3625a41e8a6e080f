"""``list_migrations`` of several environments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from monarch.commands.console.lines import note
from monarch.commands.console.output import print_json, print_table
from monarch.databases.history import MigrationState
from monarch.errors import ServerError

if TYPE_CHECKING:
    from monarch.migrations.status import EnvironmentStatus, MigrationStatus

# Of more databases a table has a line for each, not a column.
_MOST_COLUMNS = 8
_UNREAD = "?"


def show_states(statuses: Sequence[EnvironmentStatus], as_json: bool) -> None:
    """Print the states of all migrations on all databases.

    :raises ServerError: at the end, if one that is complete on this machine could not be read.
    """
    if as_json:
        print_json(
            [
                {
                    "environment": one.environment,
                    "error": one.error,
                    "migrations": {row.key: row.state.value for row in one.rows},
                }
                for one in statuses
            ]
        )
    else:
        (_show_columns if len(statuses) <= _MOST_COLUMNS else _show_counts)(statuses)
        for one in statuses:
            if one.error is not None:
                note(f"{one.environment} could not be read: {one.error}")
    unreadable = [one.environment for one in statuses if one.error is not None and not one.incomplete]
    if unreadable:
        names = ", ".join(unreadable[:_MOST_COLUMNS])
        more = f" and {len(unreadable) - _MOST_COLUMNS} more" if len(unreadable) > _MOST_COLUMNS else ""
        raise ServerError(f"Not all environments could be read: {names}{more}.", "See the notes above.")


def state_of(row: MigrationStatus) -> str:
    """Return the state of a migration with remarks, for people."""
    return ", ".join((row.state.value, *row.remarks))


def _show_columns(statuses: Sequence[EnvironmentStatus]) -> None:
    states = {one.environment: {row.key: state_of(row) for row in one.rows} for one in statuses}
    keys = sorted({key for column in states.values() for key in column})
    unread = {one.environment for one in statuses if one.error is not None}
    cells = [
        (key, *(_UNREAD if name in unread else column.get(key, "-") for name, column in states.items()))
        for key in keys
    ]
    print_table(("MIGRATION", *states), cells, states=range(1, len(states) + 1), keys=(0,))


def _show_counts(statuses: Sequence[EnvironmentStatus]) -> None:
    states = [state for state in MigrationState if any(_count(one, state) for one in statuses)]
    remarks = [name for name in ("late", "edited") if any(_marked(one, name) for one in statuses)]
    headers = ("ENVIRONMENT", *(state.value.upper() for state in states), *(name.upper() for name in remarks))
    rows = []
    for one in statuses:
        counts = [*(_count(one, state) for state in states), *(_marked(one, name) for name in remarks)]
        cells = [_UNREAD] * len(counts) if one.error is not None else [str(n) if n else "-" for n in counts]
        rows.append((one.environment, *cells))
    print_table(headers, rows, right=range(1, len(headers)))


def _count(status: EnvironmentStatus, state: MigrationState) -> int:
    return sum(row.state is state for row in status.rows)


def _marked(status: EnvironmentStatus, remark: str) -> int:
    return sum(getattr(row, remark) for row in status.rows)
