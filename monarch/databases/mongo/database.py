"""One database of a MongoDB server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, cast

from pymongo import WriteConcern, timeout
from pymongo.errors import ExecutionTimeout, PyMongoError

from monarch.databases.base import Contents, Database, Holdings, MigrationClient, Shell
from monarch.databases.environment import Environment
from monarch.databases.history import HistoryWriter, Operation
from monarch.databases.lease import Holder, Lease
from monarch.databases.mongo import lease as leases
from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, LEASE, is_ours
from monarch.databases.mongo.connection.client import Client, explained, full_uri
from monarch.databases.mongo.connection.cluster import (
    is_mongos,
    list_names,
    read_cluster_id,
    read_placement,
    refuse_shard,
)
from monarch.databases.mongo.connection.handle import BY_NAME_MS, DatabaseHandle
from monarch.databases.mongo.history.reader import MongoHistoryReader
from monarch.databases.mongo.swap_state import read_head, unfinished
from monarch.databases.transfer import (
    CollectionSummary,
    CopiedCollection,
    Engine,
    InspectedCollection,
    LiveSource,
    Source,
    TransferDatabase,
    measured,
)
from monarch.errors import NoTransactions, UsageError
from monarch.progress import Progress
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

if TYPE_CHECKING:
    from monarch.databases.health.observation import Observation
    from monarch.databases.mongo.masking.transform import MongoMasking
    from monarch.databases.sampling import CollectionSample
    from monarch.databases.selection import Selection
    from monarch.privacy.leaks.check import Leak
    from monarch.privacy.project_masks import ProjectMasks

# Seconds in which an operation must be recorded by a server that answers.
_RECORDING = 20.0


class MongoDatabase(TransferDatabase):
    """The database of one environment, through a connected pymongo client.

    Modules that only copies need are imported when they are used: most commands do not need them.
    """

    kind = "mongo"
    title = "MongoDB"
    lasting = frozenset({JOURNAL})

    def __init__(self, environment: Environment, client: Client) -> None:
        self._environment = environment
        self._client = client
        # The settings' write concern is for migrations. Here each write that needs one names it; the server's
        # default applies to the others.
        self._database = client.get_database(environment.db_name, write_concern=WriteConcern())
        self._history = MongoHistoryReader(environment, self._database)
        self._endpoint = DatabaseHandle(environment, self._database)

    @property
    def history(self) -> MongoHistoryReader:
        return self._history

    def handles(self) -> dict[str, object]:
        return {
            "client": self._client,
            "database": self._client[self._environment.db_name],
            "uri": full_uri(self._environment),
        }

    def shell(self, arguments: Sequence[str] = ()) -> Shell:
        from monarch.databases.mongo.shell import shell_of

        return shell_of(self._environment, self._client, arguments)

    def contents(self) -> Contents:
        endpoint = self._endpoint.on_primary()
        with explained(self._environment):
            # Names only: options may hold dates that Python cannot represent.
            entries = endpoint.database.list_collections(filter={"type": "collection"}, nameOnly=True)
            names = [entry["name"] for entry in entries]
            names = [name for name in names if not name.startswith("system.") and not is_ours(name)]
            documents = sum(endpoint.collection(name).estimated_document_count() for name in names)
        return Contents(len(names), documents)

    def holdings(self, seconds: float) -> Holdings:
        from monarch.databases.mongo.catalog.holdings import read_holdings

        return read_holdings(self._endpoint.on_primary(), seconds)

    def list_databases(self) -> tuple[str, ...]:
        """Return the names of all databases of the server that its user may see."""
        with explained(self._environment):
            return tuple(self._client.list_database_names())

    def others(self) -> tuple[str, ...]:
        own = {"admin", "config", "local", self._environment.db_name}
        try:
            names = self._client.list_database_names()
        except PyMongoError:
            return ()
        return tuple(sorted(name for name in names if name not in own and "_scratch_" not in name))

    def examine(self, is_far: bool, seconds: float) -> Iterator[Observation]:
        from monarch.databases.mongo.health.examine import examine

        return examine(self._endpoint, self.holder, is_far, seconds)

    def hurried(self, seconds: float) -> AbstractContextManager[None]:
        return timeout(seconds)

    def drop(self, check: Callable[[], None] = lambda: None) -> None:
        # The server must not wait for longer than the lease lasts: another run may have filled it by then.
        while True:
            check()
            with explained(self._environment):
                try:
                    self._database.command("dropDatabase", maxTimeMS=BY_NAME_MS)
                    return
                except ExecutionTimeout:
                    continue

    def is_same_as(self, other: Database) -> bool:
        if not isinstance(other, MongoDatabase):
            return False
        if self._environment.db_name.casefold() != other._environment.db_name.casefold():
            return False
        ours, theirs = self._identities(), other._identities()
        return bool(ours & theirs)

    def _identities(self) -> set[object]:
        """Return what identifies this server: its running process, its replica set or cluster."""
        with explained(self._environment):
            hello = self._client.admin.command("hello")
        process = hello.get("topologyVersion", {}).get("processId")
        if is_mongos(hello):
            return {process} - {None} | self._cluster_identities()
        members = {(hello.get("setName"), host) for host in hello.get("hosts", ())}
        # Two replica sets of one name whose members are called localhost may still be two.
        local = any(host.startswith(("localhost", "127.")) for _, host in members)
        return {process} - {None} | (set() if local else cast(Any, members))

    def _cluster_identities(self) -> set[object]:
        """Return what identifies the cluster that mongos leads to: its id, and the addresses of the mongos.

        A user that may not read the id has only the addresses, so two mongos of one cluster may look like two
        servers. No copy relies on that: it also looks for its own lease in the source.
        """
        with explained(self._environment):
            cluster = read_cluster_id(self._client)
            addresses = {("mongos", *node) for node in self._client.nodes}
        return addresses | ({("cluster", cluster)} if cluster is not None else set())

    def lease(self, purpose: str, origin: Origin = UNKNOWN_ORIGIN) -> AbstractContextManager[Lease]:
        return leases.MongoLease(self._environment, self._database, purpose, origin)

    def holder(self) -> Holder | None:
        return leases.find_holder(self._endpoint)

    def unlock(self, holder: Holder) -> bool:
        return leases.release(self._endpoint, holder)

    def sees(self, lease: Lease) -> bool:
        holder = self.holder()
        return holder is not None and holder.run == lease.run

    def recorder(self, lease: Lease) -> HistoryWriter:
        from monarch.databases.mongo.history.writer import MongoHistoryWriter

        assert isinstance(lease, leases.MongoLease)
        self._require_unsharded_history()
        return MongoHistoryWriter(self._environment, self._database, lease)

    def record(self, operation: Operation) -> bool:
        from monarch.databases.mongo.history.fenced_writes import describe_operation, entry_id, timed

        entry = {"_id": entry_id(operation)}, [{"$set": timed(describe_operation(operation))}]
        primary = self._endpoint.on_primary()
        with explained(self._environment), timeout(_RECORDING):
            if not {JOURNAL, LEASE} & set(primary.database.list_collection_names()):
                return False
            primary.database[JOURNAL].update_one(*entry, upsert=True)
        return True

    def forget(self, operation: Operation) -> None:
        from monarch.databases.mongo.history.fenced_writes import entry_id

        with explained(self._environment), timeout(_RECORDING):
            self._endpoint.on_primary().database[JOURNAL].delete_one({"_id": entry_id(operation)})

    def _require_unsharded_history(self) -> None:
        """Check that the collections of monarch have no shard key, and that this is not one shard.

        mongos refuses most writes to them then, because they do not name the key.
        """
        own = (HISTORY, JOURNAL, LEASE)
        placement = read_placement(self._endpoint, own)
        if placement is None:
            refuse_shard(self._endpoint)
            return
        sharded = [name for name in own if name in placement.sharded]
        if sharded:
            raise UsageError(
                f"The history in {self._environment.label!r} cannot be written: {list_names(sharded)} is "
                "sharded.",
                "Nothing was run. Copy its documents into a collection without a shard key, which then "
                "replaces it.",
            )

    def work(self) -> AbstractContextManager[MigrationClient]:
        from monarch.databases.mongo.history.migration_client import open_work

        return open_work(self._environment)

    def require_transactions(self) -> None:
        with explained(self._environment):
            hello = self._client.admin.command("hello")
        # MongoDB's manual: replica sets and sharded clusters have transactions.
        if "setName" not in hello and not is_mongos(hello):
            raise NoTransactions(
                f"the server of {self._environment.label!r} has none: it is neither a replica set nor a "
                "sharded cluster.",
                "Make it a replica set (one member is enough), or remove `transaction = True`.",
            )

    def fingerprint(self) -> Mapping[str, object]:
        from monarch.databases.mongo.catalog.fingerprint import take_fingerprint

        return take_fingerprint(self._endpoint.on_primary())

    def open_masking(self, rules: ProjectMasks) -> AbstractContextManager[MongoMasking]:
        from monarch.databases.mongo.masking.transform import open_masking

        return open_masking(rules)

    def ordered_engine(self) -> Engine:
        from monarch.databases.mongo.engines.in_order import OrderedEngine

        return OrderedEngine()

    def inspect(self, progress: Progress) -> tuple[InspectedCollection, ...]:
        from monarch.databases.mongo.engines.in_order import inspect

        return inspect(self._endpoint.on_primary(), progress)

    def sample(self, size: int) -> Iterator[CollectionSample]:
        from monarch.databases.mongo.catalog.sample import sample

        return sample(self._endpoint, size)

    def find_leaks(self, copy: TransferDatabase, rules: ProjectMasks, progress: Progress) -> tuple[Leak, ...]:
        from monarch.databases.mongo.leaks.find import find_leaks

        if not isinstance(copy, MongoDatabase):
            raise UsageError(
                f"A {copy.title} database is no copy of a {self.title} one.", "Name two of one kind."
            )
        with self.open_masking(rules) as masking:
            return find_leaks(self._endpoint, copy._endpoint, masking, rules, progress)

    def require_replaceable(self, comes: tuple[CollectionSummary, ...]) -> None:
        from monarch.databases.mongo.swap.clusters import require_replaceable

        require_replaceable(self._endpoint.on_primary(), [one.name for one in comes])

    def missing_rights(self, source: Source) -> str | None:
        from monarch.databases.mongo.sources.base import require_mongo_source
        from monarch.databases.mongo.swap.rights import missing_rights

        return missing_rights(self._endpoint.on_primary(), require_mongo_source(source).collections)

    def recover(self, lease: Lease, *, refilling: bool = False) -> str | None:
        from monarch.databases.mongo.swap.log import recover

        return recover(self._endpoint.on_primary(), lease, refilling=refilling)

    def require_whole(self) -> None:
        head = read_head(self._endpoint.on_primary())
        if head is not None:
            raise unfinished(self._environment.label, head)

    def choose_engine(self, name: str) -> Engine:
        from monarch.databases.mongo.engines import choose_engine

        return choose_engine(name)

    def read(self, engine: Engine, selection: Selection | None = None) -> LiveSource:
        from monarch.databases.mongo.engines.base import require_mongo_engine
        from monarch.databases.mongo.sources.server import MongoServerSource

        return MongoServerSource(self._endpoint, require_mongo_engine(engine), selection)

    def replace(
        self,
        source: Source,
        engine: Engine,
        lease: Lease,
        purpose: str,
        *,
        in_place: bool = False,
        keep_others: bool = False,
        operation: Operation | None = None,
        progress: Progress,
    ) -> tuple[CopiedCollection, ...]:
        from monarch.databases.mongo.engines.base import require_mongo_engine
        from monarch.databases.mongo.sources.base import require_mongo_source
        from monarch.databases.mongo.swap.replace import Replacement

        writing = require_mongo_engine(engine)

        def recording(copied: tuple[CopiedCollection, ...]) -> Mapping[str, Any]:
            from monarch.databases.mongo.history.fenced_writes import describe_operation, timed

            assert operation is not None
            return timed(describe_operation(measured(operation, copied), lease))

        record = recording if operation is not None else None
        replacement = Replacement(
            self._endpoint.on_primary(), lease, writing, progress, purpose, record, keep_others
        )
        return replacement.run(require_mongo_source(source), in_place=in_place)
