"""A store that refuses or fails in the middle of a deletion: the backup is as it was, or gone, or named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.retention.prune import prune
from monarch.backups.state import Backup, BackupState
from monarch.errors import StoreError
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.stores.s3.test_store import store_in
from tests.support.samples.backups import write_backups
from tests.support.servers.s3 import FaultyProxy, S3Server, run_proxy

pytestmark = [pytest.mark.server, pytest.mark.usefixtures("no_waiting")]

TODAY = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultyProxy]:
    with run_proxy(s3) as made:
        yield made


@pytest.fixture
def catalog(proxy: FaultyProxy, s3: S3Server, bucket: str, tmp_path: Path) -> BackupCatalog:
    """Three backups in a bucket, reached through the proxy."""
    write_backups(tmp_path, [TODAY - timedelta(days=age) for age in range(3)])
    for path in tmp_path.iterdir():
        s3.client().put_object(Bucket=bucket, Key=path.name, Body=path.read_bytes())
    return BackupCatalog(store_in(replace(s3, url=proxy.url), bucket))


def states(catalog: BackupCatalog) -> dict[str, BackupState]:
    return {backup.name: backup.state for backup in catalog.list()}


def fail(proxy: FaultyProxy, backup: Backup, code: tuple[int, str]) -> None:
    """The archive of ``backup`` cannot be deleted; its manifest can."""
    proxy.add("status", rf"^DELETE .*{backup.archive}(\?|$)", times=1000, code=code)


def test_one_that_may_not_be_deleted_is_as_it_was_and_the_others_go(
    catalog: BackupCatalog, proxy: FaultyProxy
) -> None:
    *going, kept = catalog.list()
    before = catalog.manifest(going[0])
    fail(proxy, going[0], (403, "AccessDenied"))
    pruned = prune(catalog, going, lambda backup: None)
    assert [backup.name for backup in pruned.deleted] == [going[1].name]
    ((backup, error),) = pruned.refused
    assert backup == going[0]
    assert f"S3 denies s3:DeleteObject on '{backup.archive}'" in error.message
    assert states(catalog) == dict.fromkeys((backup.name, kept.name), BackupState.GOOD)
    assert catalog.manifest(backup) == before


def test_a_server_that_fails_in_between_leaves_it_as_it_was(
    catalog: BackupCatalog, proxy: FaultyProxy
) -> None:
    before = states(catalog)
    first, *_ = catalog.list()
    fail(proxy, first, (500, "InternalError"))
    with pytest.raises(StoreError, match=f"'{first.archive}' was not deleted: ") as raised:
        prune(catalog, [first], lambda backup: None)
    assert raised.value.hint
    assert states(catalog) == before


def test_if_its_manifest_cannot_be_written_again_that_is_reported(
    catalog: BackupCatalog, proxy: FaultyProxy
) -> None:
    first, *_ = catalog.list()
    for code in ((403, "AccessDenied"), (500, "InternalError")):
        fail(proxy, first, code)
    proxy.add("status", "^(PUT|POST) ", times=1000, code=(403, "AccessDenied"))
    with pytest.raises(StoreError, match=f"'{first.archive}' may be deleted in part: ") as raised:
        prune(catalog, [first], lambda backup: None)
    assert str(raised.value.hint).endswith(f"delete the rest: monarch delete_backup {first.archive}")
    assert states(catalog)[first.name] is BackupState.INCOMPLETE
    proxy.clear()
    catalog.delete(catalog.get(first.archive))
    assert first.name not in states(catalog)


def test_an_answer_that_is_lost_is_no_failure(catalog: BackupCatalog, proxy: FaultyProxy) -> None:
    first, *others = catalog.list()
    proxy.add("lose", rf"^DELETE .*{first.archive}(\?|$)", times=1000)
    pruned = prune(catalog, [first], lambda backup: None)
    assert pruned.deleted == (first,)
    assert states(catalog) == dict.fromkeys((one.name for one in others), BackupState.GOOD)
