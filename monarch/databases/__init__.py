"""The kinds of databases that monarch works on, and the one way to open a database.

To add a kind, write a package that defines ``KIND``, a `DatabaseKind`, and add one line to `KINDS`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from monarch.errors import DamagedError, UsageError
from monarch.progress import SILENT, Progress

if TYPE_CHECKING:
    from monarch.databases.base import Database
    from monarch.databases.environment import Environment
    from monarch.databases.foreign import ForeignFormats
    from monarch.databases.kinds import DatabaseKind
    from monarch.databases.transfer import ArchiveSource, CollectionSummary, FileSet
    from monarch.system.streams import Stream

# One line for each kind: its name in settings and manifests, and the module that defines it as `KIND`.
KINDS = {
    "mongo": "monarch.databases.mongo",
    "postgres": "monarch.databases.postgres",
}
# The kind of an environment that does not name one.
DEFAULT_KIND = "mongo"
# The one kind that monarch 0.1 knew.
LEGACY_KIND = "mongo"


def find_kind(name: str) -> DatabaseKind:
    """Return the kind called ``name``.

    :raises KeyError: if there is none.
    """
    kind: DatabaseKind = import_module(KINDS[name]).KIND
    return kind


def kind_of_uri(uri: str) -> DatabaseKind | None:
    """Return the kind whose connection strings begin as ``uri`` does; None if none does.

    A scheme may name a driver, as SQLAlchemy's do.
    """
    scheme = uri.partition("://")[0].lower()
    kinds = [find_kind(name) for name in KINDS]
    without_driver = scheme.partition("+")[0]
    return next(
        (kind for kind in kinds if scheme in kind.schemes or without_driver in kind.schemes),
        None,
    )


def open_database(
    environment: Environment, root: Path, progress: Progress = SILENT
) -> AbstractContextManager[Database]:
    """Connect to the database of ``environment`` for as long as the context lasts.

    An embedded server keeps its data below ``root``, the folder of the project.

    :raises SettingsError: if the environment is not complete on this machine.
    :raises ServerError: if the server cannot be started or reached.
    """
    kind = find_kind(environment.kind)
    progress.counts(kind.words[1])
    return kind.open(environment.require(), root, progress)


def require_transfers(*ends: tuple[str | None, str]) -> None:
    """Check that what is at both ``ends`` can be copied, backed up or restored into each other.

    :param ends: the kind of each, and its name in errors. None is the kind of monarch 0.1.
    :raises UsageError: if a kind has no transfers, or the kinds differ.
    """
    kinds = [(find_kind(kind or LEGACY_KIND), called) for kind, called in ends]
    for kind, called in kinds:
        if not kind.transfers:
            raise UsageError(
                f"{called} is a {kind.title} database: monarch cannot copy, back up or restore those.",
                f"Use the tools of {kind.title}.",
            )
    if len({kind.name for kind, _ in kinds}) > 1:
        both = " and ".join(f"{called} is {kind.title}" for kind, called in kinds)
        raise UsageError(
            f"{both}: monarch copies only between databases of one kind.", "Use two environments of one kind."
        )


def open_archive(kind: str, stream: Stream, expected: tuple[CollectionSummary, ...]) -> ArchiveSource:
    """Read the archive in ``stream``, which a database of that ``kind`` has written.

    :raises DamagedError: now or while it is read, if it does not hold what is ``expected``.
    """
    if kind not in KINDS:
        raise DamagedError(f"It is of a {kind!r} database, which this monarch does not know.")
    return find_kind(kind).open_archive(stream, expected)


def open_files(kind: str, files: FileSet) -> ArchiveSource:
    """Read ``files``, which the tools of that ``kind`` of database have written.

    :raises DamagedError: now or while they are read, if they are something else.
    """
    return find_kind(kind).open_files(files)


def describe_error(error: BaseException) -> str | None:
    """Return what the error of a driver means, without values of documents; None for other errors."""
    found = (find_kind(name).describe_error(error) for name in KINDS)
    return next((reason for reason in found if reason is not None), None)


def foreign_formats() -> dict[str, ForeignFormats]:
    """Return the formats of foreign archives, by the kind whose tools write them."""
    found = {name: find_kind(name).foreign_formats() for name in KINDS}
    return {name: formats for name, formats in found.items() if formats is not None}
