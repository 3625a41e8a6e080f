"""The code blocks of the manual's pages, with the directives in comments before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.rst", ROOT / "CONTRIBUTING.rst", *sorted(DOCS.glob("*.rst")))
SHELLS = ("console", "bash")
_BLOCK = re.compile(r"^( *)\.\. code-block:: (\S+)\n\n((?:(?:\1 +\S.*)?\n)+)", re.M)
_MARKER = re.compile(r"\.\. (not run|file): ((?:.+\n)+)\n\Z")


@dataclass(frozen=True)
class Block:
    """A code block: ``not_run`` is the reason why it is not run, ``file`` the path for its text."""

    line: int
    language: str
    text: str
    not_run: str | None = None
    file: str | None = None

    @property
    def commands(self) -> str:
        """The shell script of the block. A block with prompts has commands, and their output below them."""
        if self.language != "console":
            return self.text
        lines = [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]
        return "\n".join(lines)

    @property
    def output(self) -> list[str]:
        """The lines of output that a block with prompts shows."""
        if self.language != "console":
            return []
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("$ ")]


def blocks(page: Path) -> Iterator[Block]:
    """The code blocks of ``page``, in order."""
    source = page.read_text(encoding="utf-8") + "\n"
    for found in _BLOCK.finditer(source):
        before = source[: found.start()]
        marker = _MARKER.search(before)
        markers = {marker[1]: " ".join(marker[2].split())} if marker else {}
        yield Block(
            before.count("\n") + 1,
            found[2],
            dedent(found[3]).strip("\n"),
            markers.get("not run"),
            markers.get("file"),
        )
