"""Backup commands in processes that tests kill or interrupt, and checks of the store afterwards.

A command is stopped before or after one of its store's calls on files, counted from 1. The profiler counts
them, because it sees every call; Python's audit events do not include writes and syncs.
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

# Modules that these commands import on demand: the process that forks them imports these once.
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
from monarch.databases.mongo.collection_names import JOURNAL
from monarch.errors import MonarchError
from tests.support.runs.copy_kills import KillableProcess, fill
from tests.support.runs.shell import CommandResult, Folder
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.proxy import Proxy

# The calls that change files, or may change them.
CHANGES = frozenset(("open", "close", "link", "unlink", "mkdir", "rename", "fsync", "write", "flock"))
READS = frozenset(("read",))
DOCUMENTS = 250  # of 10 kB
for _codec in CODECS.values():  # loads the codec's library
    _codec.decompress(io.BytesIO())
_STORE = str(Path(monarch.stores.local.store.__file__).parent)
_DEEPEST = 4  # frames between the store and the call, those of pathlib

Side = Literal["before", "after"]


@dataclass
class Trap:
    """Sends ``signal_number`` to its own process at the store's call ``remaining`` of the ``functions``.

    With 0 it sends nothing: it counts the calls, and the process prints the count at the end.
    """

    remaining: int
    side: Side
    signal_number: int = signal.SIGKILL
    functions: frozenset[str] = CHANGES

    def __call__(self, frame: FrameType, event: str, function: Any) -> None:
        if event not in ("c_call", "c_return") or function.__name__ not in self.functions:
            return
        if (event == "c_call") != (self.side == "before") or not _is_of_store(frame):
            return
        self.remaining -= 1
        if self.remaining == 0:
            os.write(2, f"{self.side} {function.__name__}\n".encode())
            signal.raise_signal(self.signal_number)


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
    """A monarch command that prints to the file ``output_path``."""

    def __init__(self, root: Path, *arguments: str, output_path: Path, trap: Trap | None = None) -> None:
        super().__init__(_command, str(root), arguments, str(output_path), trap)


def _command(root: str, arguments: tuple[str, ...], output_path: str, trap: Trap | None) -> None:
    os.chdir(root)
    file = os.open(output_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    counting = trap is not None and trap.remaining == 0
    sys.setprofile(trap)
    try:
        cli.main(list(arguments), prog_name="monarch")
    finally:
        sys.setprofile(None)
        if trap is not None and counting:
            os.write(2, f"{-trap.remaining} calls\n".encode())


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


# The content and the permissions of each file in a folder, by name.
Files = dict[str, tuple[bytes, int]]


@dataclass
class BackupScenario:
    """A store with the complete backup ``good`` of ``production``, which is reached through ``proxy``."""

    folder: Folder
    store: Path
    source: Database[dict[str, Any]]
    spare: Database[dict[str, Any]]
    proxy: Proxy
    good: str = ""
    restored: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def output_path(self) -> Path:
        return self.folder.path / "output"

    @property
    def catalog(self) -> BackupCatalog:
        return Project(self.folder.path).backups

    def files(self) -> Files:
        """Every file in the store, without what the journal has of deletions and rekeyings."""
        return {
            path.name: (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in sorted(self.store.iterdir())
            if not path.name.startswith(("delete__", "rekey__"))
        }

    def set_files(self, files: Files) -> None:
        """Make ``files`` the only files in the store."""
        for name in self.files().keys() - files.keys():
            (self.store / name).unlink()
        for name, (content, mode) in files.items():
            (self.store / name).write_bytes(content)
            (self.store / name).chmod(mode)

    def command(self, *arguments: str, trap: Trap | None = None) -> Command:
        return Command(self.folder.path, *arguments, output_path=self.output_path, trap=trap)

    def count_calls(self, *arguments: str, side: Side = "before", functions: frozenset[str] = CHANGES) -> int:
        """Run a command to its end; return how many calls its store makes."""
        command = self.command(*arguments, trap=Trap(0, side, functions=functions))
        command.start()
        assert command.end() == 0
        return int(self.output().splitlines()[-1].removesuffix(" calls"))

    @contextmanager
    def annotate_errors(self, number: int, side: Side) -> Iterator[None]:
        """Add to an error where the last command was stopped."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"The command was stopped {side} change {number}, and printed: {self.output()}")
            raise

    def output(self) -> str:
        """The output of the last command, and where it was stopped."""
        return self.output_path.read_text()

    def run(self, *arguments: str) -> CommandResult:
        """Run a command in this process; it must succeed."""
        result = self.folder.invoke(*arguments)
        assert result.code == 0, result.output
        return result

    def check_backups(self) -> list[Backup]:
        """Check the state of every backup, and that a new backup can be created and deleted.

        :return: all backups except the good one.
        """
        listed = self.catalog.list()
        assert [backup.state for backup in listed if backup.name == self.good] == [BackupState.GOOD]
        verify(self.catalog, self.catalog.get(self.good))
        others = [backup for backup in listed if backup.name != self.good]
        for backup in others:
            self.check_backup(backup)
        files = self.files()
        created = Project(self.folder.path).backup("production")
        assert created.name not in {backup.name for backup in listed}
        self.require_good(created.name)
        self.catalog.delete(self.catalog.get(created.name))
        assert self.files() == files
        return others

    def check_backup(self, backup: Backup) -> None:
        """Check that ``backup`` is in its state, and that commands report every state but "good"."""
        if backup.state is BackupState.GOOD:
            self.require_good(backup.name)
            # Restore one backup of each combination of files.
            if (files := tuple(name.removeprefix(backup.name) for name in self.files())) not in self.restored:
                self.restored.add(files)
                Project(self.folder.path).restore(backup.name, "spare", engine="native")
                assert_equal(describe(self.source), describe(self.spare))
            return
        assert backup.state in (BackupState.UNFINISHED, BackupState.INCOMPLETE)
        notes = self.run("list_backups").err
        assert f"Note: {backup.name} is {backup.state.value}: {backup.why}." in notes
        assert f"To remove it: monarch delete_backup {backup.name}" in notes
        result = self.folder.invoke("restore", f"{backup.name}:spare", "--yes")
        assert result.code == 1
        assert f"Error: Backup {backup.name!r} is {backup.state.value}" in result.err
        assert "Its environment is unknown. Run `monarch list_backups`" in result.err

    def require_good(self, name: str) -> None:
        """Check that the backup ``name`` is complete and has the contents of the good backup."""
        backup = self.catalog.get(name)
        assert backup.state is BackupState.GOOD
        verify(self.catalog, backup)
        good = self.catalog.manifest(self.catalog.get(self.good))
        # Each backup adds a line to the journal.
        held, expected = (
            [one for one in manifest.collections if one.name != JOURNAL]
            for manifest in (self.catalog.manifest(backup), good)
        )
        assert held == expected


@contextmanager
def backup_scenario(folder: Folder, server: int) -> Iterator[BackupScenario]:
    """A store, and its databases on the mongod at the port ``server``, which requires no password."""
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
        made.output_path.touch()
        made.good = Project(folder.path).backup("production").name
        yield made
        for database in (source, spare):
            client.drop_database(database)
