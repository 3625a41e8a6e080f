"""The swap: what was built beside the target takes the place of what is there.

All steps are written into ``monarch_swap`` first, its document ``head`` last. From then on the swap is
only ever finished, by this run or by the next command; before that it is only ever undone, by dropping
what was staged. Until the first step is taken the target is as it was; after the last one it is as it
should be. A rename within a database is one atomic moment; a thousand of them are a second.

With ``--in-place`` the head is written before the documents are copied, and says so: the target has
been emptied, and nothing but another copy can fill it.
"""

from __future__ import annotations

import time

from pymongo.errors import ConnectionFailure, OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.model import CODEC
from monarch.databases.mongo.collection_names import HEAD, STAGING, SWAP
from monarch.databases.mongo.handle import DURABLE, DatabaseHandle, Document
from monarch.databases.mongo.swap.plan import plan_steps
from monarch.databases.mongo.swap.staging import Staging, drop, drop_all
from monarch.databases.mongo.swap.steps import SwapStep, Unequal, from_document, to_document
from monarch.databases.mongo.swap_state import EMPTIED, STUCK, SWAPPING, read_head, unfinished
from monarch.errors import LockedError, MonarchError, RunInterrupted, ServerError
from monarch.system.signals import defer_signals

# An index is being built on what is to go, or an operation like that.
_IN_THE_WAY = (12586, 12587)
_WAIT_SECONDS, _LOOK_EVERY = 60.0, 0.3
_TRIES = 3
_SETTLING = 20


class SwapStuck(ServerError):
    """A swap cannot be finished, for the server refuses one of its steps."""


def stuck(name: str, error: ServerError) -> SwapStuck:
    """What to tell of it, and of the way out."""
    return SwapStuck(
        f"{error.message} {name!r} was being swapped, and is in the middle of that.",
        f"Copy or restore into it again, or drop it: monarch drop_db {name}",
    )


