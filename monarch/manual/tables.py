"""Tables: parse simple ones of reStructuredText, and fit them into a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence

from monarch.manual.blocks import Grid

_RULE = re.compile(r"=+( +=+)+ *$")


def is_rule(line: str) -> bool:
    """Whether ``line`` is above, in or below a table."""
    return _RULE.match(line) is not None


def parse_table(lines: Sequence[str]) -> Grid:
    """Return the table of ``lines``. A cell that ends with a comma goes on in the next row.

    So the manual writes a list of options that is too long for its cell.
    """
    starts = [found.start() for found in re.finditer(r"=+", lines[0])]
    parts: list[list[tuple[str, ...]]] = [[]]
    for line in lines[1:]:
        if is_rule(line):
            parts.append([])
            continue
        cells = _cells(line, starts)
        rows = parts[-1]
        if rows and (not cells[0] or rows[-1][0].endswith(",")):
            cells = _joined(rows.pop(), cells)
        rows.append(cells)
    header = parts[0][0] if len(parts) > 2 else ()
    return Grid(header, tuple(parts[1] if header else parts[0]))


def _cells(line: str, starts: Sequence[int]) -> tuple[str, ...]:
    ends = [*starts[1:], len(line)]
    return tuple(line[start:end].strip() for start, end in zip(starts, ends, strict=True))


def _joined(above: tuple[str, ...], below: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{one} {other}".strip() for one, other in zip(above, below, strict=True))


def fit(widths: Sequence[int], room: int, least: int) -> list[int] | None:
    """Return widths for columns of ``widths`` whose sum is at most ``room``: the widest lose most.

    :return: None if a column would have to be narrower than ``least``.
    """
    for most in range(max(widths, default=0), least - 1, -1):
        fitting = [min(wide, most) for wide in widths]
        if sum(fitting) <= room:
            return fitting
    return None
