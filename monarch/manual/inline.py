"""Markup inside of texts: as pieces with a style."""

from __future__ import annotations

import re
from collections.abc import Sequence

# A text and its style: "strong", "code" or "".
Piece = tuple[str, str]

_MARKUP = re.compile(
    r"``(?P<code>.+?)``"
    r"|:(?P<role>\w+):`(?P<target>[^`]+)`"
    r"|`(?P<link>[^`]+)`__?"
    r"|\*\*(?P<strong>.+?)\*\*"
    r"|(?<![\w*])\*(?P<emphasis>[^*\s][^*]*?)\*(?![\w*])"
    r"|\\(?P<escaped>.)"
)
_TITLED = re.compile(r"(?P<text>.*?) *<(?P<target>[^>]+)>", re.S)


def parse_inline(text: str) -> list[Piece]:
    """Return the pieces of ``text``. A reference becomes the command that shows what it refers to."""
    pieces: list[Piece] = []
    end = 0
    for found in _MARKUP.finditer(text):
        pieces.append((text[end : found.start()], ""))
        pieces.extend(_pieces(found))
        end = found.end()
    pieces.append((text[end:], ""))
    return [piece for piece in pieces if piece[0]]


def plain(text: str) -> str:
    """``text`` without its markup."""
    return "".join(piece for piece, _ in parse_inline(text))


def quoted(pieces: Sequence[Piece]) -> list[Piece]:
    """``pieces`` for a terminal without styles: code is in backquotes, unless there is nothing else."""
    if not any(style != "code" and text.strip(" ,;()") for text, style in pieces):
        return list(pieces)
    return [(f"`{text}`", style) if style == "code" else (text, style) for text, style in pieces]


def _pieces(found: re.Match[str]) -> list[Piece]:
    kind = found.lastgroup
    if kind == "code":
        return [(found["code"], "code")]
    if kind in ("strong", "emphasis"):
        return [(found[kind], "strong")]
    if kind == "escaped":
        return [(found["escaped"], "")]
    if kind == "link":
        return _link(found["link"])
    return _role(found["role"], found["target"])


def _link(text: str) -> list[Piece]:
    titled = _TITLED.fullmatch(text)
    return [(f"{titled['text']} ({titled['target']})" if titled else text, "")]


def _role(role: str, text: str) -> list[Piece]:
    titled = _TITLED.fullmatch(text)
    title, target = (titled["text"], titled["target"]) if titled else ("", text)
    if role not in ("doc", "ref"):  # a term is in the glossary, a file beside the manual
        return [(title or target, "")]
    command = (f"monarch help {target}", "code")
    return [(f"{title} (", ""), command, (")", "")] if title else [command]
