"""What a page consists of. Texts in blocks still have the markup that `monarch.manual.inline` understands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


@dataclass(frozen=True)
class Heading:
    """The title of a page, level 1, or of a section. ``labels`` are the names that references use."""

    level: int
    text: str
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paragraph:
    """Text that may be broken anywhere."""

    text: str


@dataclass(frozen=True)
class Code:
    """Lines that stay as they are."""

    language: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """An item of a list; ``marker`` is its bullet or number."""

    marker: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Items:
    """A list."""

    items: tuple[Item, ...]


@dataclass(frozen=True)
class Definition:
    """A term and what it means."""

    term: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Grid:
    """A table; ``header`` is empty if it has none."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Admonition:
    """A note or a warning, by its ``label``."""

    label: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Quote:
    """What is indented."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class PageList:
    """A part of the table of contents: the names of ``pages``."""

    caption: str
    pages: tuple[str, ...]


@dataclass(frozen=True)
class Generated:
    """What is made of the code when the manual is built for a browser, by ``directive`` from ``argument``."""

    directive: str
    argument: str


Block = Heading | Paragraph | Code | Items | Definition | Grid | Admonition | Quote | PageList | Generated


def texts_of(value: Any) -> Iterator[str]:
    """Yield all texts in a block, or in several."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts_of(getattr(value, field.name))
    elif isinstance(value, Sequence):
        for one in value:
            yield from texts_of(one)
