"""The progress bar, on stderr."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from monarch.commands.console.lines import aside, harmless
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.terminal import columns, is_dumb
from monarch.commands.console.text import duration, shorten, size
from monarch.commands.console.text import width as columns_of
from monarch.commands.looks import live_line, silence
from monarch.commands.loudness.levels import is_quiet

_REDRAW_EVERY = 0.1
# Without a terminal, print a line from time to time, so that a CI job does not seem to hang.
_PRINT_EVERY = 30.0
_WIDTH = 20
# Seconds over which the speed is measured.
_RECENT = 5.0


class ProgressBar(ProgressLines):
    """Progress in a terminal: documents, bytes, speed and time left, as wide as the terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty() and not is_dumb() and not is_quiet()
        self._phase = ""
        self._documents = self._bytes = 0
        self._all_documents = self._all_bytes = 0
        self._drawn_at = 0.0
        self._printed_at = time.monotonic()
        self._history: list[tuple[float, int]] = []

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        silence.end()
        self.clear()

    def calling(self, hook: str) -> None:
        super().calling(hook)
        self.clear()

    def phase(self, name: str) -> None:
        self._phase = name
        silence.begin(name, self._silent)
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
        elif not self._shown:
            silence.drawn()
        if not self._shown and now - self._printed_at >= _PRINT_EVERY:
            self._printed_at = now
            text = f"{size(self._bytes)} of {size(self._total())}" if self._all_bytes else size(self._bytes)
            if self._documents:  # some tools do not say how many
                text = f"{self._documents:,} {self.part}s, {text}"
            aside(f"{self._phase.capitalize()}: {text} …")

    def scanned(self, collection: str, documents: int, total: int) -> None:
        now = time.monotonic()
        text = f"{collection}: {documents:,} of {max(documents, total):,} {self.part}s"
        if self._shown and now - self._drawn_at >= _REDRAW_EVERY:
            self._drawn_at = now
            share = documents / max(documents, total, 1)
            filled = round(share * _WIDTH)
            bar = f"[{'#' * filled}{'-' * (_WIDTH - filled)}] {share:4.0%}"
            self._write([bar, text])
        elif not self._shown:
            silence.drawn()
        if not self._shown and now - self._printed_at >= _PRINT_EVERY:
            self._printed_at = now
            aside(f"{text} …")

    def _total(self) -> int:
        # The server's counts are estimates: more bytes may come.
        return max(self._all_bytes, self._bytes, 1)

    def _draw(self) -> None:
        if not self._shown:
            return
        now = self._drawn_at = time.monotonic()
        self._history = [(at, bytes_) for at, bytes_ in self._history if now - at <= _RECENT]
        self._history.append((now, self._bytes))
        self._write(self._parts(now))

    def _silent(self, took: str) -> str:
        """Return the line while nothing is heard of the phase, which takes ``took`` by now."""
        first, *others = self._parts(time.monotonic())
        parts = [first, f"{took} so far", *others] if self._all_bytes else [f"{first} {took}", *others]
        return line([harmless(part) for part in parts], columns(sys.stderr) - 1)

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
        live_line.erase()

    def _write(self, parts: list[str]) -> None:
        live_line.draw(line([harmless(part) for part in parts], columns(sys.stderr) - 1))
        silence.drawn()


def line(parts: list[str], width: int) -> str:
    """The first of ``parts`` that fit into ``width`` characters."""
    text = shorten(parts[0], width)
    for part in parts[1:]:
        longer = f"{text}  {part}" if part else text
        if columns_of(longer) > width:
            break
        text = longer
    return text
