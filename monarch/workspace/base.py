"""The files of a project, its settings, and its environments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from monarch.databases import open_database
from monarch.databases.base import Database
from monarch.errors import RunInterrupted, UsageError
from monarch.migrations.files import MigrationFile, find_migrations
from monarch.progress import SILENT, Progress
from monarch.settings.environments import Environment
from monarch.settings.load import Settings, load_settings
from monarch.settings.paths import SETTINGS

if TYPE_CHECKING:
    from monarch.querysets.evaluate import EvaluatedQuerySet
    from monarch.querysets.files import QuerySetFile

NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class Base:
    """The project at ``root``. Its settings are read when they are first needed.

    What a method needs beyond that is imported when it is called: most commands do without most of it.
    """

    def __init__(self, root: str | Path = ".") -> None:
        self.root = Path(root).resolve()

    @cached_property
    def settings(self) -> Settings:
        """What ``migrations/settings.py`` says.

        :raises SettingsError: if it cannot be used.
        """
        return load_settings(self.root)

    def environment(self, name: str) -> Environment:
        """The environment called ``name``, complete on this machine.

        :raises SettingsError: naming the nearest one, or the key that has no value here.
        """
        return self.settings.environment(name).require()

    @contextmanager
    def open(self, name: str, progress: Progress = SILENT) -> Iterator[Database]:
        """The database of an environment, connected while the context lasts."""
        with open_database(self.environment(name), self.root, progress) as database:
            yield database

    def init(self) -> tuple[Path, ...]:
        """Make ``migrations/`` with its settings. Old settings are kept beside the new ones.

        :return: the files written, and the old settings under their new name, if there were any.
        """
        from monarch.scaffold import write as scaffold

        return scaffold.init(self.root)

    def has_settings(self) -> bool:
        """Whether `init` has been here."""
        return (self.root / SETTINGS).exists()

    def generate(self, name: str) -> Path:
        """Write a new migration, to run after those that are there, and return its file.

        :raises ProjectError: if the name cannot be one, is taken, or the template is broken.
        """
        from monarch.scaffold import write as scaffold

        return scaffold.generate(self.root, name)

    def migrations(self) -> tuple[MigrationFile, ...]:
        """The migrations of this checkout, in order. Imports none of them."""
        return find_migrations(self.root)

    def query_sets(self) -> tuple[QuerySetFile, ...]:
        """The query sets of this checkout, by name. Imports none of them."""
        from monarch.querysets.files import find_query_sets

        return find_query_sets(self.root)

    def generate_query_set(self, name: str) -> Path:
        """Write a new query set, and return its file.

        :raises ProjectError: if the name cannot be one or is taken.
        """
        from monarch.scaffold import write as scaffold

        return scaffold.generate_query_set(self.root, name)

    def _ask(
        self,
        query_set: str | None,
        options: Mapping[str, str],
        environment: str,
        database: Database,
        progress: Progress,
    ) -> EvaluatedQuerySet | None:
        """What the query set wants of ``database``, which is that of ``environment``; None without one.

        :raises UsageError: if there are options, and nobody to take them.
        """
        if query_set is None:
            if options:
                raise UsageError("-o is for a query set, and none is named.", "Name one: -q NAME")
            return None
        from monarch.querysets.evaluate import ask

        asked = ask(self.root, query_set, options, self.environment(environment), database.handles())
        if progress.must_stop():  # Ctrl-C, swallowed by an `except` of the query set
            raise RunInterrupted("Interrupted. Nothing was changed.")
        return asked

    def _engine_for(self, engine: str, query_set: str | None) -> str:
        """``engine``; of a part, if it is left to us, native: it alone reads all of it as of one moment."""
        return "native" if engine == "auto" and query_set is not None else engine
