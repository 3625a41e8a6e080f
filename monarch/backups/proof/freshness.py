"""Whether each environment has a backup that is new enough."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from monarch.backups.catalog import BackupCatalog
from monarch.backups.state import Backup, BackupState
from monarch.backups.verification import VerifiedBackup, verify_all
from monarch.databases.environment import Environment
from monarch.databases.foreign import as_argument
from monarch.databases.several.members import known_members
from monarch.errors import NotFresh, StoreError
from monarch.progress import Progress

# The age limit when none is given: every age is below it.
_ANY_AGE = timedelta.max


class Freshness(Enum):
    """What is known of the newest backup of an environment."""

    OK = "ok"
    TOO_OLD = "too old"
    NONE = "none"
    BROKEN = "broken"
    # The store does not let it be read.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FreshnessResult:
    """The newest good backup of ``environment``, its ``age``, and ``why`` if it is not ok.

    ``ahead`` are the names of those whose time is in the future: their age is not known, so they do not
    count. ``damaged`` is the newest of the broken and incomplete ones that nothing ties to an environment,
    if it may be newer than ``newest``. ``verified`` is the result of reading the newest back, if that was
    asked for.
    """

    environment: Environment
    finding: Freshness
    newest: Backup | None = None
    age: timedelta | None = None
    why: str | None = None
    ahead: tuple[str, ...] = ()
    damaged: Backup | None = None
    verified: VerifiedBackup | None = None


def select_environments(
    environments: Iterable[Environment], backups: Sequence[Backup]
) -> tuple[Environment, ...]:
    """Return those of ``environments`` that should have backups.

    These are the protected and the private ones, and those that have had a backup: others, such as an
    embedded one for development, need none.
    """
    with_backups = {backup.environment for backup in backups if _is_complete(backup)}
    return tuple(one for one in environments if one.protected or one.private or one.name in with_backups)


def each_database(environments: Iterable[Environment], backups: Sequence[Backup]) -> tuple[Environment, ...]:
    """Return ``environments`` with the databases in place of those that have several, as far as known.

    One whose backups are all gone, and which is a pattern, stays: it has none.
    """
    found: list[Environment] = []
    for environment in environments:
        own = [backup.database for backup in backups if backup.environment == environment.name]
        found += known_members(environment, own) or (environment,)
    return tuple(found)


def check_freshness(
    catalog: BackupCatalog,
    environments: Sequence[Environment],
    max_age: timedelta | None,
    progress: Progress,
    report: Callable[[FreshnessResult], None],
    *,
    named: bool,
    verify: bool = False,
) -> tuple[FreshnessResult, ...]:
    """Return how old the newest good backup of each of ``environments`` is; ``report`` gets each at once.

    Of an environment with several databases, each is judged by itself: those of a pattern that have a backup.
    Backups of subsets and masked ones do not count: they cannot bring the database back.

    :param max_age: the greatest age that is ok; None allows every age.
    :param named: whether all ``environments`` are checked; otherwise those that should have backups.
    :param verify: whether the newest one is read to its end.
    :raises StoreError: if the store cannot be listed.
    :raises NotFresh: if there is no environment to check.
    """
    backups = catalog.list(cached=True)
    selected = tuple(environments) if named else select_environments(environments, backups)
    selected = each_database(selected, backups)
    if not selected:
        raise NotFresh(
            f"No environment has a backup in {catalog.store.place}, and none is protected or private.",
            "Name the environment, or check BACKUPS in migrations/settings.py.",
        )
    results = []
    for environment in selected:
        result, backups = judge_stored(catalog, environment, backups, max_age)
        if verify and result.finding in (Freshness.OK, Freshness.TOO_OLD):
            result = _verify(catalog, result, progress)
        results.append(result)
        report(result)
    return tuple(results)


def judge_stored(
    catalog: BackupCatalog,
    environment: Environment,
    backups: tuple[Backup, ...],
    max_age: timedelta | None = None,
) -> tuple[FreshnessResult, tuple[Backup, ...]]:
    """Return what `judge_freshness` does of a listing that may come from a cache, and a listing for the next.

    If the newest backup is not what the store has now, the store is listed again.
    """
    result = judge_freshness(environment, backups, max_age, datetime.now(UTC))
    if result.newest and not _is_there(catalog, result.newest):
        backups = catalog.list()
        result = judge_freshness(environment, backups, max_age, datetime.now(UTC))
    return result, backups


def _is_there(catalog: BackupCatalog, backup: Backup) -> bool:
    """Whether ``backup``, which may come from a cache, is what the store has now."""
    return catalog.store.identity is None or backup in catalog.find_all(backup.archive)


def judge_freshness(
    environment: Environment, backups: Sequence[Backup], max_age: timedelta | None, now: datetime
) -> FreshnessResult:
    """Return what the listing ``backups`` tells of ``environment`` at the time ``now``."""
    own = [backup for backup in backups if _is_complete(backup) and _is_of(backup, environment)]
    every = [backup for backup in own if backup.state is BackupState.GOOD]
    good = [backup for backup in every if not _is_ageless(backup, now)]
    ahead = tuple(backup.name for backup in every if _is_ageless(backup, now))
    newest = min(reversed(good), key=lambda backup: _age(backup, now), default=None)
    age = _age(newest, now) if newest else None
    limit = max_age or _ANY_AGE
    damaged = _find_damaged(backups, newest)
    result = FreshnessResult(environment, Freshness.OK, newest, age, ahead=ahead, damaged=damaged)
    for backup in own:
        if backup.state is BackupState.BROKEN and (age is None or _age(backup, now) < age):
            result = replace(
                result, finding=Freshness.BROKEN, why=f"the newest, {backup.name}, is broken: {backup.why}"
            )
    if result.finding is Freshness.OK and (age is None or age > limit):
        result = replace(result, finding=Freshness.NONE if age is None else Freshness.TOO_OLD)
    if result.finding in (Freshness.NONE, Freshness.TOO_OLD):
        unread = _perhaps_fresh(backups, age, limit, now)
        if unread is not None:
            why = f"{unread.name} may be its newest backup: {unread.why}"
            return replace(result, finding=Freshness.UNKNOWN, why=why)
    if result.finding is Freshness.OK and damaged is not None:
        why = f"{damaged.name} may be its newest backup, and is {damaged.state.value}: {damaged.why}"
        return replace(result, finding=Freshness.UNKNOWN, why=why)
    return result


def require_fresh(results: Sequence[FreshnessResult]) -> None:
    """Check that all ``results`` are ok.

    :raises NotFresh: if a backup is too old, broken or missing.
    :raises StoreError: if a backup could not be read, so that this is not known.
    """
    unknown = [one for one in results if one.finding is Freshness.UNKNOWN]
    bad = [one for one in results if one.finding not in (Freshness.OK, Freshness.UNKNOWN)]
    if bad:
        names = ", ".join(one.environment.label for one in bad)
        first = as_argument(bad[0].environment.label)
        raise NotFresh(
            f"There is no good and new backup of {names}.",
            f"Find out why none was taken, then take one: monarch backup {first}",
        )
    if unknown:
        names = ", ".join(one.environment.label for one in unknown)
        raise StoreError(
            f"The backups of {names} could not be checked.",
            "This does not mean that a backup is missing. Fix the cause and run it again.",
        )


def _verify(catalog: BackupCatalog, result: FreshnessResult, progress: Progress) -> FreshnessResult:
    """Return ``result`` after its newest backup was read back."""
    assert result.newest is not None
    (verified,) = verify_all(catalog, [result.newest], progress, lambda _: None)
    result = replace(result, verified=verified)
    if verified.good:
        return result
    finding = Freshness.UNKNOWN if verified.good is None else Freshness.BROKEN
    return replace(result, finding=finding, why=verified.why)


def _is_complete(backup: Backup) -> bool:
    """Whether it is a backup of a whole database, unmasked, as far as its manifest is known."""
    return backup.environment is not None and backup.query_set is None and not backup.masked


def _is_of(backup: Backup, environment: Environment) -> bool:
    """Whether it is of the database of ``environment``, whose name may be unknown on this machine."""
    database = environment.db_name or backup.database
    return (backup.environment, backup.database) == (environment.name, database)


def _age(backup: Backup, now: datetime) -> timedelta:
    """Return how old ``backup`` is, by its own time or by that of the store, whichever is longer ago.

    So a machine whose clock was ahead has not taken a backup that stays new.
    """
    return max(now - backup.taken_at, now - backup.modified, timedelta())


def _is_ageless(backup: Backup, now: datetime) -> bool:
    """Whether ``backup`` is from the future, by its own time and by that of the store."""
    return backup.is_ahead(now) and replace(backup, taken_at=backup.modified).is_ahead(now)


def _find_damaged(backups: Sequence[Backup], newest: Backup | None) -> Backup | None:
    """Return the newest one that is broken or incomplete, of an environment that nothing tells.

    None if ``newest`` was written after all of these. Their only time is that of the store.
    """
    found = [
        backup
        for backup in backups
        if backup.state in (BackupState.BROKEN, BackupState.INCOMPLETE)
        and backup.environment is None
        and (newest is None or backup.modified >= newest.modified)
    ]
    return max(found, key=lambda backup: backup.modified, default=None)


def _perhaps_fresh(
    backups: Sequence[Backup], age: timedelta | None, limit: timedelta, now: datetime
) -> Backup | None:
    """Return a backup whose manifest cannot be read now, and that may be new enough."""
    for backup in reversed(backups):
        own = _age(backup, now)
        if backup.state is BackupState.UNREADABLE and own <= limit and (age is None or own < age):
            return backup
    return None
