"""One database of one environment, as the engines, the staging and the swap use it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from pymongo import ReadPreference
from pymongo.database import Database as PyMongoDatabase

from monarch.databases.environment import Environment
from monarch.databases.mongo.connection import explained

Document = dict[str, Any]
# Enough while something is built; what decides is written with `DURABLE`.
QUICK: Mapping[str, Any] = {"w": 1}
# On most of the members and in the journal, and with it everything that was written before.
DURABLE: Mapping[str, Any] = {"w": "majority", "j": True, "wtimeout": 60_000}


@dataclass(frozen=True)
class DatabaseHandle:
    """An environment and its connected database. ``environment`` has the host of a server that runs."""

    environment: Environment
    database: PyMongoDatabase[Document]

    @property
    def name(self) -> str:
        """How people call it."""
        return self.environment.name

    def explained(self) -> AbstractContextManager[None]:
        """Turns what pymongo raises into errors that name the environment."""
        return explained(self.environment)

    def command(self, name: str, value: object = 1, **arguments: Any) -> Document:
        """Run one command of this database.

        :raises ServerError: in words that name the environment.
        """
        with self.explained():
            return self.database.command(name, value, **arguments)

    def on_primary(self) -> DatabaseHandle:
        """The same, reading from where one writes whatever the settings prefer."""
        database = self.database.with_options(read_preference=ReadPreference.PRIMARY)
        return replace(self, database=database)

    def ping(self) -> None:
        """Ask whether the server is still there.

        :raises ServerError: if it is not.
        """
        with self.explained():
            self.database.client.admin.command("ping")
