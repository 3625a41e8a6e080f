"""The databases that monarch works on, and the one way to open one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

from monarch.databases.base import ArchiveSource, CollectionSummary, Database, FileSet
from monarch.errors import DamagedError
from monarch.progress import SILENT, Progress
from monarch.settings.environments import Environment
from monarch.system.streams import Stream

# A kind of database is a package with `open_database(environment, root, progress)`,
# `open_archive(stream, expected)` and, where its tools write files, `open_files(files)`.
KINDS = {"mongo": "monarch.databases.mongo"}
# The one kind that monarch 0.1 knew.
LEGACY_KIND = "mongo"


def open_database(
    environment: Environment, root: Path, progress: Progress = SILENT
) -> AbstractContextManager[Database]:
    """Connect to the database of ``environment`` for as long as the context lasts.

    An embedded server keeps its data below ``root``, the folder of the project.

    :raises SettingsError: if the environment is not complete on this machine.
    :raises ServerError: if the server cannot be started or reached.
    """
    opened: AbstractContextManager[Database] = import_module(KINDS["mongo"]).open_database(
        environment.require(), root, progress
    )
    return opened


def open_archive(kind: str, stream: Stream, expected: tuple[CollectionSummary, ...]) -> ArchiveSource:
    """The archive in ``stream``, which a database of that kind has written, and which holds what is expected.

    :raises DamagedError: now or in reading, if it does not.
    """
    if kind not in KINDS:
        raise DamagedError(f"It is of a {kind!r} database, which this monarch does not know.")
    archive: ArchiveSource = import_module(KINDS[kind]).open_archive(stream, expected)
    return archive


def open_files(kind: str, files: FileSet) -> ArchiveSource:
    """What ``files`` hold, which the tools of that kind of database have written.

    :raises DamagedError: now or in reading, if they are not what those write.
    """
    archive: ArchiveSource = import_module(KINDS[kind]).open_files(files)
    return archive
