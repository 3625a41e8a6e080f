"""Show long texts: through a pager in a terminal that can, else as they are."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from monarch.commands.console.terminal import colour, is_dumb, tint

_SHADES = {"code": "cyan", "command": "cyan", "warning": "yellow"}
_BOLD = ("heading", "strong", "warning")
# What a shell returns if there is no such program.
_NOT_FOUND = (126, 127)


def uses_styles() -> bool:
    """Whether what `show_text` prints has styles."""
    wanted = colour()
    return sys.stdout.isatty() if wanted is None else wanted


def show_text(lines: Sequence[Sequence[tuple[str, str]]]) -> None:
    """Print ``lines`` of pieces with a style, through a pager if they are more than a screen."""
    styled = uses_styles()
    text = "\n".join("".join(_painted(*piece, styled) for piece in line) for line in lines) + "\n"
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "replace").decode(encoding)
    pager = _pager()
    if pager and len(lines) >= _height() and _page(pager, text):
        return
    click.echo(text, nl=False, color=styled)


def _painted(text: str, style: str, styled: bool) -> str:
    if not styled or not style:
        return text
    return click.style(text, fg=tint(_SHADES.get(style)), bold=style in _BOLD or None)


def _height() -> int:
    try:
        return os.get_terminal_size(1).lines or 24
    except (OSError, ValueError):
        return 24


def _pager() -> str | None:
    """The command that pages; None where there is none, or nobody who could scroll."""
    if os.name != "posix" or is_dumb() or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    named = os.environ.get("MONARCH_PAGER", os.environ.get("PAGER"))
    if named is not None:
        return named if named.strip() not in ("", "cat") else None
    from shutil import which

    return next((one for one in ("less", "more") if which(one)), None)


def _page(pager: str, text: str) -> bool:
    """Show ``text`` with the command ``pager``, and wait until it is left; return whether there is one."""
    from monarch.system.subprocesses import write_to_foreground

    # As git has it: colours as they are, and nothing stays open for one screen.
    variables = {"LESS": "FRX", "LV": "-c", **os.environ}
    data = text.encode(sys.stdout.encoding or "utf-8", "replace")
    return write_to_foreground(["/bin/sh", "-c", pager], data, variables) not in _NOT_FOUND
