"""The progress bar, on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

import click

from monarch.commands.console.lines import harmless, show
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.terminal import columns, is_dumb
from monarch.commands.console.text import duration, size

_REDRAW_EVERY = 0.1
# Without a terminal, print a line from time to time, so that a CI job does not seem to hang.
_PRINT_EVERY = 30.0
_WIDTH = 20
# Seconds over which the speed is measured.
_RECENT = 5.0


class ProgressBar(ProgressLines):
    """Progress in a terminal: documents, bytes, speed and time left, as wide as the terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and not is_dumb()
        self._phase = ""
        self._documents = self._bytes = 0
        self._all_documents = self._all_bytes = 0
        self._drawn_at = 0.0
        self._drawn = ""
        self._printed_at = time.monotonic()
        self._history: list[tuple[float, int]] = []

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def waiting(self, why: str) -> None:
        self.clear()
        super().waiting(why)

    def recovered(self, what: str) -> None:
        self.clear()
        super().recovered(what)

    def message(self, what: str) -> None:
        self.clear()
        super().message(what)

    def calling(self, hook: str) -> None:
        self.clear()

    def phase(self, name: str) -> None:
        self._phase = name
        self.estimated(0, 0)

    def estimated(self, documents: int, bytes: int) -> None:
        self._all_documents, self._all_bytes = documents, bytes
        self._documents = self._bytes = 0
        self._history = []
        self._draw()

    def transferred(self, documents: int, bytes: int) -> None:
        self._documents += documents
        self._bytes += bytes
        now = time.monotonic()
        if self._shown and now - self._drawn_at >= _REDRAW_EVERY:
            self._draw()
        elif not self._shown and now - self._printed_at >= _PRINT_EVERY:
            self._printed_at = now
            text = f"{size(self._bytes)} of {size(self._total())}" if self._all_bytes else size(self._bytes)
            if self._documents:  # some tools do not say how many
                text = f"{self._documents:,} {self.part}s, {text}"
            show(f"{self._phase.capitalize()}: {text} …", err=True)

    def scanned(self, collection: str, documents: int, total: int) -> None:
        now = time.monotonic()
        text = f"{collection}: {documents:,} of {max(documents, total):,} {self.part}s"
        if self._shown and now - self._drawn_at >= _REDRAW_EVERY:
            self._drawn_at = now
            share = documents / max(documents, total, 1)
            filled = round(share * _WIDTH)
            bar = f"[{'#' * filled}{'-' * (_WIDTH - filled)}] {share:4.0%}"
            self._write(line([bar, text], columns() - 1))
        elif not self._shown and now - self._printed_at >= _PRINT_EVERY:
            self._printed_at = now
            show(f"{text} …", err=True)

    def started(self, key: str) -> None:
        self.clear()
        super().started(key)

    def finished(self, key: str, seconds: float, documents: int, echoed: str) -> None:
        self.clear()
        super().finished(key, seconds, documents, echoed)

    def _total(self) -> int:
        # The server's counts are estimates: more bytes may come.
        return max(self._all_bytes, self._bytes, 1)

    def _draw(self) -> None:
        if not self._shown:
            return
        now = self._drawn_at = time.monotonic()
        self._history = [(at, bytes_) for at, bytes_ in self._history if now - at <= _RECENT]
        self._history.append((now, self._bytes))
        self._write(line(self._parts(now), columns() - 1))

    def _parts(self, now: float) -> list[str]:
        """The parts of the line, the most important first."""
        began, at_first = self._history[0]
        speed = (self._bytes - at_first) / (now - began) if now > began else 0.0
        if not self._all_bytes:  # what comes through a pipe has no size
            read = [f"{size(speed)}/s", size(self._bytes), f"{self._documents:,} {self.part}s"]
            return [f"{self._phase} …", *(read if self._bytes else ())]
        total = self._total()
        share = self._bytes / total
        filled = round(share * _WIDTH)
        left = f"{duration((total - self._bytes) / speed)} left" if speed else ""
        documents = f"{self._documents:,}/{max(self._all_documents, self._documents):,} {self.part}s"
        return [
            f"{self._phase} [{'#' * filled}{'-' * (_WIDTH - filled)}] {share:4.0%}",
            left,
            f"{size(speed)}/s",
            f"{size(self._bytes)}/{size(total)}",
            documents,
        ]

    def clear(self) -> None:
        """Remove the bar, so that a line can be printed."""
        if self._shown and self._drawn:
            self._write("")
            click.echo("\r", nl=False, err=True)

    def _write(self, text: str) -> None:
        text = harmless(text)
        # Overwrite the old text with spaces: a simple terminal may know no other way to clear a line.
        click.echo(f"\r{text.ljust(len(self._drawn))}", nl=False, err=True)
        self._drawn = text


def line(parts: list[str], width: int) -> str:
    """The first of ``parts`` that fit into ``width`` characters."""
    text = parts[0][:width]
    for part in parts[1:]:
        longer = f"{text}  {part}" if part else text
        if len(longer) > width:
            break
        text = longer
    return text
