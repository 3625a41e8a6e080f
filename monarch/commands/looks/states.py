"""States in colour. The word says the same: nothing is told by a colour alone."""

from __future__ import annotations

from monarch.commands.console.lines import Piece

_SHADES = {
    "red": "failed, interrupted, broken, damaged, too old, none, unreadable, error, file missing, problem",
    "yellow": "new, late, edited, file changed, runs again, unfinished, incomplete, begun, foreign, legacy, "
    "unchecked, unread, no key, unknown, warning, goes, ?",
    "green": "completed, good, ok, passed, intact, done",
    "cyan": "processing, running",
}
_SHADE_OF = {word: shade for shade, words in _SHADES.items() for word in words.split(", ")}


def shade_of(state: str) -> str | None:
    """Return the colour of a word for a state, in any case; None if it has none."""
    return _SHADE_OF.get(state.lower())


def in_colour(states: str) -> list[Piece]:
    """Return ``states``, separated by ", ", as pieces of a line, each in its own colour."""
    pieces: list[Piece] = []
    for number, state in enumerate(states.split(", ")):
        if number:
            pieces.append(", ")
        shade = shade_of(state.partition(":")[0])  # after a colon it says why
        pieces.append((state, shade) if shade else state)
    return pieces
