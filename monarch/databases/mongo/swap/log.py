"""The swap log and its swap: the staged collections replace the contents of the target.

All steps are written into ``monarch_swap`` first, its document ``head`` last. After that the swap can only be
finished, by this run or by the next command. Before that it can only be undone, by dropping the staging.
Until the first step is applied the target is as it was; after the last one it holds the copy. A rename within
a database is atomic; a thousand of them take a second.

With ``--in-place`` the head is written before the documents are copied. It says that the target has been
emptied, and only another copy can fill it.
"""

from __future__ import annotations

import time

from pymongo.errors import ConnectionFailure, OperationFailure

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog.model import CODEC
from monarch.databases.mongo.collection_names import HEAD, JOURNAL, STAGING, SWAP
from monarch.databases.mongo.connection.handle import DURABLE, DatabaseHandle, Document
from monarch.databases.mongo.swap.definitions import drop_all, drop_collection
from monarch.databases.mongo.swap.lookup import find_uuid
from monarch.databases.mongo.swap.plan import plan_steps
from monarch.databases.mongo.swap.staging import Staging
from monarch.databases.mongo.swap.steps import (
    Drop,
    SwapStep,
    Unequal,
    from_document,
    to_document,
)
from monarch.databases.mongo.swap_state import (
    EMPTIED,
    STUCK,
    SWAPPING,
    UnknownStep,
    is_known,
    read_head,
    unfinished,
)
from monarch.errors import LockedError, MonarchError, RunInterrupted, ServerError
from monarch.system.signals import defer_signals

# Another operation runs on the collection: an index build, or on a cluster one that has locked its name or
# conflicts with this one, or one for which a step has waited as long as it may (50). It ends by itself.
_CONFLICTS = (12586, 12587, 46, 117, 50)
# More than a server lets a transaction live.
_WAIT_SECONDS, _RETRY_SECONDS = 90.0, 0.3
_TRIES = 3
_DROP_ROUNDS = 20


class SwapStuck(ServerError):
    """A swap cannot be finished: the server refuses one of its steps."""


def _stuck(name: str, error: ServerError) -> SwapStuck:
    """Return the error for a swap of ``name`` whose step failed with ``error``."""
    return SwapStuck(
        f"{error.message} The swap of {name!r} is unfinished.",
        f"Copy or restore into it again, or drop it: monarch drop_db {name}",
    )


