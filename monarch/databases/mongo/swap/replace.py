"""Replacing what a database holds by what comes out of a dump: staged, compared, swapped in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from pymongo.errors import OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.model import BUCKETS, Collection
from monarch.databases.mongo.collection_names import STAGING
from monarch.databases.mongo.engines.base import MongoEngine, Rights
from monarch.databases.mongo.handle import DatabaseHandle
from monarch.databases.mongo.sources.base import MongoSource
from monarch.databases.mongo.stream.batches import Batch
from monarch.databases.mongo.stream.counts import Counts
from monarch.databases.mongo.stream.zero_timestamps import ZeroTimestamps
from monarch.databases.mongo.swap.log import Swap, SwapStuck
from monarch.databases.mongo.swap.plan import plan_steps
from monarch.databases.mongo.swap.staging import UNAUTHORIZED, Staging, create, drop
from monarch.databases.mongo.swap.steps import SwapStep
from monarch.databases.transfer import CopiedCollection
from monarch.errors import LockedError, MonarchError, RunInterrupted
from monarch.progress import Progress


@dataclass(frozen=True)
class Replacement:
    """The replacing of ``target``, whose ``lease`` this run holds, by means of ``engine``."""

    target: DatabaseHandle
    lease: Lease
    engine: MongoEngine
    progress: Progress
    purpose: str

    def run(self, dump: MongoSource, *, in_place: bool) -> tuple[CopiedCollection, ...]:
        """Do all of it. Until the swap the target is as it was, unless it is done ``in_place``.

        :raises ServerError: if it cannot be done; what was staged is gone then.
        :raises RunInterrupted: on Ctrl-C or a signal in the middle of the swap, once that is finished.
        """
        swap = Swap(self.target, self.lease)
        if any(BUCKETS in one.data_name for one in dump.collections) and not self._may_write_buckets():
            dump.take_series_as_documents()
        staging = Staging(self.target, self.lease, dump.collections)
        try:
            if in_place:
                self.progress.phase("emptying")
                swap.empty(self.purpose)
            copied, steps = self._prepare(dump, staging, swap)
            interrupted = self._begin(swap, steps)
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

    def _prepare(
        self, dump: MongoSource, staging: Staging, swap: Swap
    ) -> tuple[tuple[CopiedCollection, ...], list[SwapStep]]:
        """Build the copy and plan its swap."""
        try:
            return self._build(dump, staging), plan_steps(self.target, staging)
        except MonarchError:
            # The next holder of a lost lease drops this run's staging, which fails here in any way.
            swap.refuse_if_lost()
            raise

    def _build(self, dump: MongoSource, staging: Staging) -> tuple[CopiedCollection, ...]:
        """Build the copy beside what is there, and see that it is one."""
        staging.prepare()
        tallies = self._load(dump, staging)
        dump.check()
        self.progress.phase("comparing")
        staging.compare_documents(tallies.documents())
        self.progress.phase("indexing")
        staging.build_indexes(tallies.add_seconds)
        staging.compare_indexes()
        return tallies.copied()

    def _begin(self, swap: Swap, steps: list[SwapStep]) -> bool:
        """Begin the swap; whether Ctrl-C came at that when there was no way back any more."""
        self.progress.phase("swapping")
        try:
            self.lease.renew()
            swap.begin(steps, self.purpose)
        except BaseException as error:
            # Perhaps it was written, and only the answer did not come.
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
                f"{error.message} {name!r} was being swapped, and is in the middle of that.",
                f"{error.hint or ''} `monarch list_migrations {name}` finishes it.".strip(),
            ) from error
        if interrupted:
            raise RunInterrupted(
                f"Interrupted, but by then {self.target.name!r} was being swapped: that has been finished.",
                "It is as it should be.",
            )

    def _emptied(self, error: MonarchError) -> MonarchError:
        name = self.target.name
        return type(error)(
            f"{error.message} {name!r} is empty now, for it was to be replaced in place.",
            f"{error.hint or ''} Do it again, or drop it: monarch drop_db {name}".strip(),
        )

    def _give_up(self, swap: Swap, staging: Staging) -> None:
        # Where the server is gone, the next command cleans up. Our own staging is nobody else's, with the
        # lease or without.
        with suppress(MonarchError):
            # First, or what begins the swap, if it is on its way yet, would begin one of nothing.
            self._forget(swap)
            staging.drop()
            # What was on its way when Ctrl-C came has arrived by now.
            self._forget(swap)

    def _forget(self, swap: Swap) -> None:
        with suppress(LockedError):  # then its next holder has
            self.lease.renew()
            swap.give_up()

    def _load(self, dump: MongoSource, staging: Staging) -> Counts:
        rights = Rights(bypass_validation=staging.may_bypass_validation())
        destinations = staging.destinations()
        places = staging.places()
        timestamps = ZeroTimestamps()
        tallies = dump.expect(dump.deed, self.progress)
        with (
            dump.pieces(self.lease.check) as pieces,
            self.engine.write(self.target, destinations, rights, self.lease.check) as writer,
        ):
            for piece in pieces:
                self.lease.check()
                tallies.count(piece)
                if isinstance(piece, Batch) and piece.collection in places:
                    piece = timestamps.mask(piece)
                writer.write(piece)
            writer.finish()
        timestamps.restore(self.target, places, bypass_validation=rights.bypass_validation)
        return tallies

    def _may_write_buckets(self) -> bool:
        """Whether this user may write a time series as the server keeps it. Tried, with what is no bucket."""
        probe = f"{STAGING}{self.lease.run}.probe"
        with self.target.explained():
            try:
                create(
                    self.target,
                    Collection(probe, "timeseries", {"timeseries": {"timeField": "t"}}, ()),
                    probe,
                )
                self.target.database.command("insert", BUCKETS + probe, documents=[{"_id": 0}])
            except OperationFailure as error:
                return error.code != UNAUTHORIZED
            finally:
                drop(self.target, probe)
        return True
