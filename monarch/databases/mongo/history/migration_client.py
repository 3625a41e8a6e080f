"""The connection of a migration, which counts what it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

import bson
from pymongo import ReadPreference, WriteConcern
from pymongo.client_session import ClientSession
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import PyMongoError
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent
from pymongo.read_concern import ReadConcern

from monarch.databases.base import MigrationClient, Transaction
from monarch.databases.environment import Environment
from monarch.databases.history import ScanPosition
from monarch.databases.mongo.connection.client import connect, explained, full_uri
from monarch.databases.mongo.connection.driver_errors import describe_driver_error
from monarch.databases.mongo.connection.retry import patiently
from monarch.errors import UsageError

# Commands that write nothing, unless their pipeline does.
_READ = frozenset(
    (
        *("aggregate", "collStats", "count", "dbHash", "dbStats", "distinct", "explain", "find", "getMore"),
        *("killCursors", "listCollections", "listIndexes", "ping", "hello", "endSessions"),
    )
)


class WriteCounter(CommandListener):
    """Counts the documents that were inserted, changed or removed, by the server's replies.

    ``elsewhere`` are the databases other than ``own`` that commands which may write were sent to.
    """

    def __init__(self, own: str) -> None:
        self.documents = 0
        self.elsewhere: set[str] = set()
        self._own = own

    def started(self, event: CommandStartedEvent) -> None:
        """Note the database, if it is another one."""
        is_other = event.database_name not in (self._own, "admin", "config", "local")
        if is_other and (event.command_name not in _READ or _writes(event.command)):
            self.elsewhere.add(event.database_name)

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


def _writes(command: Mapping[str, Any]) -> bool:
    pipeline = command.get("pipeline")
    stages = pipeline if isinstance(pipeline, list) else []
    return any(isinstance(stage, Mapping) and {"$out", "$merge"} & stage.keys() for stage in stages)


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

    def is_transient(self, error: BaseException) -> bool:
        return isinstance(error, PyMongoError) and error.has_error_label("TransientTransactionError")

    @property
    def written_elsewhere(self) -> frozenset[str]:
        return frozenset(self._written.elsewhere)

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
        documents = self._database[collection]
        position = start or ScanPosition(None, 0)
        if not position.until:
            # What is inserted meanwhile is not scanned: a migration that inserts would never end.
            last = documents.find_one(filter, {"_id": 1}, sort=[("_id", -1)], session=session)
            if last is None:
                return
            position = replace(position, until=(last["_id"],))
        while True:
            # An _id may have any type: in an expression, values of all BSON types are compared.
            limits = [{"$lte": ["$_id", {"$literal": position.until[0]}]}]
            if position.documents:
                limits.append({"$gt": ["$_id", {"$literal": position.after}]})
            query = {"$and": [{"$expr": {"$and": limits}}, filter]}
            # One reply of the server, which has at most 16 MB, however large the documents are.
            with documents.find_raw_batches(
                query, sort=[("_id", 1)], limit=size, batch_size=size, session=session
            ) as cursor:
                payload = cast(bytes, next(cursor, b""))  # as documented; the annotation says dict
            found = bson.decode_all(payload, self._database.codec_options)
            if not found:
                return
            position = replace(position, after=found[-1]["_id"], documents=position.documents + len(found))
            yield found, position


@contextmanager
def open_work(environment: Environment) -> Iterator[MongoMigrationClient]:
    """Connect to ``environment`` for a migration."""
    written = WriteCounter(environment.db_name)
    with connect(environment, [written]) as client:
        yield MongoMigrationClient(environment, client, written)
