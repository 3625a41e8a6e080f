"""What a migration is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.database import Database

    from monarch.environments import Environment


class Migration:
    """One step of a database from one state to the next. Subclasses write `run`.

    ``environment`` is the environment that it runs on.
    """

    environment: Environment

    def run(self) -> None:
        """Change the database. An exception records the migration as failed and stops the run."""
        raise NotImplementedError


class MongoBackedMigration(Migration):
    """A migration of a MongoDB database.

    ``database`` and ``client`` are pymongo's, connected to the environment. ``uri`` is its whole
    connection string, password included, for whoever wants to connect an ODM of their own.
    """

    client: MongoClient[dict[str, Any]]
    database: Database[dict[str, Any]]
    uri: str
