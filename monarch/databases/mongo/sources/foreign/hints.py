"""How to do with MongoDB's tools what monarch does not do with a foreign archive."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from monarch.databases.foreign import ForeignFile, as_argument
from monarch.errors import UsageError

# The databases that every server has for itself; the oplog is in one without a name.
OPLOG = ""
OF_SERVERS = frozenset(("admin", "config", "local", OPLOG))
_MOST_NAMED, _MOST_CHOICES = 5, 30
_FILES = (".bson", ".metadata.json")
_RESTORE = 'mongorestore --uri "$URI" --stopOnError'


def only_database(databases: Iterable[str], file: ForeignFile, folder: str = "") -> str:
    """Return the only one of ``databases`` that is not the server's own.

    ``folder`` is the path of the folder of the dump in ``file``, if that is a zip.

    :raises UsageError: if there is none or several, or the oplog is among them.
    """
    found = set(databases)
    names = sorted(found - OF_SERVERS)
    if not names:
        raise UsageError(
            f"{file.name!r} holds no collections of a database: there is nothing to restore.",
            f"Run `monarch verify_backup {as_argument(file.name)}` to see what it holds.",
        )
    if OPLOG in found:
        raise UsageError(
            f"{file.name!r} was dumped with --oplog: monarch does not replay an oplog.",
            f"Restore it into an empty server: {_command(file, folder)} --oplogReplay",
        )
    if len(names) > 1:
        named = _listed(names, _MOST_NAMED)
        raise UsageError(
            f"{file.name!r} holds {len(names)} databases ({named}): monarch restores an archive of one.",
            f"Take over one: monarch adopt_backup --database={quote(names[0])} {as_argument(file.name)}. "
            f"Or restore it into a new database, called NAME: {_renaming(file, folder, names[0])}",
        )
    return names[0]


def choose_database(
    databases: Iterable[str], wanted: str | None, file: ForeignFile, *, without_oplog: bool
) -> str:
    """Return the database that is taken over: the one that is ``wanted``, or else the only one.

    :raises UsageError: if it is not there or the server's own, there are several, or the oplog is among them.
    """
    found = set(databases)
    names = sorted(found - OF_SERVERS)
    if wanted is not None and wanted in found - {OPLOG}:
        if wanted in OF_SERVERS:
            raise UsageError(f"{wanted!r} is a database of the server itself.", _one_of(names))
    elif wanted is not None:
        raise UsageError(f"{file.name!r} holds no database {wanted!r}.", _one_of(names))
    elif not names:
        raise UsageError(
            f"{file.name!r} holds no collections of a database: there is nothing to take over.",
            "Name the file or the folder that mongodump wrote.",
        )
    elif len(names) > 1:
        raise UsageError(f"{file.name!r} holds {len(names)} databases.", _one_of(names))
    if OPLOG in found and not without_oplog:
        raise UsageError(
            f"{file.name!r} was dumped with --oplog: monarch does not replay an oplog.",
            "Restore it with mongorestore --oplogReplay into an empty server, and back that up. Or use "
            "--without-oplog: the documents are then as they were read, at different moments.",
        )
    return wanted or names[0]


def not_taken(databases: Iterable[str], chosen: str) -> tuple[str, ...]:
    """Return what to say of the databases of people, and of the oplog, that are left out."""
    found = {*databases}
    names = sorted(found - OF_SERVERS - {chosen})
    left_out = f"only {chosen!r} was taken over, not {_listed(names, _MOST_NAMED)}."
    oplog = "its oplog was not replayed: the documents are as they were read, at different moments."
    return (*((left_out,) if names else ()), *((oplog,) if OPLOG in found else ()))


def _one_of(names: list[str]) -> str:
    if not names:
        return "It holds no other database: there is nothing to take over."
    return f"Use --database with one of these: {_listed(names, _MOST_CHOICES)}."


def _listed(names: list[str], most: int) -> str:
    """Return ``names`` for people, the first ones if there are more than ``most``."""
    return ", ".join(map(repr, names[:most])) + (", …" if len(names) > most else "")


def documents_only(file: ForeignFile, collection: str) -> UsageError:
    """Return the error for a file with the documents of one collection."""
    return UsageError(
        f"{file.name!r} holds the documents of one collection, not a database: monarch does not restore it.",
        f"Restore it into a database, called NAME: {_restore_documents(file, collection)}",
    )


def _restore_documents(file: ForeignFile, collection: str) -> str:
    path = _path(file)
    options = f"--db=NAME --collection={quote(collection)}"
    # mongorestore refuses files with other suffixes, even in other case.
    if file.packing == "" and file.name.endswith(".bson"):
        return f"{_RESTORE} {options} {path}"
    if file.packing == "gz" and file.name.endswith(".bson.gz"):
        return f"{_RESTORE} --gzip {options} {path}"
    read = {"gz": "gzip -dc <", "zst": "zstd -dc <"}.get(file.packing, "cat")
    return f"{read} {path} | {_RESTORE} {options} -"


def _path(file: ForeignFile) -> str:
    """Return the path of ``file`` for a shell: a name that begins with "-" would be an option."""
    return quote(f"./{file.name}" if file.name.startswith("-") else file.name)


def check_hint(file: ForeignFile) -> str:
    """Return how to check ``file``, a tar with a folder of mongodump's files."""
    unpack = f"mkdir FOLDER && tar -xf {_path(file)} -C FOLDER"
    folders = [name.removeprefix("./").split("/")[:-1] for name in file.members if _is_of_mongodump(name)]
    folder = "/".join(folders[0][:-1]) if folders else ""
    # Only the first files are known.
    database = next((one[-1] for one in folders if one and one[-1] not in OF_SERVERS), "app")
    pattern = _argument(f"{database}.*")
    check = f'{_prepared(file)}mongorestore --uri "$URI"{_gzip(file)} --dryRun -v {_dump(folder)}'
    renaming = f"--nsInclude{pattern} --nsFrom{pattern} --nsTo 'NAME.*'"
    restore = f"To restore a database: use {renaming} instead of --dryRun."
    return f"Unpack it (`{unpack}`), and run `{check}`. {restore}"


