"""Parse a page: reStructuredText, as far as the pages of the manual use it, as blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from textwrap import dedent

from monarch.manual.blocks import (
    Admonition,
    Block,
    Code,
    Definition,
    Generated,
    Heading,
    Item,
    Items,
    PageList,
    Paragraph,
    Quote,
)
from monarch.manual.tables import is_rule, parse_table

_DIRECTIVE = re.compile(r"\.\. ([\w-]+):: ?(.*)")
_LABEL = re.compile(r"\.\. _([\w-]+):$")
_MARKER = re.compile(r"([-*+]|\d+\.|#\.) +(?=\S)")
_OPTION = re.compile(r":([\w-]+): ?(.*)")
_UNDERLINE = re.compile(r"([=~^\"-])\1{2,}$")
_ADMONITIONS = ("note", "tip", "important", "warning", "danger")
_GENERATED = ("autoclass", "automodule", "click")
_META = "meta"


class Parser:
    """Parses one page. `blocks` is what was found, `description` the line of its ``meta`` directive."""

    def __init__(self, source: str) -> None:
        self.description = ""
        self._levels: list[str] = []
        self._labels: list[str] = []
        self.blocks = self._parse(source.splitlines())

    def _parse(self, lines: Sequence[str]) -> tuple[Block, ...]:
        blocks: list[Block] = []
        at = 0
        while at < len(lines):
            if not lines[at].strip():
                at += 1
                continue
            found, at = self._next(lines, at)
            blocks.extend(found)
        return tuple(blocks)

    def _next(self, lines: Sequence[str], at: int) -> tuple[Sequence[Block], int]:
        """The blocks that begin at the line ``at``, and the line after them."""
        line = lines[at]
        below = lines[at + 1] if at + 1 < len(lines) else ""
        if line.startswith(" "):
            end = _end(lines, at, lambda one: one.startswith(" "))
            return [Quote(self._parse(_dedent(lines[at:end])))], end
        if line.startswith(".. "):
            end = _end(lines, at + 1, lambda one: one.startswith(" "))
            return self._explicit(line, _dedent(lines[at + 1 : end])), end
        if _UNDERLINE.match(below):
            return [self._heading(line, below[0])], at + 2
        if is_rule(line):
            end = _end(lines, at, lambda one: True, blank=False)
            return [parse_table(lines[at:end])], end
        if _MARKER.match(line):
            return self._list(lines, at)
        if below.startswith(" "):
            end = _end(lines, at + 1, lambda one: one.startswith(" "))
            return [Definition(line, self._parse(_dedent(lines[at + 1 : end])))], end
        end = _end(lines, at, lambda one: not one.startswith(" "), blank=False)
        return [Paragraph(" ".join(lines[at:end]))], end

    def _heading(self, text: str, underline: str) -> Heading:
        if underline not in self._levels:
            self._levels.append(underline)
        labels, self._labels = tuple(self._labels), []
        return Heading(self._levels.index(underline) + 1, text, labels)

    def _list(self, lines: Sequence[str], at: int) -> tuple[Sequence[Block], int]:
        items = []
        while at < len(lines) and (marker := _MARKER.match(lines[at])):
            indent = " " * marker.end()
            end = at + 1
            while end < len(lines) and (lines[end].startswith(indent) or not lines[end]):
                end += 1
            first = lines[at][marker.end() :]
            items.append(
                Item(marker[1], self._parse([first, *(one[len(indent) :] for one in lines[at + 1 : end])]))
            )
            at = end
        return [Items(tuple(items))], at

    def _explicit(self, line: str, below: list[str]) -> Sequence[Block]:
        """A label, a directive or a comment, with the lines ``below`` it."""
        if label := _LABEL.match(line):
            self._labels.append(label[1])
            return []
        directive = _DIRECTIVE.match(line)
        if directive is None:  # a comment
            return []
        options, body = _options(below)
        return self._directive(directive[1], directive[2], options, body)

    def _directive(
        self, name: str, argument: str, options: dict[str, str], body: list[str]
    ) -> Sequence[Block]:
        if name == "code-block":
            return [Code(argument, tuple(body))]
        if name == "image":
            return [Paragraph(f"[Picture: {options['alt']}]")]
        if name in _ADMONITIONS:
            return [Admonition(name.capitalize(), self._parse([argument, *body]))]
        if name == "glossary":
            return self._parse(body)
        if name == "toctree":
            return [PageList(options.get("caption", ""), tuple(one for one in body if one))]
        if name in _GENERATED:
            return [Generated(name, argument)]
        if name == _META:
            self.description = options.get("description", "")
        return []


def _end(lines: Sequence[str], at: int, belongs: Callable[[str], bool], *, blank: bool = True) -> int:
    """The first line from ``at`` on that does not belong to the block; an empty one does with ``blank``."""
    while at < len(lines) and (belongs(lines[at]) if lines[at].strip() else blank):
        at += 1
    return at


def _dedent(lines: Sequence[str]) -> list[str]:
    return dedent("\n".join(lines)).strip("\n").splitlines()


def _options(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    """The options at the beginning of a directive's ``lines``, and the lines after them."""
    options: dict[str, str] = {}
    last = ""
    for number, line in enumerate(lines):
        if found := _OPTION.match(line):
            last = found[1]
            options[last] = found[2]
        elif last and line.startswith(" "):
            options[last] += f" {line.strip()}"
        else:
            return options, _dedent(lines[number:])
    return options, []
