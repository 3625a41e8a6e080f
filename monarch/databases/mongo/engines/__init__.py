"""The engines that move documents, by the names that people choose them by."""

from __future__ import annotations

from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.engines.tools import ToolsEngine
from monarch.errors import UsageError
from monarch.system.spelling import suggest

ENGINES: dict[str, type[MongoEngine]] = {"tools": ToolsEngine, "native": NativeEngine}
AUTO = "auto"


def choose_engine(wanted: str) -> MongoEngine:
    """The engine called ``wanted``; of ``auto`` the tools where they are usable, else the native one.

    :raises UsageError: if it cannot be used on this machine, with what to do.
    """
    if wanted == AUTO:
        try:
            return choose_engine("tools")
        except UsageError:
            return NativeEngine()
    if wanted not in ENGINES:
        raise UsageError(f"There is no engine {wanted!r}.", suggest(wanted, [AUTO, *ENGINES]))
    engine = ENGINES[wanted]()
    _ = engine.versions  # of tools that are too old, this says so
    return engine
