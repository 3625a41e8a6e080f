"""What people see in a terminal, and programs in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from monarch.commands.boundary import was_signalled
from monarch.commands.terminal import columns
from monarch.errors import MonarchError
from monarch.progress import Progress


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as it must be; in a terminal too narrow for it, a block a row."""
    widths = [max(len(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    if sys.stdout.isatty() and sum(widths) + 2 * len(widths) - 2 > columns():
        _print_blocks(headers, rows)
        return
    click.secho(_line(headers, widths), bold=True)
    for row in rows:
        click.echo(_line(row, widths))


def print_json(value: Any) -> None:
    """``value`` for programs. Times are ISO 8601 in UTC."""
    import json

    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


class Told(Progress):
    """Progress in words: on stderr what one waits for, on stdout what has happened.

    Where nothing can be written any more the run stops, between two migrations.
    """

    def waiting(self, why: str) -> None:
        click.echo(f"Waiting: {why} …", err=True)

    def must_stop(self) -> bool:
        return was_signalled()

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        self._say(f"{count(len(keys), 'migration')} to run on {environment}:")

    def started(self, key: str) -> None:
        self._say(f"{click.style('->', fg='cyan')} {key}")

    def finished(self, key: str, seconds: float) -> None:
        self._say(f"   {click.style('done', fg='green')} in {duration(seconds)}")

    def _say(self, line: str) -> None:
        try:
            click.echo(line)
        except OSError as error:
            raise MonarchError(
                f"The output cannot be written ({error.strerror}), so the run has stopped.",
                "What is done is recorded: see monarch list_migrations.",
            ) from error


def count(number: int, noun: str) -> str:
    """``1 migration``, ``2 migrations``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time that a person reads at a glance."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _print_blocks(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    label = max(map(len, headers))
    for row in rows:
        click.secho(row[0], bold=True)
        for header, cell in list(zip(headers, row, strict=True))[1:]:
            click.echo(f"  {header.lower().ljust(label)}  {cell}")
