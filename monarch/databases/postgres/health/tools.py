"""The programs of PostgreSQL on this machine."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence

from monarch.databases.health.observation import Health, Observation, of_error
from monarch.databases.postgres.tools.installed import find_all
from monarch.errors import MonarchError

_PROGRAMS = "pg_dump, pg_restore"


def examine_tools(servers: Sequence[str]) -> Iterator[Observation]:
    """Yield what is found of pg_dump, pg_restore and psql; copies and backups need the first two.

    :param servers: the versions of servers that they are used with.
    """
    try:
        found = find_all()
    except MonarchError as error:
        # Who only migrates does not need them.
        yield Observation(
            _PROGRAMS, Health.WARNING, f"{error.message} Copies and backups need them.", error.hint
        )
    else:
        listed = ", ".join(f"{one.version} ({one.folder})" for one in found)
        newest = max(one.major for one in found)
        majors = [int(match[0]) for server in servers if (match := re.match(r"\d+", server))]
        if (needed := max(majors, default=0)) > newest:
            yield Observation(
                _PROGRAMS,
                Health.WARNING,
                f"{listed}: too old to copy or back up PostgreSQL {needed}.",
                f"Install the client programs of PostgreSQL {needed} or newer.",
            )
        else:
            yield Observation(_PROGRAMS, Health.OK, f"{listed}.")
    psql = shutil.which("psql")
    if psql is None:
        yield Observation("psql", Health.SKIPPED, "Not on the PATH: `monarch shell` opens Python.")
    else:
        yield Observation("psql", Health.OK, f"{psql}.")


def examine_embedded() -> Observation:
    """Return whether there is a server for embedded environments, without starting it."""
    from monarch.databases.postgres.embedded import find_programs

    try:
        programs = find_programs()
    except MonarchError as error:
        return of_error("server", error)
    return Observation(
        "server", Health.SKIPPED, f"Embedded: its server runs only while a command needs it ({programs})."
    )
