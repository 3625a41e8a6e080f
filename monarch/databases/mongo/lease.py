"""The lease in MongoDB: the only document of ``monarch_lease`` in the environment's own database.

It is taken, renewed and given back by single atomic commands that compare and set times of the server's
clock (``$$NOW``); the clocks of the runs do not matter. On a sharded cluster it is the clock of the mongos: a
lease is trusted for half of its time, so the clocks of all mongos may differ by the other half. The document
stays when nobody holds the lease, so that the fencing number never falls.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Any

from bson import Int64, ObjectId
from pymongo import ReadPreference, ReturnDocument, WriteConcern
from pymongo.database import Database as PyMongoDatabase
from pymongo.errors import PyMongoError

from monarch.databases.environment import Environment
from monarch.databases.lease import SECONDS, Holder, Lease, LeaseHeld
from monarch.databases.mongo.collection_names import LEASE, THE_LEASE
from monarch.databases.mongo.connection.client import explained
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.connection.retry import patiently
from monarch.errors import LeaseLost, MonarchError, ServerError
from monarch.system import process_identity as owner
from monarch.system.ci import UNKNOWN_ORIGIN, Origin

_RENEW_EVERY = SECONDS / 3
# Less than `SECONDS`: a write sent at the last moment must arrive before another run may begin.
_TRUSTED = SECONDS / 2
# Acknowledged by a majority and on disk: otherwise a failover or restart could give the lease to two runs.
_ACKNOWLEDGED = WriteConcern("majority", j=True, wtimeout=30_000)
# The fence of the last holder. If something else was written there, a number above all earlier ones.
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


class MongoLease(Lease, AbstractContextManager["MongoLease"]):
    """One run's hold on the lease of ``database``: taken when its context begins, given back at its end.

    ``purpose`` and ``origin`` tell others what the run does and where it comes from. A holder that died on
    this machine is replaced at once, one on another machine when its time is over.

    :raises LeaseHeld: on entering, if another run holds it, naming that run.
    """

    def __init__(
        self,
        environment: Environment,
        database: PyMongoDatabase[dict[str, Any]],
        purpose: str,
        origin: Origin = UNKNOWN_ORIGIN,
    ) -> None:
        self._environment = environment
        self._database = database.with_options(read_preference=ReadPreference.PRIMARY)
        self._leases = self._database.get_collection(LEASE, write_concern=_ACKNOWLEDGED)
        self._run = str(ObjectId())
        self._holder = {**owner.identity(), "run": self._run, "purpose": purpose}
        self._holder |= {name: value for name, value in vars(origin).items() if value is not None}
        self._fence: Any = 0
        self._renewed = 0.0
        self._given_back = threading.Event()

    def __enter__(self) -> MongoLease:
        found = self._take(None)
        if not self._is_mine(found) and _has_died(found):
            # By its fence, so that only one of two runs that see the same dead holder gets it.
            found = self._take(found.get("fence"))
        if not self._is_mine(found):
            hint = (
                "Wait until that run is done. If its process is gone, the lease ends by itself in "
                f"{SECONDS} seconds. To end it now: monarch unlock {self._environment.label}"
            )
            if owner.is_local(_holder(found)):  # and alive, because it would have been taken
                hint = (
                    "Wait until that run is done: its process still runs here. If it hangs, end that process."
                )
            raise LeaseHeld(
                f"{self._environment.label!r} is held by {_describe(found)}.",
                hint,
                str(_holder(found).get("run")),
            )
        self._fence, self.lineage = found["fence"], found["lineage"]
        threading.Thread(target=self._renew_until_given_back, name="monarch lease", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give the lease back. If the server cannot be reached, it ends when its time is over."""
        self._given_back.set()
        with suppress(PyMongoError):
            self._leases.update_one(self.mine(), _FREE)

    @property
    def environment(self) -> str:
        """The name of the environment that it holds."""
        return self._environment.label

    @property
    def run(self) -> str:
        return self._run

    @property
    def fence(self) -> int:
        return int(self._fence)

    def check(self) -> None:
        if _now() - self._renewed > _TRUSTED:
            self.renew()

    def renew(self) -> None:
        """Extend the lease by `SECONDS`.

        :raises LockedError: if another run holds it by now.
        """
        while True:
            with explained(self._environment):
                answer = self._ask()
            if self._accept(*answer):
                return

    def renew_patiently(self) -> None:
        """`renew`, waiting for a server that is unavailable for a moment."""
        while not self._accept(*patiently(self._environment, self._ask)):
            pass

    def check_patiently(self) -> None:
        """`check`, waiting for a server that is unavailable for a moment."""
        if _now() - self._renewed > _TRUSTED:
            self.renew_patiently()

    def _ask(self) -> tuple[float, bool]:
        """Ask the server to renew it; return when it was asked, and whether this run still had it."""
        asked = _now()
        renewed = self._leases.update_one(self.mine(), [{"$set": {"expires_at": _in_time()}}])
        return asked, renewed.matched_count == 1

    def _accept(self, asked: float, renewed: bool) -> bool:
        """Accept the answer of `_ask`; return whether it is new enough to be trusted.

        A process that was suspended while it waited for the answer has an old one.

        :raises LeaseLost: if another run has the lease.
        """
        if not renewed:
            self._require_document()
            raise LeaseLost(
                f"This run has lost the lease of {self._environment.label!r}, and stopped.",
                "It was suspended or cut off for longer than the lease lasts, and another run took over.",
            )
        self._renewed = asked
        return _now() - asked <= _TRUSTED

    def _require_document(self) -> None:
        with explained(self._environment):
            if self._leases.find_one({"_id": THE_LEASE}) is None:
                raise ServerError(
                    f"{LEASE}, with which this run held {self._environment.label!r}, has vanished from it.",
                    "Check whether the migration dropped the database before you run anything else.",
                )

    def _renew_until_given_back(self) -> None:
        """Renew it regularly. `check` raises the errors that this ignores."""
        while not self._given_back.wait(_RENEW_EVERY):
            with suppress(MonarchError):
                self.renew()

    def mine(self) -> dict[str, Any]:
        """The filter that matches the document of the lease as long as this run holds it."""
        return {"_id": THE_LEASE, "fence": self._fence, "holder.run": self._run}

    def _is_mine(self, found: Mapping[str, Any]) -> bool:
        return bool(_holder(found).get("run") == self._run)

    def _take(self, dead: Any) -> dict[str, Any]:
        """Take it if it is free or has the fence ``dead`` of a dead holder; return the new document."""
        free = {
            "$or": [
                {"$eq": [{"$type": "$holder.run"}, "missing"]},
                # If it was edited by hand, it is not free, but can be unlocked.
                {"$and": [{"$eq": [{"$type": "$expires_at"}, "date"]}, {"$lte": ["$expires_at", "$$NOW"]}]},
                {"$eq": [{"$ifNull": ["$fence", None]}, {"$literal": Int64(-1) if dead is None else dead}]},
            ]
        }
        mine = {
            "$mergeObjects": [
                "$$ROOT",
                {
                    "holder": {"$literal": self._holder},
                    "fence": {"$add": [_NUMBER, 1]},
                    # Stays with this database: copies have its journal, but not this.
                    "lineage": {"$ifNull": ["$lineage", ObjectId()]},
                    "taken_at": "$$NOW",
                    "expires_at": _in_time(),
                },
            ]
        }
        asked = _now()
        with explained(self._environment):
            # The filter of an upsert may not use the clock, so the condition is in the update. command() does
            # not report that the majority has not acknowledged it.
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
    """Return the holder of the lease of ``endpoint``, also if its time is over; None if there is none."""
    primary = endpoint.on_primary()
    is_date = {"$eq": [{"$type": "$taken_at"}, "date"]}
    age = {"$cond": [is_date, {"$subtract": ["$$NOW", "$taken_at"]}, 0]}
    expired = {"$and": [{"$eq": [{"$type": "$expires_at"}, "date"]}, {"$lte": ["$expires_at", "$$NOW"]}]}
    computed = {"$set": {"age": age, "expired": expired}}
    with primary.explained():
        found = next(iter(primary.database[LEASE].aggregate([{"$match": {"_id": THE_LEASE}}, computed])), {})
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
        died=owner.has_died(recorded),
    )


