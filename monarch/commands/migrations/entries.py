"""Entries of the journal, and their times, for programs and for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monarch.commands.console.text import timestamp

if TYPE_CHECKING:
    from datetime import datetime

    from monarch.databases.history import JournalEntry


def entry_as_json(entry: JournalEntry) -> dict[str, Any]:
    """Return what ``--json`` prints of one entry."""
    return {
        **vars(entry),
        "action": entry.action.value,
        "outcome": entry.outcome.value if entry.outcome else None,
        "started_at": iso_time(entry.started_at),
        "finished_at": iso_time(entry.finished_at),
        "backups": [vars(one) for one in entry.backups],
    }


def iso_time(when: datetime | None) -> str | None:
    """Return a time for programs."""
    return timestamp(when) if when else None


def shown_time(when: datetime | None) -> str:
    """Return a time for people, in UTC; "-" if there is none."""
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else "-"
