"""Which backups go: what never goes, whatever the policy says."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from monarch.backups.retention.judge import PruneRules, judge_all
from monarch.backups.retention.policy import KeepPolicy, KeepSettings, Period
from monarch.backups.retention.protection import Protection
from monarch.backups.state import Backup, BackupState

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LAST = KeepPolicy(last=1)


def backup(age: int, **others: Any) -> Backup:
    """A backup of ``dev`` that is ``age`` days old."""
    moment = NOW - timedelta(days=age)
    plain = Backup(f"b{age}", f"b{age}.dmp.zst", "zst", BackupState.GOOD, 4, moment, moment)
    return replace(plain, **{"kind": "mongo", "environment": "dev", "database": "app", **others})


def going(backups: list[Backup], policy: KeepPolicy | None = LAST, **rules: Any) -> list[str]:
    settings = rules.pop("settings", KeepSettings())
    found = judge_all(backups, PruneRules(settings, frozenset({"dev", "prod"}), policy, **rules), NOW)
    return [judgement.backup.name for judgement in found if judgement.goes]


def test_the_policy_decides() -> None:
    assert going([backup(1), backup(2), backup(3)]) == ["b2", "b3"]


def test_the_newest_stays() -> None:
    """Also without the checks of the settings, which refuse such a policy and such a minimum."""
    nothing = KeepSettings(KeepPolicy(), minimum=0)
    assert going([backup(2), backup(0), backup(1)], None, settings=nothing) == ["b1", "b2"]


def test_one_from_the_future_stays_and_pushes_out_nothing() -> None:
    nothing = KeepSettings(KeepPolicy(), minimum=0)
    assert going([backup(2), backup(-1), backup(1)], None, settings=nothing) == ["b2"]
    assert going([backup(-1), backup(1), backup(2), backup(-9)]) == ["b2"]
    assert going([backup(-1), backup(-2)]) == []
    (judged, *_) = judge_all([backup(-1)], PruneRules(KeepSettings(LAST), frozenset({"dev"})), NOW)
    assert judged.kept == ("its time is in the future",)
    # A clock that is a little ahead is no reason.
    close = [backup(1), replace(backup(-1), taken_at=NOW + timedelta(minutes=4))]
    assert going(close) == ["b1"]


def test_the_newest_one_that_is_not_empty_stays() -> None:
    backups = [backup(1, empty=True), backup(2, empty=True), backup(3), backup(4)]
    assert going(backups) == ["b2", "b4"]
    (_, _, full, _) = judge_all(backups, PruneRules(KeepSettings(LAST), frozenset({"dev"})), NOW)
    assert full.kept == ("the newest one that is not empty",)
    assert going([backup(1), backup(2), backup(3, empty=True)]) == ["b2", "b3"]
    assert going([backup(age, empty=True) for age in (1, 2, 3)]) == ["b2", "b3"]


def test_what_was_just_taken_stays() -> None:
    close = [backup(0), replace(backup(-1), taken_at=NOW + timedelta(minutes=4)), backup(3)]
    assert going(close, taken=frozenset({"b0.dmp.zst"})) == ["b3"]


def test_the_newest_stays_under_every_policy() -> None:
    chance = random.Random(19)
    names = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
    for _ in range(200):
        numbers = {name: chance.choice((0, 0, 1, 3)) for name in names}
        within = chance.choice((None, Period(hours=1), Period(years=1, months=5)))
        backups = [backup(age) for age in chance.sample(range(-30, 900), 6)]
        gone = going(backups, KeepPolicy(**numbers, within=within))
        past = [one for one in backups if one.taken_at <= NOW]
        stay = {one.name for one in backups} - {one.name for one in past}
        stay |= {max(past, key=lambda one: one.taken_at).name} if past else set()
        assert not stay & set(gone), (numbers, within)


def test_groups_are_judged_apart() -> None:
    backups = [
        backup(1),
        backup(2, query_set="Recent"),
        backup(3, masked=True, private=True),
        backup(4, environment="prod"),
        backup(5, database="other"),
        backup(6, query_set="Recent"),
        backup(7, kind="postgres"),
    ]
    assert going(backups) == ["b6"]


def test_parts_with_other_options_are_judged_apart() -> None:
    """One is not the same data as the other, so that it is newer does not replace it."""
    first, second = ({"query_set": "Tenant", "query_options": (f"tenant={name}",)} for name in "ab")
    assert going([backup(1, **first), backup(2, **second), backup(3, **first)]) == ["b3"]


def test_parts_whose_options_are_not_known_stay() -> None:
    masked = [backup(age, query_set="Tenant", masked=True) for age in (1, 2)]
    encrypted = [backup(age, query_set="Tenant", archive=f"b{age}.dmp.zst.age") for age in (1, 2)]
    for parts in (masked, encrypted):
        assert going(parts) == ["b2"]
        assert going([replace(part, query_options=("tenant=?",)) for part in parts]) == []


def test_only_good_ones_are_judged() -> None:
    others = [
        backup(age, state=state) for age, state in enumerate(BackupState, 2) if state is not BackupState.GOOD
    ]
    assert going([backup(1), *others]) == []


def test_protected_ones_stay_as_long_as_that_holds() -> None:
    ahead, behind = NOW + timedelta(days=1), NOW - timedelta(days=1)
    backups = [
        backup(1),
        backup(2, protection=Protection()),
        backup(3, protection=Protection(ahead)),
        backup(4, protection=Protection(behind)),
    ]
    assert going(backups) == ["b4"]


def test_what_is_needed_stays() -> None:
    backups = [backup(1), backup(2), backup(3), backup(4)]
    ways, read = {("dev", "b2"): "the way back"}, frozenset({"b3.dmp.zst"})
    assert going(backups, ways_back=ways, read=read) == ["b4"]
    assert going(backups, ways_back={("prod", "b2"): "the way back"}) == ["b2", "b3", "b4"]
    assert going(backups, held={("dev", "app"): "it could not be asked"}) == []


def test_environments_that_the_settings_do_not_have_keep_theirs() -> None:
    assert going([backup(1, environment="gone"), backup(2, environment="gone")]) == []


def test_without_a_policy_all_stay() -> None:
    assert going([backup(1), backup(2)], None) == []
    settings = KeepSettings(environments=(("prod", LAST),))
    backups = [backup(1), backup(2), backup(3, environment="prod"), backup(4, environment="prod")]
    assert going(backups, None, settings=settings) == ["b4"]


def test_the_minimum_stays() -> None:
    backups = [backup(1), backup(2), backup(3), backup(4)]
    assert going(backups, settings=KeepSettings(minimum=3)) == ["b4"]
    assert going(backups[:2], settings=KeepSettings(minimum=3)) == []


def twins(age: int, **others: Any) -> list[Backup]:
    """The plain archive of a backup and the encrypted one that `rekey_backup` has made of it."""
    return [backup(age, **others), backup(age, archive=f"b{age}.dmp.zst.age", **others)]


def test_a_backup_that_is_rekeyed_counts_once() -> None:
    assert going([*twins(1), backup(2), backup(3)]) == ["b2", "b3"]
    assert going([*twins(1), backup(2)], KeepPolicy(last=2)) == []
    minimum = KeepSettings(KeepPolicy(last=1), minimum=2)
    assert going([*twins(1), backup(2), backup(3)], settings=minimum) == ["b3"]


def test_no_archive_of_a_backup_that_is_rekeyed_goes() -> None:
    found = judge_all(
        [backup(1), *twins(2), backup(3)], PruneRules(KeepSettings(), frozenset({"dev"}), LAST), NOW
    )
    stays = [(one.backup.archive, one.kept) for one in found if one.backup.name == "b2"]
    why = ("rekey_backup has not finished it",)
    assert stays == [("b2.dmp.zst.age", why), ("b2.dmp.zst", why)]
    assert [one.backup.name for one in found if one.goes] == ["b3"]


def test_a_backup_beside_an_archive_that_is_not_complete_stays() -> None:
    """It may be the new one of `rekey_backup`, which would be there after all when the old one has gone."""
    for state in (BackupState.RUNNING, BackupState.BEGUN, BackupState.INCOMPLETE, BackupState.UNFINISHED):
        half = backup(2, archive="b2.dmp.zst.age", state=state, environment=None, database=None)
        assert going([backup(1), backup(2), half, backup(3)]) == ["b3"]
        assert going([half]) == []


def test_a_third_backup_of_the_name_changes_nothing() -> None:
    """One with another codec has the name by chance, or somebody has copied it there."""
    third = backup(2, archive="b2.dmp.gz", codec="gz")
    assert going([backup(1), *twins(2), third]) == ["b2"]
    found = judge_all(
        [backup(1), *twins(2), third], PruneRules(KeepSettings(), frozenset({"dev"}), LAST), NOW
    )
    assert [one.backup.archive for one in found if one.goes] == ["b2.dmp.gz"]


def test_two_backups_of_one_name_are_two() -> None:
    """Only `rekey_backup` gives two archives of one backup one name and one codec."""
    other = backup(1, archive="b1.dmp.gz", codec="gz")
    assert going([backup(1), other], KeepPolicy(last=1)) == ["b1"]
    later = backup(1, archive="b1.dmp.zst.age", documents=7)
    assert going([backup(1), later], KeepPolicy(last=1)) == ["b1"]
