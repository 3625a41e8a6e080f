"""Break pieces of text into lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monarch.manual.inline import Piece

Line = list[Piece]
# Code up to this is not broken: it is a word, or a short command.
_UNBROKEN = 32


def width_of(pieces: Sequence[Piece]) -> int:
    """The number of columns that ``pieces`` take. The manual has no character that takes two."""
    return sum(len(text) for text, _ in pieces)


def wrap(pieces: Sequence[Piece], width: int) -> list[Line]:
    """Return ``pieces`` as lines of at most ``width``. Only a word that is longer is broken inside."""
    lines: list[Line] = [[]]
    for word in _words(pieces):
        gap = [(" ", _common(lines[-1], word))] if lines[-1] else []
        if width_of(lines[-1]) + len(gap) + width_of(word) <= width:
            lines[-1] += [*gap, *word]
            continue
        first, *rest = _broken(word, width)
        lines += [first, *rest] if lines[-1] else []
        if not lines[0]:
            lines = [first, *rest]
    return lines


def _words(pieces: Sequence[Piece]) -> Iterator[Line]:
    word: Line = []
    for text, style in pieces:
        if style == "code" and len(text) <= _UNBROKEN:
            word.append((text, style))
            continue
        first, *rest = text.split(" ")
        if first:
            word.append((first, style))
        for part in rest:
            if word:
                yield word
            word = [(part, style)] if part else []
    if word:
        yield word


def _common(line: Line, word: Line) -> str:
    """The style of the space between: code that is broken stays code."""
    before, after = line[-1][1], word[0][1]
    return before if before == after else ""


def _broken(word: Line, width: int) -> Iterator[Line]:
    line: Line = []
    for text, style in word:
        while width_of(line) + len(text) > width:
            room = width - width_of(line)
            yield [*line, (text[:room], style)]
            line, text = [], text[room:]
        line.append((text, style))
    yield line
