"""monarch: migrations should happen naturally. A toolbelt for MongoDB and PostgreSQL.

The public names. Each is imported when it is first asked for: ``import monarch`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monarch.version import __version__

if TYPE_CHECKING:
    from click import echo, progressbar

    from monarch.commands import cli
    from monarch.databases.migration import Migration
    from monarch.databases.mongo.migration import MongoBackedMigration
    from monarch.databases.postgres.migration import PostgresBackedMigration
    from monarch.errors import MonarchError
    from monarch.project import Project
    from monarch.querysets.queryset import QuerySet

__all__ = [
    "Migration",
    "MonarchError",
    "MongoBackedMigration",
    "PostgresBackedMigration",
    "Project",
    "QuerySet",
    "__version__",
    "cli",
    "echo",
    "progressbar",
]

_HOMES = {
    "Migration": "monarch.databases.migration",
    "MonarchError": "monarch.errors",
    "MongoBackedMigration": "monarch.databases.mongo.migration",
    "PostgresBackedMigration": "monarch.databases.postgres.migration",
    "Project": "monarch.project",
    "QuerySet": "monarch.querysets.queryset",
    "cli": "monarch.commands",
    "echo": "click",
    "progressbar": "click",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'monarch' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
