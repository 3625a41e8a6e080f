"""Tables for people. In a terminal they fit its width; elsewhere they are whole, for scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from monarch.commands.console.lines import Piece, show, show_rows
from monarch.commands.console.terminal import columns
from monarch.commands.console.text import printable, shorten, width
from monarch.commands.looks.states import in_colour

# A cell is not shortened to less: of a name as short as this, a person recognizes nothing. Times are shorter.
_LEAST = 20
_GAP = "  "


def print_table(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Sequence[int] = (),
    states: Sequence[int] = (),
    keys: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> None:
    """Print a table.

    In a terminal that is too narrow for it, long cells lose their middle. If that is not enough, each row
    is a block of lines.

    :param right: the numbers of the columns that are aligned to the right. They are never shortened.
    :param states: the columns of states, which have colours, and are never shortened.
    :param keys: the columns of keys of migrations. A terminal shows them as `shown_key` does.
    :param whole: other columns that are never shortened.
    """
    terminal = sys.stdout.isatty()
    if terminal and keys:
        from monarch.migrations.files.names import shown_key

        rows = [[shown_key(cell) if i in keys else cell for i, cell in enumerate(row)] for row in rows]
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [max(width(row[i]) for row in (headers, *rows)) for i in range(len(headers))]
    if terminal:
        rigid = {*right, *states, *whole}
        fitting = _fit(widths, [width(head) for head in headers], rigid, columns())
        if fitting is None:
            _print_blocks(headers, rows, states)
            return
        if fitting != widths:
            widths = fitting
            rows = [[shorten(cell, wide) for cell, wide in zip(row, widths, strict=True)] for row in rows]
    show("".join(map(str, _line(headers, widths, right, ()))), bold=True)
    show_rows(_line(row, widths, right, states) for row in rows)


def _fit(widths: list[int], headers: list[int], rigid: set[int], room: int) -> list[int] | None:
    """Return widths with which a table fits into ``room``: the widest columns lose most. None if none do."""
    room -= len(_GAP) * (len(widths) - 1)
    for most in range(max(max(widths), _LEAST), _LEAST - 1, -1):
        fitting = [
            wide if number in rigid else min(wide, max(most, headers[number]))
            for number, wide in enumerate(widths)
        ]
        if sum(fitting) <= room:
            return fitting
    return None


def _line(
    cells: Sequence[str], widths: Sequence[int], right: Sequence[int], states: Sequence[int]
) -> list[Piece]:
    pieces: list[Piece] = []
    owed = ""  # the space before the next cell: a line ends without any
    for number, (cell, wide) in enumerate(zip(cells, widths, strict=True)):
        space = " " * (wide - width(cell))
        before, after = (space, "") if number in right else ("", space)
        if cell:
            pieces += [owed + before] if owed + before else []
            pieces.extend(in_colour(cell) if number in states else [cell])
            owed = after + _GAP
        else:
            owed += space + _GAP
    return pieces


def _print_blocks(headers: Sequence[str], rows: Sequence[Sequence[str]], states: Sequence[int]) -> None:
    label = max(map(width, headers))
    for row in rows:
        show(row[0], bold=True)
        for number, (header, cell) in list(enumerate(zip(headers, row, strict=True)))[1:]:
            space = " " * (label - width(header))
            show(f"  {header.lower()}{space}  ", *(in_colour(cell) if number in states else [cell]))
