"""The kinds of databases that the migrations of a project are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from monarch.databases import KINDS, find_kind
from monarch.databases.environment import Environment
from monarch.errors import ProjectError, SettingsError
from monarch.migrations.files.classes import load_migration
from monarch.migrations.files.find import (
    MigrationFile,
    UnknownMigration,
    find_migration,
    find_migrations,
)
from monarch.migrations.files.walk import walk
from monarch.settings.search import place_at


def find_kinds(environments: Iterable[Environment], root: Path) -> frozenset[str]:
    """Return the kinds of the databases of the project at ``root``.

    They are those of its ``environments``. The kind of one that is wrong, or has no ``uri`` on this machine,
    is unknown: then those count too whose base class a file of the project mentions.
    """
    kinds = {environment.known_kind for environment in environments}
    known = {kind for kind in kinds if kind is not None}
    return frozenset(known | _mentioned(root)) if None in kinds else frozenset(known)


def keep_kind(files: tuple[MigrationFile, ...], kind: str, root: Path) -> tuple[MigrationFile, ...]:
    """Return those of ``files`` that run on databases of ``kind``, in their order; imports them all.

    One that cannot be loaded is among them: whoever runs it learns why.
    """

    def fits(file: MigrationFile) -> bool:
        try:
            return load_migration(file, root).database_kind in (None, kind)
        except ProjectError:
            return True

    return tuple(file for file in files if fits(file))


def wrong_kind(key: str, kind: str, environment: Environment, so_far: str = "") -> ProjectError:
    """The error that the migration ``key`` is one of ``kind``, and ``environment`` of another one.

    ``so_far`` tells what has happened, at the end of the message.
    """
    own = find_kind(environment.kind)
    return ProjectError(
        f"{key} is a migration of a {find_kind(kind).title} database, but {environment.label!r} is a "
        f"{own.title} database.{so_far}",
        f"Name an environment of its kind, or derive it from {own.migration_base}.",
    )


@contextmanager
def naming_wrong_kinds(root: Path, environment: Environment) -> Iterator[None]:
    """Say of a migration that ``environment`` does not have if it is one of another kind."""
    try:
        yield
    except UnknownMigration as error:
        kind = None
        with suppress(ProjectError):
            file = find_migration(find_migrations(root), error.selected)
            kind = load_migration(file, root).database_kind
        if kind in (None, environment.kind):
            raise
        raise wrong_kind(file.key, str(kind), environment) from error


def _mentioned(root: Path) -> set[str]:
    bases = {name: find_kind(name).migration_base.rpartition(".")[2] for name in KINDS}
    try:
        folder = place_at(root).folder
        files = [root / folder / inside / one.name for inside, one in walk(root / folder, folder)]
        sources = [one for one in files if one.suffix == ".py" and one.is_file()]
        texts = [one.read_text(encoding="utf-8", errors="replace") for one in sources]
    except (OSError, ProjectError, SettingsError):
        return set()
    return {name for name, base in bases.items() if any(base in text for text in texts)}
