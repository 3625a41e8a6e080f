"""The engines that move documents, by the names that people choose them by."""

from __future__ import annotations

from monarch.databases.mongo.engines.base import MongoEngine
from monarch.databases.mongo.engines.native import NativeEngine
from monarch.databases.mongo.engines.tools import ToolsEngine
from monarch.errors import UsageError
from monarch.system.spelling import suggest

ENGINES: dict[str, type[MongoEngine]] = {"tools": ToolsEngine, "native": NativeEngine}
AUTO = "auto"


def choose_engine(name: str) -> MongoEngine:
    """Return the engine ``name``. ``auto`` is the tools if they are usable, otherwise the native engine.

    :raises UsageError: if it cannot be used on this machine, with what to do.
    """
    if name == AUTO:
        try:
            return choose_engine("tools")
        except UsageError:
            return NativeEngine()
    if name not in ENGINES:
        raise UsageError(f"There is no engine {name!r}.", suggest(name, [AUTO, *ENGINES]))
    engine = ENGINES[name]()
    _ = engine.versions  # of tools that are too old, this says so
    return engine
