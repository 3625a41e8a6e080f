"""Lay blocks out as lines for a terminal: pieces of text with a style, none wider than asked for.

Only code is never broken, because people copy it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from monarch.manual.blocks import (
    Admonition,
    Block,
    Code,
    Definition,
    Generated,
    Grid,
    Heading,
    Items,
    PageList,
    Paragraph,
    Quote,
)
from monarch.manual.inline import Piece, parse_inline, quoted
from monarch.manual.tables import fit
from monarch.manual.wrapping import Line, width_of, wrap

_GAP = 2
# A column of a table is not narrower.
_LEAST = 12
_NARROW = 60
_GENERATED = {
    "click": "``monarch --help`` lists the commands, and ``monarch help COMMAND`` shows the help of each.",
    "autoclass": "``python -m pydoc {}`` lists its methods.",
    "automodule": "``python -m pydoc {}`` shows this part.",
}


@dataclass(frozen=True)
class Frame:
    """The room for blocks: ``width`` columns. Without ``styled``, code is in backquotes."""

    width: int
    styled: bool

    def narrower(self, indent: int) -> Frame:
        """The room that is left after ``indent`` columns."""
        return replace(self, width=max(self.width - indent, 1))

    def pieces(self, text: str) -> list[Piece]:
        """The pieces of a ``text`` with markup."""
        pieces = parse_inline(text)
        return pieces if self.styled else quoted(pieces)


def lay_out(blocks: Sequence[Block], frame: Frame) -> list[Line]:
    """Return the lines of ``blocks``, which are a page or a section of one."""
    body = 4 if frame.width >= _NARROW else 2
    lines: list[Line] = []
    for block in blocks:
        indent = body
        if isinstance(block, Heading):
            indent = 0 if block.level < 3 else body // 2
        lines += [[]] if lines else []
        lines += _shifted(_lines(block, frame.narrower(indent)), indent)
    return lines


def _lines(block: Block, frame: Frame) -> list[Line]:
    return list(_WRITERS[type(block)](block, frame))


def _stacked(blocks: Sequence[Block], frame: Frame) -> list[Line]:
    lines: list[Line] = []
    for block in blocks:
        lines += [[]] if lines else []
        lines += _lines(block, frame)
    return lines


def _shifted(lines: Sequence[Line], indent: int) -> list[Line]:
    return [[(" " * indent, ""), *line] if line else [] for line in lines]


def _heading(block: Heading, frame: Frame) -> list[Line]:
    pieces = parse_inline(block.text)
    if block.level == 1:
        pieces = [(text if style == "code" else text.upper(), style) for text, style in pieces]
    return wrap([(text, "heading") for text, _ in pieces], frame.width)


def _paragraph(block: Paragraph, frame: Frame) -> list[Line]:
    return wrap(frame.pieces(block.text), frame.width)


def _code(block: Code, frame: Frame) -> list[Line]:
    commands = block.language == "console"
    styles = ["command" if commands and line.startswith("$ ") else "" for line in block.lines]
    return [[("  " + line, style)] if line else [] for line, style in zip(block.lines, styles, strict=True)]


def _items(block: Items, frame: Frame) -> Iterator[Line]:
    for item in block.items:
        indent = len(item.marker) + 1
        first, *rest = _stacked(item.blocks, frame.narrower(indent))
        yield [(f"{item.marker} ", ""), *first]
        yield from _shifted(rest, indent)


def _definition(block: Definition, frame: Frame) -> Iterator[Line]:
    yield from wrap([(text, "strong") for text, _ in parse_inline(block.term)], frame.width)
    yield from _shifted(_stacked(block.blocks, frame.narrower(4)), 4)


def _admonition(block: Admonition, frame: Frame) -> Iterator[Line]:
    yield [(f"{block.label}:", "warning")]
    yield from _shifted(_stacked(block.blocks, frame.narrower(2)), 2)


def _quote(block: Quote, frame: Frame) -> list[Line]:
    return _shifted(_stacked(block.blocks, frame.narrower(2)), 2)


def _generated(block: Generated, frame: Frame) -> list[Line]:
    return _paragraph(Paragraph(_GENERATED[block.directive].format(block.argument)), frame)


def _contents(block: PageList, frame: Frame) -> Iterator[Line]:
    yield [(f"{block.caption}:", "heading")]
    for page in block.pages:
        yield [(f"  monarch help {page}", "command")]


def _table(block: Grid, frame: Frame) -> Iterator[Line]:
    rows = [[frame.pieces(cell) for cell in row] for row in block.rows]
    header = [[(text, "strong") for text, _ in parse_inline(cell)] for cell in block.header]
    everything = [header, *rows] if header else rows
    widths = [max(map(width_of, column)) for column in zip(*everything, strict=True)]
    fitting = fit(widths, frame.width - _GAP * (len(widths) - 1), _LEAST)
    if fitting is None:
        yield from _as_list(rows, frame)
        return
    for row in everything:
        cells = [wrap(cell, max(wide, 1)) for cell, wide in zip(row, fitting, strict=True)]
        for parts in zip_longest(*cells, fillvalue=[]):
            yield _row(parts, fitting)


def _row(parts: Sequence[Line], widths: Sequence[int]) -> Line:
    line: Line = []
    owed = 0  # the space before the next cell: a line ends without any
    for part, wide in zip(parts, widths, strict=True):
        if part:
            line += [(" " * owed, ""), *part] if owed else part
            owed = 0
        owed += wide - width_of(part) + _GAP
    return line


def _as_list(rows: Sequence[Sequence[Line]], frame: Frame) -> Iterator[Line]:
    """The rows of a table that is too wide: the first cell, and the others below it."""
    for first, *others in rows:
        yield from wrap([(text, "strong") for text, _ in first], frame.width)
        for cell in others:
            yield from _shifted(wrap(cell, frame.narrower(4).width) if cell else [], 4)


_WRITERS: dict[type[Any], Callable[[Any, Frame], Iterator[Line] | list[Line]]] = {
    Admonition: _admonition,
    Code: _code,
    PageList: _contents,
    Definition: _definition,
    Generated: _generated,
    Heading: _heading,
    Items: _items,
    Paragraph: _paragraph,
    Quote: _quote,
    Grid: _table,
}
