"""The whole journal of an environment: what its database has, and what the store has."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from monarch.backups.operations.lines import read_lines
from monarch.databases.history import JournalEntry
from monarch.errors import MonarchError
from monarch.progress import Progress
from monarch.settings.load import Settings
from monarch.stores import open_store

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def add_lines(
    root: Path,
    settings: Settings,
    environment: str,
    entries: tuple[JournalEntry, ...],
    last: int | None,
    progress: Progress,
) -> tuple[JournalEntry, ...]:
    """Return ``entries`` of a journal and those in the store of ``settings``, the oldest first.

    :param last: only that many, the newest.
    """
    if settings.backups is None:
        return entries
    try:
        lines = read_lines(open_store(settings.store, root), environment, last)
    except MonarchError as error:
        progress.message(f"what the store of the backups has is not shown: {error.message}")
        return entries
    found = sorted((*entries, *lines), key=_began)
    return tuple(found[-last:] if last is not None else found)


def _began(entry: JournalEntry) -> datetime:
    when = entry.started_at or _LONG_AGO
    return when if when.tzinfo else when.replace(tzinfo=UTC)
