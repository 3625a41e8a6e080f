"""``rekey_backup``: what it keeps, what it refuses, and kills at every change of the store."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from monarch.backups.names import MANIFEST, READING
from monarch.backups.operations.lines import read_lines
from monarch.backups.reader import verify_contents
from monarch.backups.state import Backup, BackupState
from tests.backups.test_kills import SIDES
from tests.stores.s3.test_store import bucket as bucket  # a fixture
from tests.support import counts
from tests.support.runs.backup_kills import BackupScenario, Command, Files, Side, Trap, backup_scenario
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import assert_error
from tests.support.samples.ages import Key, make_key
from tests.support.servers.mongod import run_mongod
from tests.support.servers.s3 import S3Server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackupScenario]:
    """A store with one good backup, which is not encrypted, and settings that encrypt."""
    with run_mongod() as (port, _), backup_scenario(Folder(tmp_path_factory.mktemp("project")), port) as made:
        yield made


@pytest.fixture(scope="module")
def keys(scenario: BackupScenario) -> tuple[Key, Key]:
    return make_key(scenario.folder.path / "old"), make_key(scenario.folder.path / "new")


@pytest.fixture
def before(scenario: BackupScenario, keys: tuple[Key, Key]) -> Iterator[Files]:
    """The files of the store with the backup as it is; restored after each test."""
    settings = scenario.folder.path / "migrations/settings.py"
    text, files = settings.read_text(), scenario.files()
    yield files
    settings.write_text(text)
    scenario.set_files(files)


def use(scenario: BackupScenario, *keys: Key, identity: Key | None = None) -> None:
    path = identity.path if identity else None
    scenario.folder.encrypt_backups(*(key.recipient for key in keys), identities=path)


def names(scenario: BackupScenario) -> set[str]:
    """The ends of the names of the files of the backup."""
    return {name.removeprefix(scenario.good) for name in lasting(scenario) if name.startswith(scenario.good)}


def lasting(scenario: BackupScenario) -> Files:
    """The files without those that a cut-off process has left beside finished ones: they do no harm."""
    files = scenario.files()
    return {
        name: file
        for name, file in files.items()
        if READING not in name and name.removesuffix(".part") not in files.keys() - {name}
    }


def rekey(scenario: BackupScenario, *arguments: str) -> str:
    return scenario.run("rekey_backup", scenario.good, "--yes", *arguments).out


def test_the_story(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    old, new = keys
    plain = scenario.catalog.manifest(scenario.catalog.get(scenario.good))
    protection = b'{"until": null, "who": "ann", "since": null}\n'
    (scenario.store / f"{scenario.good}.dmp.zst.protected").write_bytes(protection)
    use(scenario, old, identity=old)
    planned = scenario.folder.invoke("rekey_backup", scenario.good, "--plan")
    assert planned.code == 0
    assert "encrypt it, which it is not" in planned.err
    assert ".dmp.zst" in names(scenario)
    assert f"Encrypted {scenario.good} anew: {scenario.good}.dmp.zst.age" in rekey(scenario)
    assert names(scenario) == {".dmp.zst.age", ".dmp.zst.age.json", ".dmp.zst.age.protected"}
    use(scenario, new, identity=old)
    (report,) = json.loads(rekey(scenario, "--json"))
    assert (report["step"], report["recipients_before"]) == ("rekey", [old.recipient])
    assert report["new_archive"] == f"{scenario.good}.dmp.zst.2.age"
    assert names(scenario) == {".dmp.zst.2.age", ".dmp.zst.2.age.json", ".dmp.zst.2.age.protected"}
    assert (scenario.store / f"{scenario.good}.dmp.zst.2.age.protected").read_bytes() == protection
    use(scenario, new, identity=new)
    backup = scenario.catalog.get(scenario.good)
    found = scenario.catalog.manifest(backup)
    assert plain.digests, "the hashes are left out then"
    assert found == replace(
        plain,
        archive=found.archive,
        recipients=(new.recipient,),
        size=found.size,
        sha256=found.sha256,
        digests=(),
    )
    verify_contents(scenario.catalog, backup)
    assert "nothing to do" in scenario.folder.invoke("rekey_backup", "--all", "--yes").err
    (scenario.store / f"{scenario.good}.dmp.zst.2.age.protected").unlink()


def test_who_took_it_is_remembered(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    """The line of a backup lies beside it if its database has no journal, and stays."""
    old, _ = keys
    (scenario.store / f"{scenario.good}.journal").write_text("{}")
    use(scenario, old, identity=old)
    rekey(scenario)
    assert names(scenario) == {".dmp.zst.age", ".dmp.zst.age.json", ".journal"}
    # The newest first: other tests have left theirs.
    entry = next(one for one in read_lines(scenario.catalog.store, "production", None) if one.backups)
    assert (entry.key, entry.outcome.value) == (f"rekey_backup {scenario.good}", "Completed")
    gone, new = entry.backups
    manifest = scenario.catalog.manifest(scenario.catalog.get(scenario.good))
    assert (gone.archive, gone.deleted) == (f"{scenario.good}.dmp.zst", True)
    assert (new.archive, new.deleted, new.sha256) == (manifest.archive, False, manifest.sha256)
    assert gone.sha256 not in (None, new.sha256)
    scenario.run("delete_backup", scenario.good, "--yes")
    assert names(scenario) == {".journal"}


def test_refusals(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    old, new = keys
    invoke = scenario.folder.invoke
    result = invoke("rekey_backup", scenario.good, "--yes")
    assert_error(result, 2, "There are no recipients to encrypt for", "'recipients'")
    use(scenario, old)
    assert_error(invoke("rekey_backup"), 2, "No backup is named", "--all")
    assert_error(invoke("rekey_backup", "x", "--all"), 2, "Both names and --all", "--all")
    assert_error(invoke("rekey_backup", "unheard_of"), 2, "There is no backup 'unheard_of'", "list_")
    asked = invoke("rekey_backup", scenario.good)
    assert asked.code == 2
    assert "are you SURE" in asked.err
    rekey(scenario)
    files = scenario.files()
    use(scenario, new)
    result = invoke("rekey_backup", scenario.good, "--yes")
    assert_error(result, 2, "no key is known to this machine", "'identities'")
    use(scenario, new, identity=new)
    result = invoke("rekey_backup", scenario.good, "--yes")
    assert result.code == 2
    assert f"The key in {new.path} does not open the backup" in result.err
    archive = scenario.store / f"{scenario.good}.dmp.zst.age"
    data = bytearray(archive.read_bytes())
    data[-9] ^= 1
    archive.write_bytes(data)
    use(scenario, new, identity=old)
    result = invoke("rekey_backup", scenario.good, "--yes")
    assert result.code == 1
    assert f"Backup '{scenario.good}' is broken" in result.err
    archive.write_bytes(files[archive.name][0])
    assert scenario.files() == files


def good_ones(scenario: BackupScenario) -> list[Backup]:
    found = scenario.catalog.find_all(scenario.good)
    good = [backup for backup in found if backup.state is BackupState.GOOD]
    for backup in good:
        verify_contents(scenario.catalog, backup)
    return good


@pytest.mark.parametrize("side", SIDES)
def test_it_is_killed(scenario: BackupScenario, before: Files, keys: tuple[Key, Key], side: Side) -> None:
    old, new = keys
    use(scenario, old, identity=old)
    rekey(scenario)
    encrypted = scenario.files()
    scenario.folder.write("both", old.path.read_text() + new.path.read_text())
    both = Key(scenario.folder.path / "both", new.recipient)
    use(scenario, new, identity=both)
    arguments = ("rekey_backup", scenario.good, "--yes")
    total = scenario.count_calls(*arguments, side=side)
    seen = set()
    for number in counts.sample(range(1, total + 1), 8):
        scenario.set_files(encrypted)
        command = scenario.command(*arguments, trap=Trap(number, side))
        command.start()
        code = command.end()
        with scenario.annotate_errors(number, side):
            assert code in (0, -signal.SIGKILL)
            good = good_ones(scenario)
            assert good
            # Its name still finds a good one.
            assert scenario.catalog.get(scenario.good) in good
            seen.add(len(good))
            rekey(scenario)
            (left,) = scenario.catalog.find_all(scenario.good)
            assert left in good_ones(scenario)
            assert scenario.catalog.manifest(left).recipients == (new.recipient,)
            assert len(names(scenario)) == 2
    assert 1 in seen


def stopped_at(scenario: BackupScenario, number: int) -> Command:
    """Start ``rekey_backup``, which is stopped, not ended, after the change ``number`` of the store."""
    trap = Trap(number, "after", signal.SIGSTOP)
    command = scenario.command("rekey_backup", scenario.good, "--yes", trap=trap)
    command.start()
    with suppress(psutil.NoSuchProcess):  # it has ended already
        while psutil.Process(command.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
    return command


def stopped_with_two(scenario: BackupScenario, before: Files) -> Command:
    """Start ``rekey_backup``, which is stopped as soon as the old archive and the new one are there."""
    total = scenario.count_calls("rekey_backup", scenario.good, "--yes", side="after")
    for number in range(total // 2, total):
        scenario.set_files(before)
        command = stopped_at(scenario, number)
        if len(good_ones(scenario)) > 1:
            return command
        with suppress(ProcessLookupError):
            command.kill()
        command.end()
    raise AssertionError("There were never two.")


def test_others_prune_meanwhile(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    total = scenario.count_calls("rekey_backup", scenario.good, "--yes", side="after")
    several = 0
    for number in counts.sample(range(total // 2, total), 6):
        scenario.set_files(before)
        command = stopped_at(scenario, number)
        with scenario.annotate_errors(number, "after"):
            several += len(good_ones(scenario)) > 1
            scenario.run("prune_backups", "--keep-last", "1", "--yes")
            with suppress(ProcessLookupError):
                command.kill(signal.SIGCONT)
            assert command.end() == 0
            assert [one.archive for one in good_ones(scenario)] == [f"{scenario.good}.dmp.zst.age"]
    assert several


def test_others_prune_after_a_kill(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    command = stopped_with_two(scenario, before)
    archives = [one.archive for one in good_ones(scenario)]
    command.kill()
    command.end()
    result = scenario.run("prune_backups", "--keep-last", "1", "--yes")
    assert result.out.count("rekey_backup has not finished it") == 1
    assert [one.archive for one in good_ones(scenario)] == archives
    rekey(scenario)
    assert [one.archive for one in good_ones(scenario)] == [f"{scenario.good}.dmp.zst.age"]


def test_others_delete_the_new_archive(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key]
) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    command = stopped_with_two(scenario, before)
    for name in (f"{scenario.good}.dmp.zst.age{MANIFEST}", f"{scenario.good}.dmp.zst.age"):
        (scenario.store / name).unlink()
    command.kill(signal.SIGCONT)
    assert command.end() == 5
    assert "the old archive stays" in scenario.output()
    assert [one.archive for one in good_ones(scenario)] == [f"{scenario.good}.dmp.zst"]


def test_it_is_interrupted(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    arguments = ("rekey_backup", scenario.good, "--yes")
    total = scenario.count_calls(*arguments)
    for number in counts.sample(range(1, total + 1), 3):
        scenario.set_files(before)
        command = scenario.command(*arguments, trap=Trap(number, "before", signal.SIGINT))
        command.start()
        code = command.end()
        with scenario.annotate_errors(number, "before"):
            assert code in (0, 130)
            assert good_ones(scenario)
            if "is as it was" in scenario.output():
                assert lasting(scenario) == before


def test_in_a_bucket(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key], s3: S3Server, bucket: str, tmp_path: Path
) -> None:
    old, new = keys
    with (scenario.folder.path / "migrations/settings.py").open("a") as settings:
        settings.write(f"BACKUPS = {{'S3': {s3.settings(bucket)!r}}}\n")
    use(scenario, old)
    name = scenario.run("backup", "production", "--json").json["name"]
    use(scenario, new, identity=old)
    scenario.run("rekey_backup", name, "--yes")
    use(scenario, new, identity=new)
    assert scenario.run("verify_backup", "--all", "--deep").code == 0
    left = {entry["Key"] for entry in s3.client().list_objects_v2(Bucket=bucket)["Contents"]}
    (line,) = (key for key in left if key.startswith("rekey__"))
    assert left - {line} == {f"{name}.dmp.zst.2.age", f"{name}.dmp.zst.2.age{MANIFEST}"}
    told = [one.key for one in read_lines(scenario.catalog.store, "production", None)]
    assert told == [f"rekey_backup {name}"]