class Swap:
    """The swap of ``target``, whose ``lease`` the run holds."""

    def __init__(self, target: DatabaseHandle, lease: Lease) -> None:
        self._target = target
        self._lease = lease
        self._log = target.database.get_collection(SWAP, codec_options=CODEC)

    def begin(self, steps: list[SwapStep], purpose: str) -> None:
        """Write all ``steps`` into the log, then its head. From then on the swap can only be finished.

        :raises LockedError: if another run holds the lease.
        """
        run = self._lease.run
        documents = [{"_id": number, "run": run, **to_document(step)} for number, step in enumerate(steps)]
        self._drop_log()
        with self._target.explained():
            runs = self._log.distinct("run", {"_id": {"$ne": HEAD}})
            if runs:  # by name, because this may arrive when a later run has written its own steps
                self._log.delete_many({"_id": {"$ne": HEAD}, "run": {"$in": runs}})
            self._lease.check()
            if documents:
                self._log.insert_many(documents)
        self._lease.check()
        self._write_head(SWAPPING, purpose, len(steps))

    def empty(self, purpose: str) -> None:
        """Write into the log that the target is emptied for a copy in place, then empty it."""
        self._drop_log()
        self._write_head(EMPTIED, purpose, 0, before=EMPTIED)
        nothing = Staging(self._target, self._lease, ())
        for step in plan_steps(self._target, nothing):
            if isinstance(step, Drop) and step.name == JOURNAL:
                continue  # what it has of this environment outlives the contents
            self._lease.check()
            step.apply(self._target, self._lease.check)

    def finish(self) -> bool:
        """Apply all steps of the log that are left, then drop the staging and the log.

        Ctrl-C does not stop it: the current operation would go on at the server, beside the next command.

        :return: whether Ctrl-C was pressed.
        :raises SwapStuck: if the server refuses a step and will refuse it again.
        """
        with defer_signals() as signals:
            with self._target.explained():
                documents = list(self._log.find({"_id": {"$ne": HEAD}, "taken": None}).sort("_id"))
            try:  # all of them, before the first is applied
                steps = [from_document(document) for document in documents]
            except UnknownStep as error:
                raise SwapStuck(error.message, error.hint) from error
            for document, step in zip(documents, steps, strict=True):
                self._apply(step)
                if step.once:
                    applied = {"_id": document["_id"], "run": document["run"]}
                    with self._target.explained():
                        self._log.update_one(applied, {"$set": {"taken": True}})
            self._clean()
        return bool(signals)

    def _apply(self, step: SwapStep) -> None:
        """Apply one step. Repeat it if its result is wrong; wait while another operation is in the way."""
        began, tries = time.monotonic(), 0
        while True:
            # Renewed each time: without the lease, this would change another run's copy.
            self._lease.renew()
            tries += 1
            try:
                step.apply(self._target, self._lease.check)
                return
            except ServerError as error:
                self.refuse_if_lost()
                cause = error.__cause__
                if isinstance(cause, OperationFailure) and cause.code in _CONFLICTS:
                    if time.monotonic() - began > _WAIT_SECONDS:
                        raise
                    time.sleep(_RETRY_SECONDS)
                elif isinstance(cause, ConnectionFailure):
                    raise
                elif not isinstance(error, Unequal) or tries == _TRIES:
                    raise _stuck(self._target.name, error) from error

    def abandon(self, head: Document) -> None:
        """Mark the swap as unfinishable: only another copy makes the target whole."""
        self._write_head(STUCK, str(head.get("purpose")), 0, before=STUCK)

    def give_up(self) -> None:
        """Delete the log of a swap of which this run has applied no step.

        Its head may still be on its way to the server. Without its steps it is void; see `is_void`.
        """
        with self._target.explained():
            self._log.delete_many({"_id": {"$ne": HEAD}, "run": self._lease.run})
        head = self.head()
        if head is None:
            self._drop_log()
        elif self.is_void(head):
            self.clear_head(head)

    def is_void(self, head: Document) -> bool:
        """Whether ``head`` was written after its swap had been given up, so that steps are missing."""
        if head["state"] != SWAPPING:
            return False
        with self._target.explained():
            found = self._log.count_documents({"_id": {"$ne": HEAD}, "run": head["run"]})
        return found < int(head["steps"])

    def clear_head(self, head: Document) -> Document | None:
        """Delete a void ``head``, or write back the state before it; return the head that is left."""
        if not head.get("before"):
            self._drop_log(head)
            return None
        self._write_head(head["before"], head["purpose"], 0)
        return self.head()

    def undo(self) -> list[str]:
        """Undo a swap that has not begun: drop the staging of every run, and return its names.

        A head stays, which says that the target is emptied or stuck. Without one, the log is dropped too.
        """
        dropped: list[str] = []
        for _ in range(_DROP_ROUNDS):
            found = drop_all(self._target, lambda name: name.startswith(STAGING))
            dropped += found
            if not found:
                break
            # A tool whose monarch was killed may still finish an insert, which creates its collection again.
            time.sleep(_RETRY_SECONDS)
        self._drop_log()
        return dropped

    def has_begun(self) -> bool:
        """Whether `begin` of this run has written its head, so that the swap can only be finished."""
        head = self.head()
        return head is not None and head["state"] == SWAPPING and head["run"] == self._lease.run

    def head(self) -> Document | None:
        """Return the head of the swap log; None if no swap is unfinished."""
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
            # After the staging, because while the head exists the steps are applied again. Durably, and only
            # the head of this run.
            self._target.command(
                "delete",
                SWAP,
                deletes=[{"q": {"_id": HEAD, "run": head["run"]}, "limit": 1}],
                writeConcern=DURABLE,
            )
        self._lease.renew()
        self._drop_log()
        self._lease.renew()

    def _drop_log(self, void: Document | None = None) -> None:
        """Drop the log if it has no head but ``void``.

        It is dropped by its UUID, and every run does that before it writes the first document of a log. So a
        drop that arrives late, when another run has the lease, does not remove the log of that run.
        """
        uuid = find_uuid(self._target, SWAP)  # before the head, which is then that of this collection
        head = self.head()
        if uuid is not None and (head is None or head == void):
            drop_collection(self._target, SWAP, uuid, writeConcern=DURABLE)

    def _write_head(self, state: str, purpose: str, steps: int, **more: object) -> None:
        lease = self._lease
        # Other fields of an older head, such as `before`, are still true and stay.
        head = {"state": state, "purpose": purpose, "run": lease.run, "fence": lease.fence, **more}
        self._target.command(
            "update",
            SWAP,
            updates=[{"q": {"_id": HEAD}, "u": {"$set": {**head, "steps": steps}}, "upsert": True}],
            writeConcern=DURABLE,
        )


def recover(target: DatabaseHandle, lease: Lease, *, refilling: bool) -> str | None:
    """Finish a swap that was cut off, or drop the staging of one that had not begun.

    See `TransferDatabase.recover`, and the table of states in this room.
    """
    swap = Swap(target, lease)
    head = swap.head()
    if head is not None and not is_known(head):
        if not refilling:
            raise unfinished(target.name, head)
        swap.abandon(head)
        head = swap.head()
    void = head is not None and swap.is_void(head)
    if head is not None and void:
        head = swap.clear_head(head)
    if head is not None and head["state"] == SWAPPING:
        done = f"`{head['purpose']}` was cut off during its swap; the swap is finished now"
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
        cut_off = f"{target.name!r} is incomplete, because `{head['purpose']}` was cut off"
        return f"{cut_off}; its contents are replaced now"
    if dropped or void:
        return f"a copy into {target.name!r} was cut off; it had changed nothing, and its staging was dropped"
    return None
