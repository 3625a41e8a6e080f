"""Parts of a database through the real pg_dump and pg_restore."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from monarch.databases.environment import Environment
from monarch.databases.postgres.archive.contents import ArchiveContents, read_contents
from monarch.databases.postgres.connection.settings import uri
from monarch.databases.postgres.sources.snapshot import ExportedSnapshot
from monarch.databases.postgres.subset.part import Part
from monarch.databases.selection import Selection
from monarch.errors import MonarchError
from monarch.querysets.queryset import QuerySet

# Runs statements in an empty database, and returns its environment.
Fill = Callable[[str], Environment]


@dataclass(frozen=True)
class ResolvedPart:
    """A part, as it was resolved, and the archive that was written of it."""

    part: Part
    contents: ArchiveContents
    archive: bytes

    def rows(self) -> dict[str, int]:
        """Return the number of selected rows of each table that has some."""
        return {one.title: one.rows for one in self.part.tables if one.rows}


@contextmanager
def open_part(environment: Environment, selection: Selection) -> Iterator[tuple[Part, str]]:
    """Resolve a part; yield it, and the name of its snapshot."""
    with ExportedSnapshot(environment, temporary_tables=True) as snapshot:
        yield Part(snapshot.connection, selection, environment), snapshot.id


def dump_part(
    environment: Environment,
    selection: Selection,
    programs: Path,
    *,
    meanwhile: Callable[[], None] = lambda: None,
) -> ResolvedPart:
    """Resolve a part, and write it with the head of an archive of the pg_dump in ``programs``.

    ``meanwhile`` is called after it was resolved, and before its rows are read.
    """
    with open_part(environment, selection) as (part, snapshot):
        meanwhile()
        command: list[str | Path] = [
            programs / "pg_dump",
            "-Fc",
            "-Z0",
            "-B",
            f"--snapshot={snapshot}",
            "-d",
            uri(environment),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as dump:
            assert dump.stdout is not None
            assert dump.stderr is not None
            contents = read_contents(dump.stdout)
            dump.stdout.close()
            errors = dump.stderr.read().decode()
            dump.wait()
            assert not errors or "output" in errors, errors
        archive = b"".join(part.read(contents))
    return ResolvedPart(part, contents, archive)


def restore(archive: bytes, target: str, programs: Path, *options: str) -> None:
    """Restore ``archive`` from a pipe, and check that pg_restore has nothing to complain about."""
    command: list[str | Path] = [programs / "pg_restore", "--no-owner", "-e", *options, "-d", target]
    run = subprocess.run(command, input=archive, capture_output=True)
    assert (run.returncode, run.stderr.decode()) == (0, "")


def contents_of(connection: psycopg.Connection[Any], table: str) -> list[tuple[Any, ...]]:
    """Return the rows of ``table``, sorted by their text."""
    name: Any = table
    return connection.execute(f"SELECT * FROM {name} t ORDER BY t::text").fetchall()


def select(
    query_set: QuerySet, *, only: tuple[str, ...] | None = None, exclude: tuple[str, ...] = ()
) -> Selection:
    """Return what ``query_set`` has recorded."""
    return Selection(
        references=tuple(query_set._references),
        only=only,
        exclude=exclude,
        table_queries=tuple(query_set._table_queries),
    )


def rows_of(environment: Environment, selection: Selection) -> dict[str, int]:
    """Return the number of selected rows of each table that has some."""
    with open_part(environment, selection) as (part, _):
        return {one.title: one.rows for one in part.tables if one.rows}


def notes_of(environment: Environment, selection: Selection) -> tuple[str, ...]:
    """Return the notes of a part."""
    with open_part(environment, selection) as (part, _):
        return part.notes


def refused(environment: Environment, selection: Selection) -> MonarchError:
    """Return the error with which a part is refused; its message and its hint are one line each."""
    with pytest.raises(MonarchError) as raised, open_part(environment, selection):
        pass
    for text in (raised.value.message, raised.value.hint or ""):
        assert "\n" not in text
    return raised.value
