"""The swap: what was built beside the target takes the place of what is there.

All steps are written into ``monarch_swap`` first, its document ``head`` last. From then on the swap is
only ever finished, by this run or by the next command; before that it is only ever undone, by dropping
what was staged. Until the first step is taken the target is as it was; after the last one it is as it
should be. A rename within a database is one atomic moment; a thousand of them are a second.

With ``--in-place`` the head is written before the documents are copied, and says so: the target has
been emptied, and nothing but another copy can fill it.
"""

from __future__ import annotations

from monarch.databases.lease import Lease
from monarch.databases.mongo.catalog import BUCKETS, CODEC, Collection
from monarch.databases.mongo.endpoint import DURABLE, Document, Endpoint
from monarch.databases.mongo.names import HEAD, STAGING, SWAP
from monarch.databases.mongo.staging import Staging, drop, drop_all
from monarch.databases.mongo.steps import (
    Clear,
    Discard,
    Drop,
    Move,
    Series,
    SetAside,
    Step,
    View,
    from_document,
    to_document,
)
from monarch.databases.mongo.survey import is_copied, list_entries
from monarch.databases.mongo.unfinished import EMPTIED, SWAPPING, unfinished

_JAVASCRIPT = "system.js"


def plan_steps(target: Endpoint, staging: Staging) -> list[Step]:
    """What must be done so that the target holds what was staged, and nothing else."""
    there = _what_is_there(target)
    wanted = {collection.name: collection for collection in staging.collections}
    uuids = staging.uuids()
    clears: list[Step] = []
    moves: list[Step] = []
    drops: list[Step] = []
    lasts: list[Step] = []
    for name, collection in wanted.items():
        staged = staging.names[name]
        if collection.kind == "collection":
            if there.get(name, {}).get("type") in ("view", "timeseries"):
                clears.append(Clear(name))
            moves.append(Move(staged, uuids[staged], name, replace=name != _JAVASCRIPT))
        else:
            lasts.append(_remade(collection, staged))
            if there.get(name, {}).get("type") == "collection":
                drops.append(Drop(name, bytes(there[name]["info"]["uuid"])))
    for name, entry in there.items():
        if name == _JAVASCRIPT:
            clears.append(SetAside(name, bytes(entry["info"]["uuid"]), staging.aside))
        elif name not in wanted:
            gone = entry.get("type") != "collection"
            drops.append(Discard(name) if gone else Drop(name, bytes(entry["info"]["uuid"])))
    lasts.sort(key=lambda step: isinstance(step, View))
    return [*clears, *moves, *drops, *lasts]


def _what_is_there(target: Endpoint) -> dict[str, Document]:
    """What listCollections says of everything that is to be replaced.

    Buckets without their time series, which a server that died in the middle leaves, count as one.
    """
    entries = {str(entry["name"]): entry for entry in list_entries(target)}
    for name in list(entries):
        if name.startswith(BUCKETS):
            entries.setdefault(name.removeprefix(BUCKETS), {"type": "timeseries"})
    return {name: entry for name, entry in entries.items() if is_copied(name)}


def _remade(collection: Collection, staged: str) -> Step:
    if collection.kind == "view":
        return View(collection.name, collection.options)
    return Series(collection.name, staged, collection.options, collection.indexes, collection.as_documents)


class Swap:
    """The swap of one target, whose lease the run holds."""

    def __init__(self, target: Endpoint, lease: Lease) -> None:
        self._target = target
        self._lease = lease
        self._journal = target.database.get_collection(SWAP, codec_options=CODEC)

    def begin(self, steps: list[Step], purpose: str) -> None:
        """Write down all ``steps``. Once this has returned, the swap will be finished whatever happens."""
        documents = [{"_id": number, **to_document(step)} for number, step in enumerate(steps)]
        with self._target.explained():
            self._journal.delete_many({"_id": {"$ne": HEAD}})
            if documents:
                self._journal.insert_many(documents)
        self._lease.check()
        self._write_head(SWAPPING, purpose, len(steps))

    def empty(self, purpose: str) -> None:
        """Empty the target for a copy in place, and write down before that it is so."""
        self._write_head(EMPTIED, purpose, 0)
        nothing = Staging(self._target, self._lease, ())
        for step in plan_steps(self._target, nothing):
            self._lease.check()
            step.take(self._target)

    def finish(self) -> None:
        """Take all steps that were written down, then forget them and what was staged."""
        with self._target.explained():
            documents = list(self._journal.find({"_id": {"$ne": HEAD}, "taken": None}).sort("_id"))
        for document in documents:
            self._lease.check()
            step = from_document(document)
            step.take(self._target)
            if step.once:
                with self._target.explained():
                    self._journal.update_one({"_id": document["_id"]}, {"$set": {"taken": True}})
        self._clean()

    def undo(self) -> list[str]:
        """Forget a swap that has not begun: drop what was staged, by whomever; return its names.

        That the target has been emptied is not forgotten.
        """
        dropped = drop_all(self._target, lambda name: name.startswith(STAGING))
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

    def _clean(self) -> None:
        drop_all(self._target, lambda name: name.startswith(STAGING))
        # Last, for as long as it is there the steps are taken again; and for good.
        drop(self._target, SWAP, writeConcern=DURABLE)

    def _write_head(self, state: str, purpose: str, steps: int) -> None:
        head = {"state": state, "purpose": purpose, "run": self._lease.run, "fence": self._lease.fence}
        self._target.command(
            "update",
            SWAP,
            updates=[{"q": {"_id": HEAD}, "u": {"$set": {**head, "steps": steps}}, "upsert": True}],
            writeConcern=DURABLE,
        )


def read_head(target: Endpoint) -> Document | None:
    """What is written of a swap of ``target`` that is not finished; None where there is none."""
    with target.explained():
        return target.database[SWAP].find_one({"_id": HEAD})


def mend(target: Endpoint, lease: Lease, *, emptied_is_fine: bool) -> str | None:
    """Finish a swap that was cut off, or drop what was staged for one; see `Database.mend`."""
    swap = Swap(target, lease)
    head = swap.head()
    if head is not None and head["state"] == SWAPPING:
        swap.finish()
        return f"`{head['purpose']}` was cut off in the middle of its swap, which is finished now"
    dropped = swap.undo()
    if head is not None and not emptied_is_fine:
        raise unfinished(target.name, head)
    if dropped:
        return (
            f"a copy into {target.name!r} was cut off; it had changed nothing, and its leavings are dropped"
        )
    return None
