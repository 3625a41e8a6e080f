"""Plans: what a command would change. Shown before its question, and alone with ``--plan``.

Before a question they go to stderr, like the question; with ``--plan`` they are the result, on stdout.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from monarch.commands.console.lines import Piece, show
from monarch.commands.console.output import print_collections, summary
from monarch.commands.console.streams import prints_aside
from monarch.commands.console.text import age, count, duration, printable, size, timestamp
from monarch.commands.parsing.arguments import plan_json_option as plan_json_option
from monarch.commands.parsing.arguments import require_plan as require_plan
from monarch.databases import find_kind

if TYPE_CHECKING:
    from monarch.backups.plans.newest import NewestBackup
    from monarch.backups.plans.target import TargetState
    from monarch.databases.base import Holdings
    from monarch.databases.environment import Environment
    from monarch.databases.lease import Holder
    from monarch.databases.transfer import CollectionSummary

# Rows of a table before a question, which should stay in sight.
MOST = 10


@contextmanager
def before_question() -> Iterator[None]:
    """Let what is printed in the context go to stderr, with the question."""
    with prints_aside(True):
        yield


def nothing_changed() -> None:
    """Print the last line of a plan that no question follows."""
    show("Nothing was changed.")


def show_target(target: TargetState, *, err: bool) -> None:
    """Print which database would be changed, what it holds, and its newest good backup."""
    environment = target.environment
    where = f"{printable(environment.db_name)} on {environment.name} ({printable(environment.server)})"
    if target.holdings is not None:
        show(f"{where} holds {describe_holdings(target.holdings, environment)}.", err=err)
    else:
        show(f"{where}: what it holds is not known: {printable(target.unknown or '')}.", err=err)
    show(*describe_newest(target.newest), err=err)
    if target.holder is not None:
        show((f"Another run holds it now: {describe_holder(target.holder)}.", "yellow"), err=err)


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


def describe_holder(holder: Holder) -> str:
    """Return who holds a lease, what for and since when, and whether that run lives, as far as is known."""
    lives = ""
    if holder.alive:
        lives = ", which is on this machine and STILL RUNS"
    elif holder.died:
        lives = ", which was on this machine and HAS ENDED"
    return printable(f"{holder.who}{lives}: {holder.purpose}, for {duration(holder.seconds)}")


def show_collections(
    collections: Sequence[CollectionSummary],
    uncounted: Sequence[str] = (),
    most: int | None = None,
    replaced: Mapping[str, CollectionSummary | None] | None = None,
) -> None:
    """Print a table of ``collections``, of more than ``most`` the largest, and the names of ``uncounted``.

    :param replaced: what some of them replace, by their names; None if that was not counted. It is shown too,
        and may be the largest.
    """
    replaced = replaced or {}
    shown = collections
    if most is not None and len(collections) > most:

        def weight(one: CollectionSummary) -> tuple[int, int]:
            both = (one, replaced.get(one.name) or one)
            return -max(each.bytes for each in both), -max(each.documents for each in both)

        largest = sorted(collections, key=weight)[:most]
        shown = [one for one in collections if one in largest]
    cells = [_replaced(one, replaced) for one in shown] if replaced else None
    print_collections(shown, cells, "REPLACES")
    if len(shown) < len(collections):
        others = f"… and {len(collections) - len(shown):,} smaller ones, which --plan lists"
        show(f"{others}: {summary(collections)} together.")
    if uncounted:
        named = ", ".join(map(printable, uncounted[:most]))
        rest = len(uncounted) - len(uncounted[:most])
        show(f"Not counted: {named}{f' and {rest:,} more' if rest else ''}.")


def _replaced(collection: CollectionSummary, replaced: Mapping[str, CollectionSummary | None]) -> str:
    if collection.name not in replaced:
        return "-"
    found = replaced[collection.name]
    if found is None:
        return "not counted"
    if found.kind == "view":
        return "a view"
    parts = {"timeseries": "bucket", "table": "row"}
    return count(found.documents, parts.get(found.kind, "document"))


def describe_newest(newest: NewestBackup) -> tuple[Piece, ...]:
    """Return the newest good backup and its age as a line, in red if there is none."""
    database, why = printable(newest.environment.db_name), printable(newest.why or "")
    if newest.backup is not None and newest.age is not None:
        taken = f"{newest.backup.taken_at:%Y-%m-%d %H:%M} UTC"
        empty = ", and it is empty" if newest.backup.empty else ""
        line = f"Its newest good backup is {printable(newest.backup.name)}, {age(newest.age)} old ({taken})"
        locked = ", encrypted, and no key of this machine opens it" if newest.opens is False else ""
        return (f"{line}{empty}{locked}.", *(((f" But {why}.", "yellow"),) if why else ()))
    if newest.found.value == "no store":
        return (("There is no backup of it: the settings have no BACKUPS.", "red"),)
    if newest.found.value == "none":
        none = f"There is no good backup of {database} on {newest.environment.name}"
        return ((f"{none}: {why}." if why else f"{none}.", "red"),)
    return ((f"Its newest good backup is not known: {why}.", "yellow"),)


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
        "holder": holder_as_json(target.holder) if target.holder else None,
        "newest_backup": newest_as_json(target.newest),
    }


def holder_as_json(holder: Holder) -> dict[str, Any]:
    """Return what a plan in JSON says of the run that holds a lease."""
    return {
        "who": holder.who,
        "purpose": holder.purpose,
        "job": holder.job,
        "link": holder.link,
        "seconds": round(holder.seconds, 3),
        "alive": True if holder.alive else False if holder.died else None,
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
        "encrypted": backup.encrypted if backup else None,
        "opens": newest.opens,
        "why": newest.why,
    }
