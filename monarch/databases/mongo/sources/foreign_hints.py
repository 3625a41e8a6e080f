"""How to do with MongoDB's tools what monarch does not do with a foreign archive."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from monarch.databases.foreign import ForeignFile
from monarch.errors import UsageError

# The databases that every server has for itself; the oplog is in one without a name.
OPLOG = ""
OF_SERVERS = frozenset(("admin", "config", "local", OPLOG))
_MOST_NAMED = 5
_RESTORE = 'mongorestore --uri "$URI" --stopOnError'


def only_database(databases: Iterable[str], file: ForeignFile) -> str:
    """Return the only one of ``databases`` that is not the server's own.

    :raises UsageError: if there is none or several, or the oplog is among them.
    """
    found = set(databases)
    names = sorted(found - OF_SERVERS)
    if not names:
        raise UsageError(
            f"{file.name!r} holds no collections of a database: there is nothing to restore.",
            f"Run `monarch verify_backup {quote(file.name)}` to see what it holds.",
        )
    if OPLOG in found:
        raise UsageError(
            f"{file.name!r} was dumped with --oplog: monarch does not replay an oplog.",
            f"Restore it into an empty server: {_command(file)} --oplogReplay",
        )
    if len(names) > 1:
        more = ", …" if len(names) > _MOST_NAMED else ""
        named = ", ".join(map(repr, names[:_MOST_NAMED])) + more
        raise UsageError(
            f"{file.name!r} holds {len(names)} databases ({named}): monarch restores an archive of one.",
            f"Restore one of them into a new database, called NAME: {_renaming(file, names[0])}",
        )
    return names[0]


def documents_only(file: ForeignFile, collection: str) -> UsageError:
    """Return the error for a file with the documents of one collection."""
    packed = " --gzip" if file.packing == "gz" else ""
    return UsageError(
        f"{file.name!r} holds the documents of one collection, not a database: monarch does not restore it.",
        f"Restore it into a database, called NAME: {_RESTORE}{packed} --db=NAME "
        f"--collection={quote(collection)} {quote(file.name)}",
    )


def check_hint(file: ForeignFile) -> str:
    """Return how to check ``file``, which holds a folder of mongodump's files."""
    unpack = f"`tar -xf {quote(file.name)} -C FOLDER`" if file.packing == "tar" else "into FOLDER"
    return (
        f'Unpack it ({unpack}), and run `mongorestore --uri "$URI" --dryRun -v FOLDER`. '
        "To restore a database: use --nsInclude 'app.*' --nsFrom 'app.*' --nsTo 'NAME.*' instead of --dryRun."
    )


def _renaming(file: ForeignFile, database: str) -> str:
    pattern = quote(f"{database}.*")
    return f"{_command(file)} --nsInclude {pattern} --nsFrom {pattern} --nsTo 'NAME.*'"


def _command(file: ForeignFile) -> str:
    name = quote(file.name)
    if file.packing == "zip":
        return f"unzip {name} -d FOLDER && {_RESTORE} FOLDER"
    if file.packing == "zst":
        return f"zstd -dc {name} | {_RESTORE} --archive"
    packed = " --gzip" if file.packing == "gz" else ""
    return f"{_RESTORE}{packed} --archive={name}"
