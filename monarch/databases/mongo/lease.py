"""The lease in MongoDB: the only document of ``monarch_lease`` in the environment's own database.

Taken, renewed and given back by single atomic commands that compare and set times of the server's
clock (``$$NOW``); the clocks of those who ask do not matter. The document stays when nobody holds
the lease, so that the fencing number never falls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

from bson import Int64, ObjectId
from pymongo import ReadPreference, ReturnDocument, WriteConcern
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import PyMongoError

from monarch.databases.environment import Environment
from monarch.databases.lease import SECONDS, Holder, Lease, LeaseHeld
from monarch.databases.mongo.collection_names import LEASE, THE_LEASE
from monarch.databases.mongo.connection import explained
from monarch.databases.mongo.handle import DatabaseHandle
from monarch.databases.mongo.retry import patiently
from monarch.errors import LeaseLost, MonarchError, ServerError
from monarch.system import process_identity as owner
from monarch.system.ci import NOWHERE, Origin

_RENEW_EVERY = SECONDS / 3
# Not all of it: what is sent at the last moment must arrive before somebody else may begin.
_TRUSTED = SECONDS / 2
# By most of the members and on their disks, or a failover, or a restart, could give the lease to two.
_ACKNOWLEDGED = WriteConcern("majority", j=True, wtimeout=30_000)
# The number of the last holder; a later one than any, where somebody has written something else there.
_NUMBER: dict[str, Any] = {
    "$switch": {
        "branches": [
            {"case": {"$eq": [{"$type": "$fence"}, "missing"]}, "then": Int64(0)},
            {"case": {"$in": [{"$type": "$fence"}, ["int", "long"]]}, "then": {"$toLong": "$fence"}},
        ],
        "default": {"$toLong": "$$NOW"},
    }
}
_FREE: list[dict[str, Any]] = [
    {"$set": {"expires_at": "$$NOW", "fence": _NUMBER}},
    {"$unset": "holder"},
]


@contextmanager
def hold(
    environment: Environment,
    database: PyMongoDatabase[dict[str, Any]],
    purpose: str,
    origin: Origin = NOWHERE,
) -> Iterator[MongoLease]:
    """Hold the lease of ``database``. ``purpose`` tells others in words what for, ``origin`` from where.

    A holder that has died on this machine is replaced at once, one elsewhere when its time is over.

    :raises LeaseHeld: naming the holder.
    """
    lease = MongoLease(environment, database)
    lease.take(purpose, origin)
    renewing = threading.Thread(target=lease.renew_until_given_back, name="monarch lease", daemon=True)
    renewing.start()
    try:
        yield lease
    finally:
        lease.give_back()


class MongoLease(Lease):
    """One run's hold on the lease; see `hold`."""

    def __init__(self, environment: Environment, database: PyMongoDatabase[dict[str, Any]]) -> None:
        self._environment = environment
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._leases = self._database.get_collection(LEASE, write_concern=_ACKNOWLEDGED)
        self._run = str(ObjectId())
        self._fence: Any = 0
        # What tells this database from its copies.
        self.lineage: object = None
        self._renewed = 0.0
        self._given_back = threading.Event()

    @property
    def run(self) -> str:
        return self._run

    @property
    def fence(self) -> int:
        return int(self._fence)

    def take(self, purpose: str, origin: Origin) -> None:
        """Take it, if nobody has it or the holder has died.

        :raises LeaseHeld: naming the holder.
        """
        holder = {**owner.identity(), "run": self._run, "purpose": purpose}
        holder |= {name: value for name, value in vars(origin).items() if value is not None}
        found = self._try(holder, None)
        if not self._is_mine(found) and _has_died(found):
            # By its number, so that of two who see the same dead holder one comes first.
            found = self._try(holder, found.get("fence"))
        if not self._is_mine(found):
            raise LeaseHeld(
                f"{self._environment.name!r} is held by {_describe(found)}.",
                "Wait until that is done. If the process is gone, the lease ends by itself in "
                f"{SECONDS} seconds, or now: monarch unlock {self._environment.name}",
                str(_holder(found).get("run")),
            )
        self._fence, self.lineage = found["fence"], found["lineage"]

    def check(self) -> None:
        if _now() - self._renewed > _TRUSTED:
            self.renew()

    def renew(self) -> None:
        """Ask the server for another `SECONDS`.

        :raises LockedError: if somebody else holds it by now.
        """
        self._renew(self._ask_once)

    def renew_patiently(self) -> None:
        """The same, with patience for a server that is away for a moment."""
        self._renew(lambda: patiently(self._environment, self._ask))

    def check_patiently(self) -> None:
        """What `check` does, with the same patience."""
        if _now() - self._renewed > _TRUSTED:
            self.renew_patiently()

    def _renew(self, ask: Callable[[], tuple[float, bool]]) -> None:
        while True:
            asked, renewed = ask()
            if not renewed:
                self._require_document()
                raise LeaseLost(
                    f"This run has lost its hold on {self._environment.name!r}, and stopped.",
                    "It was stopped or cut off for longer than the lease lasts, and somebody else went on.",
                )
            self._renewed = asked
            # A process that was stopped while it waited for the answer has an old one.
            if _now() - asked <= _TRUSTED:
                return

    def _require_document(self) -> None:
        with explained(self._environment):
            if self._leases.find_one({"_id": THE_LEASE}) is None:
                raise ServerError(
                    f"{LEASE} has vanished from {self._environment.name!r}, with which this run held it.",
                    "Did the migration drop the database? Look before you run anything else.",
                )

    def _ask_once(self) -> tuple[float, bool]:
        with explained(self._environment):
            return self._ask()

    def _ask(self) -> tuple[float, bool]:
        asked = _now()
        renewed = self._leases.update_one(self.mine(), [{"$set": {"expires_at": _in_time()}}])
        return asked, renewed.matched_count == 1

    def renew_until_given_back(self) -> None:
        """Renew it now and then. What goes wrong here, `check` finds out."""
        while not self._given_back.wait(_RENEW_EVERY):
            with suppress(MonarchError):
                self.renew()

    def give_back(self) -> None:
        """Let others have it at once. Where that cannot be said any more, its time runs out."""
        self._given_back.set()
        with suppress(PyMongoError):
            self._leases.update_one(self.mine(), _FREE)

    def mine(self) -> dict[str, Any]:
        """What the document of the lease looks like as long as it is this one."""
        return {"_id": THE_LEASE, "fence": self._fence, "holder.run": self._run}

    def _is_mine(self, found: Mapping[str, Any]) -> bool:
        return bool(_holder(found).get("run") == self._run)

    def _try(self, holder: Mapping[str, Any], dead: Any) -> dict[str, Any]:
        """Take it if it is free or has the number of somebody ``dead``; the document as it is then."""
        free = {
            "$or": [
                {"$eq": [{"$type": "$holder.run"}, "missing"]},
                # By hand somebody may have written anything: that is not free, and can be unlocked.
                {"$and": [{"$eq": [{"$type": "$expires_at"}, "date"]}, {"$lte": ["$expires_at", "$$NOW"]}]},
                {"$eq": [{"$ifNull": ["$fence", None]}, {"$literal": Int64(-1) if dead is None else dead}]},
            ]
        }
        mine = {
            "$mergeObjects": [
                "$$ROOT",
                {
                    "holder": {"$literal": holder},
                    "fence": {"$add": [_NUMBER, 1]},
                    # Of this database alone: no copy takes it along, as it does the journal.
                    "lineage": {"$ifNull": ["$lineage", ObjectId()]},
                    "taken_at": "$$NOW",
                    "expires_at": _in_time(),
                },
            ]
        }
        asked = _now()
        with explained(self._environment):
            # A condition in the filter of an upsert may not look at the clock, so it stands in the update.
            # Not by command(), which passes over what most of the members have not acknowledged.
            found = self._leases.find_one_and_update(
                {"_id": THE_LEASE},
                [{"$replaceWith": {"$cond": [free, mine, "$$ROOT"]}}],
                upsert=True,
                return_document=ReturnDocument.AFTER,
            )
        assert found is not None  # an upsert
        self._renewed = asked
        return found


