"""The pages of the manual, wherever monarch is installed, also in a zip file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable

from monarch.errors import ProjectError
from monarch.manual.blocks import Block, Definition, Heading, PageList, texts_of
from monarch.manual.inline import plain
from monarch.manual.parse import Parser

_INDEX = "index"
_ENDING = ".rst"


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading and what is below it, also smaller headings.

    ``slug`` names it in its page; ``labels`` name it in the whole manual.
    """

    page: str
    slug: str
    title: str
    labels: tuple[str, ...]
    blocks: tuple[Block, ...]

    @cached_property
    def own_text(self) -> str:
        """What is in it, without the markup, up to the next smaller heading."""
        end = next((at for at, one in enumerate(self.blocks) if at and isinstance(one, Heading)), None)
        return plain(" ".join(texts_of(self.blocks[:end])))

    @property
    def topic(self) -> str:
        """The words after `monarch help` that find this section and no other."""
        return self.labels[0] if self.labels else f"{self.page} {self.slug}"


@dataclass(frozen=True)
class Page:
    """A page of the manual; ``caption`` is the part of the manual that it is in."""

    name: str
    caption: str
    source: str

    @cached_property
    def _parser(self) -> Parser:
        return Parser(self.source)

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All of the page."""
        return self._parser.blocks

    @property
    def description(self) -> str:
        """What it is about, in a line."""
        return self._parser.description

    @property
    def title(self) -> str:
        """Its first heading."""
        return next(plain(block.text) for block in self.blocks if isinstance(block, Heading))

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """Its sections, in their order, also those inside of others; after them the terms of a glossary."""
        return (*self._headed(), *self._defined())

    def _headed(self) -> Iterator[Section]:
        taken: set[str] = set()
        for start, heading in enumerate(self.blocks):
            if isinstance(heading, Heading) and heading.level > 1:
                end = next(
                    (
                        number
                        for number, other in enumerate(self.blocks)
                        if number > start and isinstance(other, Heading) and other.level <= heading.level
                    ),
                    None,
                )
                title = plain(heading.text)
                slug = next(one for one in _slugs(title) if one not in taken)
                taken.add(slug)
                yield Section(self.name, slug, title, heading.labels, self.blocks[start:end])

    def _defined(self) -> Iterator[Section]:
        for block in self.blocks:
            if isinstance(block, Definition):
                term = plain(block.term)
                yield Section(self.name, next(_slugs(term)), term, (), (block,))


def slug_of(title: str) -> str:
    """``title`` as one word for the command line."""
    return "-".join(re.findall(r"\w+", title.casefold().replace("_", "-")))


def _slugs(title: str) -> Iterator[str]:
    slug = slug_of(title)
    yield slug
    yield from (f"{slug}-{number}" for number in range(2, 100))


def load_pages() -> list[Page]:
    """Return the pages of the manual in its order; the one with the table of contents is not among them.

    :raises ProjectError: if this monarch was installed without them.
    """
    pages = []
    for block in load_index().blocks:
        if isinstance(block, PageList):
            pages += [Page(name, block.caption, _read(name)) for name in block.pages]
    return pages


def load_index() -> Page:
    """Return the page that introduces the manual.

    :raises ProjectError: if this monarch was installed without it.
    """
    return Page(_INDEX, "", _read(_INDEX))


def _read(name: str) -> str:
    try:
        return (_folder() / f"{name}{_ENDING}").read_text(encoding="utf-8")
    except OSError as error:
        raise ProjectError(
            f"This monarch was installed without its manual: {error.strerror or error}.",
            "Install it again, or read the docs/ of its repository.",
        ) from error


def _folder() -> Traversable:
    """The folder with the pages: in the package that is installed, or beside the one of a clone."""
    installed = resources.files("monarch.manual") / "pages"
    if installed.is_dir():
        return installed
    return resources.files("monarch") / ".." / "docs"
