"""Secrets: values that are never shown, and texts without them.

A password is a `Secret` from the moment the settings are read. Code that needs the value calls ``reveal()``,
which is easy to find in a review. Every text that is printed or stored for people passes through `redact`.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

MASK = "********"
# The variable with the key of masks: for monarch alone, no program that it starts gets it.
MASKS_KEY_VARIABLE = "MONARCH_MASKS_KEY"

# Shorter values occur in any text by chance, and masking them would reveal them.
_SHORTEST = 4
_known: set[str] = set()
# Up to the last "@" of the word, because a password may contain an unescaped "@". Only the
# last character of the scheme is searched for: all of it would take hours in a word of millions of letters.
_CREDENTIALS = re.compile(r"([A-Za-z0-9+.-]://)\S*@")


class Secret:
    """A text that prints as ``********`` and cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= _SHORTEST:
            _known.update(_spellings(value))

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(("Secret", self._value))

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


def hint_for_text(value: object) -> str:
    """Return the hint for a setting that is ``value`` but must be a text. No secret shall get into code."""
    if hasattr(value, "get_secret_value"):
        return "Give its text: append .get_secret_value()"
    if isinstance(value, int | float | bytes | list | tuple | set | dict):
        return "Write it as 'text'."
    return "Give it as a text: str(…)"


def redact(text: str) -> str:
    """Return ``text`` with every known secret and the credentials of every URI masked."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, MASK)
    return _CREDENTIALS.sub(rf"\1{MASK}@", text)


def _spellings(value: str) -> set[str]:
    """Return the spellings of a value: itself, percent-encoded, and as a JSON or Python string."""
    raw = value.encode("utf-8", "surrogateescape")
    quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    lower = {re.sub("%..", lambda escape: escape[0].lower(), text) for text in quoted}
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_python = {repr(value)[1:-1], repr(raw)[2:-1], value.replace("'", "\\'")}
    twice = {repr(text)[1:-1] for text in in_json | in_python}
    squeezed = {value.strip(), " ".join(value.split())}
    every = {value} | quoted | lower | in_json | in_python | twice | squeezed
    return {text for text in every if len(text) >= _SHORTEST}
