"""The one line of a terminal that is drawn again and again, on stderr. Every other line takes its place."""

from __future__ import annotations

import threading

import click

from monarch.commands.console.terminal import colour, tint
from monarch.commands.console.text import harmless, width

# Another thread may draw while this one prints.
lock = threading.RLock()
_drawn = 0  # how many columns it takes
_drawing = False


def draw(text: str) -> None:
    """Show ``text`` in place of what the line was."""
    global _drawn, _drawing
    text = harmless(text)
    with lock:
        _drawing = True
        try:
            # Overwrite the old text with spaces: a simple terminal may know no other way to clear a line.
            back = "" if text else "\r"
            click.echo(f"\r{text}{' ' * (_drawn - width(text))}{back}", nl=False, err=True)
            _drawn = width(text)
        finally:
            _drawing = False


def erase() -> None:
    """Remove the line, so that another one can be printed."""
    if _drawn:
        with lock:
            if _drawn and not _drawing:
                draw("")


def say(text: str, label: str = "", shade: str | None = None) -> None:
    """Print a line on stderr, above the live one."""
    with lock:
        erase()
        begin = click.style(label, fg=tint(shade)) + " " if label else ""
        click.echo(begin + harmless(text), err=True, color=colour())


def is_drawing() -> bool:
    """Whether what is printed now is the line itself. To be asked while `lock` is held."""
    return _drawing
