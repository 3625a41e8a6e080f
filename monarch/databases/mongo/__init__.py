"""MongoDB, through pymongo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from monarch.databases.mongo.connection import connect
from monarch.databases.mongo.database import MongoDatabase
from monarch.environments import Environment
from monarch.errors import ServerError
from monarch.progress import Progress


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
