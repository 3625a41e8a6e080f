"""One database of a MongoDB server."""

from __future__ import annotations

from monarch.databases.base import Contents, Database
from monarch.databases.mongo.connection import Client, explained, full_uri
from monarch.databases.mongo.history import MongoHistory
from monarch.environments import Environment


class MongoDatabase(Database):
    """The database of one environment, through a connected pymongo client."""

    def __init__(self, environment: Environment, client: Client) -> None:
        self._environment = environment
        self._client = client
        self._database = client[environment.db_name]
        self._history = MongoHistory(environment, self._database)

    @property
    def history(self) -> MongoHistory:
        return self._history

    def handles(self) -> dict[str, object]:
        return {
            "client": self._client,
            "database": self._database,
            "uri": full_uri(self._environment),
        }

    def contents(self) -> Contents:
        with explained(self._environment):
            names = [
                info["name"]
                for info in self._database.list_collections(filter={"type": "collection"})
                if not info["name"].startswith("system.")
            ]
            documents = sum(self._database[name].estimated_document_count() for name in names)
        return Contents(len(names), documents)

    def drop(self) -> None:
        with explained(self._environment):
            self._client.drop_database(self._environment.db_name)
