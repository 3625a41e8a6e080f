"""What can be seen of a server, and of one of its databases."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from pymongo import ReadPreference, timeout
from pymongo.errors import ServerSelectionTimeoutError

from monarch.databases.health.judging import judge_clock, judge_holder, judge_space
from monarch.databases.health.observation import Check, Health, Observation, observe, of_error
from monarch.databases.history import IncompleteDatabase
from monarch.databases.lease import Holder
from monarch.databases.mongo.collection_names import STAGING
from monarch.databases.mongo.connection.cluster import is_mongos, is_shard
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.connection.privileges import read_privileges
from monarch.databases.mongo.connection.settings import address_of
from monarch.databases.mongo.health.rights import find_rights
from monarch.databases.mongo.swap_state import read_head, unfinished
from monarch.errors import ServerError

# The oldest that monarch is made for.
OLDEST = (4, 4)
# Seconds for one question.
_PATIENCE = 5.0
_HOW_TO_ENCRYPT = "Set 'tls': True, if the server has TLS; or keep to a network that nobody else listens to."


def examine(
    endpoint: DatabaseHandle, find_holder: Callable[[], Holder | None], is_far: bool, seconds: float
) -> Iterator[Observation]:
    """Yield what is found of the server and the database of ``endpoint``.

    :param is_far: whether the server is on another machine.
    """
    return observe(MongoExamination(endpoint, find_holder, is_far).checks(), seconds)


class MongoExamination:
    """The checks of one database. `server` is the first: the others need what it learns."""

    def __init__(
        self, endpoint: DatabaseHandle, find_holder: Callable[[], Holder | None], is_far: bool
    ) -> None:
        self._endpoint = endpoint
        self._find_holder = find_holder
        self._is_far = is_far
        self._client = endpoint.database.client
        self._hello: dict[str, Any] = {}
        self._ahead = 0.0
        self._is_busy = False

    def checks(self) -> tuple[tuple[str, Check], ...]:
        """Return the checks by their names, in order."""
        checks: tuple[tuple[str, Check], ...] = (
            ("server", self.server),
            ("version", self.version),
            ("security", self.security),
            ("clock", lambda: judge_clock(self._ahead)),
            ("rights", self.rights),
            ("lease", self.lease),
            ("swap", self.swap),
            ("leftovers", self.leftovers),
            ("space", self.space),
        )
        return tuple((name, _in_time(check)) for name, check in checks)

    def server(self) -> Observation:
        """Reach it: its version, and what kind of deployment it is."""
        before = datetime.now(UTC)
        with self._explained(), self._knowing_silence():
            self._hello = self._client.admin.command("hello", read_preference=ReadPreference.NEAREST)
            after = datetime.now(UTC)
            built = self._client.admin.command("buildInfo", read_preference=ReadPreference.NEAREST)
        self._version = str(built.get("version", "unknown"))
        clock = self._hello.get("localTime")
        if isinstance(clock, datetime):
            self._ahead = (clock.replace(tzinfo=UTC) - (before + (after - before) / 2)).total_seconds()
        topology, state, hint = self._topology()
        message = f"MongoDB {self._version}, {topology}."
        return Observation("server", state, message, hint, version=self._version)

    @contextmanager
    def _knowing_silence(self) -> Iterator[None]:
        """Explain a server that answers, and is no part of anything that holds data."""
        try:
            yield
        except ServerSelectionTimeoutError as error:
            if not str(error).startswith("No servers match selector"):
                raise
            raise ServerError(
                f"The server of {self._endpoint.name!r} answers, but holds no data: its replica set was "
                "never initiated, or it is starting.",
                "Initiate it with rs.initiate(), or wait until it has started.",
            ) from error

    def _topology(self) -> tuple[str, Health, str | None]:
        hello = self._hello
        if is_mongos(hello):
            return "a mongos of a sharded cluster", Health.OK, None
        if "setName" not in hello:
            return "standalone, without transactions", Health.OK, None
        members = len(hello.get("hosts", ())) + len(hello.get("passives", ()))
        name = f"the replica set {hello['setName']!r} ({members} member{'s' * (members != 1)})"
        if hello.get("isWritablePrimary"):
            return name, Health.OK, None
        if not hello.get("primary"):
            return (
                f"{name}, which has no primary now",
                Health.PROBLEM,
                "Start the members that are down: without a primary nothing can be written.",
            )
        if self._client.topology_description.topology_type_name == "Single":
            return (
                f"a secondary of {name}, which cannot be written to",
                Health.WARNING,
                "Name all of its members, and set 'replicaSet' in place of 'directConnection'.",
            )
        return name, Health.OK, None

    def version(self) -> Observation | None:
        """Whether it is one that monarch is made for."""
        numbers = re.match(r"(\d+)\.(\d+)", self._version)
        if numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST:
            return None
        oldest = ".".join(map(str, OLDEST))
        return Observation(
            "version",
            Health.WARNING,
            f"MongoDB {self._version} is older than {oldest}, the oldest that monarch is made for.",
            f"Upgrade the server to {oldest} or newer.",
        )

    def security(self) -> Observation | None:
        """Whether the connection is encrypted, and the server asks who it is; of far servers."""
        if not self._is_far:
            return None
        address = address_of(self._endpoint.environment)
        given = {name: str(value).lower() for name, value in address.options}
        told = given.get("tls", given.get("ssl"))
        if told == "false" or (told is None and not address.srv):
            return Observation(
                "security", Health.WARNING, "The connection is not encrypted.", _HOW_TO_ENCRYPT
            )
        if address.username is None and "authMechanism" not in given and self._lets_everybody_in():
            return Observation(
                "security",
                Health.WARNING,
                "The server lets everybody in, without a user.",
                "Turn on its access control (security.authorization).",
            )
        return Observation("security", Health.OK, "TLS, with a user.")

    def _lets_everybody_in(self) -> bool:
        with self._explained():
            return read_privileges(self._client) is None and bool(self._client.list_database_names())

    def rights(self) -> Observation:
        """What its user may do."""
        with self._explained():
            return find_rights(self._endpoint)

    def lease(self) -> Observation:
        """Who holds it."""
        holder = self._find_holder()
        self._is_busy = holder is not None and not (holder.died or holder.expired)
        return judge_holder(holder, self._endpoint.name)

    def swap(self) -> Observation | None:
        """Whether a copy into it was cut off."""
        if self._is_busy:
            return Observation("swap", Health.SKIPPED, "Not looked at: a run works on the database.")
        if not is_mongos(self._hello) and is_shard(self._endpoint):
            return Observation(
                "swap",
                Health.WARNING,
                "The server is one shard of a cluster, reached without mongos.",
                "In migrations/settings.py, set its 'uri' or 'host' to a mongos.",
            )
        head = read_head(self._endpoint.on_primary())
        if head is None:
            return None
        error: IncompleteDatabase = unfinished(self._endpoint.name, head)
        return of_error("swap", error)

    def leftovers(self) -> Observation:
        """What copies and trials that were killed have left."""
        own = self._endpoint.environment.db_name
        database = self._endpoint.on_primary().database
        with self._explained():
            pattern = f"^{re.escape(STAGING)}"
            staging = database.list_collection_names(filter={"name": {"$regex": pattern}})
            scratch = self._scratch(own)
        if self._is_busy:
            staging = []
        if not staging and not scratch:
            return Observation("leftovers", Health.OK, "Nothing was left behind.")
        found, hints = [], []
        if staging:
            found.append(
                f"{len(staging)} staging collection{'s' * (len(staging) > 1)} of a copy that was cut off"
            )
            hints.append("The next copy or restore into it removes the staging.")
        if scratch:
            found.append(f"scratch databases: {', '.join(scratch[:3])}")
            hints.append("If no verify_migration runs, drop the scratch databases.")
        return Observation("leftovers", Health.WARNING, f"Left behind: {'; '.join(found)}.", " ".join(hints))

    def _scratch(self, own: str) -> list[str]:
        pattern = f"^{re.escape(own)}_scratch_[0-9a-f]{{8}}$"
        found = self._client.admin.command(
            "listDatabases", nameOnly=True, authorizedDatabases=True, filter={"name": {"$regex": pattern}}
        )
        return sorted(str(one["name"]) for one in found.get("databases", ()))

    def space(self) -> Observation | None:
        """How much room its disk has, if it tells."""
        found = self._endpoint.on_primary().command("dbStats")
        total, used = found.get("fsTotalSize"), found.get("fsUsedSize")
        if not isinstance(total, int | float) or not isinstance(used, int | float) or total <= 0:
            return None
        return judge_space(total - used, total)

    def _explained(self) -> AbstractContextManager[None]:
        return self._endpoint.explained()


def _in_time(check: Check) -> Check:
    def run() -> Observation | None:
        with timeout(_PATIENCE):
            return check()

    return run
