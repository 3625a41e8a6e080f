"""The one place that prints text: a line at a time, in which nothing controls a terminal or a CI system.

Names and messages come from databases, buckets and files, which are a stranger's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

import click

from monarch.commands.console.terminal import colour, tint
from monarch.commands.console.text import harmless as harmless
from monarch.commands.console.text import without_commands
from monarch.commands.looks import silence
from monarch.commands.loudness.levels import is_quiet, record

# A piece of a line: a text, or a text and its colour.
Piece = str | tuple[str, str]


def show(
    *pieces: Piece,
    err: bool = False,
    bold: bool = False,
    file: IO[Any] | None = None,
    recorded: bool = True,
    quietly: bool = False,
) -> None:
    """Print ``pieces`` as one line on stdout, or on stderr with ``err``.

    It is recorded in the log file, unless ``recorded`` is False: what may quote documents must not be. With
    ``quietly`` nobody misses it, so that ``--quiet`` leaves it out.
    """
    if not (quietly and is_quiet()):
        silence.hear("\n")
        click.echo(_painted(pieces, bold=bold), err=err, file=file, color=colour())
    if recorded and pieces:
        record("output", "".join(piece if isinstance(piece, str) else piece[0] for piece in pieces))


def _painted(pieces: Iterable[Piece], *, bold: bool = False) -> str:
    texts = [(piece, None) if isinstance(piece, str) else piece for piece in pieces]
    whole = "".join(text for text, _ in texts)
    if harmless(whole) != whole:  # a command may consist of two pieces
        texts = [(harmless(whole), None)]
    return "".join(
        click.style(text, fg=tint(shade), bold=bold or None) if shade or bold else text
        for text, shade in texts
    )


def aside(*pieces: Piece) -> None:
    """Print a line on stderr that helps, and that nobody misses: not with ``--quiet``."""
    show(*pieces, err=True, quietly=True)


def note(text: str) -> None:
    """Print a note on stderr that warns: also with ``--quiet``."""
    show(f"Note: {_own_names(text)}", err=True)


def tip(text: str) -> None:
    """Print a note on stderr that only informs: not with ``--quiet``."""
    aside(f"Note: {_own_names(text)}")


def _own_names(text: str) -> str:
    if "migrations/" not in text:
        return text
    from monarch.commands.names import own_names

    return own_names(text)


def show_rows(rows: Iterable[Iterable[Piece]]) -> None:
    """Print lines of pieces on stdout, each as `show` does, and thousands of them in one write."""
    silence.hear("\n")
    if text := "\n".join(map(_painted, rows)):
        click.echo(text, color=colour())


def show_block(text: str, *, err: bool = False) -> None:
    """Print the lines of ``text``, each as `show` does."""
    for line in text.splitlines():
        show(line, err=err)


def as_json(value: Any, *, indent: int | None = 2) -> str:
    """Return ``value`` as JSON whose text is harmless too: a program reads the same from it.

    Times in it are RFC 3339 in UTC, as `monarch.commands.console.text.timestamp` writes them.
    """
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    text = "".join(c if c == "\n" or c.isprintable() else _escaped(c) for c in text)
    return without_commands(text, "#\\u0023")


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