class Swap:
    """The swap of one target, whose lease the run holds."""

    def __init__(self, target: DatabaseHandle, lease: Lease) -> None:
        self._target = target
        self._lease = lease
        self._journal = target.database.get_collection(SWAP, codec_options=CODEC)

    def begin(self, steps: list[SwapStep], purpose: str) -> None:
        """Write down all ``steps``. Once this has returned, the swap will be finished whatever happens."""
        run = self._lease.run
        documents = [{"_id": number, "run": run, **to_document(step)} for number, step in enumerate(steps)]
        with self._target.explained():
            self._journal.delete_many({"_id": {"$ne": HEAD}})
            self._lease.check()
            if documents:
                self._journal.insert_many(documents)
        self._lease.check()
        self._write_head(SWAPPING, purpose, len(steps))

    def empty(self, purpose: str) -> None:
        """Empty the target for a copy in place, and write down before that it is so."""
        self._write_head(EMPTIED, purpose, 0, before=EMPTIED)
        nothing = Staging(self._target, self._lease, ())
        for step in plan_steps(self._target, nothing):
            self._lease.check()
            step.take(self._target, self._lease.check)

    def finish(self) -> bool:
        """Take all steps that were written down, then forget them and what was staged.

        Ctrl-C does not cut it short: what was under way would go on at the server, beside what comes next.

        :return: whether it came meanwhile.
        :raises Stuck: if the server refuses a step, as it will the next time.
        """
        return defer_signals(self._take_all)

    def _take_all(self) -> None:
        with self._target.explained():
            documents = list(self._journal.find({"_id": {"$ne": HEAD}, "taken": None}).sort("_id"))
        for document in documents:
            step = from_document(document)
            self._take(step)
            if step.once:
                with self._target.explained():
                    self._journal.update_one(
                        {"_id": document["_id"], "run": document["run"]}, {"$set": {"taken": True}}
                    )
        self._clean()

    def _take(self, step: SwapStep) -> None:
        """Take one step: again if what is there is not what it should be, later if somebody is in the way."""
        began, tries = time.monotonic(), 0
        while True:
            # Asked each time: what is done here without the lease is done to somebody else's copy.
            self._lease.renew()
            tries += 1
            try:
                step.take(self._target, self._lease.check)
                return
            except ServerError as error:
                self.refuse_if_lost()
                cause = error.__cause__
                if isinstance(cause, OperationFailure) and cause.code in _IN_THE_WAY:
                    if time.monotonic() - began > _WAIT_SECONDS:
                        raise
                    time.sleep(_LOOK_EVERY)
                elif isinstance(cause, ConnectionFailure):
                    raise
                elif not isinstance(error, Unequal) or tries == _TRIES:
                    raise stuck(self._target.name, error) from error

    def abandon(self, head: Document) -> None:
        """Give up to finish it: the target is whole again only when another copy has replaced it."""
        self._write_head(STUCK, head["purpose"], 0, before=STUCK)

    def give_up(self) -> None:
        """Forget a swap of which this run has taken no step.

        Its head may be on its way yet. Once its steps are gone it means nothing, as `is_void` finds.
        """
        with self._target.explained():
            self._journal.delete_many({"_id": {"$ne": HEAD}, "run": self._lease.run})
        head = self.head()
        if head is None:
            drop(self._target, SWAP)
        elif self.is_void(head):
            self.clear_head(head)

    def is_void(self, head: Document) -> bool:
        """Whether ``head`` came after its swap had been given up. Otherwise all steps stay as it does."""
        if head["state"] != SWAPPING:
            return False
        with self._target.explained():
            there = self._journal.count_documents({"_id": {"$ne": HEAD}, "run": head["run"]})
        return there < int(head["steps"])

    def clear_head(self, head: Document) -> Document | None:
        """Take a void ``head`` back; what is left of it."""
        if not head.get("before"):
            drop(self._target, SWAP, writeConcern=DURABLE)
            return None
        self._write_head(head["before"], head["purpose"], 0)
        return self.head()

    def undo(self) -> list[str]:
        """Forget a swap that has not begun: drop what was staged, by whomever; return its names.

        That the target has been emptied is not forgotten.
        """
        dropped: list[str] = []
        for _ in range(_SETTLING):
            found = drop_all(self._target, lambda name: name.startswith(STAGING))
            dropped += found
            if not found:
                break
            # A tool whose monarch was killed may still be at its last insert, and make them anew by it.
            time.sleep(_LOOK_EVERY)
        if self.head() is None:
            drop(self._target, SWAP)
        return dropped

    def has_begun(self) -> bool:
        """Whether `begin` of this run has written all down, so that there is no way back."""
        head = self.head()
        return head is not None and head["state"] == SWAPPING and head["run"] == self._lease.run

    def head(self) -> Document | None:
        """What is written of a swap that is not finished."""
        return read_head(self._target)

    def refuse_if_lost(self) -> None:
        """Check the lease after an error, because another run that took over may have caused it.

        :raises LockedError: if another run holds the lease.
        """
        try:
            self._lease.renew()
        except LockedError:
            raise
        except MonarchError:
            pass  # the server is unreachable, and the first error says so

    def _clean(self) -> None:
        self._lease.renew()
        head = self.head()
        if head is not None:
            drop_all(self._target, lambda name: name.startswith(f"{STAGING}{head['run']}."))
            # Last, for as long as it is there the steps are taken again; and for good. Of this run alone.
            self._target.command(
                "delete",
                SWAP,
                deletes=[{"q": {"_id": HEAD, "run": head["run"]}, "limit": 1}],
                writeConcern=DURABLE,
            )
        self._lease.renew()
        drop(self._target, SWAP, writeConcern=DURABLE)
        self._lease.renew()

    def _write_head(self, state: str, purpose: str, steps: int, **more: object) -> None:
        lease = self._lease
        # What an older head says besides, such as `before`, stays true and stays there.
        head = {"state": state, "purpose": purpose, "run": lease.run, "fence": lease.fence, **more}
        self._target.command(
            "update",
            SWAP,
            updates=[{"q": {"_id": HEAD}, "u": {"$set": {**head, "steps": steps}}, "upsert": True}],
            writeConcern=DURABLE,
        )


def recover(target: DatabaseHandle, lease: Lease, *, refilling: bool) -> str | None:
    """Finish a swap that was cut off, or drop what was staged for one; see `TransferDatabase.recover`."""
    swap = Swap(target, lease)
    head = swap.head()
    void = head is not None and swap.is_void(head)
    if head is not None and void:
        head = swap.clear_head(head)
    if head is not None and head["state"] == SWAPPING:
        done = f"`{head['purpose']}` was cut off in the middle of its swap, which is finished now"
        try:
            interrupted = swap.finish()
        except SwapStuck:
            if not refilling:
                raise
            swap.abandon(head)
        else:
            if interrupted:
                raise RunInterrupted(f"Interrupted. {done}.")
            return done
    dropped = swap.undo()
    if head is not None and not refilling:
        raise unfinished(target.name, head)
    if head is not None:
        return f"{target.name!r} was not whole, for `{head['purpose']}` was cut off; it is filled anew"
    if dropped or void:
        return (
            f"a copy into {target.name!r} was cut off; it had changed nothing, and its leavings are dropped"
        )
    return None
