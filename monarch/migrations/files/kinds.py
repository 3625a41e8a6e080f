"""The kinds of databases that the migrations of a project are for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from monarch.databases import KINDS, find_kind
from monarch.databases.environment import Environment
from monarch.errors import ProjectError
from monarch.migrations.files.classes import load_migration
from monarch.migrations.files.find import MigrationFile
from monarch.settings.paths import FOLDER


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


def _mentioned(root: Path) -> set[str]:
    bases = {name: find_kind(name).migration_base.rpartition(".")[2] for name in KINDS}
    try:
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (root / FOLDER).glob("*.py")]
    except OSError:
        return set()
    return {name for name, base in bases.items() if any(base in text for text in texts)}
