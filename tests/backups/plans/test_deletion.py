"""What would stay of the good backups of an environment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.plans.deletion import DeletionSearch, Staying, judge_staying
from monarch.backups.state import Backup, BackupState
from monarch.stores.local.store import LocalStore
from tests.backups.plans.test_newest import folder as folder  # a fixture
from tests.backups.proof.test_freshness import NOW, backup
from tests.commands.backups.test_freshness import NAMES
from tests.support.stores.faulty import Faulty

OLD, NEW = backup(50), backup(3)
OTHER = backup(1, "other", environment="qa")


def judge(*going: Backup, of: tuple[Backup, ...] = (OLD, NEW, OTHER)) -> tuple[Staying, ...]:
    return judge_staying(of, going, NOW)


def test_the_newest_is_marked_and_the_next_one_counts() -> None:
    assert judge(NEW) == (Staying("production", "app", 1, OLD, NOW - OLD.taken_at, lost=NEW),)
    assert judge(OLD) == (Staying("production", "app", 1, NEW, NOW - NEW.taken_at),)
    assert judge(OLD, NEW, OTHER) == (
        Staying("production", "app", 0, lost=NEW),
        Staying("qa", "app", 0, lost=OTHER),
    )


@pytest.mark.parametrize(
    "other",
    [replace(OLD, masked=True), replace(OLD, query_set="Few"), replace(OLD, state=BackupState.BROKEN)],
)
def test_what_cannot_bring_a_database_back_is_not_counted(other: Backup) -> None:
    assert judge(NEW, of=(other, NEW)) == (Staying("production", "app", 0, lost=NEW),)
    assert judge(other, of=(other, NEW)) == ()


def test_a_store_that_fails_or_stalls_is_no_error(folder: object) -> None:
    store = Faulty(LocalStore(folder))  # type: ignore[arg-type]
    catalog = BackupCatalog(store)
    (going,) = catalog.find_all(NAMES[1])
    store.fail("list")
    plan = DeletionSearch(catalog, [going], 60).result()
    assert (plan.going, plan.staying) == ((going,), None)
    assert plan.why
    stall = store.stall("list")
    assert DeletionSearch(catalog, [going], 0.1).result().why == "BACKUPS could not be read within 0.1 s"
    stall.go_on()
    plan = DeletionSearch(catalog, [going], 60).result()
    assert plan.is_newest(going)
