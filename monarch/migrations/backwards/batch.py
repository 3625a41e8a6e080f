"""What the last run of `migrate` did, as the journal tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from monarch.databases.history import Action, JournalEntry, MigrationState, Record
from monarch.errors import MigrationError


@dataclass(frozen=True)
class LastRun:
    """What is left of what one run did: the ``keys``, who ran them, and since when.

    ``environment`` is the one that it ran on: another one, if a copy has brought the journal here.
    """

    keys: tuple[str, ...]
    began: datetime | None
    user: str | None = None
    host: str | None = None
    environment: str | None = None


def find_runs(entries: Iterable[JournalEntry]) -> Mapping[str, JournalEntry | None]:
    """Return, by key, the attempt by which each migration is Completed now; None if a person marked it.

    Migrations that were rolled back or marked as New since are left out, as are those that the journal does
    not have: what was done on contents that a copy has replaced says nothing of these.

    :param entries: the journal, the oldest entry first.
    """
    found: dict[str, JournalEntry | None] = {}
    for entry in (one for one in entries if not one.replaced):
        if entry.action in (Action.RUN, Action.RETRY) and entry.outcome is MigrationState.COMPLETED:
            found[entry.key] = entry
        elif entry.action is Action.ROLLBACK and entry.outcome is MigrationState.COMPLETED:
            found.pop(entry.key, None)
        elif entry.action is Action.MARK and entry.outcome is MigrationState.COMPLETED:
            found.setdefault(entry.key, None)
        elif entry.action is Action.MARK:
            found.pop(entry.key, None)
    return found


def find_batch(entries: Iterable[JournalEntry], records: Mapping[str, Record], environment: str) -> LastRun:
    """Return what the last run did, of which something is left.

    :raises MigrationError: if nothing has run, or the journal does not tell.
    """
    runs = find_runs(entries)
    done = {key: record for key, record in records.items() if record.state is not MigrationState.NEW}
    if not done:
        raise MigrationError(f"Nothing has run on {environment!r}: there is nothing to roll back.")
    ours = [one for key in done if (one := runs.get(key)) is not None and one.run is not None]
    if not ours:
        raise _unknown(environment, min(done), marked=all(runs.get(key, 0) is None for key in done))
    newest = max(ours, key=lambda one: (one.started_at is not None, one.started_at))
    batch = [one for one in ours if one.run == newest.run]
    began = min((one.started_at for one in batch if one.started_at is not None), default=None)
    for key, record in sorted(done.items()):
        if _is_unknown(key, runs) and not _is_before(record.processed_at, began):
            raise _unknown(environment, key, marked=False)
    return LastRun(tuple(one.key for one in batch), began, newest.user, newest.host, newest.environment)


def _is_unknown(key: str, runs: Mapping[str, JournalEntry | None]) -> bool:
    """Whether the journal does not tell which run a migration belongs to."""
    attempt = runs.get(key)
    return key not in runs or (attempt is not None and attempt.run is None)


def _is_before(when: datetime | None, other: datetime | None) -> bool:
    return when is not None and other is not None and when < other


def _unknown(environment: str, key: str, *, marked: bool) -> MigrationError:
    why = (
        "all were marked by hand, none was run"
        if marked
        else f"an older monarch ran {key}, or a copy or a restore brought it"
    )
    return MigrationError(
        f"The history of {environment!r} does not say what the last run of migrate did: {why}. "
        "Nothing was rolled back.",
        f"Use --to MIGRATION or --steps N, after `monarch list_migrations {environment}`.",
    )
