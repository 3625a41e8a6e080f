"""The files of a project, and writing new ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monarch.databases import DEFAULT_KIND
from monarch.errors import ProjectError
from monarch.migrations.files.find import MigrationFile, find_migrations
from monarch.migrations.files.kinds import keep_kind
from monarch.project.environments import ProjectEnvironments
from monarch.settings.search import where_else

if TYPE_CHECKING:
    from monarch.handouts.suggestions import MaskSuggestions
    from monarch.querysets.files import QuerySetFile


class ProjectFiles(ProjectEnvironments):
    """The files of a project: its settings, migrations, query sets and masks."""

    def has_settings(self) -> bool:
        """Whether the project has settings, which `init` writes."""
        return (self.root / self.place.settings).exists()

    def init(self, kind: str = DEFAULT_KIND, folder: str | None = None) -> tuple[Path, ...]:
        """Write ``migrations/`` with its settings. Old settings are kept beside the new ones.

        :param kind: the kind of database that the settings are for.
        :param folder: another name than ``migrations``, which is written into ``pyproject.toml``.
        :raises ProjectError: if the folder has the migrations of another tool, such as Django.
        :return: the files written, and the old settings under their new name, if there were any.
        """
        from monarch.scaffold import write

        return write.init(self.root, kind, folder)

    def generate(
        self,
        name: str,
        kind: str | None = None,
        *,
        folder: str | None = None,
        template: str | None = None,
    ) -> Path:
        """Write a new migration, to run after the existing ones, and return its file.

        :param name: its name, or a text in words, such as "Add email index" for ``add_email_index``.
        :param kind: the kind of database that it is for. By default that of the settings, if they have one.
        :param folder: the folder in ``migrations/`` to write it into, "." for that itself. By default that,
            unless the newest migration is in a folder named after its year or month.
        :param template: what it is made from: a file, the name of a template in ``migrations/`` or of a
            migration.
        :raises ProjectError: if the name is invalid or taken, or the template is broken.
        :raises UsageError: if the settings have several kinds and ``kind`` is None.
        """
        from monarch.scaffold import write

        return write.generate(self.root, name, kind, folder, template)

    def generate_query_set(self, name: str, kind: str | None = None) -> Path:
        """Write a new query set, and return its file.

        :param name: its name, or a text in words, such as "Recent orders" for ``recent_orders``.
        :param kind: the kind of database that it is for. By default that of the settings, if they have one.
        :raises ProjectError: if the name is invalid or taken.
        :raises UsageError: if the settings have several kinds and ``kind`` is None.
        """
        from monarch.scaffold import write

        return write.generate_query_set(self.root, name, kind)

    def migrations(self) -> tuple[MigrationFile, ...]:
        """The migrations of this checkout, in order. Imports none of them."""
        return find_migrations(self.root)

    def migrations_of(self, environment: str) -> tuple[MigrationFile, ...]:
        """The migrations of this checkout that run on databases of the kind of ``environment``, in order.

        Imports them if the project has databases of several kinds.
        """
        kind = self.environment(environment).kind
        if self.kinds() <= {kind}:
            return self.migrations()
        return keep_kind(self.migrations(), kind, self.root)

    def query_sets(self) -> tuple[QuerySetFile, ...]:
        """The query sets of this checkout, by name. Imports none of them.

        :raises ProjectError: if there are none, and no settings either: this is no project.
        """
        from monarch.querysets.files import find_query_sets

        found = find_query_sets(self.root)
        if not found and not self.has_settings():
            raise ProjectError(
                f"There is no {self.place.settings} here ({self.root}).", where_else(self.root)
            )
        return found

    def suggest_masks(self, environment: str, *, sample: int = 1000) -> MaskSuggestions:
        """Read ``sample`` documents of each collection, and suggest a mask or `keep` for every field.

        Writes nothing.

        :raises ProjectError: if there are rules already that cannot be read.
        :raises UsageError: if this kind of database has no masks.
        """
        from monarch.databases.transfer import as_transfer_database
        from monarch.handouts.suggestions import suggest_for
        from monarch.privacy.load import load_masks

        file = self.place.privacy
        masks = load_masks(self.root, file=file) if (self.root / file).exists() else None
        with self.open(environment) as database:
            return suggest_for(environment, as_transfer_database(database).sample(sample), masks)

    def render_masks(self, suggestions: MaskSuggestions) -> str:
        """Return what `write_masks` would write: a file, or what is new at its end; nothing if nothing is.

        :raises ProjectError: if there are rules already that cannot be read.
        """
        from monarch.handouts.privacy_file import render_addition, render_new

        if not suggestions.new:
            return ""
        return (
            render_addition(suggestions, self.root)
            if (self.root / self.place.privacy).exists()
            else render_new(suggestions)
        )

    def write_masks(self, suggestions: MaskSuggestions) -> Path:
        """Write ``migrations/privacy.py``, or what is new at its end.

        :raises ProjectError: if it cannot be read or written.
        """
        from monarch.handouts.privacy_file import write_file

        return write_file(suggestions, self.root)
