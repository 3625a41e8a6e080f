"""Plans: what a command would change. Shown before its question, and alone with ``--plan``.

Before a question they go to stderr, like the question; with ``--plan`` they are the result, on stdout.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monarch.commands.console.lines import Piece, show
from monarch.commands.console.text import age, count, printable, size, timestamp
from monarch.databases import find_kind

if TYPE_CHECKING:
    from monarch.backups.plans.newest import NewestBackup
    from monarch.backups.plans.target import TargetState
    from monarch.databases.base import Holdings
    from monarch.databases.environment import Environment


def show_target(target: TargetState, *, err: bool) -> None:
    """Print which database would be changed, what it holds, and its newest good backup."""
    environment = target.environment
    where = f"{printable(environment.db_name)} on {environment.name} ({printable(environment.server)})"
    if target.holdings is not None:
        show(f"{where} holds {describe_holdings(target.holdings, environment)}.", err=err)
    else:
        show(f"{where}: what it holds is not known: {printable(target.unknown or '')}.", err=err)
    show(*describe_newest(target.newest), err=err)


def describe_holdings(holdings: Holdings, environment: Environment) -> str:
    """Return how much ``holdings`` are, in words: ``3 collections, 1,234 documents, 5.6 MB``."""
    thing, part = find_kind(environment.kind).words
    if not holdings.number:
        return f"no {thing}s"
    pieces = [count(holdings.number, thing)]
    least = "at least " if holdings.uncounted else ""
    documents = f"{least}{count(holdings.documents, part)}"
    if holdings.buckets:
        documents += f" and {count(holdings.buckets, 'bucket')} of time series"
    pieces.append(documents)
    if holdings.bytes is not None:
        pieces.append(f"{least}{size(holdings.bytes)}")
    if holdings.uncounted:
        pieces.append(f"{count(len(holdings.uncounted), thing)} not counted")
    return ", ".join(pieces)


def describe_newest(newest: NewestBackup) -> tuple[Piece, ...]:
    """Return the newest good backup and its age as a line, in red if there is none."""
    database, why = printable(newest.environment.db_name), printable(newest.why or "")
    if newest.backup is not None and newest.age is not None:
        taken = f"{newest.backup.taken_at:%Y-%m-%d %H:%M} UTC"
        empty = ", and it is empty" if newest.backup.empty else ""
        line = f"Its newest good backup is {printable(newest.backup.name)}, {age(newest.age)} old ({taken})"
        return (f"{line}{empty}.", *_doubt(why))
    if newest.found.value == "no store":
        return (("There is no backup of it: the settings have no BACKUPS.", "red"),)
    if newest.found.value == "none":
        return ((f"There is no good backup of {database} on {newest.environment.name}.", "red"), *_doubt(why))
    return ((f"Its newest good backup is not known: {why}.", "yellow"),)


def _doubt(why: str) -> tuple[Piece, ...]:
    return ((f" But {why}.", "yellow"),) if why else ()


def target_as_json(target: TargetState) -> dict[str, Any]:
    """Return the members of a plan in JSON that `show_target` prints."""
    environment, holdings = target.environment, target.holdings
    return {
        "environment": environment.name,
        "database": environment.db_name,
        "server": environment.server or None,
        "collections": holdings.number if holdings else None,
        "documents": holdings.documents if holdings else None,
        "buckets": holdings.buckets if holdings else None,
        "bytes": holdings.bytes if holdings else None,
        "uncounted": holdings.uncounted if holdings else None,
        "why": target.unknown,
        "newest_backup": newest_as_json(target.newest),
    }


def newest_as_json(newest: NewestBackup) -> dict[str, Any]:
    """Return what a plan in JSON says of the newest good backup."""
    backup = newest.backup
    return {
        "state": newest.found.value,
        "name": backup.name if backup else None,
        "archive": backup.archive if backup else None,
        "taken_at": timestamp(backup.taken_at) if backup else None,
        "age_seconds": int(newest.age.total_seconds()) if newest.age is not None else None,
        "empty": backup.empty if backup else None,
        "why": newest.why,
    }
