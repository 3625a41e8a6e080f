"""A backup that is being read says so, all the time: it is not pruned between two readings of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from monarch import Project
from monarch.backups.proof.drill import Drill
from monarch.progress import Progress
from tests.commands.backups.test_encrypted import key as key  # a fixture
from tests.support.runs.two_environments import TwoEnvironments
from tests.support.samples.ages import Key

pytestmark = pytest.mark.server


class Marks(Progress):
    """The marks of readers in ``store`` at the beginning of each phase, and while it is verified."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.seen: list[tuple[str, set[str]]] = []

    def phase(self, name: str) -> None:
        self.seen.append((name, {path.name for path in self.store.glob("*.reading.*")}))

    @property
    def lasting(self) -> set[str]:
        """The marks that are there in every phase, from the first one on."""
        return set.intersection(*(marks for _, marks in self.seen))


@pytest.fixture
def marks(two: TwoEnvironments) -> Marks:
    """Of the store, which has a backup of production."""
    store = two.folder.keep_backups()
    assert two.folder.invoke("backup", "production").code == 0
    return Marks(store)


def test_a_restore_has_one_mark_from_its_beginning_to_its_end(two: TwoEnvironments, marks: Marks) -> None:
    project = Project(two.folder.path)
    (backup,) = project.list_backups()
    project.restore(backup, "dev", progress=marks)
    assert {"verifying", "comparing"} < {name for name, _ in marks.seen}
    assert len(marks.lasting) == 1
    assert not list(marks.store.glob("*.reading.*"))


def test_so_has_a_drill(two: TwoEnvironments, marks: Marks) -> None:
    project = Project(two.folder.path)
    (backup,) = project.list_backups()
    assert Drill(two.folder.path, project.backups, backup).run(marks).passed
    assert {"verifying", "comparing"} < {name for name, _ in marks.seen}
    assert len(marks.lasting) == 1
    assert not list(marks.store.glob("*.reading.*"))


def test_an_encrypted_one_that_is_verified_without_its_key_has_a_mark(two: TwoEnvironments, key: Key) -> None:
    store = two.folder.keep_backups()
    two.folder.encrypt_backups(key.recipient)
    assert two.folder.invoke("backup", "production").code == 0
    marks = Marks(store)
    project = Project(two.folder.path)
    project.verify_backups(*(one.name for one in project.list_backups()), progress=marks)
    assert [(name, len(found)) for name, found in marks.seen] == [("verifying", 1)]
