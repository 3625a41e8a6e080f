"""Replace the contents of a database by those of a source: stage, compare, swap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from pymongo.errors import OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.catalog.read import list_entries
from monarch.databases.mongo.catalog.view_graph import require_accepted_views
from monarch.databases.mongo.collection_names import STAGING
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import MongoEngine, Rights
from monarch.databases.mongo.engines.some_documents import read_some
from monarch.databases.mongo.masking.refusals import blame_masks
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.stream.batches import Batch
from monarch.databases.mongo.stream.counts import Counts
from monarch.databases.mongo.stream.zero_timestamps import ZeroTimestamps
from monarch.databases.mongo.swap.arrival import (
    Recording,
    keep_all_entries,
    keep_own_entries,
    own_journal,
    record,
    require_accepted,
    with_journal,
)
from monarch.databases.mongo.swap.clusters import require_replaceable
from monarch.databases.mongo.swap.definitions import UNAUTHORIZED, create, drop
from monarch.databases.mongo.swap.log import Swap, SwapStuck
from monarch.databases.mongo.swap.plan import plan_steps
from monarch.databases.mongo.swap.rehearsal import rehearse
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.mongo.swap.steps import SwapStep
from monarch.databases.transfer import CopiedCollection
from monarch.errors import LockedError, MonarchError, RunInterrupted
from monarch.progress import Progress


@dataclass(frozen=True)
class Replacement:
    """The replacement of the contents of ``target``, whose ``lease`` this run holds, with ``engine``.

    ``purpose`` is the command, for other runs and for the swap log. ``recording``
    describes it for the journal that arrives, see `arrival`. With ``keep_others`` the target keeps
    all that has none of the names of the source.
    """

    target: DatabaseHandle
    lease: Lease
    engine: MongoEngine
    progress: Progress
    purpose: str
    recording: Recording | None = None
    keep_others: bool = False

    def run(self, source: MongoSource, *, in_place: bool) -> tuple[CopiedCollection, ...]:
        """Replace the contents by those of ``source``; return its collections.

        Until the swap the target is as it was. With ``in_place`` it is emptied first.

        :raises UsageError: if a swap cannot replace the contents of this sharded cluster, the journal of
            the source is a view or a time series, or views would not fit together.
        :raises LockedError: if another run took over the lease.
        :raises ServerError: if the replacement fails; the staging was dropped.
        :raises RunInterrupted: on Ctrl-C or a signal during the swap, once the swap is finished.
        """
        require_replaceable(self.target, [one.name for one in source.collections])
        swap = Swap(self.target, self.lease)
        series = next((one.name for one in source.collections if BUCKETS in one.data_name), None)
        if series is not None and not self._may_write_buckets(series):
            source.take_series_as_documents()
        collections = self._staged(source)
        require_accepted_views(collections, self._staying_views(collections), self.target.name)
        staging = Staging(self.target, self.lease, collections)
        try:
            rehearse(self.target, self.lease, collections)
            # Also with ``in_place`` before anything is dropped: this finds what the server does not accept.
            staging.prepare()
            if self.recording is not None:
                require_accepted(self.target, staging, self.lease.lineage, self.recording(()))
        except BaseException:
            self._give_up(swap, staging)
            raise
        try:
            if in_place:
                self.progress.phase("emptying")
                swap.empty(self.purpose)
            with blame_masks(source), _blaming_lost_lease(swap):
                copied = self._build(source, staging)
                interrupted = self._begin(
                    swap, plan_steps(self.target, staging, keep_others=self.keep_others)
                )
        except MonarchError as error:
            self._give_up(swap, staging)
            if in_place:
                raise self._emptied(error) from error
            raise
        except BaseException as error:
            self._give_up(swap, staging)
            if in_place and isinstance(error, KeyboardInterrupt):
                raise self._emptied(RunInterrupted("Interrupted.")) from error
            raise
        self._finish(swap, interrupted=interrupted)
        return copied

    def _staying_views(self, collections: tuple[Collection, ...]) -> tuple[Collection, ...]:
        """Return the views of the target that stay beside ``collections``."""
        if not self.keep_others:
            return ()
        replaced = {one.new_name for one in collections}
        views = (entry for entry in list_entries(self.target) if entry["type"] == "view")
        found = (Collection(str(entry["name"]), "view", entry["options"], ()) for entry in views)
        return tuple(one for one in found if one.name not in replaced)

    def _staged(self, source: MongoSource) -> tuple[Collection, ...]:
        """Return what is staged: the collections of ``source``, and a journal."""
        collections = source.collections
        if self.recording is None:
            return collections
        if self.keep_others:
            return with_journal(collections + own_journal(self.target), repr(self.target.name))
        return with_journal(collections, "the source")

    def _build(self, source: MongoSource, staging: Staging) -> tuple[CopiedCollection, ...]:
        """Build the copy in the staging, and compare it with the source."""
        counts = self._load(source, staging)
        source.check()
        self.progress.phase("comparing")
        for name, number in staging.compare_documents(counts.documents()).items():
            self.progress.message(
                f"{name} is capped and has no room for all: its oldest {number:,} documents are not there"
            )
        for check in source.checks:
            self.progress.phase("checking")
            check.check_written(partial(self._read_staged, staging))
        self.progress.phase("indexing")
        staging.build_indexes(counts.add_seconds)
        staging.compare_indexes()
        copied = counts.copied()
        if self.recording is not None:
            if self.keep_others:
                keep_all_entries(self.target, staging)
            else:
                keep_own_entries(self.target, staging, self.lease.lineage)
            record(self.target, staging, self.recording(copied))
        # A copy may take hours, in which somebody may have sharded a collection of the target.
        require_replaceable(self.target, ())
        for name in staging.adapted:
            self.progress.message(f"old options of indexes of {name} that this server refuses were left out")
        return copied

    def _read_staged(
        self, staging: Staging, is_read: Callable[[str], bool], number: int | None
    ) -> Iterator[tuple[str, bytes]]:
        """Yield documents of each staged collection that is read, up to ``number`` random ones of each."""
        for collection in staging.collections:
            if collection.kind != "view" and is_read(collection.name):
                for documents in read_some(self.target, staging.data_name(collection), number):
                    self.lease.check()
                    yield collection.name, documents

    def _begin(self, swap: Swap, steps: list[SwapStep]) -> bool:
        """Begin the swap; return whether Ctrl-C was pressed when it could no longer be undone."""
        self.progress.phase("swapping")
        try:
            self.lease.renew()
            swap.begin(steps, self.purpose)
        except BaseException as error:
            # The head may have been written even if its answer did not arrive.
            if not swap.has_begun():
                raise
            return isinstance(error, KeyboardInterrupt)
        return False

    def _finish(self, swap: Swap, *, interrupted: bool) -> None:
        try:
            interrupted |= swap.finish()
        except SwapStuck:
            raise
        except MonarchError as error:
            name = self.target.name
            raise type(error)(
                f"{error.message} The swap of {name!r} is unfinished.",
                f"{error.hint or ''} To finish it, run `monarch list_migrations {name}`.".strip(),
            ) from error
        if interrupted:
            raise RunInterrupted(
                f"Interrupted. By then {self.target.name!r} was being swapped, and the swap was finished.",
                "The copy is complete.",
            )

    def _emptied(self, error: MonarchError) -> MonarchError:
        name = self.target.name
        # What a server says has no full stop.
        message = error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."
        return type(error)(
            f"{message} {name!r} is empty now: it was to be replaced in place.",
            f"{error.hint or ''} Run the command again, or drop it: monarch drop_db {name}".strip(),
        )

    def _give_up(self, swap: Swap, staging: Staging) -> None:
        # If the server is unreachable, the next command cleans up. The staging of this run may be dropped
        # without the lease too, because no other run uses it.
        with suppress(MonarchError):
            # First, because a head that is still on its way would begin a swap without staging.
            self._give_up_log(swap)
            staging.drop()
            # A head that was on its way when Ctrl-C was pressed has arrived by now.
            self._give_up_log(swap)

    def _give_up_log(self, swap: Swap) -> None:
        with suppress(LockedError):  # then the next holder has given it up
            self.lease.renew()
            swap.give_up()

    def _load(self, source: MongoSource, staging: Staging) -> Counts:
        rights = Rights(bypass_validation=staging.may_bypass_validation())
        # Not for a journal that is added to what is read: an engine waits for the end of each.
        read = {collection.data_name for collection in source.collections}
        destinations = {name: where for name, where in staging.destinations().items() if name in read}
        targets = staging.timestamp_targets()
        timestamps = ZeroTimestamps()
        counts = source.begin_phase(source.phase, self.progress)
        with (
            source.pieces(self.lease.check) as pieces,
            self.engine.write(self.target, destinations, rights, self.lease.check) as writer,
        ):
            for piece in pieces:
                self.lease.check()
                counts.count(piece)
                if isinstance(piece, Batch) and piece.collection in targets:
                    piece = timestamps.mask(piece)
                writer.write(piece)
            writer.finish()
        timestamps.restore(self.target, targets, bypass_validation=rights.bypass_validation)
        return counts

    def _may_write_buckets(self, series: str) -> bool:
        """Whether this user may write the buckets of a time series. Tries it with an invalid bucket.

        :raises ServerError: if the server has no time series; it names ``series``.
        """
        probe = f"{STAGING}{self.lease.run}.probe"
        with self.target.explained():
            try:
                create(
                    self.target,
                    Collection(series, "timeseries", {"timeseries": {"timeField": "t"}}, ()),
                    probe,
                )
                self.target.database.command("insert", BUCKETS + probe, documents=[{"_id": 0}])
            except OperationFailure as error:
                return error.code != UNAUTHORIZED
            finally:
                drop(self.target, probe)
        return True


@contextmanager
def _blaming_lost_lease(swap: Swap) -> Iterator[None]:
    """Raise the error of the lost lease instead of its consequences.

    The next holder drops the staging of this run, and any error may come from that.
    """
    try:
        yield
    except MonarchError:
        swap.refuse_if_lost()
        raise
