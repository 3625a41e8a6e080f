"""The connection of a migration, which counts what it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pymongo import ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database as PyMongoDatabase
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from pymongo.read_concern import ReadConcern

from monarch.databases.base import MigrationClient, Transaction
from monarch.databases.environment import Environment
from monarch.databases.history import ScanPosition
from monarch.databases.mongo.connection.client import connect, explained, full_uri
from monarch.databases.mongo.connection.driver_errors import describe_driver_error
from monarch.databases.mongo.connection.retry import patiently
from monarch.errors import UsageError


class WriteCounter(CommandListener):
    """Counts the documents that were inserted, changed or removed, by the server's replies."""

    def __init__(self) -> None:
        self.documents = 0

    def started(self, event: CommandStartedEvent) -> None:
        """Nothing has been written yet."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing was written."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Count by the fields of replies, as MongoDB's manual documents them for commands that write."""
        reply: Mapping[str, Any] = event.reply
        if event.command_name in ("insert", "delete"):
            self.documents += reply.get("n", 0)
        elif event.command_name == "update":
            self.documents += reply.get("nModified", 0) + len(reply.get("upserted", ()))
        elif event.command_name == "findAndModify":
            self.documents += (reply.get("lastErrorObject") or {}).get("n", 0)
        elif event.command_name == "bulkWrite":
            names = ("nInserted", "nModified", "nUpserted", "nDeleted")
            self.documents += sum(reply.get(name, 0) for name in names)


class MongoTransaction(Transaction):
    """A transaction of a migration's client."""

    def __init__(
        self, environment: Environment, session: ClientSession, database: PyMongoDatabase[Any]
    ) -> None:
        self._environment = environment
        self.session = session
        self.database = database

    @property
    def handles(self) -> dict[str, object]:
        return {"session": self.session}

    @property
    def is_open(self) -> bool:
        return not self.session.has_ended and self.session.in_transaction

    def commit(self, write: Callable[[ClientSession], None]) -> None:
        """Call ``write`` in the transaction, and commit it.

        :raises ServerError: if it could not be committed, or it is unknown whether it was.
        """
        with explained(self._environment):
            write(self.session)
        patiently(self._environment, self.session.commit_transaction)


class MongoMigrationClient(MigrationClient):
    """The client of a migration: what it does to it does not disturb monarch's own."""

    def __init__(self, environment: Environment, client: Any, written: WriteCounter) -> None:
        self._environment = environment
        self._client = client
        self._written = written
        self._database: PyMongoDatabase[dict[str, Any]] = client[environment.db_name]

    @property
    def handles(self) -> dict[str, object]:
        return {
            "client": self._client,
            "database": self._database,
            "session": None,
            "uri": full_uri(self._environment),
        }

    @property
    def written(self) -> int:
        return self._written.documents

    @contextmanager
    def transaction(self) -> Iterator[MongoTransaction]:
        with explained(self._environment):
            session = self._client.start_session()
        with session:
            # This read concern allows creating collections; a transaction reads a snapshot in any case.
            session.start_transaction(ReadConcern("local"), WriteConcern("majority"), ReadPreference.PRIMARY)
            # Without a commit, the end of the session aborts it.
            yield MongoTransaction(self._environment, session, self._database)

    def describe_error(self, error: BaseException) -> str | None:
        return describe_driver_error(error)

    def require_collection(self, name: str) -> bool:
        with explained(self._environment):
            found = list(self._database.list_collections(filter={"name": name}))
        if found and found[0]["type"] != "collection":
            kind = found[0]["type"]
            raise UsageError(
                f"{name!r} is a {kind}, and each() goes by the _id of documents in a collection.",
                f"Use self.database[{name!r}].find() instead.",
            )
        return bool(found)

    def count(self, collection: str, filter: Mapping[str, Any]) -> int:
        documents = self._database[collection]
        return documents.count_documents(filter) if filter else documents.estimated_document_count()

    def batches(
        self,
        collection: str,
        filter: Mapping[str, Any],
        size: int,
        start: ScanPosition | None,
        transaction: Transaction | None,
    ) -> Iterator[tuple[list[Any], ScanPosition]]:
        assert transaction is None or isinstance(transaction, MongoTransaction)
        session = transaction.session if transaction else None
        position = start or ScanPosition(None, 0)
        while True:
            # An _id may have any type: in an expression, $gt compares values of all BSON types.
            later = {"$expr": {"$gt": ["$_id", {"$literal": position.after}]}}
            query = filter if position.documents == 0 else {"$and": [later, filter]}
            found = self._database[collection].find(query, session=session).sort("_id").limit(size)
            documents = list(found)
            if not documents:
                return
            position = ScanPosition(documents[-1]["_id"], position.documents + len(documents))
            yield documents, position


@contextmanager
def open_work(environment: Environment) -> Iterator[MongoMigrationClient]:
    """Connect to ``environment`` for a migration."""
    written = WriteCounter()
    with connect(environment, [written]) as client:
        yield MongoMigrationClient(environment, client, written)
