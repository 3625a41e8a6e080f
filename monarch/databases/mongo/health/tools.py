"""The programs of MongoDB on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace

from monarch.databases.health.observation import Health, Observation, of_error
from monarch.databases.mongo.embedded.program import locate_mongod
from monarch.databases.mongo.engines.tools import NAMES, read_version
from monarch.errors import MonarchError, ServerError
from monarch.system.subprocesses import run_quietly

_SHELL = "mongosh"


def examine_tools() -> Iterator[Observation]:
    """Yield what is found of mongodump, mongorestore and mongosh. None of them is needed."""
    for name in NAMES:
        yield _tool(name)
    found = shutil.which(_SHELL)
    if found is None:
        message = "Not on the PATH: `monarch shell` opens Python."
        yield Observation(_SHELL, Health.SKIPPED, message)
        return
    try:
        version = run_quietly([found, "--version"], 5.0).strip()
    except MonarchError as error:
        yield of_error(_SHELL, error)
        return
    yield Observation(_SHELL, Health.OK, f"{version.splitlines()[0] if version else 'Found'}: {found}.")


def _tool(name: str) -> Observation:
    found = shutil.which(name)
    if found is None or os.name == "nt":
        return Observation(
            name, Health.SKIPPED, "Not on the PATH: the engine is native, which needs no tools."
        )
    try:
        return Observation(name, Health.OK, f"{read_version(name)}: {found}.")
    except MonarchError as error:
        return replace(of_error(name, error), code=ServerError.exit_code)


def examine_embedded() -> Observation:
    """Return whether there is a server for embedded environments, without starting it."""
    try:
        program = locate_mongod()
    except MonarchError as error:
        return of_error("server", error)
    return Observation(
        "server", Health.SKIPPED, f"Embedded: its server runs only while a command needs it ({program})."
    )