def find_holder(endpoint: DatabaseHandle) -> Holder | None:
    """Whoever holds the lease of ``endpoint``, also if the time of that is over."""
    primary = endpoint.on_primary()
    is_date = {"$eq": [{"$type": "$taken_at"}, "date"]}
    age = {"$cond": [is_date, {"$subtract": ["$$NOW", "$taken_at"]}, 0]}
    expired = {"$and": [{"$eq": [{"$type": "$expires_at"}, "date"]}, {"$lte": ["$expires_at", "$$NOW"]}]}
    told = {"$set": {"age": age, "expired": expired}}
    with primary.explained():
        found = next(iter(primary.database[LEASE].aggregate([{"$match": {"_id": THE_LEASE}}, told])), {})
    if "holder" not in found:
        return None
    recorded = _holder(found)
    return Holder(
        run=recorded.get("run"),
        fence=found.get("fence"),
        who=owner.describe(recorded),
        purpose=str(recorded.get("purpose", "unknown")),
        job=recorded.get("job"),
        link=recorded.get("link"),
        seconds=int(found["age"]) / 1000,
        expired=bool(found["expired"]),
        alive=owner.is_alive(recorded),
    )


def release(endpoint: DatabaseHandle, holder: Holder) -> bool:
    """Take the lease away from ``holder``; False if it had it no more."""
    leases = endpoint.on_primary().database.get_collection(LEASE, write_concern=_ACKNOWLEDGED)
    theirs: dict[str, Any] = {"_id": THE_LEASE, "fence": holder.fence, "holder": {"$exists": True}}
    if holder.run is not None:
        theirs["holder.run"] = holder.run
    with endpoint.explained():
        return leases.update_one(theirs, _FREE).matched_count == 1


def _now() -> float:
    """Seconds that go on while the process is stopped and, where that can be told, the machine asleep."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _in_time() -> dict[str, Any]:
    return {"$add": ["$$NOW", SECONDS * 1000]}


def _holder(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is recorded of the holder; nothing, where somebody has written something else there."""
    recorded = found.get("holder")
    return recorded if isinstance(recorded, Mapping) else {}


def _has_died(found: Mapping[str, Any]) -> bool:
    return owner.is_here(_holder(found)) and not owner.is_alive(_holder(found))


def _describe(found: Mapping[str, Any]) -> str:
    holder, since = _holder(found), found.get("taken_at")
    when = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if isinstance(since, datetime) else ""
    return f"{owner.describe(holder)} ({holder.get('purpose', 'unknown')}{when})"
