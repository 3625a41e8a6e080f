"""MongoDB, through pymongo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from monarch.databases.base import ArchiveSource, CollectionSummary, FileSet
from monarch.databases.mongo.connection import connect
from monarch.databases.mongo.database import MongoDatabase
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.settings.environments import Environment
from monarch.system.streams import Stream


@contextmanager
def open_database(environment: Environment, root: Path, progress: Progress) -> Iterator[MongoDatabase]:
    """Connect to ``environment``, starting its server first where it is embedded."""
    with ExitStack() as stack:
        if environment.embedded:
            try:
                from monarch.databases.mongo.embedded import serve
            except ModuleNotFoundError as error:  # fcntl, whose locks end with their process
                raise ServerError(
                    f"Environment {environment.name!r} is embedded, which needs Linux or macOS.",
                    "Start a mongod yourself, and give the environment a 'host'.",
                ) from error
            environment = stack.enter_context(serve(environment, root, progress))
        client = stack.enter_context(connect(environment))
        yield MongoDatabase(environment, client)


def open_archive(stream: Stream, expected: tuple[CollectionSummary, ...]) -> ArchiveSource:
    """An archive in mongodump's format."""
    from monarch.databases.mongo.sources.archive import MongoArchiveSource

    return MongoArchiveSource(stream, expected)


def open_files(files: FileSet) -> ArchiveSource:
    """What mongodump writes into a folder."""
    from monarch.databases.mongo.sources.folder import MongoFolderSource

    return MongoFolderSource(files)
