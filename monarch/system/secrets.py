"""Secrets: values that never show, and texts freed of them.

A password lives in a `Secret` from the moment the settings are read. Whoever needs the value says
``reveal()``, which is easy to find in a review. Whatever is printed or stored for people goes
through `redact` first.
"""

from __future__ import annotations

import json
import re
from urllib.parse import quote, quote_plus

MASK = "********"

# Shorter values occur by chance in every text, and blotting them out would give them away.
_SHORTEST = 4
_known: set[str] = set()
# Up to the last "@" of the word: an unescaped "@" in a password must not end the match early. Only the
# last character of the scheme is searched for: all of it would take hours in a word of millions of letters.
_CREDENTIALS = re.compile(r"([A-Za-z0-9+.-]://)\S*@")


class Secret:
    """A text that prints as ``********``, whoever prints it, and that cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        if len(value) >= _SHORTEST:
            _known.update(_spellings(value))

    def reveal(self) -> str:
        """The value itself, for the one who must have it."""
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


def redact(text: str) -> str:
    """``text`` with every known secret, and the credentials of every URI, masked."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, MASK)
    return _CREDENTIALS.sub(rf"\1{MASK}@", text)


def _spellings(value: str) -> set[str]:
    """The ways a value is written: itself, percent-encoded, inside Python's quotes."""
    raw = value.encode("utf-8", "surrogateescape")
    quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    lower = {re.sub("%..", lambda escape: escape[0].lower(), text) for text in quoted}
    in_json = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    in_python = {repr(value)[1:-1], repr(raw)[2:-1], value.replace("'", "\\'")}
    twice = {repr(text)[1:-1] for text in in_json | in_python}
    squeezed = {value.strip(), " ".join(value.split())}
    every = {value} | quoted | lower | in_json | in_python | twice | squeezed
    return {text for text in every if len(text) >= _SHORTEST}
