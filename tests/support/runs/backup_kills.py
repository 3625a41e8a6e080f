"""Backup commands that are killed or interrupted in a process of their own, and what must be true afterwards.

A command is stopped before or after one of its store's calls on files, counted from 1. The profiler counts
them, because it sees every call; Python's audit events leave out writes and syncs.
"""

from __future__ import annotations

import io
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from pymongo import MongoClient
from pymongo.database import Database

# What these commands import when they are used is imported once, in the process from which they are forked.
import monarch.commands.console.boundary
import monarch.databases.mongo.sources.archive
import monarch.databases.mongo.sources.server
import monarch.stores.local.store
from monarch import Project
from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import CODECS
from monarch.backups.reader import verify
from monarch.backups.state import Backup, BackupState
from monarch.commands import cli
from monarch.errors import MonarchError
from tests.support.runs.copy_kills import KillableProcess, fill
from tests.support.runs.shell import CommandResult, Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.proxy import Proxy

# The calls that change files, or may.
CHANGES = frozenset(("open", "close", "link", "unlink", "mkdir", "rename", "fsync", "write", "flock"))
READS = frozenset(("read",))
DOCUMENTS = 250  # of 10 kB
for _codec in CODECS.values():  # loads the libraries of the codec
    _codec.decompress(io.BytesIO())
_STORE = str(Path(monarch.stores.local.store.__file__).parent)
_DEEPEST = 4  # frames between the store and the call, those of pathlib

Side = Literal["before", "after"]


@dataclass
class Trap:
    """Sends its own process the signal ``sent`` at the ``left``-th of the store's calls of those ``things``.

    With 0 it sends nothing and counts them; the process then prints how many there were.
    """

    left: int
    side: Side
    sent: int = signal.SIGKILL
    things: frozenset[str] = CHANGES

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event not in ("c_call", "c_return") or function.__name__ not in self.things:
            return
        if (event == "c_call") != (self.side == "before") or not _is_of_store(frame):
            return
        self.left -= 1
        if self.left == 0:
            os.write(2, f"{self.side} {function.__name__}\n".encode())
            signal.raise_signal(self.sent)


def _is_of_store(frame: FrameType) -> bool:
    caller: FrameType | None = frame
    for _ in range(_DEEPEST):
        if caller is None:
            break
        if caller.f_code.co_filename.startswith(_STORE):
            return True
        caller = caller.f_back
    return False


class Command(KillableProcess):
    """A command line of monarch that prints into the file ``told``."""

    def __init__(self, root: Path, *arguments: str, told: Path, trap: Trap | None = None) -> None:
        super().__init__(_command, str(root), arguments, str(told), trap)


def _command(root: str, arguments: tuple[str, ...], told: str, trap: Trap | None) -> None:
    os.chdir(root)
    file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    counting = trap is not None and trap.left == 0
    sys.setprofile(trap)
    try:
        cli.main(list(arguments), prog_name="monarch")
    finally:
        sys.setprofile(None)
        if trap is not None and counting:
            os.write(2, f"{-trap.left} calls\n".encode())


class Restore(KillableProcess):
    """A restore of the newest backup of ``source`` into the target of the project in ``root``."""

    def __init__(self, root: Path, source: str, *, in_place: bool = False) -> None:
        super().__init__(_restore, str(root), source, in_place)


def _restore(root: str, source: str, in_place: bool) -> None:
    try:
        Project(root).restore(source, "target", engine="native", in_place=in_place)
    except MonarchError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(error.exit_code)


# The contents of a folder's files and their rights, by name.
Files = dict[str, tuple[bytes, int]]


