"""Commands on backups that are killed or interrupted, each a process of its own, and what must be true then.

A command is stopped at one of the things that its store does to files, counted from 1: before the seventh,
say, or after it, when nobody knows yet that it is done. Writes and syncs are counted as well, which Python's
audit events leave out: it is the profiler that counts, for it sees every call.
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

# What these commands import when they are used: in the process from which they are forked, once.
import monarch.commands.console.boundary
import monarch.databases.mongo.sources.archive
import monarch.databases.mongo.sources.server
import monarch.stores.local.store
from monarch import Project
from monarch.backups.catalog import Backup, BackupCatalog, BackupState
from monarch.backups.codecs import CODECS
from monarch.backups.reader import verify
from monarch.commands import cli
from monarch.errors import MonarchError
from tests.support.runs.copy_kills import Victim, fill
from tests.support.runs.shell import Folder, Ran
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.proxy import Proxy

# What changes files, or may.
CHANGES = frozenset(("open", "close", "link", "unlink", "mkdir", "rename", "fsync", "write", "flock"))
READS = frozenset(("read",))
DOCUMENTS = 250  # of 10 kB
for _codec in CODECS.values():  # and this loads what they are made of
    _codec.decompress(io.BytesIO())
_STORE = str(Path(monarch.stores.local.store.__file__).parent)
_DEEPEST = 4  # between the store and the call: pathlib's own functions

Side = Literal["before", "after"]


@dataclass
class Trap:
    """Sends its own process ``sent`` at the ``left``-th of what its store does, of those ``things``."""

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


class Command(Victim):
    """A command line of monarch; what it prints goes into the file ``told``."""

    def __init__(self, root: Path, *arguments: str, told: Path, trap: Trap | None = None) -> None:
        super().__init__(_command, str(root), arguments, str(told), trap)


def _command(root: str, arguments: tuple[str, ...], told: str, trap: Trap | None) -> None:
    os.chdir(root)
    file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(file, stream)
    sys.setprofile(trap)
    cli.main(list(arguments), prog_name="monarch")


class Restore(Victim):
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
class Yard:
    """A store with one ``good`` backup of ``production``, which the project reaches through ``proxy``."""

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
    def shelf(self) -> BackupCatalog:
        return Project(self.folder.path).backups

    def files(self) -> Files:
        """All that lies in the store."""
        return {
            path.name: (path.read_bytes(), path.stat().st_mode & 0o777)
            for path in sorted(self.store.iterdir())
        }

    def put(self, files: Files) -> None:
        """Let these be all that lies in the store."""
        for name in self.files().keys() - files.keys():
            (self.store / name).unlink()
        for name, (content, mode) in files.items():
            (self.store / name).write_bytes(content)
            (self.store / name).chmod(mode)

    def command(self, *arguments: str, trap: Trap | None = None) -> Command:
        return Command(self.folder.path, *arguments, told=self.told, trap=trap)

    @contextmanager
    def named(self, number: int, side: Side) -> Iterator[None]:
        """Adds to an error where the last of them was stopped."""
        try:
            yield
        except BaseException as error:
            error.add_note(f"It was stopped {side} change {number}, and said: {self.said()}")
            raise

    def said(self) -> str:
        """What the last of these commands has printed, and where it was stopped."""
        return self.told.read_text()

    def run(self, *arguments: str) -> Ran:
        """Run a command in this process, undisturbed; it does what it is for."""
        ran = self.folder.inside(*arguments)
        assert ran.code == 0, ran.said
        return ran

    def look(self) -> list[Backup]:
        """See that what is called good is good, that all else is called what it is, and that backups go on.

        :return: what is there besides the good one.
        """
        listed = self.shelf.list()
        assert [backup.state for backup in listed if backup.name == self.good] == [BackupState.GOOD]
        verify(self.shelf, self.shelf.get(self.good))
        others = [backup for backup in listed if backup.name != self.good]
        for backup in others:
            self.judge(backup)
        files = self.files()
        taken = Project(self.folder.path).backup("production")
        assert taken.name not in {backup.name for backup in listed}
        self.require_good(taken.name)
        self.shelf.delete(self.shelf.get(taken.name))
        assert self.files() == files
        return others

    def judge(self, backup: Backup) -> None:
        """See that ``backup`` is what it is called, and if that is not good, that every command says so."""
        if backup.state is BackupState.GOOD:
            self.require_good(backup.name)
            # Of each constellation of files one is restored.
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
        assert f"The newest good one besides is {self.good!r} of production" in ran.err

    def require_good(self, name: str) -> None:
        """See that the backup called ``name`` is whole, and holds what the good one holds."""
        backup = self.shelf.get(name)
        assert backup.state is BackupState.GOOD
        verify(self.shelf, backup)
        good = self.shelf.manifest(self.shelf.get(self.good))
        assert self.shelf.manifest(backup).collections == good.collections


@contextmanager
def yard(folder: Folder, server: int) -> Iterator[Yard]:
    """A yard with a database on the mongod that listens on ``server``, which asks for no password."""
    with (
        MongoClient[dict[str, Any]]("localhost", server, directConnection=True) as client,
        Proxy(server) as proxy,
    ):
        source, spare = (client[f"{folder.db_name}_{name}"] for name in ("production", "spare"))
        fill(source, "second")
        # What cannot be packed, so that it is written in several pieces.
        chance = random.Random(11)
        source["random"].insert_many({"_id": n, "data": chance.randbytes(10_000)} for n in range(DOCUMENTS))
        folder.settings(
            production={"uri": proxy.uri, "db_name": source.name},
            spare={"uri": f"mongodb://localhost:{server}/?directConnection=true", "db_name": spare.name},
        )
        made = Yard(folder, folder.keep_backups(), source, spare, proxy)
        made.told.touch()
        made.good = Project(folder.path).backup("production").name
        yield made
        for database in (source, spare):
            client.drop_database(database)
