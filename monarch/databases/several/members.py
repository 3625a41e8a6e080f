"""The environments of single databases that an environment with several consists of."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from monarch.databases import find_kind
from monarch.databases.environment import Environment
from monarch.databases.several import SEPARATOR
from monarch.errors import MonarchError, UnknownEnvironment
from monarch.progress import SILENT, Progress
from monarch.system.spelling import suggest_carefully


def find_environment(environments: Iterable[Environment], name: str) -> Environment | None:
    """Return the environment called ``name``, or the single one that ``ENVIRONMENT/DATABASE`` means.

    :return: None if no environment has that name.
    :raises UnknownEnvironment: if the environment does not have that database.
    """
    called, slash, database = name.partition(SEPARATOR)
    found = next((one for one in environments if one.name == called), None)
    if found is None or not slash or found.problem is not None:
        return found
    if found.databases is None:
        raise UnknownEnvironment(f"{called!r} has one database.", f"Write {called}, without {slash}.")
    if not found.databases.may_have(database) or _is_others(found, database):
        raise UnknownEnvironment(
            f"{called!r} has no database {database!r}: its 'db_name' is {found.databases}.",
            suggest_carefully(database, found.databases.named())
            if found.databases.named()
            else "Correct its name, or 'db_name' in migrations/settings.py.",
        )
    return found.member(database)


def is_member(environments: Iterable[Environment], name: str) -> bool:
    """Whether ``name`` means one database of an environment with several, and not a path."""
    called, slash, database = name.partition(SEPARATOR)
    sets = (one.databases for one in environments if one.name == called)
    return bool(slash) and any(one is not None and one.may_have(database) for one in sets)


def find_members(
    environment: Environment, root: Path, progress: Progress = SILENT
) -> tuple[Environment, ...]:
    """Return the single environments of ``environment``: itself, if it has one database.

    Those that are named come first, as they stand; then those of the server that match a pattern, sorted. The
    server's own databases and monarch's temporary ones match none.

    :raises ServerError: if the server cannot be asked which databases it has.
    :raises MonarchError: if a pattern is all there is, and no database matches.
    """
    environment.require_complete()
    databases = environment.databases
    if databases is None:
        return (environment,)
    names, unmatched = list(databases.named()), []
    if databases.patterns:
        there = [
            one for one in list_databases(environment, root, progress) if not _is_others(environment, one)
        ]
        for pattern in databases.patterns:
            matching = [name for name in there if fnmatchcase(name, pattern)]
            names += [name for name in matching if name not in names]
            if not matching:
                unmatched.append(pattern)
    if not names and databases.function is not None:
        raise MonarchError(
            f"{databases} of {environment.name!r} returned no database.",
            "Check that function of the settings.",
        )
    if not names:
        raise MonarchError(
            f"{environment.server} has no database that matches {databases} of {environment.name!r}.",
            "Check its 'db_name', and that its user may see the databases.",
        )
    for pattern in unmatched:
        progress.message(f"no database of {environment.name!r} matches {pattern!r}")
    return tuple(environment.member(name) for name in names)


def known_members(environment: Environment, databases: Iterable[str | None]) -> tuple[Environment, ...]:
    """Return the single environments of ``environment`` without asking its server.

    Of several databases these are the named ones, and those of ``databases`` that match a pattern.
    """
    several = environment.databases
    if several is None:
        return (environment,)
    others = {one for one in databases if one is not None and several.may_have(one)}
    names = several.named()
    others = {one for one in others - set(names) if not _is_others(environment, one)}
    return tuple(environment.member(name) for name in (*names, *sorted(others)))


def list_databases(environment: Environment, root: Path, progress: Progress = SILENT) -> tuple[str, ...]:
    """Return the names of the databases of its server that its user may see, sorted.

    :raises ServerError: if the server cannot be asked.
    """
    kind = find_kind(environment.kind)
    return tuple(sorted(kind.list_databases(environment.require_complete(), root, progress)))


def _is_others(environment: Environment, database: str) -> bool:
    """Whether ``database`` is the server's own or a temporary one of monarch's, and not named."""
    assert environment.databases is not None
    return database not in environment.databases.named() and find_kind(environment.kind).is_internal(database)