@dataclass
class BackupScenario:
    """A store with one ``good`` backup of ``production``, reached by ``proxy``."""

    folder: Folder
    store: Path
    source: Database[dict[str, Any]]
    spare: Database[dict[str, Any]]
    proxy: Proxy
    good: str = ""
    restored: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def told(self) -> Path:
        return self.folder.path / "told"

    @property
    def catalog(self) -> BackupCatalog:
        return Project(self.folder.path).backups

    def files(self) -> Files:
        """Every file in the store."""
        return {
            path.name: (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in sorted(self.store.iterdir())
        }

    def put(self, files: Files) -> None:
        """Make these the only files in the store."""
        for name in self.files().keys() - files.keys():
            (self.store / name).unlink()
        for name, (content, mode) in files.items():
            (self.store / name).write_bytes(content)
            (self.store / name).chmod(mode)

    def command(self, *arguments: str, trap: Trap | None = None) -> Command:
        return Command(self.folder.path, *arguments, told=self.told, trap=trap)

    def calls(self, *arguments: str, side: Side = "before", things: frozenset[str] = CHANGES) -> int:
        """Run a command undisturbed; return how many calls its store makes."""
        command = self.command(*arguments, trap=Trap(0, side, things=things))
        command.start()
        assert command.end() == 0
        return int(self.said().splitlines()[-1].removesuffix(" calls"))

    @contextmanager
    def named(self, number: int, side: Side) -> Iterator[None]:
        """Add to an error where the last command was stopped."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"It was stopped {side} change {number}, and printed: {self.said()}")
            raise

    def said(self) -> str:
        """What the last command printed, and where it was stopped."""
        return self.told.read_text()

    def run(self, *arguments: str) -> CommandResult:
        """Run a command in this process, undisturbed; it must succeed."""
        ran = self.folder.inside(*arguments)
        assert ran.code == 0, ran.said
        return ran

    def look(self) -> list[Backup]:
        """Check the state of every backup, and that a new backup can be taken and deleted.

        :return: all backups except the good one.
        """
        listed = self.catalog.list()
        assert [backup.state for backup in listed if backup.name == self.good] == [BackupState.GOOD]
        verify(self.catalog, self.catalog.get(self.good))
        others = [backup for backup in listed if backup.name != self.good]
        for backup in others:
            self.judge(backup)
        files = self.files()
        taken = Project(self.folder.path).backup("production")
        assert taken.name not in {backup.name for backup in listed}
        self.require_good(taken.name)
        self.catalog.delete(self.catalog.get(taken.name))
        assert self.files() == files
        return others

    def judge(self, backup: Backup) -> None:
        """Check that ``backup`` is in its state, and that commands report a state other than good."""
        if backup.state is BackupState.GOOD:
            self.require_good(backup.name)
            # One backup of each combination of files is restored.
            if (files := tuple(name.removeprefix(backup.name) for name in self.files())) not in self.restored:
                self.restored.add(files)
                Project(self.folder.path).restore(backup.name, "spare", engine="native")
                assert_equal(describe(self.source), describe(self.spare))
            return
        assert backup.state in (BackupState.UNFINISHED, BackupState.INCOMPLETE)
        said = self.run("list_backups").err
        assert f"Note: {backup.name} is {backup.state.value}: {backup.why}." in said
        assert f"To remove it: monarch delete_backup {backup.name}" in said
        ran = self.folder.inside("restore", f"{backup.name}:spare", "--yes")
        assert ran.code == 1
        assert f"Error: Backup {backup.name!r} is {backup.state.value}" in ran.err
        assert "Its environment is unknown. Run `monarch list_backups`" in ran.err

    def require_good(self, name: str) -> None:
        """Check that the backup ``name`` is complete, and holds what the good one holds."""
        backup = self.catalog.get(name)
        assert backup.state is BackupState.GOOD
        verify(self.catalog, backup)
        good = self.catalog.manifest(self.catalog.get(self.good))
        assert self.catalog.manifest(backup).collections == good.collections


@contextmanager
def backup_scenario(folder: Folder, server: int) -> Iterator[BackupScenario]:
    """A store, and its database on the mongod at the port ``server``, which requires no password."""
    with (
        MongoClient[dict[str, Any]]("localhost", server, directConnection=True) as client,
        Proxy(server) as proxy,
    ):
        source, spare = (client[f"{folder.db_name}_{name}"] for name in ("production", "spare"))
        fill(source, "second")
        # Random bytes do not compress, so the archive is written in several calls.
        chance = random.Random(11)
        source["random"].insert_many({"_id": n, "data": chance.randbytes(10_000)} for n in range(DOCUMENTS))
        folder.settings(
            production={"uri": proxy.uri, "db_name": source.name},
            spare={"uri": f"mongodb://localhost:{server}/?directConnection=true", "db_name": spare.name},
        )
        made = BackupScenario(folder, folder.keep_backups(), source, spare, proxy)
        made.told.touch()
        made.good = Project(folder.path).backup("production").name
        yield made
        for database in (source, spare):
            client.drop_database(database)
