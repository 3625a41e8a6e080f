"""The databases that monarch works on, and the one way to open one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

from monarch.databases.base import Database
from monarch.environments import Environment
from monarch.progress import SILENT, Progress

# A kind of database is a package with `open_database(environment, root, progress)`.
KINDS = {"mongo": "monarch.databases.mongo"}


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
