"""Which backups go, and why the others stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from monarch.backups.retention.policy import KeepPolicy, KeepSettings
from monarch.backups.retention.select import select_kept
from monarch.backups.secrecy.generations import group_archives
from monarch.backups.state import Backup, BackupState

BEING_REKEYED = "rekey_backup has not finished it"


@dataclass(frozen=True)
class Judgement:
    """A backup, and why it is ``kept``: without a reason it goes."""

    backup: Backup
    kept: tuple[str, ...]

    @property
    def goes(self) -> bool:
        """Whether it is deleted."""
        return not self.kept


@dataclass(frozen=True)
class PruneRules:
    """What decides about backups.

    ``policy`` is used in place of those of the ``settings``. ``environments`` are the names of those in the
    settings. ``held`` are environments and databases whose backups all stay, with why; ``ways_back`` the
    backups to which unfinished migrations may go back, by environment and name, with why. ``read`` are the
    archives that are being read, ``taken`` those that this run has just written.
    """

    settings: KeepSettings
    environments: frozenset[str]
    policy: KeepPolicy | None = None
    held: Mapping[tuple[str, str], str] = field(default_factory=dict)
    ways_back: Mapping[tuple[str, str], str] = field(default_factory=dict)
    read: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()

    def find(self, environment: str | None) -> KeepPolicy | None:
        """Return the policy for backups of ``environment``; None if there is none."""
        return self.policy or self.settings.policy(environment)


def judge_all(
    backups: Iterable[Backup], rules: PruneRules, now: datetime | None = None
) -> tuple[Judgement, ...]:
    """Return what becomes of the good ones of ``backups``, the newest of each group first.

    A group is what can be restored instead of each other: of one environment and database; parts apart from
    wholes, and by the options of their query set; masked ones apart from others. Backups that are not good
    are never pruned. One whose time is in the future stays, and counts for nothing: it must not push out
    those that are really newer. While `rekey_backup` is at one, that has several archives, which are one
    backup: they count once, and all of them stay. So ``backups`` has to have those that are not
    good, too.
    """
    older: dict[str, tuple[Backup, ...]] = {}
    groups: dict[tuple[str, ...], list[Backup]] = {}
    for archives in group_archives(backups):
        good = [one for one in archives if one.state is BackupState.GOOD]
        if good:
            groups.setdefault(_group(good[-1]), []).append(good[-1])
        if good and len(archives) > 1:
            older[good[-1].archive] = tuple(good[:-1])
    judged = [
        judgement
        for _, group in sorted(groups.items())
        for judgement in _judge_group(sorted(group, key=_age), rules, now or datetime.now(UTC))
    ]
    return tuple(one for judgement in judged for one in _with_older(judgement, older))


def _with_older(judgement: Judgement, older: Mapping[str, tuple[Backup, ...]]) -> Iterator[Judgement]:
    """Yield ``judgement``, and those of the older archives of its backup: if it has others, all stay."""
    others = older.get(judgement.backup.archive)
    if others is not None and judgement.goes:
        judgement = Judgement(judgement.backup, (BEING_REKEYED,))
    yield judgement
    yield from (Judgement(one, (BEING_REKEYED,)) for one in others or ())


def _group(backup: Backup) -> tuple[str, ...]:
    parts = (backup.environment, backup.database, backup.kind, backup.query_set)
    masked = "masked" if backup.masked else ""
    return (*(part or "" for part in parts), masked, *sorted(backup.query_options))


def _age(backup: Backup) -> tuple[float, str]:
    return -backup.taken_at.timestamp(), backup.archive


def _judge_group(backups: Sequence[Backup], rules: PruneRules, now: datetime) -> list[Judgement]:
    ahead = [Judgement(one, ("its time is in the future",)) for one in backups if one.is_ahead(now)]
    group = backups[len(ahead) :]
    return [*ahead, *(_judge_past(group, rules, now) if group else [])]


def _judge_past(group: Sequence[Backup], rules: PruneRules, now: datetime) -> list[Judgement]:
    policy = rules.find(group[0].environment)
    by_policy = select_kept(policy, [one.taken_at for one in group], now) if policy else [()] * len(group)
    # An emptied database is backed up like any other, and each such backup is newer than the last full one.
    full = next((number for number, one in enumerate(group) if not one.empty), 0)
    found = []
    for number, (backup, reasons) in enumerate(zip(group, by_policy, strict=True)):
        kept = [*reasons, *_always(backup, rules, now)]
        if policy is None:
            kept.append("there is no policy for it")
        if number == 0 and not kept:
            kept.append("the newest good one")
        if number == full and not kept:
            kept.append("the newest one that is not empty")
        found.append(Judgement(backup, tuple(kept)))
    return _leave_minimum(found, rules.settings.minimum)


def _always(backup: Backup, rules: PruneRules, now: datetime) -> list[str]:
    environment = backup.environment or ""
    why = [
        rules.held.get((environment, backup.database or "")),
        rules.ways_back.get((environment, backup.name)),
    ]
    if environment not in rules.environments:
        why.append("its environment is not in the settings")
    if backup.protection is not None and backup.protection.holds(now):
        why.append(str(backup.protection))
    if (backup.masked or backup.encrypted) and backup.query_options:
        why.append("its manifest does not have the values of its options")
    if backup.archive in rules.taken:
        why.append("it has just been taken")
    if backup.archive in rules.read:
        why.append("it is being read")
    return [one for one in why if one]


def _leave_minimum(found: list[Judgement], minimum: int) -> list[Judgement]:
    """Keep the newest of those that go until ``minimum`` are left."""
    missing = minimum - sum(not one.goes for one in found)
    for number, judgement in enumerate(found):
        if missing > 0 and judgement.goes:
            found[number] = Judgement(judgement.backup, (f"at least {minimum} stay",))
            missing -= 1
    return found
