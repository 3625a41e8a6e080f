"""Find what a person wants to read about, by its name, its heading, or a word in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monarch.manual.blocks import Block
from monarch.manual.pages import Page, Section, load_index, load_pages, slug_of

_INDEX_NAMES = ("index", "monarch", "manual")


@dataclass(frozen=True)
class Topic:
    """A page or a section, and the ``words`` after `monarch help` that show it."""

    words: str
    title: str
    page: Page
    blocks: tuple[Block, ...]


class Manual:
    """All pages. They are parsed when something is looked for in them."""

    def __init__(self) -> None:
        self.pages = load_pages()

    def find(self, words: Sequence[str]) -> list[Topic]:
        """Return what ``words`` mean: one topic if they name it, else all that have them.

        In this order: the name of a page, or of a page and a section; a label; the headings of the page that
        the first word names; all headings; all texts.
        """
        names = [word.casefold().replace("_", "-") for word in words]
        whole = "-".join(names)
        if whole in _INDEX_NAMES:
            index = load_index()
            return [Topic("index", index.title, index, index.blocks)]
        for page in self.pages:
            if page.name in (whole, f"{whole}s") or whole == slug_of(page.title):
                return [_whole(page)]
        first = next((page for page in self.pages if page.name == names[0]), None)
        pages, rest = ([first], names[1:]) if first is not None else (self.pages, names)
        return (
            self._named(self.pages, whole)
            or (self._search(pages, rest) if first is not None else [])
            or self._search(self.pages, rest)
        )

    def section_about(self, command: str) -> Topic | None:
        """Return the section whose heading has the name of ``command`` as code."""
        for page in self.pages:
            for section in page.sections:
                if command in re.findall(r"\w+", section.title) and f"``{command}``" in page.source:
                    return _topic(page, section)
        return None

    def names(self) -> list[str]:
        """Return all names of topics, for completion and near misses: pages, labels and terms."""
        labels = [
            label
            for page in self.pages
            for section in page.sections
            for label in section.labels or (section.slug,)
        ]
        return [*(page.name for page in self.pages), *labels]

    def _search(self, pages: Sequence[Page], words: Sequence[str]) -> list[Topic]:
        whole = "-".join(words)
        return (
            self._named(pages, whole)
            or _matching(pages, lambda section: _has(section.title, words))
            or [_whole(page) for page in pages if _has(f"{page.title} {page.description}", words)]
            or _matching(pages, lambda section: _has(section.own_text, words))
        )

    def _named(self, pages: Sequence[Page], name: str) -> list[Topic]:
        by_label = _matching(pages, lambda section: name in section.labels)
        return by_label or _matching(pages, lambda section: name == section.slug)[:1]


def _matching(pages: Sequence[Page], matches: Callable[[Section], bool]) -> list[Topic]:
    return [_topic(page, section) for page in pages for section in page.sections if matches(section)]


def _topic(page: Page, section: Section) -> Topic:
    return Topic(section.topic, section.title, page, section.blocks)


def _whole(page: Page) -> Topic:
    return Topic(page.name, page.title, page, page.blocks)


def _has(text: str, words: Sequence[str]) -> bool:
    found = re.findall(r"[\w-]+", text.casefold().replace("_", "-"))
    return all(any(one.startswith(word.removesuffix("s")) for one in found) for word in words)