def _argument(text: str) -> str:
    """Return ``text`` as the value of an option, which it may look like."""
    return ("=" if text.startswith("-") else " ") + quote(text)


def _dump(folder: str) -> str:
    return quote(f"FOLDER/{folder}") if folder else "FOLDER"


def _is_of_mongodump(name: str) -> bool:
    return name.lower().endswith((*_FILES, *(f"{suffix}.gz" for suffix in _FILES)))


def _packed(file: ForeignFile) -> set[bool]:
    """Return whether mongodump's files in ``file`` are compressed; both if some are."""
    return {name.lower().endswith(".gz") for name in file.members if _is_of_mongodump(name)}


def _gzip(file: ForeignFile) -> str:
    """Return the option for compressed files; mongorestore refuses to read others with it."""
    return " --gzip" if _packed(file) == {True} else ""


def _prepared(file: ForeignFile) -> str:
    return "find FOLDER -name '*.gz' -exec gzip -d {} + && " if len(_packed(file)) > 1 else ""


def _renaming(file: ForeignFile, folder: str, database: str) -> str:
    pattern = _argument(f"{database}.*")
    return f"{_command(file, folder)} --nsInclude{pattern} --nsFrom{pattern} --nsTo 'NAME.*'"


def _command(file: ForeignFile, folder: str) -> str:
    if file.packing == "zip":
        return f"unzip {_path(file)} -d FOLDER && {_prepared(file)}{_RESTORE}{_gzip(file)} {_dump(folder)}"
    if file.packing == "zst":
        return f"zstd -dc {_path(file)} | {_RESTORE} --archive"
    packed = " --gzip" if file.packing == "gz" else ""
    return f"{_RESTORE}{packed} --archive={quote(file.name)}"
