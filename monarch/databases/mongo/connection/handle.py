"""One database of one environment, as the engines, the staging and the swap use it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

from pymongo import ReadPreference
from pymongo.collection import Collection as PyMongoCollection
from pymongo.database import Database as PyMongoDatabase

from monarch.databases.environment import Environment
from monarch.databases.lease import SECONDS
from monarch.databases.mongo.connection.client import explained

Document = dict[str, Any]
# Enough for staging; writes that decide something use `DURABLE`.
QUICK: Mapping[str, Any] = {"w": 1}
# Acknowledged by a majority and on disk, together with everything that was written before.
DURABLE: Mapping[str, Any] = {"w": "majority", "j": True, "wtimeout": 60_000}
# How long the server may wait before it removes something by its name alone. A lease is trusted for half of
# its time, so the command ends before another run may begin. The driver does not send it a second time.
BY_NAME_MS = SECONDS * 1000 // 3


class _AnyName(str):
    """A name that passes pymongo's check: servers have names like ``a..b`` or ``a.``, from other drivers."""

    __slots__ = ()

    def __contains__(self, part: object) -> bool:
        return False

    def __getitem__(self, index: Any) -> str:
        return "_"


@dataclass(frozen=True)
class DatabaseHandle:
    """An environment and its connected database. ``environment`` has the host of a running server."""

    environment: Environment
    database: PyMongoDatabase[Document]

    @property
    def name(self) -> str:
        """The name of the environment."""
        return self.environment.label

    def collection(self, name: str) -> PyMongoCollection[Document]:
        """Return the collection called ``name``, of any name that a server has accepted."""
        return self.database[_AnyName(name)]

    def explained(self) -> AbstractContextManager[None]:
        """Turn what pymongo raises inside into errors that name the environment."""
        return explained(self.environment)

    def command(self, name: str, value: object = 1, **arguments: Any) -> Document:
        """Run one command of this database.

        :raises ServerError: naming the environment.
        """
        with self.explained():
            return self.database.command(name, value, **arguments)

    def on_primary(self) -> DatabaseHandle:
        """Return the same handle reading from the primary; the settings may prefer another member."""
        database = self.database.with_options(read_preference=ReadPreference.PRIMARY)
        return replace(self, database=database)

    def ping(self) -> None:
        """Check that the server still answers.

        :raises ServerError: if it does not.
        """
        with self.explained():
            self.database.client.admin.command("ping")