def release(endpoint: DatabaseHandle, holder: Holder) -> bool:
    """Take the lease away from ``holder``; return False if it no longer held it."""
    leases = endpoint.on_primary().database.get_collection(LEASE, write_concern=_ACKNOWLEDGED)
    theirs: dict[str, Any] = {"_id": THE_LEASE, "fence": holder.fence, "holder": {"$exists": True}}
    if holder.run is not None:
        theirs["holder.run"] = holder.run
    with endpoint.explained():
        return leases.update_one(theirs, _FREE).matched_count == 1


def _now() -> float:
    """Read a clock that runs while the process is suspended and (on Linux) the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _in_time() -> dict[str, Any]:
    return {"$add": ["$$NOW", SECONDS * 1000]}


def _holder(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the recorded fields of the holder; none if something else was written there."""
    recorded = found.get("holder")
    return recorded if isinstance(recorded, Mapping) else {}


def _has_died(found: Mapping[str, Any]) -> bool:
    return owner.is_local(_holder(found)) and not owner.is_alive(_holder(found))


def _describe(found: Mapping[str, Any]) -> str:
    holder, since = _holder(found), found.get("taken_at")
    when = f", since {since:%Y-%m-%d %H:%M:%S} UTC" if isinstance(since, datetime) else ""
    return f"{owner.describe(holder)} ({holder.get('purpose', 'unknown')}{when})"
