"""Other commands beside ``rekey_backup``, and after it was killed: a backup of two archives is one backup."""

from __future__ import annotations

import random
import time
from contextlib import suppress

import pytest

from monarch.backups.reader import verify_contents
from monarch.backups.state import Backup, BackupState
from tests.backups.secrecy.test_rekey import before as before  # a fixture
from tests.backups.secrecy.test_rekey import keys as keys  # a fixture
from tests.backups.secrecy.test_rekey import (
    rekey,
    stopped_at,
    stopped_with_two,
    use,
)
from tests.backups.secrecy.test_rekey import scenario as scenario  # a fixture
from tests.support import counts
from tests.support.runs.backup_kills import BackupScenario, Command, Files
from tests.support.runs.two_environments import assert_error
from tests.support.samples.ages import Key

pytestmark = pytest.mark.server


def archives(scenario: BackupScenario) -> dict[str, BackupState]:
    """The archives of the good backup by the ends of their names."""
    found = scenario.catalog.find_all(scenario.good)
    return {one.archive.removeprefix(scenario.good): one.state for one in found}


BOTH = {".dmp.zst": BackupState.GOOD, ".dmp.zst.age": BackupState.GOOD}
HALF = {".dmp.zst": BackupState.GOOD, ".dmp.zst.age": BackupState.INCOMPLETE}


def killed_with(scenario: BackupScenario, before: Files, wanted: dict[str, BackupState]) -> None:
    """Kill ``rekey_backup`` so that the archives ``wanted`` are left."""
    total = scenario.count_calls("rekey_backup", scenario.good, "--yes", side="after")
    for number in range(total // 2, total):
        scenario.set_files(before)
        command = stopped_at(scenario, number)
        end(command)
        if archives(scenario) == wanted:
            return
    raise AssertionError("It never left these.")


def end(command: Command) -> None:
    with suppress(ProcessLookupError):
        command.kill()
    command.end()


def add_newer(scenario: BackupScenario) -> str:
    """Take another backup, so that the good one goes if the last one is kept; return its name."""
    return str(scenario.run("backup", "production", "--name", "newer", "--json").json["name"])


PRUNE = ("prune_backups", "--keep-last", "1", "--yes")


@pytest.mark.parametrize("left", [BOTH, HALF], ids=["two good ones", "one and a half"])
def test_after_a_kill(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key], left: dict[str, BackupState]
) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    killed_with(scenario, before, left)
    newer = add_newer(scenario)
    listed = scenario.run("list_backups").err
    named = f"{scenario.good} has 2 archives, {scenario.good}.dmp.zst, {scenario.good}.dmp.zst.age"
    assert f"{named}: rekey_backup has not finished it." in listed
    # What this advises removes no good archive.
    assert f"delete_backup {scenario.good}\n" not in listed
    result = scenario.run(*PRUNE, "--json")
    reasons = {row["archive"]: row["kept"] for row in result.json if row["name"] == scenario.good}
    good = [scenario.good + end for end, state in left.items() if state is BackupState.GOOD]
    assert reasons == {archive: ["rekey_backup has not finished it"] for archive in good}
    assert scenario.run("prune_backups", "production", "--keep-last", "1", "--yes").code == 0
    assert archives(scenario) == left
    rekey(scenario)
    assert list(archives(scenario).values()) == [BackupState.GOOD]
    scenario.run("restore", f"{scenario.good}:spare", "--yes", "--engine", "native")
    assert "goes" in scenario.run(*PRUNE).out
    assert archives(scenario) == {}
    assert {one.name for one in scenario.catalog.list()} == {newer}


@pytest.mark.parametrize("left", [BOTH, HALF], ids=["two good ones", "one and a half"])
def test_its_name_deletes_all_of_it(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key], left: dict[str, BackupState]
) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    killed_with(scenario, before, left)
    files = scenario.files()
    asked = scenario.folder.invoke("delete_backup", scenario.good)
    assert "Delete 1 backup from" in asked.err
    assert all(f"  {scenario.good}{end}: " in asked.err for end in left)
    assert scenario.run("delete_backup", scenario.good, "--yes").out.count("Deleted") == 2
    assert archives(scenario) == {}
    scenario.set_files(files)
    # The name of a file means that file.
    scenario.run("delete_backup", f"{scenario.good}.dmp.zst.age", "--yes")
    assert archives(scenario) == {".dmp.zst": BackupState.GOOD}


def test_it_is_not_deleted_while_the_new_archive_is_written(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key]
) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    total = scenario.count_calls("rekey_backup", scenario.good, "--yes", side="after")
    scenario.set_files(before)
    command = stopped_at(scenario, total // 2)
    assert archives(scenario)[".dmp.zst.age"] is BackupState.RUNNING
    result = scenario.folder.invoke("delete_backup", scenario.good, "--yes")
    assert_error(result, 4, f"{scenario.good!r} is being encrypted anew", "Wait for rekey_backup")
    assert archives(scenario)[".dmp.zst"] is BackupState.GOOD
    end(command)


def test_its_line_of_the_journal_stays(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key]
) -> None:
    old, _ = keys
    use(scenario, old, identity=old)
    line = scenario.store / f"{scenario.good}.journal"
    line.write_text("{}")
    rekey(scenario)
    assert line.exists()
    scenario.run("delete_backup", scenario.good, "--yes")
    assert line.exists()


def test_the_newest_archive_of_the_newest_backup_is_restored(
    scenario: BackupScenario, before: Files, keys: tuple[Key, Key]
) -> None:
    """In the order of names, ``.2.age`` comes before ``.age``."""
    old, new = keys
    use(scenario, old, identity=old)
    rekey(scenario)
    scenario.folder.write("both", old.path.read_text() + new.path.read_text())
    use(scenario, new, identity=Key(scenario.folder.path / "both", new.recipient))
    command = stopped_with_two(scenario, scenario.files())
    end(command)
    found = scenario.catalog.newest("production", scenario.source.name)
    assert found is not None
    assert found.archive == f"{scenario.good}.dmp.zst.2.age"


def test_at_once(scenario: BackupScenario, before: Files, keys: tuple[Key, Key]) -> None:
    """Two processes; the backup goes as a whole, or is there as a whole."""
    old, _ = keys
    use(scenario, old, identity=old)
    newer = add_newer(scenario)
    files, chance = scenario.files(), random.Random(19)
    seen = set()
    for _ in range(counts.number(reduced=4, full=30)):
        scenario.set_files(files)
        rekeying, pruning = scenario.command("rekey_backup", scenario.good, "--yes"), scenario.command(*PRUNE)
        rekeying.start()
        time.sleep(chance.uniform(0, 1))
        pruning.start()
        codes = rekeying.end(), pruning.end()
        left = _good(scenario)
        seen.add(len(left))
        assert len(left) <= 1, codes
        assert codes[0] == 0 or not left, codes
        assert all(state is BackupState.GOOD for state in archives(scenario).values()), codes
        assert scenario.catalog.get(newer).state is BackupState.GOOD
    assert seen <= {0, 1}


def _good(scenario: BackupScenario) -> list[Backup]:
    good = [one for one in scenario.catalog.find_all(scenario.good) if one.state is BackupState.GOOD]
    for backup in good:
        verify_contents(scenario.catalog, backup)
    return good
