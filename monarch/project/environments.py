"""The settings of a project, and its environments."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from monarch.databases import find_kind, open_database
from monarch.databases.base import Database
from monarch.databases.environment import Environment
from monarch.databases.several import SEPARATOR, is_wild
from monarch.errors import MonarchError, UnknownEnvironment, UsageError
from monarch.migrations.files.find import find_migrations
from monarch.migrations.files.kinds import find_kinds
from monarch.progress import SILENT, Progress
from monarch.settings.hooks import HookContext, HookedRun
from monarch.settings.load import Settings, load_settings
from monarch.settings.paths import Place
from monarch.settings.search import find_place, place_at

if TYPE_CHECKING:
    from monarch.databases.several.targets import ChosenDatabase, Selected


class ProjectEnvironments:
    """The settings of the project at ``root``, and its environments."""

    def __init__(self, root: str | Path = ".") -> None:
        self.root = Path(root).resolve()

    @classmethod
    def find(cls, start: str | Path = ".") -> Self:
        """Return the project that the folder ``start`` is in; the one at ``start`` if it is in none.

        As git does, this looks upward for the nearest folder that is one: it has ``migrations/settings.py``,
        or a ``pyproject.toml`` with ``[tool.monarch]``.

        :raises UsageError: if that belongs to another user.
        """
        found = find_place(Path(start))
        return cls(start if found is None else found.root)

    @property
    def place(self) -> Place:
        """Where the files of the project are.

        :raises SettingsError: if its ``pyproject.toml`` is wrong.
        """
        return place_at(self.root)

    @cached_property
    def settings(self) -> Settings:
        """The contents of ``migrations/settings.py``.

        :raises SettingsError: if it cannot be used.
        """
        return load_settings(self.root)

    def environments(self) -> tuple[Environment, ...]:
        """The environments of the settings, also those that are incomplete on this machine."""
        return self.settings.environments

    def kinds(self) -> frozenset[str]:
        """The kinds of its databases, as far as they are known on this machine."""
        return find_kinds(self.environments(), self.root)

    def environment(self, name: str) -> Environment:
        """The environment called ``name``, complete on this machine, with one database.

        ``ENVIRONMENT/DATABASE`` means one of several databases.

        :raises SettingsError: naming the nearest one, or the key that has no value here.
        :raises UsageError: if it has several databases.
        """
        return self._one_or_several(name).require()

    def _one_or_several(self, name: str) -> Environment:
        return self._named(name).require_complete()

    def _named(self, name: str) -> Environment:
        try:
            return self.settings.environment(name)
        except UnknownEnvironment as error:
            if self.is_migration(name):
                error.hint = f"{name!r} is a migration: check the order of the arguments."
            raise

    def members(self, name: str, progress: Progress = SILENT) -> tuple[Environment, ...]:
        """The environments of the single databases of the environment ``name``: itself, if it has only one.

        If its ``db_name`` is a pattern, its server is asked which databases it has.

        :raises SettingsError: as for `environment`.
        :raises ServerError: if the server does not answer.
        :raises MonarchError: if no database matches.
        """
        from monarch.databases.several.members import find_members

        return find_members(self._one_or_several(name), self.root, progress)

    def has_several(self, name: str) -> bool:
        """Whether the environment ``name`` has several databases.

        :raises SettingsError: as for `environment`.
        """
        return self._one_or_several(name).databases is not None

    def is_one(self, *names: str) -> bool:
        """Whether ``names`` are the name of one database: no pattern, and no environment with several.

        :raises SettingsError: as for `environment`.
        """
        return len(names) == 1 and not is_wild(names[0]) and not self.has_several(names[0])

    def select(self, *names: str) -> tuple[Selected, ...]:
        """The environments that ``names`` mean, which may be patterns such as ``eu-*``. Asks no server.

        :raises SettingsError: as for `environment`, or if a pattern matches none.
        """
        from monarch.databases.several.targets import Selected, select

        found: list[Selected] = []
        for name in names:
            if is_wild(name):
                found += select(self.environments(), name)
            else:
                found.append(Selected(self._named(name)))
        return tuple(found)

    def targets(self, *names: str, progress: Progress = SILENT) -> tuple[ChosenDatabase, ...]:
        """The databases that ``names`` mean, in this order and each once: see `select` and `members`.

        A server that does not answer and an environment that is incomplete give a target with an error, if
        there are others.

        :raises SettingsError: as for `select`.
        :raises MonarchError: if there is nothing but such an error.
        """
        from monarch.databases.several.targets import find_targets

        return find_targets(self.select(*names), self.root, progress)

    def trust(self, label: str) -> None:
        """Take the database of ``ENVIRONMENT/DATABASE`` for all that a function in its ``db_name`` returns.

        So a process that works for another one, which has called the function, does not call it again.
        """
        name, _, database = label.partition(SEPARATOR)

        def trusting(one: Environment) -> Environment:
            if one.name != name or one.databases is None or one.databases.function is None:
                return one
            return replace(one, databases=replace(one.databases, function=lambda: (database,)))

        self.settings = replace(self.settings, environments=tuple(map(trusting, self.environments())))

    def open(self, name: str, progress: Progress = SILENT) -> AbstractContextManager[Database]:
        """Connect to the database of an environment while the context lasts."""
        return open_database(self.environment(name), self.root, progress)

    def uri(self, name: str) -> str:
        """The connection string of an environment, without its secrets.

        :raises UsageError: if nothing tells its address, as of an embedded one.
        """
        found = self._with_address(name)
        return find_kind(found.kind).public_uri(found)

    def reveal_uri(self, name: str) -> str:
        """The connection string of an environment, secrets included; see `uri`."""
        found = self._with_address(name)
        return find_kind(found.kind).uri(found)

    def _with_address(self, name: str) -> Environment:
        found = self.environment(name)
        if found.embedded:
            raise UsageError(
                f"{found.label!r} is embedded: its server has an address only while monarch runs it.",
                f"Work on it with: monarch shell {found.label}",
            )
        return found

    def _hooked(self, context: HookContext, progress: Progress) -> HookedRun:
        return HookedRun(self.root, self.settings.hooks, context, progress)

    def is_migration(self, name: str) -> bool:
        """Whether ``name`` is a migration of this checkout, by its name or key."""
        with suppress(MonarchError):
            return any(name in (file.key, file.name) for file in find_migrations(self.root))
        return False
