"""What people see in a terminal, and programs in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from monarch.commands.console.boundary import was_signalled
from monarch.commands.console.terminal import columns
from monarch.errors import MonarchError
from monarch.progress import Progress


def print_table(headers: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """A table as wide as it must be; in a terminal too narrow for it, a block a row.

    The columns whose numbers are in ``right`` have their cells on that side.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    if sys.stdout.isatty() and sum(widths) + 2 * len(widths) - 2 > columns():
        _print_blocks(headers, rows)
        return
    click.secho(_line(headers, widths, right), bold=True)
    for row in rows:
        click.echo(_line(row, widths, right))


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

    def mended(self, what: str) -> None:
        click.echo(f"Note: {what}.", err=True)

    def noted(self, what: str) -> None:
        click.echo(f"Note: {what}.", err=True)

    def backed_up(self, name: str) -> None:
        self.noted(f"backed up as {name}, and verified")

    def must_stop(self) -> bool:
        return was_signalled()

    def planned(self, environment: str, keys: tuple[str, ...]) -> None:
        self._say(f"{count(len(keys), 'migration')} to run on {environment}:")

    def started(self, key: str) -> None:
        self._say(f"{click.style('->', fg='cyan')} {key}")

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        wrote = f", {count(documents, 'document')} written" if documents else ""
        self._say(f"   {click.style('done', fg='green')} in {duration(seconds)}{wrote}")

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


def printable(text: str) -> str:
    """``text`` with its control characters escaped: a name from a database must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shell(word: str) -> str:
    """``word`` as one types it in a shell: a name must not run anything."""
    import shlex

    return shlex.quote(printable(word))


def width(text: str) -> int:
    """How many columns a terminal takes for ``text``."""
    if text.isascii():
        return len(text)
    import unicodedata

    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return len(text) + wide - sum(unicodedata.combining(c) > 0 for c in text)


def shorten(text: str, most: int) -> str:
    """``text`` without its middle, if it has more characters than that."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}…{text[-(most - most // 2 - 1) :]}"


def size(number: float) -> str:
    """A number of bytes that a person reads at a glance, in powers of a thousand."""
    if number < 1000:
        return f"{number:.0f} B"
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 999.5:
            return f"{number:.1f} {unit}" if number < 99.95 else f"{number:.0f} {unit}"
    return f"{number / 1000:.1f} TB"


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[int]) -> str:
    padded = []
    for number, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (wide - width(cell))
        padded.append(space + cell if number in right else cell + space)
    return "  ".join(padded).rstrip()


def _print_blocks(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    label = max(map(len, headers))
    for row in rows:
        click.secho(row[0], bold=True)
        for header, cell in list(zip(headers, row, strict=True))[1:]:
            click.echo(f"  {header.lower().ljust(label)}  {cell}")
