"""The commands that are sent to MongoDB, for the log: their names and sizes, never their contents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo.errors import OperationFailure
from pymongo.monitoring import CommandFailedEvent, CommandListener, CommandStartedEvent, CommandSucceededEvent

from monarch.log import CHANGES, DATABASE, READS, is_heard, log

# What only reads, or says nothing of the data. Everything else is taken for a change.
_READS = frozenset(
    (
        *(
            "aggregate",
            "buildInfo",
            "collStats",
            "connectionStatus",
            "count",
            "currentOp",
            "dbHash",
            "dbStats",
        ),
        *("distinct", "endSessions", "explain", "find", "getCmdLineOpts", "getMore", "getParameter", "hello"),
        *(
            "saslStart",
            "saslContinue",
            "authenticate",
            "hostInfo",
            "isMaster",
            "ismaster",
            "killCursors",
            "listCollections",
            "listDatabases",
        ),
        *("listIndexes", "ping", "replSetGetStatus", "serverStatus", "top", "usersInfo", "validate"),
    )
)
_NUMBERED = {"documents": "document", "updates": "update", "deletes": "delete", "ops": "operation"}


class CommandLog(CommandListener):
    """Logs each command before it is sent, and those that fail."""

    def started(self, event: CommandStartedEvent) -> None:
        level = _level(event)
        if is_heard(DATABASE, level):
            log(DATABASE, _describe(event.command_name, event.database_name, event.command), level)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Say nothing: the next command is news enough."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Say which error it is. Its text may quote a document."""
        failure: Any = event.failure
        why = failure.get("codeName") or failure.get("code") if isinstance(failure, Mapping) else None
        if isinstance(failure, OperationFailure):
            why = failure.code
        why = why or getattr(type(failure), "__name__", "unknown")
        log(DATABASE, f"{event.command_name} failed: {why}")


def _level(event: CommandStartedEvent) -> int:
    if event.command_name not in _READS:
        return CHANGES
    return CHANGES if _written(event.command) else READS


def _written(command: Mapping[str, Any]) -> str | None:
    """Return the name of the collection that an aggregation writes to."""
    for stage in command.get("pipeline") or ():
        for name in ("$out", "$merge"):
            if isinstance(stage, Mapping) and name in stage:
                target = stage[name]
                target = target.get("into", target.get("coll")) if isinstance(target, Mapping) else target
                return str(target.get("coll") if isinstance(target, Mapping) else target)
    return None


def _describe(name: str, database: str, command: Mapping[str, Any]) -> str:
    target = command.get(name)
    where = f"{database}.{target}" if isinstance(target, str) else database
    if name == "renameCollection":
        where = f"{target} to {command.get('to')}"
    extra = ""
    for key, noun in _NUMBERED.items():
        if isinstance(many := command.get(key), list | tuple):
            extra = f": {len(many):,} {noun}{'' if len(many) == 1 else 's'}"
    if name == "createIndexes":
        names = [str(one.get("name")) for one in command.get("indexes", ()) if isinstance(one, Mapping)]
        extra = f": {', '.join(names)}"
    elif written := _written(command):
        extra = f" into {written}"
    elif name == "dropIndexes" and isinstance(command.get("index"), str):
        extra = f": {command['index']}"
    return f"{name} {where}{extra}"
