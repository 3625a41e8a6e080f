"""Kills in a bucket, before and after every request.

Of ``rekey_backup``: a good archive is always there. Of ``protect_backup``: it is always protected. Of a
reader: what it leaves is removed later.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from monarch import Project
from monarch.backups.names import READING
from monarch.backups.reader import verify_contents
from monarch.backups.retention.protecting import protect_backup, unprotect_backup
from monarch.backups.retention.protection import Protection
from monarch.backups.retention.readers import sweep_marks
from monarch.backups.state import Backup, BackupState
from monarch.errors import LockedError
from tests.stores.s3.test_kills import PREFIX, SIDES, BucketScenario, bucket_scenario, empty_bucket
from tests.support import counts
from tests.support.runs.shell import Folder
from tests.support.samples.ages import Key, make_key
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.s3 import FaultKind, S3Server

pytestmark = pytest.mark.server
BUCKET = "rekeyed"
# All requests in one test would take minutes.
PARTS = 4
PRUNE = ("prune_backups", "--keep-last", "1", "--yes")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Key, Key]:
    """The old key, in a file with both, and the new one."""
    folder = tmp_path_factory.mktemp("keys")
    old, new = make_key(folder / "old"), make_key(folder / "new")
    both = folder / "both"
    both.write_text(old.path.read_text() + new.path.read_text())
    both.chmod(0o600)
    return Key(both, old.recipient), Key(both, new.recipient)


@pytest.fixture(scope="module")
def scenario(
    tmp_path_factory: pytest.TempPathFactory, s3: S3Server, keys: tuple[Key, Key]
) -> Iterator[BucketScenario]:
    """A bucket with one backup, which is encrypted for the old key; new ones are for the new key."""
    old, new = keys
    with bucket_scenario(Folder(tmp_path_factory.mktemp("project")), s3, BUCKET) as made:
        made.folder.encrypt_backups(old.recipient, identities=old.path)
        assert made.folder.invoke("rekey_backup", made.good, "--yes").code == 0
        made.folder.encrypt_backups(new.recipient, identities=new.path)
        yield made


def read_objects(scenario: BucketScenario) -> dict[str, bytes]:
    client = scenario.s3.client()
    found = client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    keys = [entry["Key"] for entry in found if READING not in entry["Key"]]
    return {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def set_objects(scenario: BucketScenario, objects: dict[str, bytes]) -> None:
    empty_bucket(scenario.s3, BUCKET)
    for key, body in objects.items():
        scenario.s3.client().put_object(Bucket=BUCKET, Key=key, Body=body)


def check_good(scenario: BucketScenario) -> list[Backup]:
    """Check that a good archive is there, and that the name of the backup means it."""
    catalog = Project(scenario.folder.path).backups
    good = [one for one in catalog.find_all(scenario.good) if one.state is BackupState.GOOD]
    for backup in good:
        verify_contents(catalog, backup)
    assert catalog.get(scenario.good) in good
    return good


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("side", SIDES)
def test_it_is_killed(scenario: BucketScenario, keys: tuple[Key, Key], side: FaultKind, part: int) -> None:
    _, new = keys
    rekey = ("rekey_backup", scenario.good, "--yes")
    before = read_objects(scenario)
    requests = scenario.count(*rekey)
    for number in counts.sample(range(part, requests, PARTS), 2):
        set_objects(scenario, before)
        assert scenario.stop(side, number, *rekey) == -signal.SIGKILL
        check_good(scenario)
        assert scenario.folder.invoke(*PRUNE).code == 0
        check_good(scenario)
        again = scenario.folder.invoke(*rekey)
        if again.code == 4:
            # Nothing in a bucket shows whether the writer of an upload is alive. The hint says what to do.
            assert "another run may encrypt" in again.err
            (archive,) = (word for word in again.err.split() if ".age" in word and "'" not in word)
            assert scenario.folder.invoke("delete_backup", archive, "--yes").code == 0
            check_good(scenario)
            again = scenario.folder.invoke(*rekey)
        assert again.code == 0, again.output
        (left,) = check_good(scenario)
        catalog = Project(scenario.folder.path).backups
        assert catalog.manifest(left).recipients == (new.recipient,)
        assert catalog.find_all(scenario.good) == (left,)
        others = {key for key in read_objects(scenario) if not key.endswith(".journal")}
        assert others == {PREFIX + left.archive, f"{PREFIX}{left.archive}.json"}
    restored = scenario.folder.invoke("restore", f"{scenario.good}:target", "--yes", "--engine", "native")
    assert restored.code == 0
    assert_equal(describe(scenario.source), describe(scenario.target))
    set_objects(scenario, before)


@pytest.mark.parametrize("side", SIDES)
def test_a_protection_that_changes_is_killed(scenario: BucketScenario, side: FaultKind) -> None:
    name = scenario.good
    catalog = Project(scenario.folder.path).backups
    protect = ("protect_backup", name)
    without = read_objects(scenario)
    assert scenario.folder.invoke(*protect, "--until", "2099-01-31").code == 0
    before = read_objects(scenario)
    for number in counts.sample(range(scenario.count(*protect)), 4):
        set_objects(scenario, before)
        assert scenario.stop(side, number, *protect) == -signal.SIGKILL
        backup = catalog.get(name)
        assert str(backup.protection).startswith(("protected for good", "protected until 2099-01-31"))
        with pytest.raises(LockedError):
            catalog.delete(backup)
        until = Protection(datetime(2099, 2, 1, tzinfo=UTC))
        assert protect_backup(catalog, name, until).protection == until
    unprotect_backup(catalog, name)
    # The journal keeps who has protected it.
    left = {key: data for key, data in read_objects(scenario).items() if not key.endswith(".journal")}
    assert left == {key: data for key, data in without.items() if not key.endswith(".journal")}
    set_objects(scenario, without)


def marks(scenario: BucketScenario) -> tuple[int, int]:
    """How many marks of readers there are, finished and not."""
    client = scenario.s3.client()
    objects = client.list_objects_v2(Bucket=BUCKET).get("Contents", ())
    uploads = client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", ())
    finished, begun = ([one for one in found if READING in one["Key"]] for found in (objects, uploads))
    return len(finished), len(begun)


@pytest.mark.parametrize("how", ["swept", "deleted"])
def test_what_dead_readers_leave_goes(scenario: BucketScenario, how: str) -> None:
    before = read_objects(scenario)
    for when in (r"POST .*reading.*\?uploads", r"GET .*\.age$"):  # the mark is begun; the archive is read
        command = scenario.command("verify_backup", scenario.good, "--deep")
        scenario.proxy.clear()
        scenario.proxy.add("call after", when, do=command.kill)
        command.start()
        assert command.end() == -signal.SIGKILL
        scenario.proxy.clear()
    assert marks(scenario) == (1, 1)
    store = Project(scenario.folder.path).backups.store
    sweep_marks(store)
    assert marks(scenario) == (1, 1), "young ones stay"
    if how == "swept":
        sweep_marks(store, datetime.now(UTC) + timedelta(days=1, minutes=5))
        assert marks(scenario) == (0, 0)
        assert read_objects(scenario) == before
    else:
        assert scenario.folder.invoke("delete_backup", scenario.good, "--yes").code == 0
        assert marks(scenario) == (0, 0)
        set_objects(scenario, before)
