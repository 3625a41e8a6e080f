"""What is searched: the words and numbers of a value, without case and punctuation.

A value of a few words is one term. A long text gives a term for each run of words, so that a part of it is
found too. A term is telling if it hardly occurs by chance: only such a term is searched in other documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+")
# Words of a run, and of the longest value that is one term.
_RUN = 6
# Shorter values occur in any document: "no", "42".
_SHORTEST = 3
_TELLING_CHARACTERS = 8
_TELLING_CODE = 6
_SEPARATOR = "\0"


class Term(NamedTuple):
    """The ``words`` of a value, ``size`` of them, joined. ``telling`` if they hardly occur by chance."""

    words: str
    size: int
    telling: bool


def words_of(text: str) -> list[str]:
    """Return the words and numbers of ``text``, without case."""
    return _WORD.findall(text.casefold())


def terms_of(text: str) -> Iterator[Term]:
    """Yield the terms of a value; none if it is too short to be searched."""
    words = words_of(text)
    if len(words) <= _RUN:
        term = _term(words)
        if sum(map(len, words)) >= _SHORTEST:
            yield term
            if len(words) == 2:  # a name may be written with the last name first
                yield _term(words[::-1])
        return
    for first in range(0, len(words) - _RUN + 1, _RUN):
        yield _term(words[first : first + _RUN])


def windows(words: Sequence[str], size: int) -> Iterator[str]:
    """Yield each run of ``size`` words, joined as in a `Term`."""
    if size == 1:
        yield from words
        return
    for first in range(len(words) - size + 1):
        yield _SEPARATOR.join(words[first : first + size])


def _term(words: Sequence[str]) -> Term:
    characters = sum(map(len, words))
    if len(words) == 1:
        # A name or a city is in many documents. A number, or a word with digits in it, is not.
        telling = characters >= _TELLING_CODE and any(map(str.isdigit, words[0]))
    else:
        telling = characters >= _TELLING_CHARACTERS
    return Term(_SEPARATOR.join(words), len(words), telling)
