"""Several environments of one command: named one by one, by patterns, or as one with several databases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from monarch.databases.environment import Environment
from monarch.databases.several import SEPARATOR
from monarch.databases.several.members import find_members
from monarch.errors import MonarchError, UnknownEnvironment
from monarch.progress import SILENT, Progress

_MOST_NAMED = 8


@dataclass(frozen=True)
class Selected:
    """An environment that a name or pattern means, and the pattern for its databases if there is one."""

    environment: Environment
    databases: str | None = None


@dataclass(frozen=True)
class ChosenDatabase:
    """One database that a command is to work on, or the ``error`` why an environment gives none."""

    environment: Environment
    error: MonarchError | None = None

    def require(self) -> Environment:
        """Return its environment.

        :raises MonarchError: if there is an error.
        """
        if self.error is not None:
            raise self.error
        return self.environment


def select(environments: Iterable[Environment], pattern: str) -> tuple[Selected, ...]:
    """Return the environments that ``pattern`` means, in the order of the settings.

    With ``/`` in it, what follows is a pattern for the databases of those that have several.

    :raises UnknownEnvironment: if it means none, naming those that there are.
    """
    called, slash, database = pattern.partition(SEPARATOR)
    everything = tuple(environments)
    found = [one for one in everything if fnmatchcase(one.name, called)]
    if slash:
        found = [one for one in found if one.databases is not None or one.problem is not None]
    if not found:
        names = [one.name for one in everything]
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        raise UnknownEnvironment(
            f"No environment matches {pattern!r}{' and has several databases' if slash else ''}.",
            f"The environments are {', '.join(names[:_MOST_NAMED])}{more}.",
        )
    return tuple(Selected(one, database if slash else None) for one in found)


def find_targets(
    selected: Iterable[Selected], root: Path, progress: Progress = SILENT
) -> tuple[ChosenDatabase, ...]:
    """Return the databases of the ``selected`` environments in this order, each once.

    Where a pattern is needed to know them, their server is asked. One that does not answer, or an environment
    that is wrong, is a target with an error: it does not hide the others.

    :raises MonarchError: the error, if there are no others.
    """
    found: dict[str, ChosenDatabase] = {}
    for one in selected:
        try:
            targets = [ChosenDatabase(member) for member in _members(one, root, progress)]
        except MonarchError as error:
            targets = [ChosenDatabase(one.environment, error)]
        for target in targets:
            found.setdefault(target.environment.label, target)
    if len(found) == 1:
        next(iter(found.values())).require()
    return tuple(found.values())


def _members(selected: Selected, root: Path, progress: Progress) -> Iterator[Environment]:
    environment, pattern = selected.environment, selected.databases
    members = find_members(environment, root, progress)
    if pattern is None:
        yield from members
        return
    matching = [one for one in members if fnmatchcase(one.db_name, pattern)]
    if not matching:
        raise MonarchError(
            f"{environment.name!r} has no database that matches {pattern!r}.",
            f"Its 'db_name' is {environment.databases}.",
        )
    yield from matching
