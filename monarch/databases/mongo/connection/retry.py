"""Repeating commands while a server is unavailable for a moment: in an election or a restart, or frozen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import pymongo
from pymongo.errors import AutoReconnect, OperationFailure, PyMongoError

from monarch.databases.environment import Environment
from monarch.databases.mongo.connection.client import explained

# Seconds. An election takes at most about twelve, by MongoDB's manual; a restart not much more.
PATIENCE = 30.0
# Seconds to wait for one answer: a frozen server gives none.
_ONCE = 10.0
_PAUSE = 0.25
# Not primary, shutting down, or elected away: MongoDB's specification "Retryable Writes" lists them. And what
# mongos reports while a shard has no primary.
_AWAY = frozenset({6, 7, 89, 91, 133, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436})

_Result = TypeVar("_Result")


def patiently(environment: Environment, work: Callable[[], _Result]) -> _Result:
    """Call ``work``, again if its reply was lost, and return its result. Repeating it must be harmless.

    :raises ServerError: if the server stays unavailable for `PATIENCE` seconds, or refuses.
    """
    deadline = time.monotonic() + PATIENCE
    with explained(environment):
        while True:
            try:
                with pymongo.timeout(_ONCE):
                    return work()
            except PyMongoError as error:
                if not _is_away(error) or time.monotonic() > deadline:
                    raise
            time.sleep(_PAUSE)


def _is_away(error: PyMongoError) -> bool:
    if isinstance(error, OperationFailure) and error.code in _AWAY:
        return True
    return isinstance(error, AutoReconnect) or error.timeout
